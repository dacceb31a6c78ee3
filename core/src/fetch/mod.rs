//! The only room that reaches the network: mirrors, downloads whose bytes are
//! hashed before they count, pinned package lists and how they are resolved.
//!
//! No host name is written here. Where a mirror is, the user's configuration
//! says, or the host's own package tools.

pub mod control;
pub mod download;
pub mod host;
pub mod lock;
pub mod mirror;
pub mod openpgp;
mod partial;
mod small;
pub mod tree;

use std::path::PathBuf;

use osbuild_store::NixHash;

pub use download::{Fetcher, Progress};
pub use mirror::FetchConfig;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A `mirror://NAME/` whose place nobody knows.
    #[error("no mirror is known for mirror://{name}/")]
    NoMirror { name: String },
    /// Every place failed; one line each, in the order tried.
    #[error("cannot fetch {what}\n  {}", attempts.join("\n  "))]
    Unreachable { what: String, attempts: Vec<String> },
    /// Every place answered that it does not have the file.
    #[error("cannot fetch {what}: no mirror serves it any more\n  {}", attempts.join("\n  "))]
    Gone { what: String, attempts: Vec<String> },
    /// The bytes are not those that were asked for.
    #[error("hash mismatch for {url}: expected {expected}, got {actual}")]
    HashMismatch { url: String, expected: NixHash, actual: NixHash },
    /// A suite's index is not signed by a key that the host trusts.
    #[error("{url} is not to be trusted")]
    Untrusted { url: String, source: openpgp::OpenPgpError },
    /// A file that a mirror serves is not what it should be.
    #[error("{what}: {reason}")]
    Malformed { what: String, reason: String },
    /// A lock file or a request in it is wrong.
    #[error("{}: {reason}", path.display())]
    Lock { path: PathBuf, reason: String },
    /// An operation on a file failed.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Client(#[from] osbuild_store::transport::ClientError),
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl FetchError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
