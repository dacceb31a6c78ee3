//! The hash that names input-addressed outputs: a derivation's, with every
//! fixed-output input replaced by what it makes rather than how.
//!
//! Source: Nix manual, "Input-addressing derivation outputs".

use std::collections::{BTreeMap, BTreeSet};

use osbuild_store::action::OutputName;
use osbuild_store::{StoreDir, StorePath};
use sha2::{Digest, Sha256};

use super::aterm::Aterm;
use super::{Derivation, Output};

/// A derivation's hash modulo fixed outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashModulo {
    /// The derivation's outputs are input-addressed; one hash stands for all.
    Known([u8; 32]),
    /// A fixed output: the hash of its content address.
    Fixed([u8; 32]),
    /// A floating output, here or upstream: no path can be computed yet.
    Deferred,
}

/// Computes the hash with the derivation's own outputs as they stand.
///
/// `written` is the derivation's text; `lookup` gives the hash of an input derivation; callers memoise it. To
/// compute output paths, call this with own outputs blank
/// ([`Output::Deferred`]) and their environment entries empty.
pub fn hash_modulo(
    derivation: &Derivation,
    written: &Aterm,
    store_dir: &StoreDir,
    lookup: impl Fn(&StorePath) -> HashModulo,
) -> HashModulo {
    match derivation.outputs.values().next() {
        Some(Output::Fixed { path, recursive, hash }) => {
            let method = if *recursive { "r:" } else { "" };
            let text = format!(
                "fixed:out:{method}{}:{}:{}",
                hash.algorithm().name(),
                hash.to_hex(),
                store_dir.display(path)
            );
            return HashModulo::Fixed(Sha256::digest(text).into());
        }
        Some(Output::Floating { .. }) => return HashModulo::Deferred,
        _ => {}
    }
    let mut inputs: BTreeMap<String, BTreeSet<OutputName>> = BTreeMap::new();
    for (path, outputs) in &derivation.input_derivations {
        match lookup(path) {
            HashModulo::Known(digest) | HashModulo::Fixed(digest) => {
                // Inputs with equal hashes merge: they would give equal outputs.
                let hex = data_encoding::HEXLOWER.encode(&digest);
                inputs.entry(hex).or_default().extend(outputs.iter().cloned());
            }
            HashModulo::Deferred => return HashModulo::Deferred,
        }
    }
    HashModulo::Known(written.hash_with_inputs(&inputs))
}
