//! `policy.toml`: how long signatures hold, who the keys are and where, and what
//! a release must have before it is given out. Who speaks for a role, and how
//! many must, is in the signed metadata alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use osbuild_tuf::key::{Key, KeyId};
use osbuild_tuf::metadata::RoleKeys;
use osbuild_tuf::time::Time;
use osbuild_update::names;
use serde::Deserialize;

use super::error::{RepoError, io_error};
use super::signer::{self, Location};
use super::verdict::Rebuilders;

pub const FILE: &str = "policy.toml";

/// See the module; as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[allow(dead_code, reason = "read to refuse others")]
    schema: Schema,
    expires_days: Days,
    #[serde(default)]
    threshold_at_least: BTreeMap<String, u64>,
    #[serde(default)]
    pub publish: Publish,
    #[serde(default)]
    rebuilt: Rebuilt,
    #[serde(default)]
    keys: BTreeMap<String, KeyRow>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
struct Schema;

impl TryFrom<u32> for Schema {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == 1 { Ok(Self) } else { Err(format!("schema {number}, where 1 is understood")) }
    }
}

/// How long what a role signs is believed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Days {
    root: u32,
    targets: u32,
    snapshot: u32,
    timestamp: u32,
    rollout: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// How long a release takes to reach the whole fleet.
    pub wave: String,
    /// Whether only what was booted and updated to is published.
    pub tested: bool,
    /// Channels from which releases are tested: they ask for no record, and give
    /// out at once.
    pub candidates: BTreeSet<String>,
}

impl Publish {
    pub fn is_candidate(&self, channel: &str) -> bool {
        self.candidates.contains(channel)
    }

    /// Whether a release needs records of its tests to go into a channel.
    pub fn asks_for_records(&self, channel: &str) -> bool {
        self.tested && !self.is_candidate(channel)
    }

    /// How long a release takes there, unless somebody says.
    pub fn wave_of(&self, channel: &str) -> &str {
        if self.is_candidate(channel) { "now" } else { &self.wave }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self { wave: "24h".to_owned(), tested: true, candidates: BTreeSet::new() }
    }
}

/// Whether others have to have made a release again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rebuilt {
    /// How many of them; none unless said.
    threshold: u64,
    /// Names of their keys.
    by: BTreeSet<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRow {
    public: String,
    #[serde(default)]
    signer: Option<String>,
}

/// A key by its name.
#[derive(Clone, Debug)]
pub struct NamedKey {
    pub name: String,
    pub key: Key,
    /// `None`: somebody else's.
    pub location: Option<Location>,
}

const DAY: u64 = 24 * 60 * 60;

impl Policy {
    /// # Errors
    /// [`RepoError::NotARepository`], [`RepoError::Policy`]
    pub fn read(repository: &Path) -> Result<Self, RepoError> {
        let path = repository.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(RepoError::NotARepository { path: repository.to_owned(), file: FILE });
            }
            other => other.map_err(io_error("read", &path))?,
        };
        Self::parse(&text).map_err(|what| RepoError::Policy { path, what })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let policy: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let Days { root, targets, snapshot, timestamp, rollout } = policy.expires_days;
        if [root, targets, snapshot, timestamp, rollout].iter().any(|days| !(1..=3650).contains(days)) {
            return Err("expires_days: 1 to 3650".to_owned());
        }
        if let Some(name) = policy.publish.candidates.iter().find(|name| !names::is_plain(name)) {
            return Err(format!("publish.candidates: '{name}' is no channel: a-z, 0-9, - and _"));
        }
        for (name, row) in &policy.keys {
            if signer::parse_public(&row.public).is_none() {
                return Err(format!("keys.{name}: public is no Ed25519 or P-256 key (PEM, PUBLIC KEY)"));
            }
        }
        let Rebuilt { threshold, by } = &policy.rebuilt;
        if let Some(name) = by.iter().find(|name| !policy.keys.contains_key(*name)) {
            return Err(format!("rebuilt.by: there is no keys.{name}"));
        }
        if *threshold > by.len() as u64 {
            return Err(format!("rebuilt.threshold: {threshold} of {} keys", by.len()));
        }
        Ok(policy)
    }

    /// Whose verdicts count, if any are asked for.
    pub(super) fn rebuilders(&self) -> Option<Rebuilders> {
        let Rebuilt { threshold, by } = &self.rebuilt;
        if *threshold == 0 {
            return None;
        }
        let keys: BTreeMap<KeyId, Key> = self
            .keys()
            .filter(|named| by.contains(&named.name))
            .map(|named| (named.key.id(), named.key))
            .collect();
        let role = RoleKeys { keyids: keys.keys().cloned().collect(), threshold: *threshold };
        Some(Rebuilders { keys, role })
    }

    /// Until when a role's signature holds that is given now.
    pub fn expiry(&self, role: &str, now: Time) -> Time {
        now.after(self.life(role))
    }

    pub fn life(&self, role: &str) -> Duration {
        let days = match role {
            "root" => self.expires_days.root,
            "targets" => self.expires_days.targets,
            "snapshot" => self.expires_days.snapshot,
            "timestamp" => self.expires_days.timestamp,
            _ => self.expires_days.rollout,
        };
        Duration::from_secs(u64::from(days) * DAY)
    }

    /// Whether what a role signed is near its end: less than a quarter of its life
    /// is left.
    pub fn is_ending(&self, role: &str, expires: Time, now: Time) -> bool {
        now.after(self.life(role) / 4) >= expires
    }

    /// How many signatures a role must need at least.
    pub fn least_threshold(&self, role: &str) -> u64 {
        self.threshold_at_least.get(role).copied().unwrap_or(1)
    }

    pub fn keys(&self) -> impl Iterator<Item = NamedKey> {
        self.keys.iter().map(|(name, row)| NamedKey {
            name: name.clone(),
            key: signer::parse_public(&row.public).expect("it was looked at when it was read"),
            location: row.signer.as_deref().map(Location::parse),
        })
    }

    pub fn key(&self, id: &KeyId) -> Option<NamedKey> {
        self.keys().find(|named| named.key.id() == *id)
    }

    /// How people call a key: by its name, else by the first digits of its id.
    pub fn name_of(&self, id: &KeyId) -> String {
        self.key(id).map_or_else(|| format!("{:.12}…", id), |named| named.name)
    }
}

/// The row of a key, to be added to the file's end.
pub(super) fn key_row(name: &str, key: &Key, signer: Option<&str>) -> String {
    let public = signer::public_pem(key).unwrap_or_default();
    let mut row = format!("\n[keys.{name}]\npublic = \"\"\"\n{public}\"\"\"\n");
    if let Some(signer) = signer {
        row += &format!("signer = {}\n", toml::Value::String(signer.to_owned()));
    }
    row
}

/// What a new repository begins with.
pub(super) fn initial_text(root_threshold: u64) -> String {
    format!(
        r#"# What every `osbuild repo` command keeps to. Who speaks for a role, and how many
# must, is in the signed root (public/metadata/*.root.json) and changes by
# `osbuild repo rotate` alone.
schema = 1

# How long what a role signs is believed. Nodes refuse what is older, so that
# nobody can show them an old repository for longer than this: `osbuild repo
# refresh` renews snapshot, timestamp and rollout, and has to run more often.
[expires_days]
root = 365
targets = 90
snapshot = 7
timestamp = 1
rollout = 7

# A root that asks for fewer signatures is refused.
[threshold_at_least]
root = {root_threshold}

[publish]
# How long a release takes to reach the whole fleet, unless --wave says.
wave = "24h"
# Only what was booted and updated to, by a record of that (--tested FILE).
tested = true
# Channels that ask for no record and give out at once: `osbuild test` updates a
# node from there, and what passed is published in the others. Whatever follows
# one of them gets what nobody has tried.
candidates = ["candidate"]

# Of a release in any other channel, so many others must have said that they made
# it again, bit for bit (`osbuild verify --against`, `repo publish --verdict`).
# [rebuilt]
# threshold = 2
# by = ["alice", "bob", "carol"]

# The keys by name. `signer` is a file (relative to here), `pkcs11:…` or
# `exec:COMMAND`; it may be removed where somebody else holds the key.
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_policy_is_one_and_says_what_is_wrong_with_others() {
        let text = initial_text(2);
        let policy = Policy::parse(&text).unwrap();
        assert_eq!((policy.least_threshold("root"), policy.least_threshold("targets")), (2, 1));
        assert!(policy.rebuilders().is_none());
        assert_eq!(policy.expiry("timestamp", Time(5)), Time(5 + DAY));
        let publish = &policy.publish;
        assert_eq!(["stable", "candidate"].map(|channel| publish.asks_for_records(channel)), [true, false]);
        assert_eq!(["stable", "candidate"].map(|channel| publish.wave_of(channel)), ["24h", "now"]);
        // A policy from before there were any has none.
        let older = Policy::parse(&text.replace("candidates = [\"candidate\"]", "")).unwrap().publish;
        assert!(older.asks_for_records("candidate"));
        for (from, to, said) in [
            ("schema = 1", "schema = 2", "schema 2"),
            ("timestamp = 1", "timestamp = 0", "1 to 3650"),
            ("tested = true", "testet = true", "testet"),
            ("\"candidate\"", "\"../stable\"", "'../stable' is no channel"),
            ("[\"candidate\"]", "true", "candidates"),
            ("[publish]", "[rebuilt]\nthreshold = 1\n[publish]", "1 of 0 keys"),
            ("[publish]", "[rebuilt]\nby = [\"alice\"]\n[publish]", "no keys.alice"),
            ("[threshold_at_least]", "[keys.a]\npublic = 'x'\n[threshold_at_least]", "keys.a"),
        ] {
            let error = Policy::parse(&text.replace(from, to)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
