//! From a tree that a builder left to an object of the store: one walk makes
//! modes and times canonical, hashes the archive, scans for references and
//! shares equal files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use osbuild_nar::canonical::TIMES;
use osbuild_nar::kind_name;
use rustix::fs::{AtFlags, CWD, Gid, Uid};

use super::LocalStore;
use super::dedup::MIN_BYTES;
use super::info::ObjectInfo;
use super::references::{ReferenceScanner, scanner};
use crate::error::StoreError;
use crate::hash::{HashSink, NixHash};
use crate::nar::{MAX_DEPTH, NarError, NarWriter, stream};
use crate::path::StorePath;
use crate::signature::Signature;

/// What one walk found out.
#[derive(Clone, Debug)]
pub struct Ingested {
    pub nar_hash: NixHash,
    pub nar_size_bytes: u64,
    pub references: BTreeSet<StorePath>,
}

/// What to register a canonical tree as.
#[derive(Clone, Debug)]
pub struct Ingest {
    pub path: StorePath,
    pub ingested: Ingested,
    pub content_address: Option<String>,
    pub deriver: Option<StorePath>,
}

impl LocalStore {
    /// Makes the tree at `scratch` (on the store's file system, ours to
    /// change) canonical. Its top directory keeps its write bit until
    /// [`LocalStore::place`], since a directory without it cannot be renamed
    /// by an ordinary user.
    ///
    /// # Errors
    /// The tree holds a device, socket or pipe, or an operation failed.
    pub fn ingest<'p>(
        &self,
        scratch: &Path,
        candidates: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<Ingested, StoreError> {
        let sink = ArchiveSink::new(candidates);
        let mut walk = Walk { store: self, writer: NarWriter::begin(sink).map_err(stream)? };
        walk.node(scratch, 0)?;
        Ok(walk.writer.into_inner().finish())
    }

    /// Renames a canonical tree into place and registers it. If the object is
    /// already valid, the tree is dropped.
    ///
    /// # Errors
    /// An operation failed; the object is then not valid.
    pub fn place(&self, scratch: &Path, ingest: &Ingest) -> Result<(), StoreError> {
        self.place_signed(scratch, ingest, BTreeSet::new())
    }

    /// As [`LocalStore::place`], with the signatures that came with it.
    ///
    /// # Errors
    /// As [`LocalStore::place`].
    pub fn place_signed(
        &self,
        scratch: &Path,
        ingest: &Ingest,
        signatures: BTreeSet<Signature>,
    ) -> Result<(), StoreError> {
        let _lock = self.lock(ingest.path.as_str())?;
        if self.is_valid(&ingest.path)? {
            return super::remove::remove_tree(scratch);
        }
        let target = self.physical(&ingest.path);
        super::remove::remove_tree(&target)?;
        fs::rename(scratch, &target).map_err(StoreError::io("rename into the store", &target))?;
        finish_top(&target)?;
        let now = self.now()?;
        self.register(&ObjectInfo {
            path: ingest.path.clone(),
            nar_hash: ingest.ingested.nar_hash.clone(),
            nar_size_bytes: ingest.ingested.nar_size_bytes,
            references: ingest.ingested.references.clone(),
            content_address: ingest.content_address.clone(),
            deriver: ingest.deriver.clone(),
            signatures,
            registered: now,
            used: now,
        })
    }
}

struct Walk<'s> {
    store: &'s LocalStore,
    writer: NarWriter<ArchiveSink>,
}

impl Walk<'_> {
    fn node(&mut self, path: &Path, depth: usize) -> Result<(), StoreError> {
        if depth > MAX_DEPTH {
            return Err(StoreError::TooDeep { path: path.to_owned() });
        }
        let metadata = path.symlink_metadata().map_err(StoreError::io("read", path))?;
        own(path, &metadata)?;
        let kind = metadata.file_type();
        if kind.is_file() {
            return self.file(path, &metadata);
        }
        if kind.is_symlink() {
            let target = path.read_link().map_err(StoreError::io("read the link", path))?;
            self.writer.symlink(target.as_os_str().as_bytes()).map_err(stream)?;
            return set_time(path, &metadata);
        }
        if !kind.is_dir() {
            return Err(StoreError::FileKind { path: path.to_owned(), kind: kind_name(metadata.mode()) });
        }
        let mode = metadata.mode() & 0o7777;
        if mode != 0o755 {
            set_mode(path, 0o755)?;
        }
        strip_xattrs(path);
        let mut names = Vec::new();
        for entry in path.read_dir().map_err(StoreError::io("list", path))? {
            names.push(entry.map_err(StoreError::io("list", path))?.file_name());
        }
        names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        self.writer.begin_directory().map_err(stream)?;
        for name in names {
            self.writer.enter(name.as_bytes()).map_err(stream)?;
            self.node(&path.join(&name), depth + 1)?;
            self.writer.leave().map_err(stream)?;
        }
        self.writer.end_directory().map_err(stream)?;
        if depth > 0 {
            finish_directory(path)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
        let executable = metadata.mode() & 0o100 != 0;
        let mode = if executable { 0o555 } else { 0o444 };
        if metadata.mode() & 0o7777 != mode {
            set_mode(path, mode)?;
        }
        strip_xattrs(path);
        set_time(path, metadata)?;
        let size = metadata.len();
        // A file that already is a link of a stored one needs no second look.
        let share = size >= MIN_BYTES && metadata.nlink() == 1;
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        let mut digest = blake3::Hasher::new();
        let complete = self
            .writer
            .regular(executable, size, &mut file, &mut |chunk| {
                if share {
                    digest.update(chunk);
                }
            })
            .map_err(StoreError::io("read", path))?;
        if !complete {
            return Err(NarError::Changed { path: path.to_owned() }.into());
        }
        if share {
            self.store.deduplicate(CWD, path, &digest.finalize(), executable, size);
        }
        Ok(())
    }
}

/// The sandbox's builder runs as another user where we are root.
fn own(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if !uid.is_root() || (metadata.uid() == uid.as_raw() && metadata.gid() == gid.as_raw()) {
        return Ok(());
    }
    rustix::fs::chownat(
        CWD,
        path,
        Some(Uid::from_raw(uid.as_raw())),
        Some(Gid::from_raw(gid.as_raw())),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .map_err(StoreError::os("take ownership of", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), StoreError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(StoreError::io("set the mode of", path))
}

fn set_time(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    if metadata.mtime() == 1 && metadata.mtime_nsec() == 0 {
        return Ok(());
    }
    rustix::fs::utimensat(CWD, path, &TIMES, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(StoreError::os("set the time of", path))
}

fn finish_directory(path: &Path) -> Result<(), StoreError> {
    set_mode(path, 0o555)?;
    let metadata = path.symlink_metadata().map_err(StoreError::io("read", path))?;
    set_time(path, &metadata)
}

pub(super) fn finish_top(path: &Path) -> Result<(), StoreError> {
    let metadata = path.symlink_metadata().map_err(StoreError::io("read", path))?;
    if metadata.is_dir() { finish_directory(path) } else { set_time(path, &metadata) }
}

/// Attributes are no part of an archive. Those that the kernel sets itself
/// (security labels) cannot be removed and do no harm.
fn strip_xattrs(path: &Path) {
    let mut names = [0u8; 4096];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else { return };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let _ = rustix::fs::lremovexattr(path, name);
    }
}

/// Takes an archive and finds out what there is to know of it.
pub(super) struct ArchiveSink {
    hash: HashSink,
    scanner: ReferenceScanner,
}

impl ArchiveSink {
    pub(super) fn new<'p>(candidates: impl IntoIterator<Item = &'p StorePath>) -> Self {
        Self { hash: HashSink::default(), scanner: scanner(candidates) }
    }

    pub(super) fn finish(self) -> Ingested {
        let (nar_hash, nar_size_bytes) = self.hash.finish();
        Ingested { nar_hash, nar_size_bytes, references: self.scanner.finish() }
    }
}

impl Write for ArchiveSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.write_all(bytes)?;
        self.scanner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
