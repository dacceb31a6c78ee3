//! From derivations to a plan: what is known, what must be made, what may run
//! at the same time.
//!
//! A build is keyed by its *resolved* derivation, so a step whose inputs came
//! out as before is known before it runs (early cutoff). Planning goes through
//! action rows alone; an object is fetched or made only when something mounts
//! it or the user asked for it.

pub mod below;
pub(crate) mod budget;
pub mod described;
mod event;
mod forecast;
mod order;
pub(crate) mod perform;
pub mod picture;
mod plan;
mod realise;
mod reason;
pub mod resolve;
mod settle;

pub use described::BuildGraph;
pub use event::{Event, Kind, Observer, Outcome};
pub use forecast::Forecast;
pub use order::Usual;
pub use realise::{Engine, Jobs, Realised, Wanted};
pub use reason::{Difference, Reason};

use std::collections::BTreeMap;
use std::sync::Arc;

use osbuild_store::action::OutputName;
use osbuild_store::cache::CacheError;
use osbuild_store::cache::place::PlaceError;
use osbuild_store::{LocalStore, StoreError, StorePath};

use crate::build::BuildError;
use crate::derivation::Derivation;
use crate::derivation::aterm::{AtermError, from_aterm};

/// Where derivations come from: what was just evaluated, or the store.
pub type Lookup<'a> = dyn Fn(&StorePath) -> Option<Arc<Derivation>> + 'a;

/// Why what was wanted is not there.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A derivation is neither known nor in the store.
    #[error("derivation {0} is not in the store")]
    MissingDerivation(StorePath),
    /// A `.drv` in the store cannot be read.
    #[error("cannot read derivation {path}")]
    Derivation { path: StorePath, source: AtermError },
    /// A derivation wants an output that another does not have.
    #[error("derivation {derivation} has no output '{output}'")]
    MissingOutput { derivation: StorePath, output: OutputName },
    /// Builds failed; all that did, in the order in which they did.
    #[error("{}", count(failures.len()))]
    Failed { failures: Vec<(StorePath, BuildError)> },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cache failed where nothing can take its place.
    #[error(transparent)]
    Cache(CacheError),
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl From<CacheError> for GraphError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Place(PlaceError::Interrupted) => Self::Interrupted,
            CacheError::Store(error) => Self::Store(error),
            error => Self::Cache(error),
        }
    }
}

impl From<PlaceError> for GraphError {
    fn from(error: PlaceError) -> Self {
        CacheError::from(error).into()
    }
}

fn count(failures: usize) -> String {
    match failures {
        0 => "the plan came to a halt: a bug, please report it".to_owned(),
        1 => "a build failed".to_owned(),
        _ => format!("{failures} builds failed"),
    }
}

/// Reads a derivation that is an object of the store.
///
/// # Errors
/// It is not there, or malformed.
pub fn read_derivation(store: &LocalStore, path: &StorePath) -> Result<Derivation, GraphError> {
    let file = store.physical(path);
    let bytes = std::fs::read(&file).map_err(|_| GraphError::MissingDerivation(path.clone()))?;
    from_aterm(&bytes, store.store_dir())
        .map_err(|source| GraphError::Derivation { path: path.clone(), source })
}

/// The outputs of a node as far as they are known.
pub type Outputs = BTreeMap<OutputName, StorePath>;
