//! The client's workflow (§5): from the root that came with the image to the
//! metadata of now, and from there to a target. Fetches what is needed and
//! nothing else, and keeps what was verified before going on.

use std::collections::BTreeMap;

use crate::metadata::{ROOT, SNAPSHOT, TARGETS, TIMESTAMP, Target};
use crate::paths::metadata_name;
use crate::time::Time;
use crate::trust::{Offer, Origin, Trusted};
use crate::{Error, Result};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where a repository's metadata comes from.
pub trait Transport {
    /// The bytes of a file, `None` if there is none of that name.
    ///
    /// # Errors
    /// What kept it from coming whole; more than `limit` bytes do, too.
    fn metadata(&mut self, name: &str, limit: u64) -> std::result::Result<Option<Vec<u8>>, Failure>;
}

/// Where what was verified is kept.
pub trait Store {
    /// What was kept last; nothing if it was lost, and never half of it.
    fn load(&mut self) -> Kept;

    /// # Errors
    /// It could not be made to last.
    fn save(&mut self, kept: &Kept) -> std::result::Result<(), Failure>;
}

/// Metadata as it was served, byte for byte. Nobody believes it without
/// verifying it again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Each signed by the one before it; a chain from the one of the image on.
    pub roots: Vec<Vec<u8>>,
    pub timestamp: Option<Vec<u8>>,
    pub snapshot: Option<Vec<u8>>,
    /// By the name of the role, the top one among them.
    pub targets: BTreeMap<String, Vec<u8>>,
}

/// No file of metadata is longer, whatever is signed above it: keys that are
/// online can be stolen, and a node has only so much memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub root_bytes: u64,
    pub timestamp_bytes: u64,
    pub snapshot_bytes: u64,
    pub targets_bytes: u64,
    /// Roots on the way from the trusted one to the newest.
    pub roots: usize,
    /// Roles looked at for one target.
    pub delegations: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            root_bytes: 512_000,
            timestamp_bytes: 16_384,
            snapshot_bytes: 2_000_000,
            targets_bytes: 5_000_000,
            roots: 256,
            delegations: 32,
        }
    }
}

pub struct Client<T, S> {
    transport: T,
    store: S,
    limits: Limits,
    now: Time,
    trusted: Trusted,
    kept: Kept,
}

impl<T: Transport, S: Store> Client<T, S> {
    /// Begins with the root of the image and what was kept since.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Threshold`]: the root of the image.
    pub fn new(root: &[u8], transport: T, mut store: S, limits: Limits, now: Time) -> Result<Self> {
        let mut trusted = Trusted::from_root(root)?;
        let mut kept = store.load();
        // Kept roots count from the image's on: an image may bring a newer one.
        let mut roots = vec![root.to_vec()];
        for bytes in kept.roots.drain(..) {
            if trusted.update_root(&bytes).is_ok() {
                roots.push(bytes);
            }
        }
        kept.roots = roots;
        Ok(Self { transport, store, limits, now, trusted, kept })
    }

    /// What is believed now.
    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// Brings the metadata of the four roles up to now.
    ///
    /// # Errors
    /// Of the step that failed; what was verified before it is kept.
    pub fn refresh(&mut self) -> Result<()> {
        self.refresh_root()?;
        let offered = self.offered_timestamp()?;
        self.refresh_below_root(offered)
    }

    /// As [`Client::refresh`], by a clock that may be behind: it is not before the
    /// timestamp that comes was signed.
    ///
    /// Of earlier ones nothing is remembered: a version that was verified is newer than
    /// all before it, so that one which was signed with a time to come, by mistake
    /// or by whoever stole the key, counts until the next and no longer.
    ///
    /// # Errors
    /// As of [`Client::refresh`].
    pub fn refresh_by_slow_clock(&mut self) -> Result<()> {
        self.refresh_root()?;
        let offered = self.offered_timestamp()?;
        let signed = self.trusted.vouched_timestamp(&offered).ok().and_then(|timestamp| {
            // At which nothing could have been believed says nothing.
            let end = timestamp.common.expires.min(self.trusted.root().common.expires);
            timestamp.signed_at.filter(|signed| *signed < end)
        });
        self.now = signed.map_or(self.now, |signed| signed.max(self.now));
        self.refresh_below_root(offered)
    }

    fn refresh_below_root(&mut self, offered: Vec<u8>) -> Result<()> {
        self.take_timestamp(offered)?;
        self.refresh_snapshot()?;
        self.load(TARGETS, None)
    }

    /// What time it is, as far as is known here.
    pub fn now(&self) -> Time {
        self.now
    }

    /// All that was verified, byte for byte as it came.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// 5.3: one root after the other, until there is none.
    fn refresh_root(&mut self) -> Result<()> {
        for _ in 0..self.limits.roots {
            let next = self.trusted.root().common.version.saturating_add(1);
            let name = metadata_name(ROOT, Some(next));
            let Some(bytes) = self.fetch(&name, self.limits.root_bytes)? else { break };
            self.trusted.update_root(&bytes)?;
            self.kept.roots.push(bytes);
            self.save()?;
        }
        Ok(())
    }

    /// 5.4.1
    fn offered_timestamp(&mut self) -> Result<Vec<u8>> {
        self.fetch_all(&metadata_name(TIMESTAMP, None), self.limits.timestamp_bytes)
    }

    /// 5.4.2 to 5.4.5. What was kept is believed first if it still can be: it is
    /// what an older one is recognised by. After keys were changed it cannot, which
    /// is how a client recovers from versions that were forged too high.
    fn take_timestamp(&mut self, offered: Vec<u8>) -> Result<()> {
        if let Some(bytes) = &self.kept.timestamp {
            match self.trusted.update_timestamp(bytes, self.now) {
                Ok(_) | Err(Error::Expired { .. }) => {}
                Err(_) => self.kept.timestamp = None,
            }
        }
        if self.trusted.update_timestamp(&offered, self.now)? == Offer::New {
            self.kept.timestamp = Some(offered);
            self.save()?;
        }
        Ok(())
    }

    /// 5.5.
    fn refresh_snapshot(&mut self) -> Result<()> {
        if let Some(bytes) = &self.kept.snapshot {
            match self.trusted.update_snapshot(bytes, Origin::Kept, self.now) {
                Ok(()) => return Ok(()),
                Err(Error::Expired { .. } | Error::WrongVersion { .. }) => {}
                Err(_) => self.kept.snapshot = None,
            }
        }
        let pin = self.trusted.timestamp().map(|timestamp| timestamp.snapshot().clone());
        let pin = pin.ok_or_else(|| Error::Missing { name: metadata_name(TIMESTAMP, None) })?;
        let name = metadata_name(SNAPSHOT, self.version_in_name(pin.version));
        let bytes = self.fetch_all(&name, self.limits.snapshot_bytes.min(pin.length.unwrap_or(u64::MAX)))?;
        self.trusted.update_snapshot(&bytes, Origin::Repository, self.now)?;
        self.kept.snapshot = Some(bytes);
        self.save()
    }

    /// 5.6: the metadata of a role, from what was kept or from the repository;
    /// the top one has no delegator.
    ///
    /// # Errors
    /// What keeps it from being believed.
    pub fn load(&mut self, role: &str, delegator: Option<&str>) -> Result<()> {
        if self.trusted.targets(role, delegator, self.now).is_ok() {
            return Ok(());
        }
        if let Some(bytes) = self.kept.targets.get(role) {
            if self.trusted.update_targets(role, delegator, bytes, self.now).is_ok() {
                return Ok(());
            }
        }
        let unknown = || Error::Unknown { role: role.to_owned(), by: SNAPSHOT.to_owned() };
        let pin = self.trusted.snapshot(self.now)?.of(role).ok_or_else(unknown)?.clone();
        let name = metadata_name(role, self.version_in_name(pin.version));
        let bytes = self.fetch_all(&name, self.limits.targets_bytes.min(pin.length.unwrap_or(u64::MAX)))?;
        self.trusted.update_targets(role, delegator, &bytes, self.now)?;
        self.kept.targets.insert(role.to_owned(), bytes);
        self.save()
    }

    /// 5.6.7: what the repository says of a target: the roles in their order,
    /// each before those that it delegates to.
    ///
    /// # Errors
    /// [`Error::NoTarget`], or what kept a role's metadata from being believed:
    /// a role that might have spoken first is not passed over.
    pub fn target(&mut self, path: &str) -> Result<Target> {
        let mut to_visit = vec![(TARGETS.to_owned(), None::<String>)];
        let mut visited: Vec<String> = Vec::new();
        while let Some((role, delegator)) = to_visit.pop() {
            if visited.contains(&role) {
                continue;
            }
            if visited.len() > self.limits.delegations {
                break;
            }
            self.load(&role, delegator.as_deref())?;
            let content = self.trusted.targets(&role, delegator.as_deref(), self.now)?;
            if let Some(target) = content.targets.get(path) {
                return Ok(target.clone());
            }
            let below = content.delegations.as_ref().map(|all| all.for_target(path)).unwrap_or_default();
            visited.push(role.clone());
            let end = below.iter().position(|(_, terminating)| *terminating);
            if end.is_some() {
                to_visit.clear();
            }
            let first = &below[..end.map_or(below.len(), |end| end + 1)];
            to_visit.extend(first.iter().rev().map(|(name, _)| (name.clone(), Some(role.clone()))));
        }
        Err(Error::NoTarget { name: path.to_owned() })
    }

    fn version_in_name(&self, version: u64) -> Option<u64> {
        self.trusted.root().consistent_snapshot.then_some(version)
    }

    fn fetch_all(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        self.fetch(name, limit)?.ok_or_else(|| Error::Missing { name: name.to_owned() })
    }

    fn fetch(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let bytes = self.transport.metadata(name, limit);
        bytes.map_err(|source| Error::Transport { name: name.to_owned(), source })
    }

    fn save(&mut self) -> Result<()> {
        self.store.save(&self.kept).map_err(|source| Error::Store { source })
    }
}
