//! NAR, the archive whose bytes depend on a tree's contents and nothing else.
//!
//! Source: Nix manual, "Nix Archive (NAR) format". A string is a 64-bit
//! little-endian length, the bytes, and zeros up to a multiple of eight.

pub mod canonical;
mod dump;
mod mentions;
mod read;
mod unpack;
mod write;

use std::path::{Path, PathBuf};

pub use dump::{dump_file, dump_path, kind_name};
pub use mentions::{DIGEST_BYTES, MentionScanner};
pub use read::{NarVisitor, read_nar};
pub use unpack::{At, Finish, Made, Unpacker, Writing, unpack, unpack_canonical};
pub use write::NarWriter;

/// How deep directories may nest. The format has no limit; a stack has.
pub const MAX_DEPTH: usize = 1024;

/// The first string of every archive.
pub(crate) const MAGIC: &[u8] = b"nix-archive-1";

/// An archive that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// Reading from or writing to the stream failed.
    #[error("cannot {action} an archive")]
    Stream { action: &'static str, source: std::io::Error },
    /// The bytes at `offset` are not what the format asks for.
    #[error("malformed archive at byte {offset}: {reason}")]
    Malformed { offset: u64, reason: &'static str },
    /// A file has another size than its directory entry said, so it changed
    /// while it was read.
    #[error("{} changed while it was read", path.display())]
    Changed { path: PathBuf },
}

/// A tree that cannot be archived or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// The archive is malformed, or cannot be read or written.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// A file of a kind that archives cannot hold.
    #[error("{} is a {kind}; archives hold only regular files, directories and symbolic links", path.display())]
    FileKind { path: PathBuf, kind: &'static str },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("{} is nested more than {MAX_DEPTH} directories deep", path.display())]
    TooDeep { path: PathBuf },
}

impl TreeError {
    /// For `map_err`: attaches the path and what was being done.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// As [`TreeError::io`], for errors of system calls.
    pub fn os(action: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.to_owned();
        move |errno| Self::Io { action, path, source: errno.into() }
    }
}
