//! What can go wrong once a release was accepted.

use osbuild_boot::gpt::Invalid;
use osbuild_boot::law::Forbidden;
use osbuild_format::fat::Foreign;

use crate::Refusal;

pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk does not do as it is told.
    #[error("cannot {action}")]
    Disk { action: &'static str, source: Source },
    /// PRIVATE cannot be written; nothing that depends on it was done.
    #[error("cannot write the record on PRIVATE")]
    Record { source: Source },
    /// What was to be installed could not be read from where it comes from.
    #[error("cannot read the {part} that is to be installed")]
    Payload { part: &'static str, source: std::io::Error },
    /// Neither copy of the partition table can be read.
    #[error("the disk has no valid partition table (primary: {primary:?}, backup: {backup:?})")]
    NoTable { primary: Invalid, backup: Invalid },
    /// The table lacks a partition.
    #[error("the disk has no partition {0} where this system has it")]
    NoPartition(&'static str),
    /// Somebody else changed the slot since it was emptied for this release, or
    /// read for this order.
    #[error("slot {slot} was changed by another program in the meantime")]
    TableChanged { slot: &'static str },
    /// The law does not allow it now.
    #[error("the law of slots forbids it")]
    Forbidden(#[from] Forbidden),
    /// What is in the other slot may not be started.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The hash tree is not the one that the root hash stands for.
    #[error("the hash tree does not lead to the root hash {root_hash}")]
    WrongTree { root_hash: String },
    /// Bytes that are no run of blocks of the root.
    #[error("{bytes} bytes at block {first_block} are no whole blocks of a root of {blocks}")]
    NotBlocks { first_block: u64, bytes: usize, blocks: u64 },
    /// A block that the hash tree does not know; none of its run was written.
    #[error("block {block} of the root is not the release's")]
    WrongBlock { block: u64 },
    /// A kernel image or loader that is not the manifest's.
    #[error("the {part} is not the release's: expected {size} bytes of sha256 {sha256}, got {found}")]
    WrongBytes { part: &'static str, size: u64, sha256: String, found: String },
    /// What was read back is not what belongs there: it was not put, or the
    /// disk lost it.
    #[error("the {part} differs from the release's at byte {offset} as the disk has it")]
    NotReadBack { part: &'static str, offset: u64 },
    /// Manifest and kernel image belong to different releases.
    #[error("the kernel image says {field} is {image:?}, the manifest {manifest:?}")]
    Contradiction { field: &'static str, manifest: String, image: String },
    /// A slot's bytes are not what its own command line promises.
    #[error("slot {slot} is not intact: {what}")]
    NotIntact { slot: &'static str, what: String },
    /// The release in the other slot is not newer than the one that runs.
    #[error("slot {slot} holds release index {index}, not newer than the running one, {running}")]
    NotNewer { slot: &'static str, index: u64, running: u64 },
    /// A loader and a slot are not changed between the same two starts: if the
    /// next one fails, it must be known which of them failed.
    #[error("a slot was activated since the last start, so the loader stays as it is until the next one")]
    SlotActivated,
    /// The ESP is not one of this system's.
    #[error("the ESP is not as this system writes it")]
    ForeignEsp(#[from] Foreign),
    /// The loader is longer than its place.
    #[error("the loader has {size} bytes, its place on the ESP {room}")]
    LoaderTooLarge { size: u64, room: u64 },
}

impl Error {
    /// For `map_err`, with what was being done.
    pub(crate) fn disk<E: std::error::Error + Send + Sync + 'static>(
        action: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Disk { action, source: Box::new(source) }
    }

    pub(crate) fn record<E: std::error::Error + Send + Sync + 'static>(source: E) -> Self {
        Self::Record { source: Box::new(source) }
    }
}
