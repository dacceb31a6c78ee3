//! A new database in place of a damaged one.
//!
//! What the old one says is not believed any more: a page of garbage may still
//! read as rows. What can be known again is known from the objects themselves:
//! a path that follows from the contents and references that were found is the
//! proof that they are whole. Those are most of what is dear: sources,
//! derivations, downloads, outputs that are named by their contents.
//!
//! What is lost: outputs that are named by their inputs, whose contents nothing
//! vouches for, and which build gave which output. Both are made again when
//! they are needed; until a collection removes them, the files stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::database::{self, Strangers};
use super::info::ObjectInfo;
use super::ingest::{Ingested, finish_top};
use super::{Layout, LocalStore, lock};
use crate::content_address::ContentAddress;
use crate::error::StoreError;
use crate::hash::{HashAlgorithm, NixHash};
use crate::path::StorePath;

/// What became of a damaged database.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// Where the damaged one is kept.
    pub aside: PathBuf,
    /// Objects that are known again.
    pub kept: usize,
    /// Objects that are not, as nothing says that they are whole.
    pub unknown: usize,
}

impl LocalStore {
    /// Makes the database of the store at `home` anew if it is damaged; `None`
    /// if it is not. Waits until no other process uses the store's objects.
    ///
    /// # Errors
    /// Something cannot be moved, read or written, or the database is too new.
    pub fn rebuild(home: &Path) -> Result<Option<Rebuilt>, StoreError> {
        let layout = Layout::below(home);
        let (home, _) = super::directories(&layout)?;
        let _lock = lock::take(&home, "gc.lock", FlockOperation::LockExclusive)?;
        // Another process may have done it while this one waited.
        match Self::open_at(&layout).and_then(|store| store.check_database()) {
            Ok(()) => return Ok(None),
            Err(StoreError::DamagedDatabase { .. }) => {}
            Err(error) => return Err(error),
        }
        let aside = move_aside(&home)?;
        let store = Self::open_with(&layout, Strangers::Ignore)?;
        let (kept, unknown) = store.register_what_names_itself()?;
        store.make_reserve();
        Ok(Some(Rebuilt { aside, kept, unknown }))
    }

    fn register_what_names_itself(&self) -> Result<(usize, usize), StoreError> {
        // Whatever damaged the database may have damaged these, and new files
        // would be linked to them unread.
        let links = self.home().join("links");
        super::remove::remove_tree(&links)?;
        fs::create_dir(&links).map_err(StoreError::io("make the directory", &links))?;
        let mut candidates = BTreeSet::new();
        let objects = self.objects_dir();
        for entry in objects.read_dir().map_err(StoreError::io("list", &objects))? {
            let name = entry.map_err(StoreError::io("list", &objects))?.file_name();
            candidates.extend(name.to_str().and_then(|name| StorePath::parse(name).ok()));
        }
        let mut known = BTreeMap::new();
        for path in &candidates {
            let place = self.physical(path);
            // A leftover may be anything, also what cannot be read.
            let Ok(ingested) = self.ingest(&place, &candidates) else { continue };
            finish_top(&place)?;
            if let Some(address) = self.own_address(path, &place, &ingested)? {
                known.insert(path.clone(), (ingested, address));
            }
        }
        // An object is there with all that it refers to, or not at all.
        loop {
            let paths: BTreeSet<StorePath> = known.keys().cloned().collect();
            known.retain(|_, (ingested, _)| ingested.references.is_subset(&paths));
            if known.len() == paths.len() {
                break;
            }
        }
        let (kept, now) = (known.len(), self.now()?);
        for (path, (ingested, address)) in known {
            self.register(&ObjectInfo {
                path,
                nar_hash: ingested.nar_hash,
                nar_size_bytes: ingested.nar_size_bytes,
                references: ingested.references,
                content_address: Some(address.to_string()),
                deriver: None,
                signatures: BTreeSet::new(),
                registered: now,
                used: now,
            })?;
        }
        Ok((kept, candidates.len() - kept))
    }

    /// The content address that an object's path was made of, if it was.
    /// Archives that are hashed by anything but SHA-256, and such as refer to
    /// themselves, are rare enough to be made again.
    fn own_address(
        &self,
        path: &StorePath,
        place: &Path,
        ingested: &Ingested,
    ) -> Result<Option<ContentAddress>, StoreError> {
        let is_own = |address: &ContentAddress| {
            !ingested.references.contains(path)
                && address.is_address_of(self.store_dir(), path, &ingested.references)
        };
        let whole = ContentAddress::Fixed { recursive: true, hash: ingested.nar_hash.clone() };
        if is_own(&whole) {
            return Ok(Some(whole));
        }
        let metadata = place.symlink_metadata().map_err(StoreError::io("read", place))?;
        if !metadata.is_file() || metadata.permissions().mode() & 0o100 != 0 {
            return Ok(None);
        }
        let contents = fs::read(place).map_err(StoreError::io("read", place))?;
        let of = |algorithm| NixHash::of(algorithm, &contents);
        let flat = |algorithm| ContentAddress::Fixed { recursive: false, hash: of(algorithm) };
        let kinds = [HashAlgorithm::Sha256, HashAlgorithm::Sha512, HashAlgorithm::Sha1, HashAlgorithm::Md5];
        let text = std::iter::once_with(|| ContentAddress::Text(of(HashAlgorithm::Sha256)));
        Ok(text.chain(kinds.into_iter().map(flat)).find(is_own))
    }
}

/// Renames the database's files; what the first one is called now. The log
/// goes first: without it the database is older, but never a wrong one, and
/// beside a new database it would be another one's log.
fn move_aside(home: &Path) -> Result<PathBuf, StoreError> {
    let name = |number: usize| home.join(format!("{}.damaged-{number}", database::FILE));
    let aside = (1..).map(name).find(|aside| aside.symlink_metadata().is_err());
    let aside = aside.expect("there are more numbers than files");
    for suffix in ["-wal", "-shm", ""] {
        let from = home.join(format!("{}{suffix}", database::FILE));
        let mut to = aside.clone().into_os_string();
        to.push(suffix);
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("move aside", &from)(error));
            }
            _ => {}
        }
    }
    Ok(aside)
}
