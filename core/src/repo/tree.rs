//! A repository in a directory: what is in it now, and how it changes.
//!
//! ```text
//! policy.toml, audit.jsonl      what commands keep to, and what was signed
//! staged/ROLE.json              what waits for more signatures
//! pending.json                  what was decided and is on its way into public/
//! public/                       what a web server gives out
//!   metadata/timestamp.json, N.snapshot.json, N.targets.json, …, N.root.json
//!   targets/SHA256.NAME
//! ```
//!
//! Targets come first, and nothing names them yet; then `pending.json`, with
//! which the change has happened; then the metadata, the timestamp last.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use osbuild_store::cache::Directory;
use osbuild_store::cache::place::{Contents, Place};
use osbuild_tuf::client::{Client, Failure, Kept, Limits, Store, Transport};
use osbuild_tuf::metadata::{Root, Snapshot, Targets, Timestamp};
use osbuild_tuf::paths::{metadata_name, target_name};
use osbuild_tuf::time::Time;
use osbuild_update::names::ROLLOUT_ROLE;
use rustix::fs::{FlockOperation, flock};

use super::error::{RepoError, io_error};
use super::policy::Policy;
use super::verdict;
use super::write_beside;

pub const PUBLIC: &str = "public";
pub const METADATA: &str = "metadata/";
pub const TARGETS: &str = "targets/";
const LOCK: &str = ".lock";
/// Metadata that is on its way into place.
const PENDING: &str = "pending.json";

/// Metadata of a repository in which nothing has a date: what was signed is
/// believed, however long ago.
pub(super) const NEVER: Time = Time(0);

/// An open repository; one command at a time.
#[derive(Debug)]
pub struct Repository {
    pub path: PathBuf,
    pub policy: Policy,
    pub place: Directory,
    _turn: File,
}

impl Repository {
    /// Waits until no other command has it.
    ///
    /// # Errors
    /// [`RepoError::NotARepository`], [`RepoError::Policy`]
    pub fn open(path: &Path) -> Result<Self, RepoError> {
        let policy = Policy::read(path)?;
        let lock = path.join(LOCK);
        let turn = File::create(&lock).map_err(io_error("create", &lock))?;
        flock(&turn, FlockOperation::LockExclusive)
            .map_err(std::io::Error::from)
            .map_err(io_error("lock", &lock))?;
        let place = Directory::new(&path.join(PUBLIC));
        let repository = Self { path: path.to_owned(), policy, place, _turn: turn };
        repository.finish_pending()?;
        Ok(repository)
    }

    /// What it says now, verified from its first root on; whether it has expired
    /// is not asked.
    ///
    /// # Errors
    /// What a client would refuse.
    pub fn state(&self) -> Result<State, RepoError> {
        let first = metadata_name("root", Some(1));
        let root = self.metadata(&first)?.ok_or(RepoError::NotARepository {
            path: self.path.clone(),
            file: "public/metadata/1.root.json",
        })?;
        State::walk(&root, PlaceTransport { place: &self.place, new: None })
    }

    /// A file of metadata, `None` if there is none.
    pub(super) fn metadata(&self, name: &str) -> Result<Option<Vec<u8>>, RepoError> {
        Ok(self.place.get(&format!("{METADATA}{name}"), MOST_BYTES, &|| false)?)
    }

    /// Makes renames last.
    pub(super) fn sync(&self, folder: &str) -> Result<(), RepoError> {
        let path = self.path.join(PUBLIC).join(folder);
        fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        File::open(&path).and_then(|folder| folder.sync_all()).map_err(io_error("sync", &path))
    }

    /// Puts files of metadata into place, in this order. From the moment at which
    /// the list of them lasts they all will be, whatever is cut: a new root
    /// without the timestamp that goes with it would be believed by nobody.
    pub(super) fn put_metadata(&self, files: Vec<(String, Vec<u8>)>) -> Result<(), RepoError> {
        let text =
            |(name, bytes): (String, Vec<u8>)| (name, String::from_utf8(bytes).expect("metadata is text"));
        let pending: Vec<(String, String)> = files.into_iter().map(text).collect();
        let bytes = serde_json::to_vec(&pending).expect("it is plain data");
        write_beside(&self.path.join(PENDING), &bytes)?;
        self.finish_pending()
    }

    fn finish_pending(&self) -> Result<(), RepoError> {
        let path = self.path.join(PENDING);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(io_error("read", &path))?,
        };
        let pending: Vec<(String, String)> = serde_json::from_slice(&bytes)
            .map_err(|error| RepoError::Policy { path: path.clone(), what: error.to_string() })?;
        for (name, text) in &pending {
            self.put(&format!("{METADATA}{name}"), Contents::Bytes(text.as_bytes()))?;
            // Each lasts before the next begins: what names others comes later.
            self.sync(METADATA)?;
        }
        fs::remove_file(&path).map_err(io_error("remove", &path))
    }

    pub(super) fn put(&self, name: &str, contents: Contents<'_>) -> Result<(), RepoError> {
        Ok(self.place.put(name, contents, &|| false)?)
    }
}

/// More than any metadata or document has.
const MOST_BYTES: usize = 16 << 20;

/// Where a target's bytes are.
pub(super) fn target_file(name: &str, target: &osbuild_tuf::metadata::Target) -> Result<String, RepoError> {
    let digest = target.hashes.for_name().ok_or_else(|| RepoError::Target {
        name: name.to_owned(),
        problem: "it has no SHA-256".to_owned(),
    })?;
    Ok(format!("{TARGETS}{}", target_name(name, digest)))
}

/// The bytes of a small target, whose digest is looked at.
pub(super) fn small_target(
    place: &dyn Place,
    targets: &Targets,
    name: &str,
) -> Result<Option<Vec<u8>>, RepoError> {
    let Some(target) = targets.targets.get(name) else { return Ok(None) };
    let bytes = place.get(&target_file(name, target)?, MOST_BYTES, &|| false)?;
    let bytes = bytes.ok_or_else(|| missing_target(name))?;
    let mut judge = target.hashes.judge(name)?;
    judge.update(&bytes);
    judge.finish()?;
    Ok(Some(bytes))
}

pub(super) fn missing_target(name: &str) -> RepoError {
    RepoError::Target { name: name.to_owned(), problem: "the repository has lost its bytes".to_owned() }
}

/// What a repository says.
#[derive(Clone, Debug)]
pub struct State {
    pub root: Root,
    pub timestamp: Timestamp,
    pub snapshot: Snapshot,
    pub targets: Targets,
    /// The role that says when; a repository of others has none.
    pub rollout: Option<Targets>,
    /// What rebuilders agreed on, by role (see `verdict`).
    pub rebuilt: BTreeMap<String, Targets>,
    /// Byte for byte.
    pub kept: Kept,
}

impl State {
    /// As a client comes to believe it that has `root`.
    pub(super) fn walk(root: &[u8], transport: PlaceTransport<'_>) -> Result<Self, RepoError> {
        let client = Client::new(root, transport, MemoryStore::default(), Limits::default(), NEVER)?;
        Self::of(client, NEVER).map_err(RepoError::from)
    }

    pub(super) fn of<T: Transport, S: Store>(
        mut client: Client<T, S>,
        now: Time,
    ) -> Result<Self, osbuild_tuf::Error> {
        client.refresh()?;
        let targets = client.trusted().targets(osbuild_tuf::metadata::TARGETS, None, now)?.clone();
        let is_delegated = targets
            .delegations
            .as_ref()
            .is_some_and(|all| all.roles.iter().any(|role| role.name == ROLLOUT_ROLE));
        let rollout = if is_delegated {
            let delegator = Some(osbuild_tuf::metadata::TARGETS);
            client.load(ROLLOUT_ROLE, delegator)?;
            Some(client.trusted().targets(ROLLOUT_ROLE, delegator, now)?.clone())
        } else {
            None
        };
        let mut rebuilt = BTreeMap::new();
        for role in verdict::roles(&targets) {
            let delegator = Some(osbuild_tuf::metadata::TARGETS);
            client.load(&role, delegator)?;
            let said = client.trusted().targets(&role, delegator, now)?.clone();
            rebuilt.insert(role, said);
        }
        let trusted = client.trusted();
        let missing = |name: &str| osbuild_tuf::Error::Missing { name: name.to_owned() };
        Ok(Self {
            root: trusted.root().clone(),
            timestamp: trusted.timestamp().ok_or_else(|| missing("timestamp.json"))?.clone(),
            snapshot: trusted.snapshot(now)?.clone(),
            targets,
            rollout,
            rebuilt,
            kept: client.kept().clone(),
        })
    }

    /// Every target that is vouched for, by whichever role.
    pub fn all_targets(&self) -> impl Iterator<Item = (&String, &osbuild_tuf::metadata::Target)> {
        self.targets.targets.iter().chain(self.rollout.iter().flat_map(|rollout| &rollout.targets))
    }
}

/// Metadata in a place, under files that are about to be put there.
pub(super) struct PlaceTransport<'p> {
    pub place: &'p dyn Place,
    pub new: Option<&'p BTreeMap<String, Vec<u8>>>,
}

impl Transport for PlaceTransport<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(bytes) = self.new.and_then(|new| new.get(name)) {
            return Ok(Some(bytes.clone()));
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.place.get(&format!("{METADATA}{name}"), limit, &|| false)?)
    }
}

/// What a client keeps, for as long as it is looked at.
#[derive(Default)]
pub(super) struct MemoryStore(pub Kept);

impl Store for MemoryStore {
    fn load(&mut self) -> Kept {
        self.0.clone()
    }

    fn save(&mut self, kept: &Kept) -> Result<(), Failure> {
        self.0 = kept.clone();
        Ok(())
    }
}
