//! Adding what evaluation produces, and what was downloaded.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::LocalStore;
use super::info::ObjectInfo;
use super::ingest::{Ingest, Ingested};
use crate::error::StoreError;
use crate::hash::{HashAlgorithm, HashSink, NixHash};
use crate::nar::{archive_size, dump_tree};
use crate::path::{StoreDir, StorePath};
use crate::store::{Ingestion, SourceSink, SourceTree};

/// Hashing less than this takes no longer than looking through all objects.
const LARGE_BYTES: u64 = 4 << 20;

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
        let recursive = ingestion == Ingestion::Recursive;
        let fixed =
            |hash: &NixHash| self.store_dir().fixed_path(name, recursive, hash, &BTreeSet::new(), false);
        // Hashing what is there already is cheaper than writing it again. What
        // cannot be there is written at once: its bytes are looked at once.
        if !(recursive && self.is_large_and_new(name, tree)?) {
            let path = fixed(&tree.hash(ingestion)?)?;
            if self.is_valid(&path)? {
                return Ok(path);
            }
        }
        let scratch = self.scratch("add")?;
        let place = scratch.path().join("x");
        let add = || {
            let ingested = self.write_tree(tree, &place)?;
            // Of what was written: a file may have changed since it was hashed.
            let hash = match ingestion {
                Ingestion::Recursive => ingested.nar_hash.clone(),
                Ingestion::Flat => {
                    SourceTree::Regular { path: place.clone(), executable: false }.hash(ingestion)?
                }
            };
            let (path, content_address) = (fixed(&hash)?, Some(content_address(recursive, &hash)));
            self.place(&place, &Ingest { path: path.clone(), ingested, content_address, deriver: None })?;
            Ok(path)
        };
        let added = add();
        // A tree without write bits: the plain removal would stumble over it.
        super::remove::remove_tree(&scratch.keep())?;
        added
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

    /// Whether a tree is worth asking about, and no object has its name and
    /// size. Neither reads a file, and no object could be it otherwise.
    fn is_large_and_new(&self, name: &str, tree: &SourceTree) -> Result<bool, StoreError> {
        let size = archive_size(tree)?;
        if size < LARGE_BYTES {
            return Ok(false);
        }
        let fail = || self.failed("look for objects of a size");
        let database = self.database();
        let mut statement = database
            .prepare_cached("SELECT 1 FROM objects WHERE nar_size = ?1 AND substr(path, 34) = ?2")
            .map_err(fail())?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        Ok(!statement.exists(rusqlite::params![size, name]).map_err(fail())?)
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
