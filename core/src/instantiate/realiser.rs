//! Building in the middle of an evaluation: import from derivation.
//!
//! Nothing here builds; whoever starts a session says who does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use osbuild_store::StorePath;
use osbuild_store::action::OutputName;

use crate::derivation::Derivation;
use crate::lang::host::Unrealised;

/// Derivations and which of their outputs are needed.
pub type WantedOutputs = BTreeMap<StorePath, BTreeSet<OutputName>>;
/// Where the outputs of derivations are.
pub type MadeOutputs = BTreeMap<StorePath, BTreeMap<OutputName, StorePath>>;
/// Derivations that the session made or met.
pub type Known<'a> = dyn Fn(&StorePath) -> Option<Arc<Derivation>> + 'a;

/// Makes outputs while an evaluation waits for them.
pub trait Realiser: Send + Sync {
    /// # Errors
    /// A build failed or was interrupted.
    fn realise(&self, wanted: &WantedOutputs, known: &Known<'_>) -> Result<MadeOutputs, Unrealised>;
}

/// What happens if a program reads what a derivation makes.
#[derive(Clone, Default)]
pub enum ImportFromDerivation {
    /// The evaluation fails, as in Nix with `allow-import-from-derivation`
    /// off.
    #[default]
    Refuse,
    Build(Arc<dyn Realiser>),
}
