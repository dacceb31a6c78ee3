//! All derivations below those that are wanted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use osbuild_store::{LocalStore, StorePath};

use super::{GraphError, Lookup, Wanted, read_derivation};
use crate::derivation::Derivation;

/// Everything that is wanted with everything that it is made from, inputs first.
///
/// # Errors
/// A derivation is missing or malformed.
pub fn below(
    store: &LocalStore,
    lookup: &Lookup<'_>,
    wanted: &[Wanted],
) -> Result<Vec<(StorePath, Arc<Derivation>)>, GraphError> {
    let mut ordered = Vec::new();
    let mut seen = BTreeSet::new();
    let mut known: HashMap<StorePath, Arc<Derivation>> = HashMap::new();
    // With a stack of our own: graphs are deep.
    let mut stack: Vec<(StorePath, bool)> =
        wanted.iter().rev().map(|wanted| (wanted.derivation.clone(), false)).collect();
    while let Some((path, is_entered)) = stack.pop() {
        if is_entered {
            let derivation = known[&path].clone();
            ordered.push((path, derivation));
            continue;
        }
        if !seen.insert(path.clone()) {
            continue;
        }
        let derivation = match lookup(&path) {
            Some(derivation) => derivation,
            None => Arc::new(read_derivation(store, &path)?),
        };
        stack.push((path.clone(), true));
        stack.extend(derivation.input_derivations.keys().rev().map(|input| (input.clone(), false)));
        known.insert(path, derivation);
    }
    Ok(ordered)
}
