//! What a client has come to believe, in the order of the workflow (§5.3 to
//! §5.6): each step takes bytes, and either believes them or changes nothing.

use std::collections::BTreeMap;

use crate::key::{Key, KeyId};
use crate::metadata::{
    Delegations, Envelope, ROOT, Role, RoleKeys, Root, SNAPSHOT, Snapshot, TARGETS, TIMESTAMP, Targets,
    Timestamp,
};
use crate::time::Time;
use crate::{Error, Result};

/// Metadata that was verified, from the root down.
///
/// # Invariants
/// Whatever is here was signed by those whom what is above it names. It may
/// have expired, or be older than what is above it says: then it serves only to
/// refuse what is older still, and nothing below it can be reached.
#[derive(Clone, Debug)]
pub struct Trusted {
    root: Root,
    timestamp: Option<Timestamp>,
    snapshot: Option<Snapshot>,
    /// Verified by any of those that delegate to it: who asks says by whom.
    targets: BTreeMap<String, Envelope<Targets>>,
}

/// What a timestamp that was offered is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    New,
    /// The very version that is trusted: nothing changed, nothing to keep.
    Known,
}

/// How a snapshot came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the repository: it must be the one that the timestamp names.
    Repository,
    /// Kept from before: it may be older.
    Kept,
}

impl Trusted {
    /// From a root that is trusted without proof: it came with the image.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Threshold`] by its own keys.
    pub fn from_root(bytes: &[u8]) -> Result<Self> {
        let envelope = Envelope::<Root>::parse(ROOT, bytes)?;
        let root = by_itself(&envelope)?.clone();
        Ok(Self { root, timestamp: None, snapshot: None, targets: BTreeMap::new() })
    }

    pub fn root(&self) -> &Root {
        &self.root
    }

    pub fn timestamp(&self) -> Option<&Timestamp> {
        self.timestamp.as_ref()
    }

    /// The snapshot that the timestamp names, if there is one in time.
    ///
    /// # Errors
    /// [`Error::Expired`], [`Error::WrongVersion`], [`Error::Missing`]
    pub fn snapshot(&self, now: Time) -> Result<&Snapshot> {
        let timestamp = self.timestamp_in_time(now)?;
        let snapshot = self.snapshot.as_ref().ok_or_else(|| missing(SNAPSHOT))?;
        in_time(SNAPSHOT, snapshot, now)?;
        is_version(SNAPSHOT, snapshot, timestamp.snapshot().version)?;
        Ok(snapshot)
    }

    /// The next root (5.3.4, 5.3.5): signed by this one's keys and its own.
    /// What was below falls with it, to be verified again.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Threshold`], [`Error::WrongVersion`]
    pub fn update_root(&mut self, bytes: &[u8]) -> Result<()> {
        let envelope = Envelope::<Root>::parse(ROOT, bytes)?;
        by_root(&self.root, &envelope)?;
        let next = by_itself(&envelope)?;
        is_version(ROOT, next, self.root.common.version.saturating_add(1))?;
        *self = Self { root: next.clone(), timestamp: None, snapshot: None, targets: BTreeMap::new() };
        Ok(())
    }

    /// A newer timestamp (5.4.2 to 5.4.4). One that has expired is an error, but
    /// is remembered, so that nothing older is believed.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Threshold`], [`Error::Rollback`],
    /// [`Error::Expired`] (of the root, or of what was offered)
    pub fn update_timestamp(&mut self, bytes: &[u8], now: Time) -> Result<Offer> {
        in_time(ROOT, &self.root, now)?;
        let offered = self.vouched_timestamp(bytes)?;
        if let Some(trusted) = &self.timestamp {
            let versions = (trusted.common.version, offered.common.version);
            not_older(TIMESTAMP, versions.0, versions.1)?;
            if versions.0 == versions.1 {
                in_time(TIMESTAMP, trusted, now)?;
                return Ok(Offer::Known);
            }
            not_older(SNAPSHOT, trusted.snapshot().version, offered.snapshot().version)?;
        }
        self.timestamp = Some(offered);
        self.timestamp_in_time(now)?;
        Ok(Offer::New)
    }

    /// A timestamp that the root vouches for (5.4.2), however old.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Threshold`]
    pub fn vouched_timestamp(&self, bytes: &[u8]) -> Result<Timestamp> {
        let envelope = Envelope::<Timestamp>::parse(TIMESTAMP, bytes)?;
        by_root(&self.root, &envelope).cloned()
    }

    /// The snapshot that the timestamp names (5.5.2 to 5.5.6), or one from
    /// before it. One that is too old in either sense is an error, but is
    /// remembered, so that nothing older is believed.
    ///
    /// # Errors
    /// [`Error::Mismatch`], [`Error::Malformed`], [`Error::Threshold`],
    /// [`Error::Rollback`], [`Error::Vanished`], [`Error::WrongVersion`],
    /// [`Error::Expired`]
    pub fn update_snapshot(&mut self, bytes: &[u8], origin: Origin, now: Time) -> Result<()> {
        let pin = self.timestamp_in_time(now)?.snapshot();
        if origin == Origin::Repository {
            pin.judge("snapshot.json", bytes)?;
        }
        let envelope = Envelope::<Snapshot>::parse(SNAPSHOT, bytes)?;
        let offered = by_root(&self.root, &envelope)?;
        if origin == Origin::Repository {
            is_version(SNAPSHOT, offered, pin.version)?;
        }
        if let Some(trusted) = &self.snapshot {
            for (name, pin) in &trusted.meta {
                let offered = offered.meta.get(name).ok_or_else(|| Error::Vanished { name: name.clone() })?;
                not_older(name.trim_end_matches(".json"), pin.version, offered.version)?;
            }
        }
        self.snapshot = Some(offered.clone());
        self.snapshot(now).map(|_| ())
    }

    /// The metadata of a role that names targets (5.6, 5.7): the one that the
    /// snapshot names, by those whom `delegator` names; none for the top one.
    ///
    /// # Errors
    /// Those of [`Trusted::snapshot`], and [`Error::Unknown`],
    /// [`Error::Mismatch`], [`Error::Malformed`], [`Error::Threshold`],
    /// [`Error::WrongVersion`], [`Error::Expired`]
    pub fn update_targets(
        &mut self,
        role: &str,
        delegator: Option<&str>,
        bytes: &[u8],
        now: Time,
    ) -> Result<()> {
        let pin = self.snapshot(now)?.of(role).ok_or_else(|| unknown(role, SNAPSHOT))?;
        pin.judge(&format!("{role}.json"), bytes)?;
        let envelope = Envelope::<Targets>::parse(role, bytes)?;
        self.judge_targets(role, delegator, &envelope, now)?;
        self.targets.insert(role.to_owned(), envelope);
        Ok(())
    }

    /// What a role says, as `delegator` may have it said.
    ///
    /// # Errors
    /// Those of [`Trusted::update_targets`]; [`Error::Missing`] if it is not
    /// known yet.
    pub fn targets(&self, role: &str, delegator: Option<&str>, now: Time) -> Result<&Targets> {
        let envelope = self.targets.get(role).ok_or_else(|| missing(role))?;
        self.judge_targets(role, delegator, envelope, now)
    }

    fn judge_targets<'e>(
        &self,
        role: &str,
        delegator: Option<&str>,
        envelope: &'e Envelope<Targets>,
        now: Time,
    ) -> Result<&'e Targets> {
        let pin = self.snapshot(now)?.of(role).ok_or_else(|| unknown(role, SNAPSHOT))?;
        let (keys, authority) = self.authority(role, delegator)?;
        let targets = envelope.verified(role, keys, authority)?;
        is_version(role, targets, pin.version)?;
        in_time(role, targets, now)?;
        Ok(targets)
    }

    fn authority(&self, role: &str, delegator: Option<&str>) -> Result<(&BTreeMap<KeyId, Key>, &RoleKeys)> {
        let Some(delegator) = delegator else {
            return Ok((&self.root.keys, self.root.role(TARGETS)));
        };
        let above = self.targets.get(delegator).ok_or_else(|| missing(delegator))?;
        let delegations: Option<&Delegations> = above.unverified().delegations.as_ref();
        let named = delegations.and_then(|all| Some((&all.keys, all.role(role)?)));
        named.ok_or_else(|| unknown(role, delegator))
    }

    fn timestamp_in_time(&self, now: Time) -> Result<&Timestamp> {
        let timestamp = self.timestamp.as_ref().ok_or_else(|| missing(TIMESTAMP))?;
        in_time(TIMESTAMP, timestamp, now)?;
        Ok(timestamp)
    }
}

fn by_itself(envelope: &Envelope<Root>) -> Result<&Root> {
    by_root(envelope.unverified(), envelope)
}

/// By whom a root says that this kind of metadata is signed.
fn by_root<'e, T: Role>(root: &Root, envelope: &'e Envelope<T>) -> Result<&'e T> {
    envelope.verified(T::TYPE, &root.keys, root.role(T::TYPE))
}

fn in_time<T: Role>(role: &str, content: &T, now: Time) -> Result<()> {
    let expires = content.common().expires;
    if now >= expires {
        return Err(Error::Expired { role: role.to_owned(), expires, now });
    }
    Ok(())
}

fn is_version<T: Role>(role: &str, content: &T, expected: u64) -> Result<()> {
    let offered = content.common().version;
    if offered != expected {
        return Err(Error::WrongVersion { role: role.to_owned(), expected, offered });
    }
    Ok(())
}

fn not_older(role: &str, trusted: u64, offered: u64) -> Result<()> {
    if offered < trusted {
        return Err(Error::Rollback { role: role.to_owned(), trusted, offered });
    }
    Ok(())
}

fn missing(role: &str) -> Error {
    Error::Missing { name: format!("{role}.json") }
}

fn unknown(role: &str, by: &str) -> Error {
    Error::Unknown { role: role.to_owned(), by: by.to_owned() }
}
