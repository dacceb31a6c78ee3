//! From what a builder left to store objects: which path each output has, and
//! whether it may be what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use osbuild_store::action::OutputName;
use osbuild_store::local::{Ingest, Ingested};
use osbuild_store::path::output_path_name;
use osbuild_store::{HashAlgorithm, LocalStore, NixHash, StoreDir, StoreError, StorePath};
use sha2::{Digest, Sha256};

use super::BuildError;
use super::run::Resolved;
use crate::derivation::Output;
use crate::fetch::download::hash_file;

/// The path that a builder writes an output to: its own if that is known,
/// else one that follows from the resolved derivation, so that a builder sees
/// the same one wherever it runs.
pub fn writable_path(resolved: &Resolved, output: &OutputName) -> Result<StorePath, BuildError> {
    let name = output_path_name(resolved.name(), output.as_str());
    match &resolved.derivation.outputs[output] {
        Output::InputAddressed(path) => Ok(path.clone()),
        Output::Fixed { .. } | Output::Floating { .. } => {
            let text = format!("osbuild-scratch-1:{}:{output}", resolved.key);
            let digest = Sha256::digest(text);
            let digest = digest[..20].try_into().expect("a SHA-256 digest has 32 bytes");
            StorePath::new(digest, &name).map_err(|e| BuildError::Derivation(e.to_string()))
        }
        Output::Deferred => Err(BuildError::Derivation("a deferred output was not resolved".to_owned())),
    }
}

/// Checks every output, then registers them all; a build with one bad output
/// registers none. `files` are the physical places of the outputs.
///
/// # Errors
/// An output is missing, has references it may not have, or another hash than
/// promised.
pub(super) fn register(
    store: &LocalStore,
    rules: &Rules<'_>,
    files: &BTreeMap<OutputName, PathBuf>,
) -> Result<BTreeMap<OutputName, StorePath>, BuildError> {
    let mut ready = BTreeMap::new();
    for (output, file) in files {
        if file.symlink_metadata().is_err() {
            let reason = "was not made by the builder".to_owned();
            return Err(BuildError::Output { output: output.clone(), reason });
        }
        let candidates = rules.closure.iter().chain(rules.written.values());
        let ingested = store.ingest(file, candidates)?;
        let known = ingested.nar_hash.clone();
        let ingest = rules.judge(output, ingested, &|recursive, algorithm| {
            content_hash(file, &known, recursive, algorithm, output)
        })?;
        ready.insert(output.clone(), ingest);
    }
    rules.check_references(&ready, &|paths| store.closure_paths(paths))?;
    for (output, ingest) in &ready {
        store.place(&files[output], ingest)?;
    }
    Ok(ready.into_iter().map(|(output, ingest)| (output, ingest.path)).collect())
}

/// What a step's outputs may be.
pub(crate) struct Rules<'a> {
    pub(crate) resolved: &'a Resolved,
    pub(crate) store_dir: &'a StoreDir,
    /// The logical scratch or final path of each output.
    pub(crate) written: &'a BTreeMap<OutputName, StorePath>,
    /// Everything that was mounted.
    pub(crate) closure: &'a BTreeSet<StorePath>,
}

/// An output's contents in a hash: of its archive, or of it as a file.
pub(crate) type ContentHash<'a> = dyn Fn(bool, HashAlgorithm) -> Result<NixHash, BuildError> + 'a;

/// Everything that some objects refer to, and they.
pub(crate) type ClosureOf<'a> = dyn Fn(&BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, StoreError> + 'a;

impl Rules<'_> {
    /// What an output is to be registered as.
    ///
    /// # Errors
    /// It mentions what it may not, or has another hash than promised.
    pub(crate) fn judge(
        &self,
        output: &OutputName,
        ingested: Ingested,
        content_hash: &ContentHash<'_>,
    ) -> Result<Ingest, BuildError> {
        let bad = |reason: String| BuildError::Output { output: output.clone(), reason };
        let floating_written: Vec<&StorePath> = self
            .written
            .iter()
            .filter(|(name, _)| !matches!(self.resolved.derivation.outputs[*name], Output::InputAddressed(_)))
            .map(|(_, path)| path)
            .collect();
        if let Some(own) = ingested.references.iter().find(|r| floating_written.contains(r)) {
            let name =
                self.written.iter().find(|(_, path)| *path == own).map_or("", |(name, _)| name.as_str());
            return Err(bad(format!(
                "contains the path of output '{name}', which is not known until its contents are; \
                 search it for {}",
                own.hash_part()
            )));
        }
        let deriver = Some(self.resolved.path.clone());
        match &self.resolved.derivation.outputs[output] {
            Output::InputAddressed(path) => {
                Ok(Ingest { path: path.clone(), ingested, content_address: None, deriver })
            }
            Output::Deferred => Err(bad("was not resolved".to_owned())),
            Output::Fixed { path, recursive, hash } => {
                if !ingested.references.is_empty() {
                    return Err(bad("has a fixed hash and may not refer to store paths".to_owned()));
                }
                let actual = content_hash(*recursive, hash.algorithm())?;
                if actual != *hash {
                    let what = self.resolved.name().to_owned();
                    return Err(BuildError::HashMismatch { what, expected: hash.clone(), actual });
                }
                let content_address = Some(content_address(*recursive, hash));
                Ok(Ingest { path: path.clone(), ingested, content_address, deriver })
            }
            Output::Floating { recursive, algorithm } => {
                if !*recursive && !ingested.references.is_empty() {
                    return Err(bad("is hashed flat and may not refer to store paths".to_owned()));
                }
                let hash = content_hash(*recursive, *algorithm)?;
                let name = output_path_name(self.resolved.name(), output.as_str());
                let path = self
                    .store_dir
                    .fixed_path(&name, *recursive, &hash, &ingested.references, false)
                    .map_err(|e| bad(e.to_string()))?;
                let content_address = Some(content_address(*recursive, &hash));
                Ok(Ingest { path, ingested, content_address, deriver })
            }
        }
    }

    /// `allowedReferences` and its kin: store paths or output names.
    pub(crate) fn check_references(
        &self,
        ready: &BTreeMap<OutputName, Ingest>,
        closure_of: &ClosureOf<'_>,
    ) -> Result<(), BuildError> {
        for (name, allowed, transitive) in [
            ("allowedReferences", true, false),
            ("allowedRequisites", true, true),
            ("disallowedReferences", false, false),
            ("disallowedRequisites", false, true),
        ] {
            let Some(text) = self.resolved.derivation.environment_text(name) else { continue };
            let mut listed = BTreeSet::new();
            for word in text.split_whitespace() {
                let output = OutputName::new(word).and_then(|output| Some(ready.get(&output)?.path.clone()));
                let path = output.or_else(|| self.store_dir.split(word).ok().map(|(path, _)| path));
                let Some(path) = path else {
                    return Err(BuildError::Derivation(format!(
                        "{name} holds '{word}', which is neither a store path nor an output"
                    )));
                };
                listed.insert(path);
            }
            for (output, ingest) in ready {
                let mut references = ingest.ingested.references.clone();
                if transitive {
                    references.retain(|r| self.closure.contains(r));
                    references = closure_of(&references)?;
                }
                if let Some(bad) = references.iter().find(|r| listed.contains(*r) != allowed) {
                    let reason = format!("refers to {bad}, which {name} does not let it");
                    return Err(BuildError::Output { output: output.clone(), reason });
                }
            }
        }
        Ok(())
    }
}

/// `nar_hash` is the file's, in SHA-256.
pub(crate) fn content_hash(
    file: &Path,
    nar_hash: &NixHash,
    recursive: bool,
    algorithm: HashAlgorithm,
    output: &OutputName,
) -> Result<NixHash, BuildError> {
    let bad = |reason: &str| BuildError::Output { output: output.clone(), reason: reason.to_owned() };
    if recursive {
        if algorithm == HashAlgorithm::Sha256 {
            return Ok(nar_hash.clone());
        }
        let mut archive = Vec::new();
        osbuild_store::nar::dump_path(file, &mut archive).map_err(StoreError::from)?;
        return Ok(NixHash::of(algorithm, &archive));
    }
    let metadata = file.symlink_metadata().map_err(|_| bad("vanished"))?;
    if !metadata.is_file() || is_executable(&metadata) {
        return Err(bad("is hashed flat and must be one regular, not executable file"));
    }
    Ok(hash_file(file, algorithm)?)
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

fn content_address(recursive: bool, hash: &NixHash) -> String {
    let method = if recursive { "r:" } else { "" };
    format!("fixed:{method}{}:{}", hash.algorithm().name(), hash.to_nix_base32())
}
