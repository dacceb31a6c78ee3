//! Lock files: which files of a distribution's suite recipes use, by hash.
//!
//! `recipes/locks/<name>.json` holds what was asked (`request`) and what that
//! came to (`entries`). Only `osbuild lock` writes them; recipes read them. No
//! host is inside: a path in the pool is the same on every mirror.

pub mod listed;
pub mod packages;
pub mod resolve;
pub mod suite;
pub mod update;
pub mod version;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::FetchError;

/// A whole lock file. Fields stand in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    pub schema: u32,
    /// The mirror's name; `debian` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    pub suite: String,
    /// The `Date` of the suite's release file that was resolved against.
    pub index_date: String,
    pub request: Request,
    /// Sorted by name, then path.
    pub entries: Vec<Entry>,
}

/// What `osbuild lock update` resolves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    #[serde(default)]
    pub packages: Vec<String>,
    /// With everything that the packages depend on.
    #[serde(default)]
    pub closure: bool,
    /// Packages left out of the closure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    #[serde(default)]
    pub sources: Vec<SourceRequest>,
    /// What recipes read besides (API levels and the like); kept as it is.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// Files of a source package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRequest {
    pub package: String,
    /// Globs over file names; each must match something.
    pub files: Vec<String>,
}

/// One pinned file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    pub version: String,
    /// From the mirror's root.
    pub path: String,
    pub sha256: String,
    pub size: u64,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// [`FetchError::Lock`] names the file, and the line where that helps.
    pub fn read(path: &Path) -> Result<Self, FetchError> {
        let wrong = |reason: String| FetchError::Lock { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
        let lock: Self = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if lock.schema != 1 {
            return Err(wrong(format!("has schema {}, this program knows schema 1", lock.schema)));
        }
        Ok(lock)
    }

    /// The file's text: sorted, indented by one blank, so that an update is a
    /// readable difference.
    pub fn to_text(&self) -> String {
        let mut sorted = self.clone();
        sorted.entries.sort();
        sorted.entries.dedup();
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        sorted.serialize(&mut serializer).expect("strings, numbers and lists serialise");
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    pub fn mirror(&self) -> &str {
        self.mirror.as_deref().unwrap_or("debian")
    }
}
