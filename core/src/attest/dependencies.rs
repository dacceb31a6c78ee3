//! What a build takes from outside: files that were fetched by hash, and the
//! recipes' own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use osbuild_store::{LocalStore, StoreError, StorePath};

use super::statement::Resource;
use crate::build::builtin::fetchurl::urls;
use crate::derivation::Derivation;

/// Under which a digest is the SHA-256 of a tree's Nix archive, not of a file.
pub const NAR: &str = "narSha256";
/// Further places of a file.
const MIRRORS: &str = "mirrors";
const STORE_PATH: &str = "storePath";

/// Every file from outside below a target, by what its derivations say.
///
/// # Errors
/// The store failed, or misses one of the recipes' files.
pub fn dependencies(
    store: &LocalStore,
    below: &[(StorePath, Arc<Derivation>)],
) -> Result<Vec<Resource>, StoreError> {
    let mut dependencies = Vec::new();
    let mut sources: BTreeSet<&StorePath> = BTreeSet::new();
    for (path, derivation) in below {
        sources.extend(&derivation.input_sources);
        let Some((_, is_tree, hash)) = derivation.fixed_output() else { continue };
        let algorithm = if is_tree { NAR } else { hash.algorithm().name() };
        let mut urls = urls(derivation);
        let mut resource = Resource {
            name: path.derivation_name().to_owned(),
            digest: BTreeMap::from([(algorithm.to_owned(), hash.to_hex())]),
            ..Resource::default()
        };
        if !urls.is_empty() {
            resource.uri = urls.remove(0);
        }
        if !urls.is_empty() {
            resource.annotations.insert(MIRRORS.to_owned(), urls.into());
        }
        dependencies.push(resource);
    }
    for (path, object) in store.closure(sources)? {
        let logical = store.store_dir().display(&path);
        dependencies.push(Resource {
            name: path.name().to_owned(),
            digest: BTreeMap::from([(NAR.to_owned(), object.nar_hash.to_hex())]),
            annotations: BTreeMap::from([(STORE_PATH.to_owned(), logical.into())]),
            ..Resource::default()
        });
    }
    Ok(dependencies)
}
