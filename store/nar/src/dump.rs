//! Archives of what is on disk.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::write::NarWriter;
use super::{MAX_DEPTH, NarError};
use crate::TreeError;

/// Archives the file, link or directory at `path`; links are not followed.
///
/// # Errors
/// Reading the tree or writing the archive failed, or the tree holds what no
/// archive can.
pub fn dump_path(path: &Path, out: impl Write) -> Result<(), TreeError> {
    let mut writer = NarWriter::begin(out).map_err(stream)?;
    dump_node(path, &mut writer, 0)
}

fn dump_node<W: Write>(path: &Path, writer: &mut NarWriter<W>, depth: usize) -> Result<(), TreeError> {
    if depth > MAX_DEPTH {
        return Err(TreeError::TooDeep { path: path.to_owned() });
    }
    let metadata = path.symlink_metadata().map_err(TreeError::io("read", path))?;
    let kind = metadata.file_type();
    if kind.is_file() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return dump_file(path, executable, writer);
    }
    if kind.is_symlink() {
        let target = path.read_link().map_err(TreeError::io("read the link", path))?;
        return writer.symlink(target.as_os_str().as_bytes()).map_err(stream);
    }
    if !kind.is_dir() {
        return Err(TreeError::FileKind { path: path.to_owned(), kind: kind_name(metadata.mode()) });
    }
    let mut names = Vec::new();
    for entry in path.read_dir().map_err(TreeError::io("list", path))? {
        names.push(entry.map_err(TreeError::io("list", path))?.file_name());
    }
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    writer.begin_directory().map_err(stream)?;
    for name in names {
        writer.enter(name.as_bytes()).map_err(stream)?;
        dump_node(&path.join(&name), writer, depth + 1)?;
        writer.leave().map_err(stream)?;
    }
    writer.end_directory().map_err(stream)
}

/// Writes a file's node.
///
/// # Errors
/// As [`dump_path`].
pub fn dump_file<W: Write>(
    path: &Path,
    executable: bool,
    writer: &mut NarWriter<W>,
) -> Result<(), TreeError> {
    let mut file = File::open(path).map_err(TreeError::io("open", path))?;
    let size = file.metadata().map_err(TreeError::io("read", path))?.len();
    match writer.regular(executable, size, &mut file, &mut |_| {}) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NarError::Changed { path: path.to_owned() }.into()),
        Err(source) => Err(TreeError::Io { action: "read", path: path.to_owned(), source }),
    }
}

fn stream(source: io::Error) -> TreeError {
    NarError::Stream { action: "write", source }.into()
}

/// The name of a file type, for messages.
pub fn kind_name(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o140_000 => "socket",
        0o060_000 => "block device",
        0o020_000 => "character device",
        0o010_000 => "named pipe",
        _ => "file of unknown type",
    }
}
