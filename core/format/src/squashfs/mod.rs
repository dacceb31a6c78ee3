//! Squashfs 4.0 by segments.
//!
//! Source: the kernel's `fs/squashfs/squashfs_fs.h`.
//!
//! A segment is one package's data and fragment blocks, compressed once and
//! padded to 4 KiB. Squashfs keeps absolute block starts only in inodes and in
//! the fragment table, so an image is the segments one after the other behind
//! one block for the superblock, then the tables that [`link`] writes. Padding
//! to 4 KiB keeps every segment's verity leaf hashes valid wherever it lands.
//!
//! Bytes are a function of the manifest and the segments alone. Every time
//! stamp is [`TIME`].

pub mod segment;

pub mod link;

pub mod read;

mod metadata;

/// The modification time of every inode and of the file system: 1980-01-01,
/// the first instant that all of FAT, zip and tar can express.
pub const TIME: u32 = 315_532_800;

/// Segments begin at multiples of this, and images end at one.
pub const ALIGNMENT: u64 = 4096;

/// Block size unless a recipe says otherwise.
pub const DEFAULT_BLOCK_BYTES: u32 = 128 * 1024;

pub(crate) const MAGIC: u32 = 0x7371_7368;
pub(crate) const COMPRESSION_ZSTD: u16 = 6;
pub(crate) const FLAG_DUPLICATES: u16 = 0x40;
pub(crate) const FLAG_EXPORTABLE: u16 = 0x80;
pub(crate) const FLAG_NO_XATTRS: u16 = 0x200;
pub(crate) const SUPERBLOCK_BYTES: usize = 96;
/// In a data or fragment block's size field: stored as it is.
pub(crate) const BLOCK_UNCOMPRESSED: u32 = 1 << 24;
pub(crate) const NO_FRAGMENT: u32 = u32::MAX;
pub(crate) const NO_XATTR: u32 = u32::MAX;
/// Inode types; the extended form is the basic one plus seven.
pub(crate) const TYPE_DIRECTORY: u16 = 1;
pub(crate) const TYPE_FILE: u16 = 2;
pub(crate) const TYPE_LINK: u16 = 3;
pub(crate) const EXTENDED: u16 = 7;

/// What cannot be put into, or read from, a squashfs.
#[derive(Debug, thiserror::Error)]
pub enum SquashfsError {
    /// The manifest names a file that its package's segment does not hold.
    #[error(
        "{path}: the segment of {store} holds no file '{file}' (was it excluded there but not when linking?)"
    )]
    NotInSegment { path: String, store: String, file: String },
    /// The manifest and the segment disagree about a file's contents.
    #[error("{path}: the segment of {store} holds other contents of '{file}' than the manifest names")]
    Contents { path: String, store: String, file: String },
    /// The manifest names a package without a segment.
    #[error("{path}: no segment of {store} was given")]
    NoSegment { path: String, store: String },
    /// An extended attribute outside `user.`, `trusted.` and `security.`.
    #[error("{path}: squashfs has no attribute namespace for '{name}'")]
    XattrName { path: String, name: String },
    /// More than a field of the format can count.
    #[error("too many {what} for one squashfs")]
    TooMany { what: &'static str },
    /// Segments of different block sizes cannot share an image.
    #[error("the segment of {store} has blocks of {found} bytes, the image has {expected}")]
    BlockSize { store: String, found: u32, expected: u32 },
    /// A text of the linker's own is longer than a block.
    #[error("{path}: inline text is longer than {limit} bytes")]
    InlineTooLong { path: String, limit: u32 },
    /// A segment's index is no index.
    #[error("not a segment index")]
    Index(#[source] serde_json::Error),
    /// An image read is damaged or uses what this reader does not know.
    #[error("not a squashfs this program reads: {0}")]
    Damaged(&'static str),
    /// Reading the image failed.
    #[error("cannot read the image")]
    Read(#[from] std::io::Error),
}
