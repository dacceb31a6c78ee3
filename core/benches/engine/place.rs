//! Where files are made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory of one measurement.
///
/// When dropped it is emptied of bytes and stays until the run ends: ext4 looks
/// at every inode that was removed within the last minutes before it hands out
/// a new one, so that removing the files of one round would slow the next.
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    pub(crate) fn make(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("the directory is writable");
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let mut waiting = vec![self.path.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                    Ok(kind) if kind.is_file() => empty(&entry.path()),
                    _ => {}
                }
            }
        }
    }
}

/// What cannot be emptied takes room for a while; that is all.
fn empty(file: &Path) {
    let _ = fs::set_permissions(file, fs::Permissions::from_mode(0o600));
    let _ = fs::OpenOptions::new().write(true).truncate(true).open(file);
}
