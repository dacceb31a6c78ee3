//! What only saves time, and may go once nobody has used it for a month.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(crate) const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Keeps a file or directory from getting old.
pub(crate) fn note_use(path: &Path) {
    // At worst it gets old, and is made again.
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// What is in a directory and was not used for so long.
///
/// # Errors
/// The directory is there and cannot be read.
pub(crate) fn unused(directory: &Path, now: SystemTime) -> io::Result<Vec<PathBuf>> {
    let is_old = |path: &PathBuf| {
        // A time to come is of a clock that was wrong: as good as now.
        let used = path.symlink_metadata().and_then(|metadata| metadata.modified()).ok();
        used.and_then(|used| now.duration_since(used).ok()).is_some_and(|age| age > KEPT)
    };
    Ok(entries(directory)?.into_iter().filter(is_old).collect())
}

/// What is in a directory; nothing if there is none.
///
/// # Errors
/// It cannot be read.
pub(crate) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match directory.read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed?.map(|entry| Ok(entry?.path())).collect(),
    }
}
