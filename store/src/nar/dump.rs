//! Archives of what is on disk or described by a [`SourceTree`].

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::write::NarWriter;
use super::{MAX_DEPTH, NarError};
use crate::error::StoreError;
use crate::store::SourceTree;

/// Archives the file, link or directory at `path`; links are not followed.
///
/// # Errors
/// Reading the tree or writing the archive failed, or the tree holds what no
/// archive can.
pub fn dump_path(path: &Path, out: impl Write) -> Result<(), StoreError> {
    let mut writer = NarWriter::begin(out).map_err(stream)?;
    dump_node(path, &mut writer, 0)
}

fn dump_node<W: Write>(path: &Path, writer: &mut NarWriter<W>, depth: usize) -> Result<(), StoreError> {
    if depth > MAX_DEPTH {
        return Err(StoreError::TooDeep { path: path.to_owned() });
    }
    let metadata = path.symlink_metadata().map_err(StoreError::io("read", path))?;
    let kind = metadata.file_type();
    if kind.is_file() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return dump_file(path, executable, writer);
    }
    if kind.is_symlink() {
        let target = path.read_link().map_err(StoreError::io("read the link", path))?;
        return writer.symlink(target.as_os_str().as_bytes()).map_err(stream);
    }
    if !kind.is_dir() {
        return Err(StoreError::FileKind { path: path.to_owned(), kind: kind_name(metadata.mode()) });
    }
    let mut names = Vec::new();
    for entry in path.read_dir().map_err(StoreError::io("list", path))? {
        names.push(entry.map_err(StoreError::io("list", path))?.file_name());
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

fn dump_file<W: Write>(path: &Path, executable: bool, writer: &mut NarWriter<W>) -> Result<(), StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let size = file.metadata().map_err(StoreError::io("read", path))?.len();
    match writer.regular(executable, size, &mut file, &mut |_| {}) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NarError::Changed { path: path.to_owned() }.into()),
        Err(source) => Err(StoreError::Io { action: "read", path: path.to_owned(), source }),
    }
}

/// Archives a described tree.
///
/// # Errors
/// As [`dump_path`].
pub fn dump_tree(tree: &SourceTree, out: impl Write) -> Result<(), StoreError> {
    let mut writer = NarWriter::begin(out).map_err(stream)?;
    dump_tree_node(tree, &mut writer)
}

fn dump_tree_node<W: Write>(tree: &SourceTree, writer: &mut NarWriter<W>) -> Result<(), StoreError> {
    match tree {
        SourceTree::Regular { path, executable } => dump_file(path, *executable, writer),
        SourceTree::Bytes { contents, executable } => {
            let size = contents.len() as u64;
            writer
                .regular(*executable, size, &mut contents.as_slice(), &mut |_| {})
                .map(|_| ())
                .map_err(stream)
        }
        SourceTree::Symlink { target } => writer.symlink(target).map_err(stream),
        SourceTree::Directory(members) => {
            writer.begin_directory().map_err(stream)?;
            for (name, member) in members {
                writer.enter(name).map_err(stream)?;
                dump_tree_node(member, writer)?;
                writer.leave().map_err(stream)?;
            }
            writer.end_directory().map_err(stream)
        }
    }
}

/// How long the archive of a tree is, by what the file system says of its
/// files: nothing is read.
///
/// # Errors
/// A file is not there.
pub(crate) fn archive_size(tree: &SourceTree) -> Result<u64, StoreError> {
    let mut writer = NarWriter::begin(Count(0)).map_err(stream)?;
    count_node(tree, &mut writer)?;
    Ok(writer.into_inner().0)
}

fn count_node(tree: &SourceTree, writer: &mut NarWriter<Count>) -> Result<(), StoreError> {
    let size = match tree {
        SourceTree::Regular { path, executable } => {
            let size = path.metadata().map_err(StoreError::io("read", path))?.len();
            Some((*executable, size))
        }
        SourceTree::Bytes { contents, executable } => Some((*executable, contents.len() as u64)),
        _ => None,
    };
    match (size, tree) {
        (Some((executable, size)), _) => {
            writer.begin_regular(executable, size).map_err(stream)?;
            writer.inner().0 += size;
            writer.end_regular(size).map_err(stream)
        }
        (None, SourceTree::Directory(members)) => {
            writer.begin_directory().map_err(stream)?;
            for (name, member) in members {
                writer.enter(name).map_err(stream)?;
                count_node(member, writer)?;
                writer.leave().map_err(stream)?;
            }
            writer.end_directory().map_err(stream)
        }
        (None, tree) => dump_tree_node(tree, writer),
    }
}

/// Counts what is written.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn stream(source: io::Error) -> StoreError {
    NarError::Stream { action: "write", source }.into()
}

/// The name of a file type, for messages.
pub(crate) fn kind_name(mode: u32) -> &'static str {
    match mode & 0o170_000 {
        0o140_000 => "socket",
        0o060_000 => "block device",
        0o020_000 => "character device",
        0o010_000 => "named pipe",
        _ => "file of unknown type",
    }
}
