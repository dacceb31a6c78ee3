//! One package's files as a run of compressed blocks.
//!
//! The caller reads files in the order of their paths and hands over raw
//! blocks; it may compress them on as many cores as it likes, as long as it
//! gives the results back in the order in which the blocks came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ALIGNMENT, BLOCK_UNCOMPRESSED, SquashfsError};

/// Where a segment's files are in its data; the `index` output, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentIndex {
    pub schema: u32,
    pub block_bytes: u32,
    pub level: i32,
    /// Size of the data, a multiple of [`ALIGNMENT`].
    pub data_bytes: u64,
    pub fragments: Vec<FragmentBlock>,
    /// By path relative to the package.
    pub files: BTreeMap<String, SegmentFile>,
}

/// A block that holds several small files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FragmentBlock {
    /// From the segment's begin.
    pub start: u64,
    /// As squashfs stores it: bit 24 set means not compressed.
    pub size: u32,
}

/// One file of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentFile {
    pub size: u64,
    /// Of the contents, lower-case hexadecimal.
    pub blake3: String,
    /// From the segment's begin; of the first block.
    pub start: u64,
    /// Size fields of the data blocks; zero is a hole.
    pub blocks: Vec<u32>,
    /// Number of the fragment block within the segment, and the offset in it.
    pub fragment: Option<(u32, u32)>,
}

impl SegmentIndex {
    /// # Errors
    /// [`SquashfsError::Index`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SquashfsError> {
        serde_json::from_slice(bytes).map_err(SquashfsError::Index)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an index is plain data")
    }
}

/// Compresses blocks: one zstd frame each, with the pinned libzstd.
///
/// Reused between blocks, since making a context costs as much as a block.
pub struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    /// # Panics
    /// If the level is not one of libzstd's; recipes are checked before.
    pub fn new(level: i32) -> Self {
        Self(zstd::bulk::Compressor::new(level).expect("libzstd clamps levels and has memory"))
    }

    /// The compressed bytes, or none if they would not be fewer.
    pub fn compress(&mut self, raw: &[u8]) -> Option<Vec<u8>> {
        let compressed = self.0.compress(raw).expect("the buffer is libzstd's own bound");
        (compressed.len() < raw.len()).then_some(compressed)
    }
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The next part of the file with this number.
    File(usize),
    /// Small files.
    Fragment,
}

/// A block as it was read.
pub struct RawBlock {
    pub owner: Owner,
    pub bytes: Vec<u8>,
}

/// A block as it goes to the disk.
pub struct StoredBlock {
    pub owner: Owner,
    /// Empty for a hole.
    pub bytes: Vec<u8>,
    size: u32,
}

impl RawBlock {
    /// Compresses the block; a file's block of zeros becomes a hole.
    pub fn store(self, compressor: &mut Compressor) -> StoredBlock {
        let owner = self.owner;
        if matches!(owner, Owner::File(_)) && self.bytes.iter().all(|b| *b == 0) {
            return StoredBlock { owner, bytes: Vec::new(), size: 0 };
        }
        match compressor.compress(&self.bytes) {
            Some(bytes) => StoredBlock { owner, size: bytes.len() as u32, bytes },
            None => {
                StoredBlock { owner, size: self.bytes.len() as u32 | BLOCK_UNCOMPRESSED, bytes: self.bytes }
            }
        }
    }
}

struct File {
    path: String,
    entry: SegmentFile,
    /// The earlier file whose blocks this one shares.
    duplicate_of: Option<usize>,
}

/// Lays files out; the owner of a segment's [`SegmentIndex`] until it is done.
pub struct SegmentWriter {
    block_bytes: u32,
    level: i32,
    files: Vec<File>,
    /// Small files that wait for their block to fill.
    fragment: Vec<u8>,
    fragments_planned: u32,
    fragments: Vec<FragmentBlock>,
    position: u64,
}

impl SegmentWriter {
    pub fn new(block_bytes: u32, level: i32) -> Self {
        Self {
            block_bytes,
            level,
            files: Vec::new(),
            fragment: Vec::new(),
            fragments_planned: 0,
            fragments: Vec::new(),
            position: 0,
        }
    }

    /// Size of every data block but a file's last.
    pub fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// True if a file of this size goes into a fragment block, whole. Larger
    /// ones end in a short block of their own, as mksquashfs does it.
    pub fn is_small(&self, size: u64) -> bool {
        size < u64::from(self.block_bytes)
    }

    /// Adds a file whose contents are an earlier one's.
    pub fn add_duplicate(&mut self, path: String, original: usize) -> usize {
        let entry = self.files[original].entry.clone();
        self.push(path, entry, Some(original))
    }

    /// Adds a small file; the result is its number, and a fragment block that
    /// had no room left for it.
    ///
    /// # Panics
    /// If the file is not small.
    pub fn add_small(&mut self, path: String, contents: &[u8], blake3: String) -> (usize, Option<RawBlock>) {
        assert!(self.is_small(contents.len() as u64));
        let full = self.fragment.len() + contents.len() > self.block_bytes as usize;
        let flushed = if full { self.take_fragment() } else { None };
        let fragment = (!contents.is_empty()).then_some((self.fragments_planned, self.fragment.len() as u32));
        self.fragment.extend_from_slice(contents);
        let size = contents.len() as u64;
        let entry = SegmentFile { size, blake3, start: 0, blocks: Vec::new(), fragment };
        (self.push(path, entry, None), flushed)
    }

    /// Adds a file that is not small. Its blocks follow, each of the block
    /// size but the last, as [`Owner::File`] with the number returned.
    pub fn add_large(&mut self, path: String, size: u64, blake3: String) -> usize {
        let entry = SegmentFile { size, blake3, start: u64::MAX, blocks: Vec::new(), fragment: None };
        self.push(path, entry, None)
    }

    /// The last fragment block.
    pub fn take_fragment(&mut self) -> Option<RawBlock> {
        if self.fragment.is_empty() {
            return None;
        }
        self.fragments_planned += 1;
        Some(RawBlock { owner: Owner::Fragment, bytes: std::mem::take(&mut self.fragment) })
    }

    /// Notes that a block was written behind all earlier ones.
    pub fn written(&mut self, block: &StoredBlock) {
        match block.owner {
            Owner::File(number) => {
                let entry = &mut self.files[number].entry;
                if entry.start == u64::MAX {
                    entry.start = self.position;
                }
                entry.blocks.push(block.size);
            }
            Owner::Fragment => {
                self.fragments.push(FragmentBlock { start: self.position, size: block.size });
            }
        }
        self.position += block.bytes.len() as u64;
    }

    /// The index, and how many zero bytes end the data.
    ///
    /// # Panics
    /// If a planned fragment block was not written.
    pub fn finish(mut self) -> (SegmentIndex, usize) {
        assert!(self.fragment.is_empty() && self.fragments.len() == self.fragments_planned as usize);
        for number in 0..self.files.len() {
            if let Some(original) = self.files[number].duplicate_of {
                self.files[number].entry = self.files[original].entry.clone();
            }
        }
        let data_bytes = self.position.next_multiple_of(ALIGNMENT);
        let index = SegmentIndex {
            schema: 1,
            block_bytes: self.block_bytes,
            level: self.level,
            data_bytes,
            fragments: self.fragments,
            files: self.files.into_iter().map(|f| (f.path, f.entry)).collect(),
        };
        (index, (data_bytes - self.position) as usize)
    }

    fn push(&mut self, path: String, entry: SegmentFile, duplicate_of: Option<usize>) -> usize {
        self.files.push(File { path, entry, duplicate_of });
        self.files.len() - 1
    }
}
