//! Builds on other machines, through the Remote Execution API.
//!
//! An action holds the static builder, an order, and the archive of every
//! object that is mounted. A store object's archive hash is the digest that
//! SHA-256 content-addressable storage knows it by, so nothing is hashed twice.
//! Outputs are archives, too: they stay where they were made, as inputs of the
//! next action, until something here needs them.
//!
//! Source: Remote Execution API 2.x, `remote_execution.proto`.

mod action;
mod blobs;
mod build;
mod connection;
mod digest;
mod execute;
mod inputs;
mod place;
mod records;

use std::collections::BTreeMap;
use std::path::PathBuf;

use osbuild_store::StorePath;

pub use build::{RemoteBuilder, RemotelyBuilt, may_run};
pub use connection::Remote;
pub use place::Storage;
pub use records::unused_records;

/// What a user says of a cluster.
#[derive(Clone, Debug, Default)]
pub struct RemoteConfig {
    /// `grpc://HOST:PORT[/INSTANCE]`, or `grpcs://` for TLS.
    pub address: String,
    /// Of the machines that may run actions, as the cluster names them.
    pub properties: BTreeMap<String, String>,
    /// Sent with every call: where tokens go.
    pub headers: BTreeMap<String, String>,
}

/// Why something did not happen on other machines.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Not an address of a cluster.
    #[error("'{0}' is no cluster: expected grpc://HOST:PORT[/INSTANCE] or grpcs://…")]
    Address(String),
    /// A header's name or value that no call can carry.
    #[error("'{0}' is no header that a call can carry")]
    Header(String),
    /// A call failed, for good or more often than it was tried.
    #[error("{address}: cannot {action}: {reason}")]
    Call { address: String, action: &'static str, code: tonic::Code, reason: String },
    /// The cluster lacks what builds need.
    #[error("{address} {lacks}")]
    Unsupported { address: String, lacks: String },
    /// An answer that breaks the protocol, or is not what was promised.
    #[error("{address} gave a wrong answer: {reason}")]
    Wrong { address: String, reason: String },
    /// A machine of the cluster cannot run the builder.
    #[error("{address}: a machine there cannot run the build: {reason}")]
    Machine { address: String, reason: String },
    /// Objects that the cluster had are gone from it.
    #[error("{address} no longer has {}", names(paths))]
    Gone { address: String, paths: Vec<StorePath> },
    /// A file of ours cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] osbuild_store::StoreError),
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

fn names(paths: &[StorePath]) -> String {
    match paths {
        [one] => one.to_string(),
        [one, ..] => format!("{one} and {} more objects", paths.len() - 1),
        [] => "an object".to_owned(),
    }
}

/// Looks whether the user still wants what is being waited for.
type Cancelled<'a> = dyn Fn() -> bool + Sync + 'a;
