//! Metadata blocks: 8 KiB of tables, compressed, behind a two-byte header.

use super::segment::Compressor;

pub(super) const METADATA_BYTES: usize = 8192;
const METADATA_UNCOMPRESSED: u16 = 1 << 15;

/// A place in a table: where its block begins, and the offset inside it once
/// decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) block: u32,
    pub(super) offset: u16,
}

impl Position {
    /// The form in which the superblock and tables refer to it.
    pub(super) fn reference(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }
}

/// Collects a table and cuts it into metadata blocks.
pub(super) struct MetadataWriter<'c> {
    compressor: &'c mut Compressor,
    stored: Vec<u8>,
    pending: Vec<u8>,
    /// Where each block begins in `stored`.
    starts: Vec<u64>,
}

impl<'c> MetadataWriter<'c> {
    pub(super) fn new(compressor: &'c mut Compressor) -> Self {
        Self { compressor, stored: Vec::new(), pending: Vec::new(), starts: Vec::new() }
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> Position {
        let block = u32::try_from(self.stored.len()).expect("tables stay below 4 GiB");
        Position { block, offset: u16::try_from(self.pending.len()).expect("below 8 KiB") }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let take = bytes.len().min(METADATA_BYTES - self.pending.len());
            self.pending.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.pending.len() == METADATA_BYTES {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.starts.push(self.stored.len() as u64);
        let compressed = self.compressor.compress(&self.pending);
        let (bytes, flag) = match &compressed {
            Some(bytes) => (bytes, 0),
            None => (&self.pending, METADATA_UNCOMPRESSED),
        };
        let header = u16::try_from(bytes.len()).expect("at most 8 KiB") | flag;
        self.stored.extend_from_slice(&header.to_le_bytes());
        self.stored.extend_from_slice(bytes);
        self.pending.clear();
    }

    /// The stored table, and where each of its blocks begins in it.
    pub(super) fn finish(mut self) -> (Vec<u8>, Vec<u64>) {
        self.flush();
        (self.stored, self.starts)
    }
}
