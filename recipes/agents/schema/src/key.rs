//! Names of settings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a setting: `network.hostname`.
///
/// # Invariants
/// One to eight parts of lower-case letters, digits and `-`, each beginning
/// with a letter, 63 bytes at most, joined by dots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

/// Not the name of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError(pub String);

const PARTS: usize = 8;
const PART_BYTES: usize = 63;

impl Key {
    /// # Errors
    /// The text breaks the form above.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let is_good = text.split('.').count() <= PARTS && text.split('.').all(is_part);
        if is_good { Ok(Self(text.to_owned())) } else { Err(KeyError(text.to_owned())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether it lies below `other`, or is it.
    pub fn is_within(&self, other: &str) -> bool {
        self.0.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Whether a text may be one part.
pub(crate) fn is_part(text: &str) -> bool {
    text.len() <= PART_BYTES
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no name of a setting: parts of lower-case letters, digits and -, joined by dots",
            self.0
        )
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_parts() {
        for good in ["a", "network.hostname", "kubernetes.node-labels", "a1.b2-c.d"] {
            assert_eq!(Key::parse(good).unwrap().to_string(), good);
        }
        let long = "a".repeat(PART_BYTES + 1);
        let deep = ["a"; PARTS + 1].join(".");
        for bent in ["", ".", "a.", ".a", "a..b", "A", "1a", "-a", "a_b", "a b", "ä", &long, &deep] {
            assert_eq!(Key::parse(bent), Err(KeyError(bent.to_owned())), "{bent}");
        }
    }

    #[test]
    fn within_goes_by_parts() {
        let key = Key::parse("network.dns.servers").unwrap();
        for above in ["network", "network.dns", "network.dns.servers"] {
            assert!(key.is_within(above), "{above}");
        }
        for other in ["net", "network.d", "network.dns.servers.x", "dns"] {
            assert!(!key.is_within(other), "{other}");
        }
    }
}
