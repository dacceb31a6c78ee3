//! One state of all settings, with where it came from.
//!
//! A file of two lines: the SHA-256 of the second in hexadecimal, and JSON.

use std::collections::BTreeMap;

use osbuild_schema::{Document, Key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Why there is a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The first, or the first after all others were lost.
    Factory,
    UserData,
    /// Somebody set something.
    Set,
    /// Somebody confirmed the one before, which is the same.
    Confirmed,
    /// Nobody confirmed the one before in time, or the node was not well.
    NotConfirmed,
    /// Somebody went back to an older one.
    Undo,
    /// Another version's schema.
    Version,
}

/// Who asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// `hostctl` in the control container, a program of the node.
    pub name: String,
    pub uid: u32,
}

/// A state that goes back to an older one unless it is confirmed in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unconfirmed {
    /// What to go back to.
    pub number: u64,
    /// By the clock that begins with a boot; another boot is always too late.
    pub until_uptime_ms: u64,
    pub boot_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generation {
    /// From 1, one more each.
    pub number: u64,
    pub cause: Cause,
    pub who: Who,
    /// What its maker said of it.
    pub message: String,
    /// Seconds since 1970, by a clock that may be wrong.
    pub at: i64,
    pub unconfirmed: Option<Unconfirmed>,
    /// Digest of the user data that was taken last.
    pub user_data: Option<String>,
    pub document: Document,
    /// What this version's schema has no place for.
    pub aside: BTreeMap<Key, Value>,
}

/// A file that is no good generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoiled {
    /// Its bytes are not those that were written.
    Torn,
    /// They are, but mean nothing to this program.
    Foreign(String),
}

const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Line {
    schema: u32,
    #[serde(flatten)]
    generation: Generation,
}

impl Generation {
    pub fn file_name(number: u64) -> String {
        format!("generation-{number:012}")
    }

    /// The number in a file's name.
    pub fn number_of(file_name: &str) -> Option<u64> {
        let digits = file_name.strip_prefix("generation-").filter(|digits| digits.len() == 12)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    }

    pub fn encode(&self) -> Vec<u8> {
        let line = Line { schema: SCHEMA, generation: self.clone() };
        let json = serde_json::to_string(&line).expect("a generation serialises");
        format!("{}\n{json}\n", digest(json.as_bytes())).into_bytes()
    }

    /// # Errors
    /// See [`Spoiled`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Spoiled> {
        let text = std::str::from_utf8(bytes).map_err(|_| Spoiled::Torn)?;
        let (sum, rest) = text.split_once('\n').ok_or(Spoiled::Torn)?;
        let json = rest.strip_suffix('\n').ok_or(Spoiled::Torn)?;
        if digest(json.as_bytes()) != sum {
            return Err(Spoiled::Torn);
        }
        let line: Line = serde_json::from_str(json).map_err(|error| Spoiled::Foreign(error.to_string()))?;
        if line.schema != SCHEMA {
            return Err(Spoiled::Foreign(format!("form {}", line.schema)));
        }
        Ok(line.generation)
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
