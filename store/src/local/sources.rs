//! Adding what evaluation produces, and what was downloaded.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::LocalStore;
use super::info::ObjectInfo;
use super::ingest::{Ingest, Ingested};
use crate::error::StoreError;
use crate::hash::{HashAlgorithm, HashSink, NixHash};
use crate::nar::dump_tree;
use crate::path::{StoreDir, StorePath};
use crate::store::{Ingestion, SourceSink, SourceTree};

impl SourceSink for LocalStore {
    type Error = StoreError;

    fn store_dir(&self) -> &StoreDir {
        self.store_dir()
    }

    fn add_source(
        &self,
        name: &str,
        tree: &SourceTree,
        ingestion: Ingestion,
    ) -> Result<StorePath, StoreError> {
        let hash = tree.hash(ingestion)?;
        let recursive = ingestion == Ingestion::Recursive;
        let path = self.store_dir().fixed_path(name, recursive, &hash, &BTreeSet::new(), false)?;
        if self.is_valid(&path)? {
            return Ok(path);
        }
        let scratch = self.scratch("add")?;
        let place = scratch.path().join("x");
        write_tree(tree, &place)?;
        let ingested = self.ingest(&place, [])?;
        let content_address = content_address(recursive, &hash);
        self.place(
            &place,
            &Ingest { path: path.clone(), ingested, content_address: Some(content_address), deriver: None },
        )?;
        Ok(path)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, StoreError> {
        let path = self.store_dir().text_path(name, contents, references)?;
        if self.is_valid(&path)? {
            return Ok(path);
        }
        let mut sink = HashSink::default();
        dump_tree(&SourceTree::Bytes { contents: contents.to_vec(), executable: false }, &mut sink)?;
        let (nar_hash, nar_size_bytes) = sink.finish();
        self.write_text(&path, contents)?;
        let hash = NixHash::of(HashAlgorithm::Sha256, contents);
        let now = self.now()?;
        self.register(&ObjectInfo {
            path: path.clone(),
            nar_hash,
            nar_size_bytes,
            references: references.clone(),
            content_address: Some(format!("text:sha256:{}", hash.to_nix_base32())),
            deriver: None,
            signatures: BTreeSet::new(),
            registered: now,
            used: now,
        })?;
        Ok(path)
    }
}

impl LocalStore {
    /// Puts a small file in place. An evaluation makes hundreds, so this spares
    /// them the scratch directory, the lock and the walk: whoever else writes
    /// the same path writes the same bytes.
    fn write_text(&self, path: &StorePath, contents: &[u8]) -> Result<(), StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let beside = self.objects_dir().join(format!(".text-{}-{count}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&beside)
            .map_err(StoreError::io("create", &beside))?;
        let mut put = || {
            file.write_all(contents).map_err(StoreError::io("write", &beside))?;
            file.set_permissions(fs::Permissions::from_mode(0o444))
                .map_err(StoreError::io("set the mode of", &beside))?;
            let one = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            file.set_times(fs::FileTimes::new().set_accessed(one).set_modified(one))
                .map_err(StoreError::io("set the time of", &beside))?;
            let target = self.physical(path);
            if target.is_dir() {
                super::remove::remove_tree(&target)?;
            }
            fs::rename(&beside, &target).map_err(StoreError::io("rename into the store", &target))
        };
        put().inspect_err(|_| {
            // On a full disk, what there is of it is room that others need.
            let _ = fs::remove_file(&beside);
        })
    }

    /// Adds the tree at `scratch` (ours to change) whose content address was
    /// checked against `hash` by the caller.
    ///
    /// # Errors
    /// As [`LocalStore::place`].
    pub fn add_fixed(
        &self,
        scratch: &Path,
        path: &StorePath,
        recursive: bool,
        hash: &NixHash,
        ingested: Ingested,
        deriver: Option<StorePath>,
    ) -> Result<(), StoreError> {
        let content_address = Some(content_address(recursive, hash));
        self.place(scratch, &Ingest { path: path.clone(), ingested, content_address, deriver })
    }
}

/// A content address in Nix's spelling.
pub(super) fn content_address(recursive: bool, hash: &NixHash) -> String {
    let method = if recursive { "r:" } else { "" };
    format!("fixed:{method}{}:{}", hash.algorithm().name(), hash.to_nix_base32())
}

/// Writes a described tree to `place`, which must not exist.
fn write_tree(tree: &SourceTree, place: &Path) -> Result<(), StoreError> {
    match tree {
        SourceTree::Regular { path, executable } => {
            let mut file = fs::File::open(path).map_err(StoreError::io("open", path))?;
            write_file(place, &mut file, *executable)
        }
        SourceTree::Bytes { contents, executable } => {
            write_file(place, &mut contents.as_slice(), *executable)
        }
        SourceTree::Symlink { target } => {
            std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), place)
                .map_err(StoreError::io("make the link", place))
        }
        SourceTree::Directory(members) => {
            fs::create_dir(place).map_err(StoreError::io("make the directory", place))?;
            for (name, member) in members {
                write_tree(member, &place.join(std::ffi::OsStr::from_bytes(name)))?;
            }
            Ok(())
        }
    }
}

fn write_file(place: &Path, contents: &mut dyn io::Read, executable: bool) -> Result<(), StoreError> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(place)
        .map_err(StoreError::io("create", place))?;
    io::copy(contents, &mut file).map_err(StoreError::io("write", place))?;
    // The umask must not decide about the executable bit.
    fs::set_permissions(place, fs::Permissions::from_mode(mode))
        .map_err(StoreError::io("set the mode of", place))
}
