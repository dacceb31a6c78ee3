//! What can go wrong with a store, told by whose fault it is.

use std::path::{Path, PathBuf};

use crate::nar::{NarError, TreeError};
use crate::path::{StorePath, StorePathError};

/// A failure of the local store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// The database in `path` refused a statement.
    #[error("cannot {action} in {}", path.display())]
    Database { action: &'static str, path: PathBuf, source: rusqlite::Error },
    /// The database in `path` is none, or holds what no store wrote.
    #[error("the store's database {} is damaged: {reason}", path.display())]
    DamagedDatabase { path: PathBuf, reason: String },
    /// The database was written by a newer program.
    #[error("{} has layout {found}, this program knows layout {known}", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// An archive is malformed, or a tree cannot be archived.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// A tree holds a file of a kind that store objects cannot hold.
    #[error("{} is a {kind}; store objects hold only regular files, directories and symbolic links", path.display())]
    FileKind { path: PathBuf, kind: &'static str },
    /// A tree is nested deeper than [`crate::nar::MAX_DEPTH`].
    #[error("{} is nested more than {} directories deep", path.display(), crate::nar::MAX_DEPTH)]
    TooDeep { path: PathBuf },
    /// An object is not in the store.
    #[error("{0} is not in the store")]
    Missing(StorePath),
    /// A stream of objects is malformed, or holds what nobody vouches for.
    #[error("cannot import: {0}")]
    Import(String),
    /// A name or path breaks the grammar of store paths.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// An object's bytes are not those that were registered.
    #[error("{path} is corrupt: its hash is {actual}, registered as {expected}")]
    Corrupt { path: StorePath, expected: String, actual: String },
}

impl From<TreeError> for StoreError {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Io { action, path, source } => Self::Io { action, path, source },
            TreeError::Nar(error) => Self::Nar(error),
            TreeError::FileKind { path, kind } => Self::FileKind { path, kind },
            TreeError::TooDeep { path } => Self::TooDeep { path },
        }
    }
}

impl StoreError {
    /// For `map_err`: attaches the path and what was being done.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// As [`StoreError::io`], for errors of system calls.
    pub fn os(action: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.to_owned();
        move |errno| Self::Io { action, path, source: errno.into() }
    }

    /// As [`StoreError::io`], for the database in the file `path`.
    pub(crate) fn database(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| {
            if is_damage(&source) {
                Self::DamagedDatabase { path, reason: format!("cannot {action}: {source}") }
            } else {
                Self::Database { action, path, source }
            }
        }
    }
}

/// Whether a statement failed for what the database holds. All statements are
/// ours, so one that cannot be compiled misses a table or a column.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::{Error, ErrorCode, ffi};
    match error {
        Error::SqliteFailure(error, _) | Error::SqlInputError { error, .. } => {
            matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                || error.extended_code == ffi::SQLITE_ERROR
                // What the head of the file says of itself, not the disk.
                || error.extended_code == ffi::SQLITE_IOERR_SHORT_READ
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// An error and its causes on one line, each said once.
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// Whether an error, or what caused it, is that a disk is full: ours, another
/// crate's, or the database's.
pub fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            );
        }
        if let Some(rusqlite::Error::SqliteFailure(error, _)) = error.downcast_ref() {
            // The shared memory beside the database is a file like any other.
            return error.code == rusqlite::ErrorCode::DiskFull
                || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
        }
        cause = error.source();
    }
    false
}
