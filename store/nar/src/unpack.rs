//! Archives to disk. Every object is created relative to the descriptor of
//! the directory that was just made, so that no name and no link in the
//! archive can lead elsewhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, fchmod, futimens, openat, symlinkat, utimensat,
};

use super::NarError;
use super::read::{NarVisitor, read_nar};
use crate::TreeError;

/// Unpacks an archive to `destination`, which must not exist. Modes are
/// 0644/0755; making them canonical is the store's affair.
///
/// # Errors
/// [`TreeError::Nar`] for whatever is wrong with `input`, as in [`read_nar`];
/// [`TreeError::Io`] if a file could not be made. What was made by then stays.
pub fn unpack(input: &mut dyn Read, destination: &Path) -> Result<(), TreeError> {
    Unpacker::at(destination, false)?.run(input)
}

/// As [`unpack`], with the modes and times of a store's objects: 0444, 0555,
/// one second after 1970.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_canonical(input: &mut dyn Read, destination: &Path) -> Result<(), TreeError> {
    Unpacker::at(destination, true)?.run(input)
}

struct Unpacker<'p> {
    root: &'p Path,
    is_canonical: bool,
    directories: Vec<OwnedFd>,
    names: Vec<Vec<u8>>,
    copied: Vec<u8>,
}

/// Large enough that decompressing and not calling dominates.
const CHUNK_BYTES: usize = 64 * 1024;

/// As Nix has them: 0 confuses some programs.
const TIMES: Timestamps = {
    let one = Timespec { tv_sec: 1, tv_nsec: 0 };
    Timestamps { last_access: one, last_modification: one }
};

impl<'p> Unpacker<'p> {
    fn at(destination: &'p Path, is_canonical: bool) -> Result<Self, TreeError> {
        let parent = destination.parent().unwrap_or(Path::new("/"));
        let name = destination.file_name().map(|n| n.as_encoded_bytes().to_vec()).unwrap_or_default();
        let directory = File::open(parent).map_err(TreeError::io("open", parent))?.into();
        Ok(Self {
            root: destination,
            is_canonical,
            directories: vec![directory],
            names: vec![name],
            copied: Vec::new(),
        })
    }

    fn run(mut self, input: &mut dyn Read) -> Result<(), TreeError> {
        read_nar(input, &mut self)
    }

    fn place(&self) -> (&OwnedFd, &[u8]) {
        let directory = self.directories.last().expect("the parent of the root is never popped");
        let name = self.names.last().expect("a node follows enter, or is the root");
        (directory, name)
    }

    fn finish(&self, file: impl AsFd, mode: u32) -> Result<(), TreeError> {
        if !self.is_canonical {
            return Ok(());
        }
        fchmod(&file, Mode::from_raw_mode(mode)).map_err(TreeError::os("set a mode below", self.root))?;
        futimens(&file, &TIMES).map_err(TreeError::os("set a time below", self.root))
    }

    /// By hand, since whose fault an error is depends on which side it is of.
    fn copy(&mut self, contents: &mut dyn Read, file: &mut File) -> Result<(), TreeError> {
        self.copied.resize(CHUNK_BYTES, 0);
        loop {
            let got = match contents.read(&mut self.copied) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(NarError::Stream { action: "read", source }.into()),
            };
            file.write_all(&self.copied[..got]).map_err(TreeError::io("write a file below", self.root))?;
        }
    }
}

impl NarVisitor for Unpacker<'_> {
    type Error = TreeError;

    fn directory(&mut self) -> Result<(), TreeError> {
        let (parent, name) = self.place();
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
        let directory = self.directories.pop().expect("it was entered");
        self.finish(&directory, 0o555)
    }

    fn regular(&mut self, executable: bool, _size: u64, contents: &mut dyn Read) -> Result<(), TreeError> {
        let (parent, name) = self.place();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let file =
            openat(parent, name, flags, mode).map_err(TreeError::os("create a file below", self.root))?;
        let mut file = File::from(file);
        self.copy(contents, &mut file)?;
        self.finish(&file, if executable { 0o555 } else { 0o444 })
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), TreeError> {
        let (parent, name) = self.place();
        symlinkat(target, parent, name).map_err(TreeError::os("make a link below", self.root))?;
        if self.is_canonical {
            utimensat(parent, name, &TIMES, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(TreeError::os("set the time of a link below", self.root))?;
        }
        Ok(())
    }
}
