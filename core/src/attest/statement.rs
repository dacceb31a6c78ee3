//! in-toto statements: something is said of files, which go by their digests.
//!
//! Sources: in-toto Attestation Framework, Statement v1, ResourceDescriptor v1,
//! DigestSet.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What such a statement calls itself.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The media type of a statement.
pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";
/// Under which a digest is the root of a hash tree: what names an image.
pub const ROOT_HASH: &str = "osbuildRootHash";

/// What can be said of files.
pub trait Predicate: DeserializeOwned + Serialize {
    /// A URI.
    const TYPE: &'static str;
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    pub subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    pub predicate: P,
}

/// Something by its digests, in hexadecimal.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Resource {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uri: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// What else counts of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, Value>,
}

/// Of any statement, before its predicate is looked at.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

impl<P: Predicate> Statement<P> {
    pub fn new(subject: Vec<Resource>, predicate: P) -> Self {
        Self { kind: STATEMENT.to_owned(), subject, predicate_type: P::TYPE.to_owned(), predicate }
    }

    /// # Errors
    /// Another statement than one of this predicate, as a clause.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Header { kind, predicate_type } =
            serde_json::from_slice(bytes).map_err(|error| format!("not an in-toto statement: {error}"))?;
        if kind != STATEMENT {
            return Err(format!("not an in-toto statement of version 1, but '{kind}'"));
        }
        if predicate_type != P::TYPE {
            return Err(format!("it says another thing than {}: {predicate_type}", P::TYPE));
        }
        serde_json::from_slice(bytes).map_err(|error| format!("not {}: {error}", P::TYPE))
    }

    /// For people to read, too.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("it is plain data");
        bytes.push(b'\n');
        bytes
    }
}

impl Resource {
    /// By the SHA-256 of its bytes, in hexadecimal.
    pub fn of_bytes(name: &str, sha256: &str) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), sha256.to_owned())]);
        Self { name: name.to_owned(), digest, ..Self::default() }
    }

    /// Whether one of its digests is this.
    pub fn has(&self, algorithm: &str, digest: &str) -> bool {
        self.digest.get(algorithm).is_some_and(|own| own == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Opinion {
        is_liked: bool,
    }

    impl Predicate for Opinion {
        const TYPE: &'static str = "https://example.org/opinion/v1";
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else() {
        let statement = Statement::new(vec![Resource::of_bytes("a", "00")], Opinion { is_liked: true });
        let bytes = statement.to_bytes();
        let again = Statement::<Opinion>::parse(&bytes).unwrap();
        assert_eq!((again.subject, again.predicate.is_liked), (statement.subject, true));

        let text = String::from_utf8(bytes).unwrap();
        for (from, to, said) in [
            ("Statement/v1", "Statement/v0.1", "not an in-toto statement of version 1"),
            ("opinion/v1", "opinion/v2", "another thing than https://example.org/opinion/v1"),
            ("is_liked", "is_hated", "missing field `is_liked`"),
            ("{", "[", "not an in-toto statement"),
        ] {
            let error = Statement::<Opinion>::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
