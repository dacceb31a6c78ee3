//! What a repository can get wrong, or somebody who pretends to be one.

use crate::time::Time;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not metadata of the role that was expected, or not in the form of the
    /// specification.
    #[error("{role}: not valid metadata: {what}")]
    Malformed { role: String, what: String },
    /// Fewer signatures hold than the role needs.
    #[error("{role}: {valid} of the {threshold} signatures needed")]
    Threshold { role: String, valid: usize, threshold: u64 },
    /// Something older than what has been trusted before.
    #[error("{role}: version {offered} is older than {trusted}, which was trusted before")]
    Rollback { role: String, trusted: u64, offered: u64 },
    /// Not the version that the metadata above it names.
    #[error("{role}: version {offered} where {expected} is due")]
    WrongVersion { role: String, expected: u64, offered: u64 },
    /// Not the bytes that the metadata above it names.
    #[error("{what}: {problem}")]
    Mismatch { what: String, problem: String },
    /// Too old to be believed.
    #[error("{role}: expired at {expires}; it is {now}")]
    Expired { role: String, expires: Time, now: Time },
    /// A snapshot that no longer names what one before it did.
    #[error("snapshot: {name} was listed before and is not any more")]
    Vanished { name: String },
    /// The metadata above does not name this role.
    #[error("{role}: not named by {by}")]
    Unknown { role: String, by: String },
    /// The repository does not have a file that it must have.
    #[error("{name}: the repository does not have it")]
    Missing { name: String },
    /// No role names this target, or none that may.
    #[error("{name}: no such target")]
    NoTarget { name: String },
    /// The transport gave up.
    #[error("cannot fetch {name}")]
    Transport { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// What is trusted could not be kept, so it is not trusted either.
    #[error("cannot keep the metadata that was verified")]
    Store { source: Box<dyn std::error::Error + Send + Sync> },
}

impl Error {
    pub(crate) fn malformed(role: &str, what: impl Into<String>) -> Self {
        Self::Malformed { role: role.to_owned(), what: what.into() }
    }
}
