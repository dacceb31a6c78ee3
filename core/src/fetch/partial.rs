//! Downloads that are not whole yet. They outlive the process, so that a run
//! after an interrupt goes on where the last one ended.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use osbuild_store::NixHash;
use rustix::fs::{FlockOperation, flock};

/// A file named by the hash it should have, ours alone while this lives.
pub(super) struct Partial {
    path: PathBuf,
    _lock: File,
}

impl Partial {
    /// Takes the partial download of `expected` in `directory`, begun or not.
    /// If another process is at it, one of our own.
    pub(super) fn open(directory: &Path, expected: &NixHash) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let shared = directory.join(expected.to_hex());
        let own = directory.join(format!("{}-{}", expected.to_hex(), std::process::id()));
        for path in [shared, own] {
            let lock = File::options().create(true).append(true).open(&path)?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            // The last holder may have moved the file we just opened away.
            let same =
                fs::metadata(&path).is_ok_and(|named| lock.metadata().is_ok_and(|m| m.ino() == named.ino()));
            if same {
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is fetching the same file"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an earlier attempt left something to go on from.
    pub(super) fn is_begun(&self) -> bool {
        self.path.metadata().is_ok_and(|metadata| metadata.len() > 0)
    }

    /// Forgets what is there; the lock stays.
    pub(super) fn restart(&self) -> io::Result<()> {
        File::options().write(true).truncate(true).open(&self.path).map(drop)
    }

    /// Moves the whole file to where it belongs.
    pub(super) fn finish(self, destination: &Path) -> io::Result<()> {
        fs::rename(&self.path, destination)
    }

    /// Removes what turned out to be wrong.
    pub(super) fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }
}
