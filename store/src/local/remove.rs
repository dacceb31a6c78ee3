//! Deleting trees whose directories are read-only.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The longest path of a directory whose members are removed by path: with a
/// name behind it, it stays below the kernel's 4096 bytes.
const MAX_PATH_BYTES: usize = 3500;

/// Removes a file, link or tree; it need not exist. Links are not followed,
/// and directories get their write bit back first. Builds and archives may
/// leave trees of any depth, so it does not recurse, and what lies too deep
/// to have a path is moved up first.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), StoreError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::io("read", path)(e)),
    };
    if !metadata.is_dir() {
        return ignore_missing(fs::remove_file(path)).map_err(StoreError::io("remove", path));
    }
    let mut directories = vec![path.to_owned()];
    let mut index = 0;
    while index < directories.len() {
        let directory = directories[index].clone();
        index += 1;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))
            .map_err(StoreError::io("make writable", &directory))?;
        for entry in fs::read_dir(&directory).map_err(StoreError::io("list", &directory))? {
            let entry = entry.map_err(StoreError::io("list", &directory))?;
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(if path.as_os_str().len() > MAX_PATH_BYTES {
                    moved_up(&path, &directories[0], directories.len())?
                } else {
                    path
                });
            } else {
                ignore_missing(fs::remove_file(&path)).map_err(StoreError::io("remove", &path))?;
            }
        }
    }
    for directory in directories.iter().rev() {
        ignore_missing(fs::remove_dir(directory)).map_err(StoreError::io("remove", directory))?;
    }
    Ok(())
}

/// Moves a directory to the top of the tree that is being removed; its new
/// path. `count` differs from call to call.
fn moved_up(directory: &Path, top: &Path, count: usize) -> Result<PathBuf, StoreError> {
    // The kernel asks for the write bit of what gets another parent.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
        .map_err(StoreError::io("make writable", directory))?;
    let mut name = format!(".deep-{count}");
    while top.join(&name).symlink_metadata().is_ok() {
        name.push('_');
    }
    let target = top.join(name);
    fs::rename(directory, &target).map_err(StoreError::io("move up", directory))?;
    Ok(target)
}

fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
