//! Locks between processes: one file a name, held by `flock`, so that the
//! kernel releases them however a process ends.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Access, LocalStore};
use crate::error::StoreError;

/// Held until dropped.
#[derive(Debug)]
pub struct PathLock {
    path: PathBuf,
    file: File,
}

impl Drop for PathLock {
    fn drop(&mut self) {
        // Unlinked while still held: a waiter notices that its file is gone
        // and opens the new one.
        if self.file.metadata().is_ok_and(|m| m.is_file() && m.nlink() > 0) && !self.path.ends_with("gc.lock")
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl LocalStore {
    /// Takes the lock called `name` (a base name), waiting for its holder.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn lock(&self, name: &str) -> Result<PathLock, StoreError> {
        let lock = self.lock_with(name, FlockOperation::LockExclusive)?;
        Ok(lock.expect("a blocking lock is always taken"))
    }

    /// As [`LocalStore::lock`], but `None` if somebody else holds it.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_lock(&self, name: &str) -> Result<Option<PathLock>, StoreError> {
        self.lock_with(name, FlockOperation::NonBlockingLockExclusive)
    }

    /// Held by every command that makes or uses objects: while it is, nothing
    /// is collected. `gc` takes it exclusively.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn hold_objects(&self) -> Result<PathLock, StoreError> {
        if self.access == Access::Read {
            // Nothing is collected where nothing can be removed.
            let path = self.home().to_owned();
            let file = File::open(&path).map_err(StoreError::io("open", &path))?;
            return Ok(PathLock { path, file });
        }
        let lock = self.lock_with("gc.lock", FlockOperation::LockShared)?;
        Ok(lock.expect("a blocking lock is always taken"))
    }

    pub(super) fn lock_with(
        &self,
        name: &str,
        operation: FlockOperation,
    ) -> Result<Option<PathLock>, StoreError> {
        take(self.home(), name, operation)
    }
}

/// Takes a lock of the store at `home`; `None` if it is held and `operation`
/// does not wait.
pub(super) fn take(
    home: &Path,
    name: &str,
    operation: FlockOperation,
) -> Result<Option<PathLock>, StoreError> {
    let path = home.join("locks").join(name);
    loop {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StoreError::io("open the lock", &path))?;
        match flock(&file, operation) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(StoreError::os("take the lock", &path)(e)),
        }
        let held = file.metadata().map_err(StoreError::io("read the lock", &path))?;
        match fs::metadata(&path) {
            Ok(named) if named.ino() == held.ino() => return Ok(Some(PathLock { path, file })),
            _ => {}
        }
    }
}
