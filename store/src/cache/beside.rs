//! Files that are written beside their place in a directory that several
//! processes, perhaps of several machines, write to; and what is left of those
//! whose writers were killed.
//!
//! A writer holds a lock on its file, which the kernel releases however it
//! ends. So what can be locked has no writer any more, but for the moment
//! between making a file and locking it, and for file systems that keep locks
//! to themselves: what was touched lately is left alone, too.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use tempfile::NamedTempFile;

/// What names of half-written files begin with; nobody asks a cache for one.
const PREFIX: &str = ".new-";

/// How long nothing was written to a file that may be removed.
const STALE: Duration = Duration::from_secs(10 * 60);

/// A new file in `directory`, to be renamed to its place; removed if dropped
/// before.
///
/// # Errors
/// It cannot be made.
pub(super) fn create(directory: &Path) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(directory)?;
    // Not every file system knows locks; there nothing can be locked by others
    // either, and what is left stays.
    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
    Ok(file)
}

/// Removes from `directory` what killed writers left. What cannot be looked at
/// or removed stays: it is in nobody's way.
pub(super) fn remove_stale(directory: &Path) {
    let Ok(entries) = directory.read_dir() else { return };
    for entry in entries.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            let _ = remove_if_stale(&entry.path(), SystemTime::now());
        }
    }
}

fn remove_if_stale(path: &Path, now: SystemTime) -> io::Result<()> {
    // Whoever filled the directory may have put something there that blocks
    // whoever opens it, or that lies elsewhere.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    let is_old = now.duration_since(metadata.modified()?).is_ok_and(|age| age >= STALE);
    if !metadata.is_file() || !is_old {
        return Ok(());
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // Its writer may have renamed it a moment ago, and another one made a file
    // of that name.
    let there = path.symlink_metadata()?;
    if (there.dev(), there.ino()) == (metadata.dev(), metadata.ino()) {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_is_old_and_has_no_writer_goes() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let old = SystemTime::now() - STALE - Duration::from_secs(1);
        let make = |name: &str, modified: SystemTime| {
            let file = File::create(path(name)).unwrap();
            file.set_modified(modified).unwrap();
        };
        make(".new-old", old);
        make(".new-young", SystemTime::now());
        make(".new-of-the-future", SystemTime::now() + Duration::from_secs(86_400));
        make("old", old);
        make("target", old);
        fs::create_dir(path(".new-directory")).unwrap();
        File::open(path(".new-directory")).unwrap().set_modified(old).unwrap();
        symlink("target", path(".new-link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path(".new-pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let written = create(place.path()).unwrap();
        written.as_file().set_modified(old).unwrap();
        let names = || -> Vec<String> {
            let names = place.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        let before = names();
        remove_stale(place.path());
        let kept: Vec<String> = before.into_iter().filter(|name| name != ".new-old").collect();
        assert_eq!(names(), kept);

        // Without its writer the last one goes, too.
        let left = written.into_temp_path().keep().unwrap();
        remove_stale(place.path());
        assert!(!left.exists());
        remove_stale(&path("nowhere"));
    }
}
