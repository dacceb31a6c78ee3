//! Blocks of a squashfs: metadata, contents of files, and what unpacks them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use crate::fields::{le16, le32, le64};
use crate::limits::Limits;
use crate::opened::Stored;
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

const METADATA_BYTES: usize = 8192;
const METADATA_PLAIN: u16 = 0x8000;
const BLOCK_PLAIN: u32 = 1 << 24;
/// Metadata blocks that are kept unpacked: 16 MiB.
const KEPT_BLOCKS: usize = 2048;

/// An image's blocks.
pub(super) struct Image {
    source: Source,
    block_bytes: u32,
    compressor: Compressor,
    /// By their places; each with where the next one is.
    metadata: RefCell<BTreeMap<u64, (Block, u64)>>,
    /// The block of small files that was asked for last, by its place.
    fragment: RefCell<Option<(u64, Block)>>,
}

type Block = Rc<Vec<u8>>;

#[derive(Clone, Copy)]
enum Compressor {
    Zlib,
    Xz,
    Zstd,
}

/// In a table of metadata blocks: a block's place, and an offset in what it
/// unpacks to.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) block: u64,
    pub(super) offset: usize,
}

/// Where the end of a file is among those of other small files.
#[derive(Clone, Copy)]
pub(super) struct Fragment {
    pub(super) start: u64,
    pub(super) size: u32,
    pub(super) offset: u32,
}

impl Image {
    pub(super) fn new(source: Source, block_bytes: u32, compressor: u16) -> Result<Self, Refusal> {
        let compressor = match compressor {
            1 => Compressor::Zlib,
            4 => Compressor::Xz,
            6 => Compressor::Zstd,
            other => {
                return Err(Refusal::Beyond(format!("it is compressed in way {other}, which is not read")));
            }
        };
        let (metadata, fragment) = (RefCell::default(), RefCell::default());
        Ok(Self { source, block_bytes, compressor, metadata, fragment })
    }

    pub(super) fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    pub(super) fn raw(&self, at: u64, count: usize) -> Result<Vec<u8>, Refusal> {
        self.source.bytes(at, count)
    }

    /// Bytes of a table from `at` on, over as many blocks as it takes. The
    /// result only grows with what was read.
    pub(super) fn metadata(&self, at: &mut Position, count: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let (block, next) = self.metadata_block(at.block)?;
            let rest = block.get(at.offset..).ok_or(CUT_OFF)?;
            let part = &rest[..rest.len().min(count - bytes.len())];
            bytes.extend_from_slice(part);
            at.offset += part.len();
            if at.offset == block.len() {
                *at = Position { block: next, offset: 0 };
            }
        }
        Ok(bytes)
    }

    /// A table that is found by a list of its blocks' places.
    pub(super) fn indexed(&self, list: u64, total: usize, limits: &Limits) -> Result<Vec<u8>, Refusal> {
        if total as u64 > limits.table_bytes {
            return Err(Refusal::Beyond("a table is too large".to_owned()));
        }
        let list = self.raw(list, total.div_ceil(METADATA_BYTES) * 8)?;
        let mut bytes = Vec::new();
        for place in list.chunks_exact(8) {
            bytes.extend_from_slice(&self.metadata_block(le64(place, 0)?)?.0);
        }
        if bytes.len() < total {
            return Err(CUT_OFF);
        }
        bytes.truncate(total);
        Ok(bytes)
    }

    fn metadata_block(&self, at: u64) -> Result<(Rc<Vec<u8>>, u64), Refusal> {
        if let Some((block, next)) = self.metadata.borrow().get(&at) {
            return Ok((block.clone(), *next));
        }
        let header = le16(&self.raw(at, 2)?, 0)?;
        let size = usize::from(header & !METADATA_PLAIN);
        if size == 0 || size > METADATA_BYTES {
            return Err(Refusal::Malformed("a metadata block has an impossible size"));
        }
        let stored = self.raw(at + 2, size)?;
        let is_plain = header & METADATA_PLAIN != 0;
        let block = Rc::new(if is_plain { stored } else { self.unpacked(&stored, METADATA_BYTES)? });
        if block.is_empty() {
            return Err(Refusal::Malformed("a metadata block is empty"));
        }
        let next = at + 2 + size as u64;
        let mut kept = self.metadata.borrow_mut();
        if kept.len() >= KEPT_BLOCKS {
            kept.clear();
        }
        kept.insert(at, (block.clone(), next));
        Ok((block, next))
    }

    /// A block of files' contents.
    fn block(&self, at: u64, size: u32) -> Result<Vec<u8>, Refusal> {
        let count = size & !BLOCK_PLAIN;
        if count > self.block_bytes {
            return Err(Refusal::Malformed("a block is larger than blocks are"));
        }
        let stored = self.raw(at, count as usize)?;
        if size & BLOCK_PLAIN != 0 { Ok(stored) } else { self.unpacked(&stored, self.block_bytes as usize) }
    }

    fn fragment_block(&self, at: u64, size: u32) -> Result<Rc<Vec<u8>>, Refusal> {
        if let Some((place, block)) = &*self.fragment.borrow()
            && *place == at
        {
            return Ok(block.clone());
        }
        let block = Rc::new(self.block(at, size)?);
        *self.fragment.borrow_mut() = Some((at, block.clone()));
        Ok(block)
    }

    fn unpacked(&self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
        const DAMAGED: Refusal = Refusal::Malformed("a block does not unpack");
        let mut unpacked = Vec::new();
        // One more than there may be, so that more is seen.
        let most = limit as u64 + 1;
        let done = match self.compressor {
            Compressor::Zlib => flate2::read::ZlibDecoder::new(bytes).take(most).read_to_end(&mut unpacked),
            Compressor::Xz => liblzma::read::XzDecoder::new(bytes).take(most).read_to_end(&mut unpacked),
            Compressor::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| DAMAGED)?;
                decoder.take(most).read_to_end(&mut unpacked)
            }
        };
        if done.is_err() || unpacked.len() > limit { Err(DAMAGED) } else { Ok(unpacked) }
    }
}

/// A file's contents; `sizes` are the size fields of its blocks.
pub(super) fn file(
    image: &Rc<Image>,
    start: u64,
    size: u64,
    sizes: &[u8],
    fragment: Option<Fragment>,
) -> Result<Stored, Refusal> {
    let mut pieces = Vec::new();
    let mut at = start;
    for field in sizes.chunks_exact(4) {
        let field = le32(field, 0)?;
        let stored = u64::from(field & !BLOCK_PLAIN);
        pieces.push((image.source.range(at, stored).ok_or(CUT_OFF)?, u64::from(field)));
        at += stored;
    }
    if let Some(Fragment { start, size, offset }) = fragment {
        let piece = image.source.range(start, u64::from(size & !BLOCK_PLAIN)).ok_or(CUT_OFF)?;
        pieces.push((piece, u64::from(offset) << 32 | u64::from(size)));
    }
    let (image, sizes) = (image.clone(), sizes.to_vec());
    let unpack = Box::new(move |scratch: &Scratch| unpack(&image, start, size, &sizes, fragment, scratch));
    Ok(Stored { size, pieces, unpack })
}

fn unpack(
    image: &Image,
    start: u64,
    size: u64,
    sizes: &[u8],
    fragment: Option<Fragment>,
    scratch: &Scratch,
) -> Result<Source, Refusal> {
    let mut spool = scratch.spool();
    let (mut at, mut left) = (start, size);
    for field in sizes.chunks_exact(4) {
        let field = le32(field, 0)?;
        let expected = left.min(u64::from(image.block_bytes));
        let block = match field {
            // A hole.
            0 => vec![0; expected as usize],
            field => image.block(at, field)?,
        };
        if block.len() as u64 != expected {
            return Err(Refusal::Malformed("a block has another length than its file needs"));
        }
        spool.write(&block)?;
        at += u64::from(field & !BLOCK_PLAIN);
        left -= expected;
    }
    if let Some(Fragment { start, size, offset }) = fragment {
        let block = image.fragment_block(start, size)?;
        let part = block.get(offset as usize..).and_then(|rest| rest.get(..usize::try_from(left).ok()?));
        spool.write(part.ok_or(CUT_OFF)?)?;
        left = 0;
    }
    if left == 0 { Ok(spool.finish()) } else { Err(CUT_OFF) }
}
