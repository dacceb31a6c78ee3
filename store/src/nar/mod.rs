//! NAR, the archive whose bytes depend on a tree's contents and nothing else.
//!
//! Source: Nix manual, "Nix Archive (NAR) format". A string is a 64-bit
//! little-endian length, the bytes, and zeros up to a multiple of eight.

pub mod dump;
pub mod read;
pub mod unpack;
pub mod write;

pub use dump::{dump_path, dump_tree};
pub use read::{NarVisitor, read_nar};
pub use unpack::unpack;
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
    Changed { path: std::path::PathBuf },
}
