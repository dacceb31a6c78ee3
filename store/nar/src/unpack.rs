//! Archives to disk. Every object is created relative to the descriptor of
//! the directory that was just made, so that no name and no link in the
//! archive can lead elsewhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, symlinkat, utimensat};

use super::NarError;
use super::canonical::{TIMES, settle};
use super::read::{NarVisitor, read_nar};
use crate::TreeError;

/// Unpacks an archive to `destination`, which must not exist. Modes are
/// 0644/0755; making them canonical is the store's affair.
///
/// # Errors
/// [`TreeError::Nar`] for whatever is wrong with `input`, as in [`read_nar`];
/// [`TreeError::Io`] if a file could not be made. What was made by then stays.
pub fn unpack(input: &mut dyn Read, destination: &Path) -> Result<(), TreeError> {
    read_nar(input, &mut Unpacker::new(destination, AsIs)?)
}

/// As [`unpack`], with the modes and times of a store's objects.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_canonical(input: &mut dyn Read, destination: &Path) -> Result<(), TreeError> {
    read_nar(input, &mut Unpacker::new(destination, Canonical { root: destination })?)
}

/// What is done to nodes that unpacking made.
pub trait Finish {
    /// Modes of files, plain and executable, as they are made.
    const MODES: [u32; 2];
    /// Sees a file's contents as they are written to it.
    fn see(&mut self, file: &File, chunk: &[u8]);
    fn file(&mut self, at: At<'_>, file: File, made: Made) -> Result<(), TreeError>;
    fn symlink(&mut self, at: At<'_>) -> Result<(), TreeError>;
    /// A directory with all its members.
    fn directory(&mut self, directory: &OwnedFd, is_top: bool) -> Result<(), TreeError>;
}

/// Where a node is. Names are those of an archive or of a tree that could be
/// one: neither `.` nor `..`, and without a slash.
#[derive(Clone, Copy)]
pub struct At<'a> {
    pub parent: &'a OwnedFd,
    pub name: &'a [u8],
}

/// A file that was written.
#[derive(Clone, Copy)]
pub struct Made {
    pub executable: bool,
    pub size_bytes: u64,
}

/// Leaves them as they are.
struct AsIs;

impl Finish for AsIs {
    const MODES: [u32; 2] = [0o644, 0o755];

    fn see(&mut self, _: &File, _: &[u8]) {}

    fn file(&mut self, _: At<'_>, _: File, _: Made) -> Result<(), TreeError> {
        Ok(())
    }

    fn symlink(&mut self, _: At<'_>) -> Result<(), TreeError> {
        Ok(())
    }

    fn directory(&mut self, _: &OwnedFd, _: bool) -> Result<(), TreeError> {
        Ok(())
    }
}

/// Makes them those of a store's object.
struct Canonical<'p> {
    root: &'p Path,
}

impl Finish for Canonical<'_> {
    const MODES: [u32; 2] = [0o444, 0o555];

    fn see(&mut self, _: &File, _: &[u8]) {}

    fn file(&mut self, _: At<'_>, file: File, made: Made) -> Result<(), TreeError> {
        settle(&file, Self::MODES[usize::from(made.executable)], self.root)
    }

    fn symlink(&mut self, at: At<'_>) -> Result<(), TreeError> {
        utimensat(at.parent, at.name, &TIMES, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(TreeError::os("set a time below", self.root))
    }

    fn directory(&mut self, directory: &OwnedFd, _: bool) -> Result<(), TreeError> {
        settle(directory, 0o555, self.root)
    }
}

/// Makes a tree, node by node.
pub struct Unpacker<'p, F> {
    root: &'p Path,
    finish: F,
    directories: Vec<OwnedFd>,
    names: Vec<Vec<u8>>,
    copied: Vec<u8>,
}

/// A file that is being written.
pub struct Writing {
    file: File,
    made: Made,
}

/// Large enough that decompressing and not calling dominates.
const CHUNK_BYTES: usize = 64 * 1024;

impl<'p, F: Finish> Unpacker<'p, F> {
    /// # Errors
    /// The directory that `destination` is to be in cannot be opened.
    pub fn new(destination: &'p Path, finish: F) -> Result<Self, TreeError> {
        let parent = destination.parent().unwrap_or(Path::new("/"));
        let name = destination.file_name().map(|n| n.as_encoded_bytes().to_vec()).unwrap_or_default();
        let directory = File::open(parent).map_err(TreeError::io("open", parent))?.into();
        let (directories, names) = (vec![directory], vec![name]);
        Ok(Self { root: destination, finish, directories, names, copied: Vec::new() })
    }

    pub fn root(&self) -> &'p Path {
        self.root
    }

    fn at(&self) -> At<'_> {
        at(&self.directories, &self.names)
    }

    /// Begins a file, for whoever has its contents at hand.
    pub fn begin_file(&mut self, executable: bool) -> Result<Writing, TreeError> {
        let At { parent, name } = self.at();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(F::MODES[usize::from(executable)]);
        let file =
            openat(parent, name, flags, mode).map_err(TreeError::os("create a file below", self.root))?;
        Ok(Writing { file: File::from(file), made: Made { executable, size_bytes: 0 } })
    }

    pub fn write(&mut self, writing: &mut Writing, chunk: &[u8]) -> Result<(), TreeError> {
        writing.file.write_all(chunk).map_err(TreeError::io("write a file below", self.root))?;
        writing.made.size_bytes += chunk.len() as u64;
        self.finish.see(&writing.file, chunk);
        Ok(())
    }

    pub fn end_file(&mut self, Writing { file, made }: Writing) -> Result<(), TreeError> {
        self.finish.file(at(&self.directories, &self.names), file, made)
    }

    /// By hand, since whose fault an error is depends on which side it is of.
    fn copy(&mut self, contents: &mut dyn Read, writing: &mut Writing) -> Result<(), TreeError> {
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
    type Error = TreeError;

    fn directory(&mut self) -> Result<(), TreeError> {
        let At { parent, name } = self.at();
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
            .map_err(TreeError::os("make a directory below", self.root))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(parent, name, flags, Mode::empty())
            .map_err(TreeError::os("open a directory below", self.root))?;
        self.directories.push(opened);
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), TreeError> {
        self.names.push(name.to_vec());
        Ok(())
    }

    fn leave(&mut self) -> Result<(), TreeError> {
        self.names.pop();
        Ok(())
    }

    fn end_directory(&mut self) -> Result<(), TreeError> {
        let directory = self.directories.pop().expect("it was begun");
        self.finish.directory(&directory, self.directories.len() == 1)
    }

    fn regular(&mut self, executable: bool, _size: u64, contents: &mut dyn Read) -> Result<(), TreeError> {
        let mut writing = self.begin_file(executable)?;
        self.copy(contents, &mut writing)?;
        self.end_file(writing)
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), TreeError> {
        let At { parent, name } = self.at();
        symlinkat(target, parent, name).map_err(TreeError::os("make a link below", self.root))?;
        self.finish.symlink(at(&self.directories, &self.names))
    }
}

fn at<'a>(directories: &'a [OwnedFd], names: &'a [Vec<u8>]) -> At<'a> {
    let parent = directories.last().expect("the parent of the root is never popped");
    let name = names.last().expect("a node follows enter, or is the root");
    At { parent, name }
}
