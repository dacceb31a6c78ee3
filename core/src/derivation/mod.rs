//! Derivations: what to run, on what, and what comes out.
//!
//! Pure: bytes and values in, bytes and values out. Field for field this is
//! Nix's derivation, so real Nix judges every part of it.

pub mod aterm;
pub mod hash_modulo;
pub mod placeholder;

use std::collections::{BTreeMap, BTreeSet};

use osbuild_store::action::OutputName;
use osbuild_store::{HashAlgorithm, NixHash, StorePath};

/// A build step.
///
/// # Invariants
/// `outputs` is not empty, and its members are all of one kind (Nix's rule).
/// Strings are bytes: Nix does not require UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    pub outputs: BTreeMap<OutputName, Output>,
    /// Derivations whose outputs are needed, each with the outputs needed.
    pub input_derivations: BTreeMap<StorePath, BTreeSet<OutputName>>,
    /// Store objects needed as they are.
    pub input_sources: BTreeSet<StorePath>,
    /// `x86_64-linux`, or `builtin` for builders that are part of this program.
    pub system: Vec<u8>,
    /// An absolute path inside the sandbox, or `builtin:<name>`.
    pub builder: Vec<u8>,
    pub arguments: Vec<Vec<u8>>,
    pub environment: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// How an output is addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Path computed from the inputs.
    InputAddressed(StorePath),
    /// Contents known beforehand; the path follows from them.
    Fixed { path: StorePath, recursive: bool, hash: NixHash },
    /// Contents not known; the path is computed from them after the build.
    Floating { recursive: bool, algorithm: HashAlgorithm },
    /// Input-addressed, but an input is floating: the path is known once the
    /// derivation is resolved.
    Deferred,
}

impl Output {
    /// Where it will be, if that is known beforehand.
    pub fn path(&self) -> Option<&StorePath> {
        match self {
            Self::InputAddressed(path) | Self::Fixed { path, .. } => Some(path),
            Self::Floating { .. } | Self::Deferred => None,
        }
    }
}

impl Derivation {
    /// The one output of a fixed-output derivation.
    pub fn fixed_output(&self) -> Option<(&StorePath, bool, &NixHash)> {
        match self.outputs.values().next() {
            Some(Output::Fixed { path, recursive, hash }) => Some((path, *recursive, hash)),
            _ => None,
        }
    }

    /// An environment entry as UTF-8.
    pub fn environment_text(&self, name: &str) -> Option<&str> {
        self.environment.get(name.as_bytes()).and_then(|v| std::str::from_utf8(v).ok())
    }
}
