use std::io;
use std::path::{Path, PathBuf};

use osbuild_store::cache::place::PlaceError;
use osbuild_tuf::time::Time;
use osbuild_update::documents::DocumentError;

/// Why a repository was not changed, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// There is no repository of ours.
    #[error("{path} is no repository: it holds no {file}")]
    NotARepository { path: PathBuf, file: &'static str },
    /// `init` would write over something.
    #[error("{path} exists already")]
    Exists { path: PathBuf },
    /// Whoever may read the repository could read its keys.
    #[error("{path} is inside the repository {repository}; private keys are kept elsewhere")]
    KeyInside { path: PathBuf, repository: PathBuf },
    /// The policy cannot be used.
    #[error("{path}: {what}")]
    Policy { path: PathBuf, what: String },
    /// A key that cannot be used, or not by whoever asks.
    #[error("key '{key}': {what}")]
    Key { key: String, what: String },
    /// Not enough of a role's keys are at hand.
    #[error("{role} needs {threshold} signatures, and only {have} of its keys can sign here{}", reasons(.missing))]
    KeysMissing { role: String, threshold: u64, have: usize, missing: Vec<String> },
    /// A name or a number that the user gave is not one.
    #[error("{0}")]
    Argument(String),
    /// What is to be published is no release, or not this one.
    #[error("{path}: {what}")]
    Release { path: PathBuf, what: String },
    /// Published before, with other bytes.
    #[error("{version} of {variant} is published already, with another {what}")]
    Changed { variant: String, version: String, what: &'static str },
    /// A rule of publishing that the release does not keep.
    #[error("{0}")]
    Rule(String),
    /// What the repository says is not to be believed.
    #[error(transparent)]
    Tuf(#[from] osbuild_tuf::Error),
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// What was just made would be refused by those who follow it: nothing of it
    /// was put into place.
    #[error("the repository would no longer be believed, so nothing was changed")]
    SelfCheck(#[source] osbuild_tuf::Error),
    /// Somebody else published since.
    #[error("{place} is at timestamp {theirs}, newer than {ours} here: somebody published from elsewhere")]
    Behind { place: String, ours: u64, theirs: u64 },
    /// A target's bytes.
    #[error("{name}: {problem}")]
    Target { name: String, problem: String },
    /// The record of signings was changed.
    #[error("{path}: line {line}: {problem}")]
    Audit { path: PathBuf, line: usize, problem: String },
    /// Nothing may be signed that has expired the moment it is.
    #[error(
        "it is {now}, which is before {signed}, when this repository was signed last: is the clock right?"
    )]
    Clock { now: Time, signed: Time },
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("cannot {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

fn reasons(missing: &[String]) -> String {
    missing.iter().map(|reason| format!("; {reason}")).collect()
}

/// For `map_err`: what was being done to which path.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RepoError + use<> {
    let path = path.to_owned();
    move |source| RepoError::Io { action, path, source }
}
