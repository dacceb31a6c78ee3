//! Building: one resolved derivation to its outputs.

pub mod builtin;
pub mod environment;
pub mod log;
pub mod memory;
pub mod outputs;
pub(crate) mod prepare;
pub mod run;
pub mod shell;
pub mod surroundings;

use std::path::PathBuf;
use std::time::Duration;

use osbuild_store::action::OutputName;
use osbuild_store::cache::CacheError;
use osbuild_store::{NixHash, StoreError, StorePath};

use crate::fetch::FetchError;
use crate::fetch::lock::listed::Listed;
use crate::remote::RemoteError;
use builtin::BuiltinError;
use builtin::fetchurl::Pin;
use sandbox::SandboxError;

pub use osbuild_sandbox as sandbox;
pub use run::{BuildOptions, Builder, Built, Resolved};
pub use surroundings::Surroundings;

/// Why a build has no outputs.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The builder ran and failed.
    #[error("builder {how}")]
    Failed {
        how: String,
        /// The log's last lines.
        tail: Vec<String>,
        /// The whole log.
        log: PathBuf,
        /// The builder's files, if they were kept.
        kept: Option<PathBuf>,
    },
    /// A built-in builder refused its parameters or inputs.
    #[error("builtin:{name} failed")]
    Builtin { name: String, source: BuiltinError },
    /// The derivation asks for what this program does not have.
    #[error("{what}")]
    Unsupported { what: String, hint: String },
    /// The derivation is not one that can be built: a recipe's fault.
    #[error("{0}")]
    Derivation(String),
    /// The builder ended well but an output is missing or not allowed.
    #[error("output '{output}' {reason}")]
    Output { output: OutputName, reason: String },
    /// A fixed output has other contents than promised.
    #[error("hash mismatch for {what}: expected {expected}, got {actual}")]
    HashMismatch { what: String, expected: NixHash, actual: NixHash },
    /// A second run of the same build gave something else.
    #[error("not reproducible: output '{output}' was {first}, is now {second}")]
    NotReproducible { output: OutputName, first: String, second: String },
    /// An input is neither in the store nor can be made.
    #[error("input {0} is not in the store, and no derivation makes it")]
    MissingInput(StorePath),
    /// A source cannot be fetched; `pin` is the lock entry it comes from,
    /// `listed` what its suite has now.
    #[error("cannot download{}", pin.as_ref().map(|p| format!(" {} {} (lock {})", p.package, p.version, p.lock)).unwrap_or_default())]
    Download { pin: Option<Box<Pin>>, listed: Option<Listed>, source: Box<FetchError> },
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Reading an output to hash it failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cache failed where nothing can take its place.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Another machine was to run it.
    #[error(transparent)]
    Remote(RemoteError),
    /// The builder took longer than allowed.
    #[error("builder was stopped after {} s {what}", limit.as_secs())]
    TimedOut { what: &'static str, limit: Duration, log: PathBuf },
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl BuildError {
    /// Of the builder's log, where it ran and failed.
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::Failed { tail, .. } => tail,
            _ => &[],
        }
    }
}

impl From<RemoteError> for BuildError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Interrupted => Self::Interrupted,
            RemoteError::Store(error) => Self::Store(error),
            error => Self::Remote(error),
        }
    }
}
