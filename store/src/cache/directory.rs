//! A cache in a directory: a disk that is passed on, a network mount, what a
//! web server serves.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::beside;
use super::place::{Cancelled, Contents, Place, PlaceError, Reader};

/// See the module.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    address: String,
}

impl Directory {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), address: format!("file://{}", root.display()) }
    }

    fn failed(&self, action: &'static str, name: &str, error: &io::Error) -> PlaceError {
        PlaceError::Failed { action, address: format!("{}/{name}", self.address), reason: error.to_string() }
    }

    /// Opens a regular file. Whoever filled the directory may have put
    /// something there that blocks whoever opens it.
    fn open(&self, name: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::open(self.root.join(name), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(error) => {
                let error = io::Error::from(error);
                return match error.kind() {
                    ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
                    _ => Err(error),
                };
            }
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Some(file))
    }

    fn write(&self, name: &str, contents: Contents<'_>) -> io::Result<()> {
        let target = self.root.join(name);
        let parent = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent)?;
        let mut beside = beside::create(parent)?;
        match contents {
            Contents::Bytes(bytes) => beside.write_all(bytes)?,
            Contents::File(path) => {
                io::copy(&mut File::open(path)?, beside.as_file_mut())?;
            }
        }
        // A temporary file is its owner's alone; a cache is for everybody.
        use std::os::unix::fs::PermissionsExt;
        beside.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        beside.as_file().sync_data()?;
        beside.persist(&target)?;
        Ok(())
    }
}

impl Place for Directory {
    fn address(&self) -> &str {
        &self.address
    }

    fn read(&self, name: &str, _: &Cancelled<'_>, reader: &mut Reader<'_>) -> Result<bool, PlaceError> {
        let fail = |error: &io::Error| self.failed("read", name, error);
        let Some(mut file) = self.open(name).map_err(|e| fail(&e))? else { return Ok(false) };
        let size = file.metadata().map_err(|e| fail(&e))?.len();
        reader(&mut file, Some(size)).map_err(|e| fail(&e))?;
        Ok(true)
    }

    fn exists(&self, name: &str, _: &Cancelled<'_>) -> Result<bool, PlaceError> {
        self.root.join(name).try_exists().map_err(|error| self.failed("look for", name, &error))
    }

    fn put(&self, name: &str, contents: Contents<'_>, _: &Cancelled<'_>) -> Result<(), PlaceError> {
        self.write(name, contents).map_err(|error| self.failed("write", name, &error))
    }

    fn tidy(&self) {
        for directory in ["", "nar", "actions"] {
            beside::remove_stale(&self.root.join(directory));
        }
    }
}
