//! The action table: what a build, named by everything that went into it,
//! came out as.
//!
//! The store keeps keys and rows; what a key is computed from is the build
//! graph's affair.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::path::{StorePath, check_name};

/// SHA-256 of everything that determines a build.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionKey([u8; 32]);

impl ActionKey {
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    pub fn to_hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// The name of one output of a derivation (`out`, `dev`, …).
///
/// # Invariants
/// A valid store path name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputName(Arc<str>);

impl OutputName {
    pub fn new(name: &str) -> Option<Self> {
        check_name(name).is_ok().then(|| Self(name.into()))
    }

    pub fn out() -> Self {
        Self("out".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One row: each output's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    pub outputs: BTreeMap<OutputName, StorePath>,
}

/// The row as caches publish it under `actions/<key>`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedRow {
    schema: u32,
    key: String,
    outputs: BTreeMap<String, String>,
    signatures: Vec<String>,
}

/// A published row that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ActionRowError {
    /// Not JSON, or not of this shape.
    #[error("malformed action row")]
    Json(#[from] serde_json::Error),
    /// A newer schema than this program knows.
    #[error("action row has schema {0}, this program reads schema 1")]
    Schema(u32),
    /// The row is for another key than the one asked for.
    #[error("action row is for key {found}, asked for {expected}")]
    WrongKey { expected: ActionKey, found: String },
    /// An output name or path is ill-formed.
    #[error("action row names no valid store path: {0}")]
    Path(String),
}

impl ActionRow {
    /// The text that signatures cover: `osbuild-action;1;<key>;<out>=<path>;…`,
    /// outputs sorted, paths as base names.
    pub fn signed_text(&self, key: ActionKey) -> String {
        let mut text = format!("osbuild-action;1;{key};");
        for (name, path) in &self.outputs {
            text.push_str(&format!("{name}={path};"));
        }
        text
    }

    /// Writes the published form, signatures (`<key name>:<base64>`) included.
    pub fn to_json(&self, key: ActionKey, signatures: &[String]) -> String {
        let row = PublishedRow {
            schema: 1,
            key: key.to_hex(),
            outputs: self.outputs.iter().map(|(n, p)| (n.to_string(), p.to_string())).collect(),
            signatures: signatures.to_vec(),
        };
        serde_json::to_string(&row).expect("strings and maps serialise")
    }

    /// Reads the published form of the row for `expected`; returns the
    /// signatures unchecked.
    ///
    /// # Errors
    /// See [`ActionRowError`].
    pub fn from_json(text: &[u8], expected: ActionKey) -> Result<(Self, Vec<String>), ActionRowError> {
        let row: PublishedRow = serde_json::from_slice(text)?;
        if row.schema != 1 {
            return Err(ActionRowError::Schema(row.schema));
        }
        if row.key != expected.to_hex() {
            return Err(ActionRowError::WrongKey { expected, found: row.key });
        }
        let mut outputs = BTreeMap::new();
        for (name, path) in row.outputs {
            let name = OutputName::new(&name).ok_or(ActionRowError::Path(name))?;
            let path = StorePath::parse(&path).map_err(|_| ActionRowError::Path(path))?;
            outputs.insert(name, path);
        }
        Ok((Self { outputs }, row.signatures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_row_is_golden() {
        let key = ActionKey::from_digest([7; 32]);
        let path = StorePath::new([1; 20], "hello-1.0").unwrap();
        let row = ActionRow { outputs: BTreeMap::from([(OutputName::out(), path)]) };
        let text = row.to_json(key, &["ci:c2ln".to_owned()]);
        assert_eq!(
            text,
            r#"{"schema":1,"key":"0707070707070707070707070707070707070707070707070707070707070707","outputs":{"out":"040h2081040h2081040h2081040h2081-hello-1.0"},"signatures":["ci:c2ln"]}"#
        );
        assert_eq!(
            row.signed_text(key),
            format!("osbuild-action;1;{key};out=040h2081040h2081040h2081040h2081-hello-1.0;")
        );
        let (back, signatures) = ActionRow::from_json(text.as_bytes(), key).unwrap();
        assert_eq!((back, signatures), (row, vec!["ci:c2ln".to_owned()]));
        let other = ActionKey::from_digest([8; 32]);
        assert!(matches!(ActionRow::from_json(text.as_bytes(), other), Err(ActionRowError::WrongKey { .. })));
    }
}
