//! `builtin:sbom`: what is in an image, for auditors and for whoever asks
//! where the bytes went.
//!
//! Outputs `spdx`, `cdx`, `size`.

mod bill;
mod cyclonedx;
mod spdx;

use std::collections::{BTreeMap, BTreeSet};

use osbuild_format::hex;
use osbuild_format::release::{Release, canonical};
use osbuild_format::root_manifest::{Node, RootManifest};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::build::builtin::{BuiltinContext, BuiltinError};

use super::disk::read_release;
use super::files::{output, parameters, read, read_input, write};
use bill::{Bill, Component, Subject};

/// The time in every document: see [`osbuild_format::squashfs::TIME`].
const CREATED: &str = "1980-01-01T00:00:00Z";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    manifest: String,
    /// Those of the root, then what starts it.
    components: Vec<Component>,
    slot: String,
}

/// Runs the builder.
///
/// # Errors
/// Inputs that are not what they should be.
pub fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = parameters(context, "sbom")?;
    let manifest = RootManifest::parse(&read_input(context, &parameters.manifest)?)
        .map_err(|error| BuiltinError::Refused(format!("{}: {error}", parameters.manifest)))?;
    let slot = (context.physical)(&parameters.slot)?;
    let release = read_release(&slot)?;
    let segments: Value = serde_json::from_slice(&read(&slot.join("segments.json"))?)
        .map_err(|error| BuiltinError::Refused(format!("{}: segments.json: {error}", parameters.slot)))?;

    let contents = contents(&manifest);
    let subject = Subject {
        name: release.variant.clone(),
        version: release.version.clone(),
        digest: release.root.root_hash.clone(),
    };
    let digests = contents.iter().map(|(package, contents)| (*package, digest(&contents.lines))).collect();
    let bill = Bill { subject, components: &parameters.components, digests };
    write(output(context, "spdx")?, &canonical(&spdx::spdx(&bill)))?;
    write(output(context, "cdx")?, &canonical(&cyclonedx::cyclonedx(&bill)))?;
    write(output(context, "size")?, &canonical(&size(&manifest, &contents, &segments, &release)))
}

/// A package's files in the image.
#[derive(Default)]
struct Contents {
    files: u64,
    bytes: u64,
    lines: Vec<String>,
}

fn contents(manifest: &RootManifest) -> BTreeMap<&str, Contents> {
    let mut packages: BTreeMap<&str, Contents> = BTreeMap::new();
    for entry in manifest.entries() {
        let Some(package) = &entry.package else { continue };
        let contents = packages.entry(package).or_default();
        match &entry.node {
            Node::File { blake3, size, .. } => {
                contents.files += 1;
                contents.bytes += size;
                contents.lines.push(format!("{} {}\n", hex::encode(blake3), entry.path));
            }
            Node::Link { target } => contents.lines.push(format!("link {} {target}\n", entry.path)),
            Node::Directory | Node::Inline { .. } => {}
        }
    }
    packages
}

fn digest(lines: &[String]) -> String {
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line);
    }
    hex::encode(&hasher.finalize())
}

/// The largest files worth naming.
const LARGEST: usize = 40;

fn size(
    manifest: &RootManifest,
    contents: &BTreeMap<&str, Contents>,
    segments: &Value,
    release: &Release,
) -> Value {
    let compressed = |package: &str| {
        let rows = segments["segments"].as_array().into_iter().flatten();
        rows.filter(|row| row["package"] == package).filter_map(|row| row["size"].as_u64()).sum::<u64>()
    };
    let mut packages: Vec<(&&str, &Contents, u64)> =
        contents.iter().map(|(name, contents)| (name, contents, compressed(name))).collect();
    packages.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    let packages: Vec<Value> = packages
        .into_iter()
        .map(|(name, contents, compressed)| {
            json!({ "package": name, "files": contents.files, "bytes": contents.bytes, "compressed_bytes": compressed })
        })
        .collect();

    // Dedup is within a segment; equal files of two packages are there twice.
    let mut seen: BTreeMap<&[u8; 32], BTreeSet<&str>> = BTreeMap::new();
    let mut duplicate_bytes = 0;
    let mut files = Vec::new();
    for entry in manifest.entries() {
        let Node::File { store, blake3, size, .. } = &entry.node else { continue };
        let stores = seen.entry(blake3).or_default();
        if stores.insert(store) && stores.len() > 1 {
            duplicate_bytes += size;
        }
        files.push((*size, &entry.path, &entry.package));
    }
    files.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    files.truncate(LARGEST);
    let files: Vec<Value> = files
        .into_iter()
        .map(|(bytes, path, package)| json!({ "path": path, "package": package, "bytes": bytes }))
        .collect();
    json!({
        "schema": 1,
        "variant": release.variant,
        "version": release.version,
        "root_bytes": release.root.size,
        "hash_bytes": release.hash.size,
        "uki_bytes": release.uki.size,
        "loader_bytes": release.loader.size,
        "uncompressed_bytes": contents.values().map(|c| c.bytes).sum::<u64>(),
        "duplicate_bytes": duplicate_bytes,
        "packages": packages,
        "largest_files": files,
    })
}
