//! The steps to verify: everything below a target that runs a builder, inputs
//! before what is made from them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use osbuild_store::{LocalStore, StorePath};

use crate::build::Resolved;
use crate::derivation::Derivation;
use crate::graph::below::below;
use crate::graph::resolve::resolve;
use crate::graph::{Engine, GraphError, Lookup, Outputs, Wanted};
use crate::lang::builtins::versions::split_name;

/// One step as it ran, with what it made.
#[derive(Clone, Debug)]
pub struct Step {
    pub resolved: Resolved,
    /// From its first run.
    pub outputs: Outputs,
}

/// A step below a target; as its recipe has it, before anything is made.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub path: StorePath,
    pub(super) derivation: Arc<Derivation>,
}

impl Candidate {
    /// Its name without what it is called in the store.
    pub fn name(&self) -> &str {
        self.path.derivation_name()
    }

    /// By its name, with or without a version.
    pub fn is_called(&self, name: &str) -> bool {
        self.name() == name || split_name(self.name().as_bytes()).0 == name.as_bytes()
    }

    pub(super) fn inputs(&self) -> impl Iterator<Item = &StorePath> {
        self.derivation.input_derivations.keys()
    }
}

/// Everything below what is wanted that runs a builder, inputs first. What has
/// a hash in its recipe was verified when it came in.
///
/// # Errors
/// A derivation is missing or malformed.
pub fn candidates(
    store: &LocalStore,
    lookup: &Lookup<'_>,
    wanted: &[Wanted],
) -> Result<Vec<Candidate>, GraphError> {
    let runs = |(_, derivation): &(StorePath, Arc<Derivation>)| derivation.fixed_output().is_none();
    let below = below(store, lookup, wanted)?;
    Ok(below.into_iter().filter(runs).map(|(path, derivation)| Candidate { path, derivation }).collect())
}

/// Makes these steps and all that they need, and says how they ran.
///
/// # Errors
/// A build failed, or the store did.
pub fn realise(
    engine: &Engine<'_>,
    lookup: &Lookup<'_>,
    candidates: &[Candidate],
) -> Result<Vec<Step>, GraphError> {
    let mut wanted: BTreeMap<StorePath, Option<BTreeSet<_>>> = BTreeMap::new();
    for candidate in candidates {
        for (input, outputs) in &candidate.derivation.input_derivations {
            let entry = wanted.entry(input.clone()).or_insert_with(|| Some(BTreeSet::new()));
            if let Some(names) = entry {
                names.extend(outputs.iter().cloned());
            }
        }
    }
    // All that it makes, whoever uses it: all of it is compared.
    wanted.extend(candidates.iter().map(|candidate| (candidate.path.clone(), None)));
    let wanted: Vec<Wanted> =
        wanted.into_iter().map(|(derivation, outputs)| Wanted { derivation, outputs }).collect();
    let realised = engine.realise(lookup, &wanted)?;
    let outputs: HashMap<StorePath, Outputs> =
        realised.into_iter().map(|realised| (realised.derivation, realised.outputs)).collect();
    let step = |candidate: &Candidate| {
        let Candidate { path, derivation } = candidate;
        let resolved = resolve(path, derivation, engine.store.store_dir(), |input| &outputs[input]);
        Step { resolved, outputs: outputs[path].clone() }
    };
    Ok(candidates.iter().map(step).collect())
}
