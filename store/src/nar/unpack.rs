//! Archives to disk. Every object is created relative to the descriptor of
//! the directory that was just made, so that no name and no link in the
//! archive can lead elsewhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat, symlinkat};

use super::NarError;
use super::read::{NarVisitor, read_nar};
use crate::error::StoreError;

/// Unpacks an archive to `destination`, which must not exist. Modes are
/// 0644/0755; making them canonical is the store's affair.
///
/// # Errors
/// [`StoreError::Nar`] for whatever is wrong with `input`, as in [`read_nar`];
/// [`StoreError::Io`] if a file could not be made. What was made by then stays.
pub fn unpack(input: &mut dyn Read, destination: &Path) -> Result<(), StoreError> {
    read_nar(input, &mut Unpacker::new(destination, AsIs)?)
}

/// What is done to nodes that unpacking made.
pub(crate) trait Finish {
    /// Modes of files, plain and executable, as they are made.
    const MODES: [u32; 2];
    /// Sees a file's contents as they are written.
    fn see(&mut self, chunk: &[u8]);
    fn file(&mut self, at: At<'_>, file: File, made: Made) -> Result<(), StoreError>;
    fn symlink(&mut self, at: At<'_>) -> Result<(), StoreError>;
    /// A directory with all its members.
    fn directory(&mut self, directory: &OwnedFd, is_top: bool) -> Result<(), StoreError>;
}

/// Where a node is. Names are those of an archive or of a tree that could be
/// one: neither `.` nor `..`, and without a slash.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) parent: &'a OwnedFd,
    pub(crate) name: &'a [u8],
}

/// A file that was written.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) executable: bool,
    pub(crate) size_bytes: u64,
}

/// Leaves them as they are.
struct AsIs;

impl Finish for AsIs {
    const MODES: [u32; 2] = [0o644, 0o755];

    fn see(&mut self, _: &[u8]) {}

    fn file(&mut self, _: At<'_>, _: File, _: Made) -> Result<(), StoreError> {
        Ok(())
    }

    fn symlink(&mut self, _: At<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn directory(&mut self, _: &OwnedFd, _: bool) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Makes a tree, node by node.
pub(crate) struct Unpacker<'p, F> {
    root: &'p Path,
    finish: F,
    directories: Vec<OwnedFd>,
    names: Vec<Vec<u8>>,
    copied: Vec<u8>,
}

/// A file that is being written.
pub(crate) struct Writing {
    file: File,
    made: Made,
}

/// Large enough that decompressing and not calling dominates.
const CHUNK_BYTES: usize = 64 * 1024;

impl<'p, F: Finish> Unpacker<'p, F> {
    /// # Errors
    /// The directory that `destination` is to be in cannot be opened.
    pub(crate) fn new(destination: &'p Path, finish: F) -> Result<Self, StoreError> {
        let parent = destination.parent().unwrap_or(Path::new("/"));
        let name = destination.file_name().map(|n| n.as_encoded_bytes().to_vec()).unwrap_or_default();
        let directory = File::open(parent).map_err(StoreError::io("open", parent))?.into();
        let (directories, names) = (vec![directory], vec![name]);
        Ok(Self { root: destination, finish, directories, names, copied: Vec::new() })
    }

    pub(crate) fn root(&self) -> &'p Path {
        self.root
    }

    fn at(&self) -> At<'_> {
        at(&self.directories, &self.names)
    }

    /// Begins a file, for whoever has its contents at hand.
    pub(crate) fn begin_file(&mut self, executable: bool) -> Result<Writing, StoreError> {
        let At { parent, name } = self.at();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(F::MODES[usize::from(executable)]);
        let file =
            openat(parent, name, flags, mode).map_err(StoreError::os("create a file below", self.root))?;
        Ok(Writing { file: File::from(file), made: Made { executable, size_bytes: 0 } })
    }

    pub(crate) fn write(&mut self, writing: &mut Writing, chunk: &[u8]) -> Result<(), StoreError> {
        writing.file.write_all(chunk).map_err(StoreError::io("write a file below", self.root))?;
        writing.made.size_bytes += chunk.len() as u64;
        self.finish.see(chunk);
        Ok(())
    }

    pub(crate) fn end_file(&mut self, Writing { file, made }: Writing) -> Result<(), StoreError> {
        self.finish.file(at(&self.directories, &self.names), file, made)
    }

    /// By hand, since whose fault an error is depends on which side it is of.
    fn copy(&mut self, contents: &mut dyn Read, writing: &mut Writing) -> Result<(), StoreError> {
        let mut copied = std::mem::take(&mut self.copied);
        copied.resize(CHUNK_BYTES, 0);
        loop {
            let got = match contents.read(&mut copied) {
                Ok(0) => break,
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(NarError::Stream { action: "read", source }.into()),
            };
            self.write(writing, &copied[..got])?;
        }
        self.copied = copied;
        Ok(())
    }
}

impl<F: Finish> NarVisitor for Unpacker<'_, F> {
    type Error = StoreError;

    fn directory(&mut self) -> Result<(), StoreError> {
        let At { parent, name } = self.at();
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
            .map_err(StoreError::os("make a directory below", self.root))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(parent, name, flags, Mode::empty())
            .map_err(StoreError::os("open a directory below", self.root))?;
        self.directories.push(opened);
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), StoreError> {
        self.names.push(name.to_vec());
        Ok(())
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        self.names.pop();
        Ok(())
    }

    fn end_directory(&mut self) -> Result<(), StoreError> {
        let directory = self.directories.pop().expect("it was begun");
        self.finish.directory(&directory, self.directories.len() == 1)
    }

    fn regular(&mut self, executable: bool, _size: u64, contents: &mut dyn Read) -> Result<(), StoreError> {
        let mut writing = self.begin_file(executable)?;
        self.copy(contents, &mut writing)?;
        self.end_file(writing)
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError> {
        let At { parent, name } = self.at();
        symlinkat(target, parent, name).map_err(StoreError::os("make a link below", self.root))?;
        self.finish.symlink(at(&self.directories, &self.names))
    }
}

fn at<'a>(directories: &'a [OwnedFd], names: &'a [Vec<u8>]) -> At<'a> {
    let parent = directories.last().expect("the parent of the root is never popped");
    let name = names.last().expect("a node follows enter, or is the root");
    At { parent, name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar::dump::{dump_path, dump_tree};
    use crate::store::SourceTree;
    use std::collections::BTreeMap;

    fn sample() -> SourceTree {
        let file = |text: &str, executable| SourceTree::Bytes { contents: text.into(), executable };
        SourceTree::Directory(BTreeMap::from([
            (b"a".to_vec(), file("hello", false)),
            (b"b".to_vec(), SourceTree::Symlink { target: b"../a".to_vec() }),
            (b"c".to_vec(), SourceTree::Directory(BTreeMap::from([(b"run".to_vec(), file("#!", true))]))),
        ]))
    }

    #[test]
    fn unpacking_a_dump_gives_the_same_dump() {
        let mut archive = Vec::new();
        dump_tree(&sample(), &mut archive).unwrap();
        let place = tempfile::tempdir().unwrap();
        unpack(&mut archive.as_slice(), &place.path().join("x")).unwrap();
        let mut again = Vec::new();
        dump_path(&place.path().join("x"), &mut again).unwrap();
        assert_eq!(archive, again);
    }

    #[test]
    fn every_truncation_and_flipped_structure_byte_is_refused() {
        let mut archive = Vec::new();
        dump_tree(&sample(), &mut archive).unwrap();
        let place = tempfile::tempdir().unwrap();
        for length in 0..archive.len() {
            let target = place.path().join(format!("t{length}"));
            assert!(unpack(&mut &archive[..length], &target).is_err(), "cut at {length}");
        }
        // A byte in padding or in a token must not go unnoticed; in contents,
        // names and targets it gives another tree.
        for index in 0..archive.len() {
            let mut bent = archive.clone();
            bent[index] ^= 0x80;
            let target = place.path().join(format!("f{index}"));
            if unpack(&mut bent.as_slice(), &target).is_ok() {
                let mut again = Vec::new();
                dump_path(&target, &mut again).unwrap();
                assert_eq!(again, bent, "byte {index} was accepted but not kept");
            }
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["..", ".", "", "a/b", "/etc", "nul\0"] {
            let tree = SourceTree::Directory(BTreeMap::from([(
                name.as_bytes().to_vec(),
                SourceTree::Bytes { contents: vec![1], executable: false },
            )]));
            let mut archive = Vec::new();
            dump_tree(&tree, &mut archive).unwrap();
            let place = tempfile::tempdir().unwrap();
            let result = unpack(&mut archive.as_slice(), &place.path().join("x"));
            assert!(matches!(result, Err(StoreError::Nar(NarError::Malformed { .. }))), "{name:?}");
        }
    }
}
