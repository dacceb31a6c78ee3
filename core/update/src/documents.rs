//! The two documents of a line of releases. The catalogue says *what* there is,
//! signed by keys that can stay offline; the rollout says *when*, signed by one
//! that is online, so that a pause needs no ceremony and whoever steals that
//! key can hasten or hold a release, never make one.
//!
//! An older updater reads newer documents: fields are only ever added.

use std::collections::BTreeMap;

use osbuild_tuf::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::wave::Wave;

const SCHEMA: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("{what}: not a document of this kind")]
    Json { what: &'static str, source: serde_json::Error },
    /// A newer form that is no longer readable for this program.
    #[error("{what}: schema {found}, where {SCHEMA} is understood")]
    Schema { what: &'static str, found: u32 },
    #[error("{what}: {problem}")]
    Invalid { what: &'static str, problem: String },
}

/// The releases of a line.
///
/// # Invariants
/// Indices rise from one to the next, and no two share a version or a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    pub schema: u32,
    /// Oldest first.
    pub releases: Vec<Release>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub version: String,
    pub rollback_index: u64,
    /// Nodes whose own index is lower cannot go to it directly.
    pub min_from_index: u64,
    /// In hexadecimal: what a release *is*, whatever it is called.
    pub root_hash: String,
    /// Of the manifest's bytes, so that a release that was published again
    /// under its name is seen.
    pub manifest_sha256: String,
    pub published: Time,
    /// Why nobody should go to it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
}

impl Catalogue {
    pub fn empty() -> Self {
        Self { schema: SCHEMA, releases: Vec::new() }
    }

    /// # Errors
    /// [`DocumentError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let catalogue: Self = read("catalogue", bytes)?;
        catalogue.check().map_err(|problem| DocumentError::Invalid { what: "catalogue", problem })?;
        Ok(catalogue)
    }

    fn check(&self) -> Result<(), String> {
        let mut roots = std::collections::BTreeSet::new();
        let mut versions = std::collections::BTreeSet::new();
        for release in &self.releases {
            let Release { version, root_hash, manifest_sha256, .. } = release;
            if !names::is_version(version) {
                return Err(format!("{version:?} is no version"));
            }
            if !is_digest(root_hash) || !is_digest(manifest_sha256) {
                return Err(format!("{version}: a hash is 64 lower-case hexadecimal digits"));
            }
            if !roots.insert(root_hash) || !versions.insert(version) {
                return Err(format!("{version}: another release has its version or its root"));
            }
        }
        let is_rising = |pair: &[Release]| pair[0].rollback_index < pair[1].rollback_index;
        match self.releases.windows(2).find(|pair| !is_rising(pair)) {
            Some(pair) => Err(format!("{}: its index is not above {}'s", pair[1].version, pair[0].version)),
            None => Ok(()),
        }
    }

    pub fn of_version(&self, version: &str) -> Option<&Release> {
        self.releases.iter().find(|release| release.version == version)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        write(self)
    }
}

/// How the releases of a line are given out, by root hash. A release that is
/// not in it is given out to nobody yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub schema: u32,
    pub releases: BTreeMap<String, Given>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// For people; what counts is the root hash.
    pub version: String,
    pub wave: Wave,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
}

/// Nobody begins while it lasts, also whose turn has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub since: Time,
    pub why: String,
}

impl Rollout {
    pub fn empty() -> Self {
        Self { schema: SCHEMA, releases: BTreeMap::new() }
    }

    /// # Errors
    /// [`DocumentError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        read("rollout", bytes)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        write(self)
    }
}

impl Given {
    /// As it goes on at `now` after its pause: nobody's turn is lost, and nobody
    /// comes earlier than those before.
    #[must_use]
    pub fn resumed(mut self, now: Time) -> Self {
        if let Some(pause) = self.paused.take() {
            let length = std::time::Duration::from_secs(now.0.saturating_sub(pause.since.0));
            self.wave = self.wave.after_pause(pause.since, length);
        }
        self
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The schema is looked at first: what a newer one calls its fields is not for
/// an error about fields.
fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, DocumentError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let json = |source| DocumentError::Json { what, source };
    let head: Head = serde_json::from_slice(bytes).map_err(json)?;
    if head.schema != SCHEMA {
        return Err(DocumentError::Schema { what, found: head.schema });
    }
    serde_json::from_slice(bytes).map_err(json)
}

fn write<T: Serialize>(document: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("documents are plain data");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, rollback_index: u64, root: char) -> Release {
        Release {
            version: version.to_owned(),
            rollback_index,
            min_from_index: 0,
            root_hash: root.to_string().repeat(64),
            manifest_sha256: "0".repeat(64),
            published: Time(7),
            withdrawn: None,
        }
    }

    #[test]
    fn a_catalogue_is_read_back_and_holds_its_invariants() {
        let good = Catalogue {
            releases: vec![release("1.0.0", 1, 'a'), release("1.1.0", 3, 'b')],
            ..Catalogue::empty()
        };
        assert_eq!(Catalogue::parse(&good.to_bytes()).unwrap(), good);
        for (wrong, said) in [
            (vec![release("1.0.0", 1, 'a'), release("1.1.0", 1, 'b')], "not above"),
            (vec![release("1.0.0", 1, 'a'), release("1.1.0", 2, 'a')], "another release"),
            (vec![release("1.0.0", 1, 'a'), release("1.0.0", 2, 'b')], "another release"),
            (vec![release("../1", 1, 'a')], "no version"),
            (vec![release("1.0.0", 1, 'A')], "hexadecimal"),
        ] {
            let bytes = Catalogue { releases: wrong, ..Catalogue::empty() }.to_bytes();
            let error = Catalogue::parse(&bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_newer_form_is_refused_by_its_number() {
        let error = Rollout::parse(br#"{"schema": 2, "given": 5}"#).unwrap_err().to_string();
        assert_eq!(error, "rollout: schema 2, where 1 is understood");
        // Fields that are new in the same form are passed over.
        assert_eq!(Rollout::parse(br#"{"schema": 1, "releases": {}, "new": 1}"#).unwrap(), Rollout::empty());
    }
}
