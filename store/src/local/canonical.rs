//! Trees that we write ourselves, canonical from the first: what `ingest` makes
//! of a tree that a builder left is done here while it is written, so that its
//! bytes are looked at once.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use osbuild_nar::canonical::{TIMES, settle};
use osbuild_nar::{At, Finish, Made, Unpacker};
use rustix::fs::{Advice, AtFlags, fadvise, utimensat};

use super::LocalStore;
use super::dedup::MIN_BYTES;
use super::ingest::{ArchiveSink, Ingested};
use crate::error::StoreError;
use crate::nar::{MAX_DEPTH, NarError, NarVisitor, NarWriter, TreeError, read_nar, stream};
use crate::path::StorePath;
use crate::store::SourceTree;

impl LocalStore {
    /// Unpacks an archive to `scratch`, which must not exist, for
    /// [`LocalStore::place`]. Bytes after it are left in `input`, which should
    /// have a buffer.
    ///
    /// # Errors
    /// As [`crate::nar::unpack()`].
    pub(crate) fn receive(
        &self,
        input: &mut dyn Read,
        scratch: &Path,
        candidates: &BTreeSet<StorePath>,
    ) -> Result<Ingested, StoreError> {
        // An archive that can be read is the one that would be written, so
        // that its hash is the tree's.
        let mut seen = Seen { input, sink: ArchiveSink::new(candidates) };
        let finish = Canonical { behind: Some(WriteBehind::default()), ..Canonical::new(self, scratch) };
        read_nar(&mut seen, &mut Unpacker::new(scratch, finish)?)?;
        Ok(seen.sink.finish())
    }

    /// Writes a described tree to `scratch`, which must not exist, for
    /// [`LocalStore::place`].
    ///
    /// # Errors
    /// Reading or writing failed.
    pub(super) fn write_tree(&self, tree: &SourceTree, scratch: &Path) -> Result<Ingested, StoreError> {
        let writer = NarWriter::begin(ArchiveSink::new([])).map_err(stream)?;
        let mut both = Both { writer, unpacker: Unpacker::new(scratch, Canonical::new(self, scratch))? };
        both.node(tree, 0)?;
        Ok(both.writer.into_inner().finish())
    }
}

/// Shows what is read of an archive.
struct Seen<'r> {
    input: &'r mut dyn Read,
    sink: ArchiveSink,
}

impl Read for Seen<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.sink.write_all(&buffer[..got])?;
        Ok(got)
    }
}

/// Writes a tree and its archive.
struct Both<'s> {
    writer: NarWriter<ArchiveSink>,
    unpacker: Unpacker<'s, Canonical<'s>>,
}

impl Both<'_> {
    fn node(&mut self, tree: &SourceTree, depth: usize) -> Result<(), StoreError> {
        if depth > MAX_DEPTH {
            return Err(StoreError::TooDeep { path: self.unpacker.root().to_owned() });
        }
        match tree {
            SourceTree::Regular { path, executable } => {
                let mut file = File::open(path).map_err(StoreError::io("open", path))?;
                let size = file.metadata().map_err(StoreError::io("read", path))?.len();
                if self.file(*executable, size, &mut file, path)? {
                    return Ok(());
                }
                Err(NarError::Changed { path: path.clone() }.into())
            }
            SourceTree::Bytes { contents, executable } => {
                let size = contents.len() as u64;
                self.file(*executable, size, &mut contents.as_slice(), Path::new("memory")).map(drop)
            }
            SourceTree::Symlink { target } => {
                self.writer.symlink(target).map_err(stream)?;
                Ok(self.unpacker.symlink(target)?)
            }
            SourceTree::Directory(members) => {
                self.writer.begin_directory().map_err(stream)?;
                self.unpacker.directory()?;
                for (name, member) in members {
                    self.writer.enter(name).map_err(stream)?;
                    self.unpacker.enter(name)?;
                    self.node(member, depth + 1)?;
                    self.unpacker.leave()?;
                    self.writer.leave().map_err(stream)?;
                }
                self.unpacker.end_directory()?;
                self.writer.end_directory().map_err(stream)
            }
        }
    }

    /// Whether there were as many bytes as there should be.
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
        path: &Path,
    ) -> Result<bool, StoreError> {
        let mut writing = self.unpacker.begin_file(executable)?;
        let mut written = Ok(());
        let is_complete = self
            .writer
            .regular(executable, size, contents, &mut |chunk| {
                if written.is_ok() {
                    written = self.unpacker.write(&mut writing, chunk);
                }
            })
            .map_err(StoreError::io("read", path))?;
        written?;
        if is_complete {
            self.unpacker.end_file(writing)?;
        }
        Ok(is_complete)
    }
}

/// Makes what is written canonical, and shares equal files.
struct Canonical<'s> {
    store: &'s LocalStore,
    /// The tree, for messages.
    root: &'s Path,
    /// Of the file that is being written.
    digest: blake3::Hasher,
    /// Where more comes while the disk could write.
    behind: Option<WriteBehind>,
}

impl<'s> Canonical<'s> {
    fn new(store: &'s LocalStore, root: &'s Path) -> Self {
        Self { store, root, digest: blake3::Hasher::new(), behind: None }
    }
}

/// Has the disk write a file's pieces as they come: what is left for the sync
/// at a command's end is little, and the disk does not idle until then.
#[derive(Default)]
struct WriteBehind {
    /// Of the file that is being written.
    written: u64,
    begun: u64,
}

/// Less is not worth a call; the sync at the end writes it.
const PIECE_BYTES: u64 = 64 << 10;
/// Of a large file, so much at a time.
const LARGE_PIECE_BYTES: u64 = 8 << 20;

impl WriteBehind {
    fn wrote(&mut self, file: &File, bytes: usize) {
        self.written += bytes as u64;
        if self.written - self.begun >= LARGE_PIECE_BYTES {
            self.begin(file);
        }
    }

    fn end(&mut self, file: &File) {
        if self.written - self.begun >= PIECE_BYTES {
            self.begin(file);
        }
        *self = Self::default();
    }

    /// The advice starts writing without waiting for it, and drops from memory
    /// only what is on the disk by then, which is little of what was just
    /// written (mm/fadvise.c). sync_file_range(2) would drop nothing, but has
    /// no safe form.
    fn begin(&mut self, file: &File) {
        let length = std::num::NonZeroU64::new(self.written - self.begun);
        let _ = fadvise(file, self.begun, length, Advice::DontNeed);
        self.begun = self.written;
    }
}

impl Finish for Canonical<'_> {
    const MODES: [u32; 2] = [0o444, 0o555];

    fn see(&mut self, file: &File, chunk: &[u8]) {
        self.digest.update(chunk);
        if let Some(behind) = &mut self.behind {
            behind.wrote(file, chunk.len());
        }
    }

    fn file(&mut self, at: At<'_>, file: File, made: Made) -> Result<(), TreeError> {
        let Made { executable, size_bytes } = made;
        settle(&file, Self::MODES[usize::from(executable)], self.root)?;
        if let Some(behind) = &mut self.behind {
            behind.end(&file);
        }
        drop(file);
        if size_bytes >= MIN_BYTES {
            let name = Path::new(OsStr::from_bytes(at.name));
            let digest = self.digest.finalize();
            self.store.deduplicate(at.parent.as_fd(), name, &digest, executable, size_bytes);
        }
        self.digest.reset();
        Ok(())
    }

    fn symlink(&mut self, at: At<'_>) -> Result<(), TreeError> {
        utimensat(at.parent, at.name, &TIMES, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(TreeError::os("set a time below", self.root))
    }

    fn directory(&mut self, directory: &OwnedFd, is_top: bool) -> Result<(), TreeError> {
        // Without its write bit it could not be renamed into the store.
        settle(directory, if is_top { 0o755 } else { 0o555 }, self.root)
    }
}
