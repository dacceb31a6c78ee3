//! Copies of store objects that cost nothing: directories anew, files as hard
//! links of the stored ones, which are read-only and canonical already.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::BuiltinError;

/// Copies `from` to `to`, which must not exist.
pub(super) fn link_tree(from: &Path, to: &Path) -> Result<(), BuiltinError> {
    let metadata = from.symlink_metadata().map_err(BuiltinError::io("read", from))?;
    if metadata.is_symlink() {
        let target = fs::read_link(from).map_err(BuiltinError::io("read the link", from))?;
        return std::os::unix::fs::symlink(target, to).map_err(BuiltinError::io("make the link", to));
    }
    if metadata.is_dir() {
        fs::create_dir(to).map_err(BuiltinError::io("make the directory", to))?;
        for entry in fs::read_dir(from).map_err(BuiltinError::io("list", from))? {
            let name = entry.map_err(BuiltinError::io("list", from))?.file_name();
            link_tree(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(BuiltinError::io("make", to)(e)),
        // Too many links, or a file system without them.
        Err(_) => {
            fs::copy(from, to).map_err(BuiltinError::io("copy", from))?;
            let mode = fs::Permissions::from_mode(metadata.permissions().mode() | 0o200);
            fs::set_permissions(to, mode).map_err(BuiltinError::io("set the mode of", to))
        }
    }
}
