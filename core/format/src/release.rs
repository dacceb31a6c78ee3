//! The release manifest, schema 1: what a version is, for everyone who passes
//! it on or judges it.
//!
//! Canonical JSON: keys sorted, no white space, integers only.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `slot/manifest.json`. An older updater must understand newer manifests, so
/// fields are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub schema: u32,
    pub variant: String,
    pub arch: String,
    /// Semantic version, for people.
    pub version: String,
    /// The only thing that is compared with a node's floor.
    pub rollback_index: u64,
    /// What committing this version raises a node's floor to.
    pub floor: u64,
    /// Versions below this index cannot go to this one directly.
    pub min_from_index: u64,
    /// Digest of the partition layout that the version was made for.
    pub layout: String,
    pub root: Root,
    pub hash: Blob,
    pub uki: Uki,
    pub loader: Blob,
    pub segments: Segments,
    pub settings_schema: u64,
    pub health_sha256: String,
    pub sbom: Vec<Attached>,
    pub attestations: Vec<Attached>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    pub size: u64,
    pub sha256: String,
    pub root_hash: String,
    pub salt: String,
    /// Of 4 KiB.
    pub blocks: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    pub size: u64,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uki {
    pub size: u64,
    pub sha256: String,
    /// Of the image before any signature: what a rebuild is compared with.
    pub unsigned_sha256: String,
    pub command_line: String,
}

/// Where each package's run of blocks is in the root, for deltas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segments {
    pub file: String,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    pub file: String,
    pub sha256: String,
}

impl Release {
    /// # Errors
    /// Not a manifest of schema 1.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        canonical(&serde_json::to_value(self).expect("a release is plain data"))
    }
}

/// Canonical JSON, with a line feed at the end.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out.push(b'\n');
    out
}

/// Sorts keys itself: whether the map does depends on a feature that any crate
/// of the build may switch on.
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            out.push(b'{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend(serde_json::to_vec(key).expect("text is JSON"));
                out.push(b':');
                write(&fields[key], out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        scalar => out.extend(serde_json::to_vec(scalar).expect("scalars are JSON")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden file of schema 1: fields may be added, none may change.
    const GOLDEN: &str = r#"{"arch":"x86_64","attestations":[],"floor":2,"hash":{"sha256":"bb","size":8192},"health_sha256":"ff","layout":"ll","loader":{"sha256":"cc","size":9},"min_from_index":1,"rollback_index":7,"root":{"blocks":10,"root_hash":"rr","salt":"ss","sha256":"aa","size":40960},"sbom":[{"file":"sbom.spdx.json","sha256":"dd"}],"schema":1,"segments":{"file":"segments.json","sha256":"ee"},"settings_schema":1,"uki":{"command_line":"ro","sha256":"gg","size":5,"unsigned_sha256":"hh"},"variant":"qemu-dev","version":"1.2.3"}
"#;

    #[test]
    fn reads_and_writes_the_golden_manifest() {
        let release = Release::parse(GOLDEN.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(release.to_bytes()).unwrap(), GOLDEN);
        assert_eq!((release.rollback_index, release.root.blocks), (7, 10));
    }
}
