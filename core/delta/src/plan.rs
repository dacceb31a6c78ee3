//! A delta's head: what is to be done, before any of it is done.
//!
//! All numbers are little-endian; a *number* without a size is of
//! seven bits a byte, least first, the eighth bit set in all but the last, and
//! a *signed number* is one with its sign in the lowest bit.
//!
//! ```text
//! offset bytes
//!      0     8  "osbdelta"
//!      8     4  version: 1
//!     12     4  bytes of the index as stored
//!     16     4  bytes of the index
//!     20     4  zero
//!     24     8  memory that applying takes, in bytes
//!     32     8  bytes of the old image
//!     40    32  SHA-256 of the old image
//!     72     8  bytes of the new image
//!     80    32  SHA-256 of the new image
//!    112        the index as stored: one zstd frame
//!               the payloads of the steps, in order, nothing between them
//! ```
//!
//! The index is a sequence of steps, each of which makes the next bytes of the
//! new image:
//!
//! ```text
//! 0  COPY  signed number: where it begins in the old image, counted from the
//!          end of the COPY before (or from 0)
//!          number: bytes
//! 1  MAKE  number: bytes of the new image
//!          number: bytes of the reference, unpacked
//!          number of pieces of the reference, and for each
//!              signed number: where it begins in the old image, from the end
//!              of the piece before, of whichever step (or from 0)
//!              number: bytes there, times two, plus one if it is a zstd frame
//!          number of cuts, and for each
//!              number: frames
//!              number: bytes of each, unpacked
//!              number: form, plus four times the level of zstd
//!          number: bytes of the control stream as stored
//!          number: bytes of the difference stream as stored
//!          number: bytes of the extra stream as stored
//! ```
//!
//! The payload of a MAKE is its three streams, each one zstd frame, or nothing
//! where the stream is empty. The pieces of the reference, unpacked and one
//! after the other, are what the patch is applied to: the control stream is a
//! sequence of (signed number: by how much the place in the reference moves,
//! number: bytes to take from there and add to as many of the difference stream,
//! byte by byte, number: bytes to take from the extra stream). The unpacked
//! bytes that come out are cut as told and packed again:
//!
//! ```text
//! form 0  as they are; the level is 0
//!      1  a data or fragment block of squashfs: one zstd frame, or as it is if
//!         that is not shorter
//!      2  a metadata block of squashfs: the same behind its two bytes of size
//!      3  a kernel as `osbuild_format::kernel::Packer` packs it
//! ```
//!
//! So a literal is a MAKE without reference. A step's place in the new image and
//! in the delta follow from those before it, so work can go on at any step
//! ([`Plan::resume_at`]) with a request for the rest of the file.

use std::io::Read;

use osbuild_format::kernel::PACKER_BYTES;

use crate::varint::{take, unfold};
use crate::{Error, Identity, Result};

pub(crate) const MAGIC: &[u8; 8] = b"osbdelta";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER_BYTES: usize = 112;
pub(crate) const COPY: u64 = 0;
pub(crate) const MAKE: u64 = 1;

/// What applying may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes, with all buffers and contexts, but not what the
    /// program holds besides.
    pub memory_bytes: u64,
    /// Size of the new image: of the partition that it is for.
    pub new_bytes: u64,
}

impl Limits {
    /// A node that has 128 MiB for the work, 16 of them for the program itself.
    pub fn for_partition(new_bytes: u64) -> Self {
        Self { memory_bytes: 112 << 20, new_bytes }
    }
}

/// What a delta is for and what its steps are.
///
/// # Invariants
/// Steps make the new image without a gap, read nothing outside the old one,
/// and stay within the limits that were given and those that the delta states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(crate) old: Identity,
    pub(crate) new: Identity,
    pub(crate) memory_bytes: u64,
    pub(crate) head_bytes: u64,
    pub(crate) steps: Vec<Step>,
}

/// The next bytes of the new image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where they are in the new image.
    pub output_offset: u64,
    pub output_bytes: u64,
    /// Where the payload is in the delta.
    pub delta_offset: u64,
    pub delta_bytes: u64,
    pub(crate) action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Copy { old_offset: u64 },
    Make(Make),
}

/// How bytes come out of a patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Make {
    pub(crate) reference_bytes: u64,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) cuts: Vec<Cut>,
    pub(crate) control_bytes: u64,
    pub(crate) difference_bytes: u64,
    pub(crate) extra_bytes: u64,
}

/// A run of the old image that is part of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u64,
    pub(crate) stored_bytes: u32,
    pub(crate) is_frame: bool,
}

/// Frames that follow each other and are packed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) frames: u64,
    /// Of each frame, unpacked.
    pub(crate) bytes: u64,
    pub(crate) form: Form,
}

/// How unpacked bytes are stored in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Block { level: i32 },
    Metadata { level: i32 },
    Kernel { level: i32 },
}

/// The largest block and metadata block of squashfs.
const MAX_BLOCK_BYTES: u64 = 1 << 20;
const MAX_METADATA_BYTES: u64 = 8192;

/// More than an index of any image of a gigabyte; decoded, some 16 MiB at most.
const MAX_INDEX_BYTES: u32 = 1 << 20;

/// How far the streams of a patch may reach back, as a power of two, and what
/// reading one takes of memory with that.
pub(crate) const STREAM_WINDOW_LOG: u32 = 22;
const STREAM_BYTES: u64 = (1 << STREAM_WINDOW_LOG) + (512 << 10);

/// Buffers, and a context to decompress with.
const BUFFERS_BYTES: u64 = 1 << 20;

/// All bytes unpacked, of references and of results, in relation to those of
/// both images. Only a delta that is to keep a node busy has more: frames of
/// squashfs shrink to a fourth, tables to a tenth at best.
const MAX_UNPACKED: u64 = 32;
const UNPACKED_ALWAYS_BYTES: u64 = 64 << 20;

impl Plan {
    /// Reads the head of a delta and leaves the reader at the first payload.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Version`], [`Error::Limit`] or
    /// [`Error::ReadDelta`].
    pub fn read(delta: &mut impl Read, limits: &Limits) -> Result<Self> {
        let mut header = [0; HEADER_BYTES];
        delta.read_exact(&mut header).map_err(Error::ReadDelta)?;
        if header[..8] != *MAGIC {
            return Err(Error::delta("it does not begin as one"));
        }
        let version = u32_at(&header, 8);
        if version != VERSION {
            return Err(Error::Version { what: "the delta", version });
        }
        let (stored, unpacked) = (u32_at(&header, 12), u32_at(&header, 16));
        let memory_bytes = u64_at(&header, 24);
        let identity = |at| Identity {
            bytes: u64_at(&header, at),
            sha256: header[at + 8..at + 40].try_into().expect("32"),
        };
        let (old, new) = (identity(32), identity(72));
        if u32_at(&header, 20) != 0 {
            return Err(Error::delta("its reserved field is not zero"));
        }
        for (what, needed, limit) in [
            ("memory", memory_bytes, limits.memory_bytes),
            ("space", new.bytes, limits.new_bytes),
            ("index", u64::from(stored.max(unpacked)), u64::from(MAX_INDEX_BYTES)),
        ] {
            check_limit(what, needed, limit)?;
        }
        let mut packed = vec![0; stored as usize];
        delta.read_exact(&mut packed).map_err(Error::ReadDelta)?;
        let mut index = vec![0; unpacked as usize];
        let written = zstd::bulk::decompress_to_buffer(&packed, index.as_mut_slice());
        if written.ok() != Some(index.len()) {
            return Err(Error::delta("its index does not decompress to the size stated"));
        }
        let head_bytes = HEADER_BYTES as u64 + u64::from(stored);
        let steps = IndexReader { rest: &index, old_bytes: old.bytes, copy_end: 0, piece_end: 0 }
            .steps(head_bytes)?;
        let plan = Self { old, new, memory_bytes, head_bytes, steps };
        plan.check()?;
        Ok(plan)
    }

    /// The image that the delta is from. Whoever applies it compares it with
    /// what is known of the running slot: another one cannot end well.
    pub fn old(&self) -> Identity {
        self.old
    }

    pub fn new_image(&self) -> Identity {
        self.new
    }

    /// What the delta says that applying takes of memory; no step takes more.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Size of the whole delta.
    pub fn delta_bytes(&self) -> u64 {
        self.steps.last().map_or(self.head_bytes, |last| last.delta_offset + last.delta_bytes)
    }

    /// The first step that is still to be done when the new image is known to be
    /// right up to some byte. Its `delta_offset` is where to read on.
    pub fn resume_at(&self, good_bytes: u64) -> usize {
        self.steps.partition_point(|step| step.output_offset + step.output_bytes <= good_bytes)
    }

    /// What applying takes of memory, as reckoned from the steps.
    pub(crate) fn needed_bytes(steps: &[Step]) -> u64 {
        let (mut largest, mut listed) = (0, std::mem::size_of_val(steps) as u64);
        for step in steps {
            if let Action::Make(make) = &step.action {
                largest = largest.max(make.memory_bytes());
                listed += std::mem::size_of_val(make.pieces.as_slice()) as u64;
                listed += std::mem::size_of_val(make.cuts.as_slice()) as u64;
            }
        }
        BUFFERS_BYTES + largest + listed
    }

    fn check(&self) -> Result<()> {
        let made = self.steps.last().map_or(0, |last| last.output_offset + last.output_bytes);
        if made != self.new.bytes {
            return Err(Error::delta("its steps make another size than it states"));
        }
        let most = self.old.bytes.saturating_add(self.new.bytes).saturating_mul(MAX_UNPACKED);
        let unpacked = self.steps.iter().fold(0u64, |sum, step| match &step.action {
            Action::Copy { .. } => sum,
            Action::Make(make) => {
                sum.saturating_add(make.reference_bytes).saturating_add(make.unpacked_bytes())
            }
        });
        check_limit("unpacked data", unpacked, most.saturating_add(UNPACKED_ALWAYS_BYTES))?;
        // So that a node that has looked at the header alone knows.
        check_limit("memory", Self::needed_bytes(&self.steps), self.memory_bytes)
    }
}

impl Make {
    /// Bytes that the patch makes. The reader has checked that they fit.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.cuts.iter().fold(0, |sum: u64, cut| sum.saturating_add(cut.frames.saturating_mul(cut.bytes)))
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        let frames = self.pieces.iter().filter(|piece| piece.is_frame);
        let loading = frames.map(|piece| u64::from(piece.stored_bytes)).max().unwrap_or(0);
        let packing = self.cuts.iter().map(|cut| cut.form.memory_bytes(cut.bytes)).max().unwrap_or(0);
        let streams = [self.control_bytes, self.difference_bytes, 3 * STREAM_BYTES, packing];
        let patching = streams.into_iter().fold(0, u64::saturating_add);
        self.reference_bytes.saturating_add(loading.max(patching))
    }
}

impl Form {
    #[cfg(feature = "make")]
    pub(crate) fn number(self) -> u64 {
        let (form, level) = match self {
            Self::Plain => (0, 0),
            Self::Block { level } => (1, level),
            Self::Metadata { level } => (2, level),
            Self::Kernel { level } => (3, level),
        };
        form | (level as u64) << 2
    }

    fn from_number(number: u64) -> Option<Self> {
        let level = i32::try_from(number >> 2).ok().filter(|level| (0..=22).contains(level))?;
        match (number & 3, level) {
            (0, 0) => Some(Self::Plain),
            (1, 1..) => Some(Self::Block { level }),
            (2, 1..) => Some(Self::Metadata { level }),
            (3, 1..) => Some(Self::Kernel { level }),
            _ => None,
        }
    }

    /// The most bytes that a frame may hold.
    fn max_bytes(self) -> u64 {
        match self {
            Self::Plain => u64::MAX,
            Self::Block { .. } => MAX_BLOCK_BYTES,
            Self::Metadata { .. } => MAX_METADATA_BYTES,
            Self::Kernel { .. } => u64::from(u32::MAX),
        }
    }

    /// What packing takes of memory: for a block, libzstd's tables of twice as
    /// many entries as it has bytes, in and out, and what is of fixed size.
    fn memory_bytes(self, bytes: u64) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Block { .. } | Self::Metadata { .. } => (2 << 20) + 20 * bytes.next_power_of_two(),
            Self::Kernel { .. } => PACKER_BYTES + (1 << 20),
        }
    }
}

pub(crate) fn check_limit(what: &'static str, needed: u64, limit: u64) -> Result<()> {
    if needed > limit { Err(Error::Limit { what, needed, limit }) } else { Ok(()) }
}

struct IndexReader<'i> {
    rest: &'i [u8],
    old_bytes: u64,
    copy_end: u64,
    piece_end: u64,
}

impl IndexReader<'_> {
    fn steps(mut self, head_bytes: u64) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        let (mut output_offset, mut delta_offset) = (0u64, head_bytes);
        while !self.rest.is_empty() {
            let (action, output_bytes, delta_bytes) = match self.number()? {
                COPY => {
                    let old_offset = self.place(self.copy_end)?;
                    let bytes = self.number()?;
                    self.copy_end = self.end_in_old(old_offset, bytes)?;
                    (Action::Copy { old_offset }, bytes, 0)
                }
                MAKE => {
                    let bytes = self.number()?;
                    let make = self.make()?;
                    let streams = [make.control_bytes, make.difference_bytes, make.extra_bytes];
                    let payload = streams.into_iter().try_fold(0, u64::checked_add);
                    let payload = payload.ok_or(Error::delta("its streams are too long"))?;
                    (Action::Make(make), bytes, payload)
                }
                _ => return Err(Error::delta("it has steps of an unknown kind")),
            };
            if output_bytes == 0 {
                return Err(Error::delta("it has a step that makes nothing"));
            }
            steps.push(Step { output_offset, output_bytes, delta_offset, delta_bytes, action });
            let next = (output_offset.checked_add(output_bytes), delta_offset.checked_add(delta_bytes));
            let (Some(output_end), Some(delta_end)) = next else {
                return Err(Error::delta("its steps are too long"));
            };
            (output_offset, delta_offset) = (output_end, delta_end);
        }
        Ok(steps)
    }

    fn make(&mut self) -> Result<Make> {
        let reference_bytes = self.number()?;
        let mut pieces = Vec::new();
        // A count is followed by two bytes each at least, so that it bounds what
        // may be reserved.
        let count = self.count()?;
        pieces.reserve_exact(count);
        for _ in 0..count {
            let start = self.place(self.piece_end)?;
            let size = self.number()?;
            let stored = u32::try_from(size >> 1).ok().filter(|bytes| *bytes > 0);
            let stored_bytes = stored.ok_or(Error::delta("a piece has an impossible size"))?;
            self.piece_end = self.end_in_old(start, u64::from(stored_bytes))?;
            pieces.push(Piece { start, stored_bytes, is_frame: size & 1 == 1 });
        }
        let mut cuts = Vec::new();
        let count = self.count()?;
        cuts.reserve_exact(count);
        for _ in 0..count {
            let (frames, bytes) = (self.number()?, self.number()?);
            let form = Form::from_number(self.number()?).ok_or(Error::delta("a form is unknown"))?;
            let is_possible = frames > 0 && (1..=form.max_bytes()).contains(&bytes);
            if !is_possible || frames.checked_mul(bytes).is_none() {
                return Err(Error::delta("a frame has an impossible size"));
            }
            cuts.push(Cut { frames, bytes, form });
        }
        let [control_bytes, difference_bytes, extra_bytes] = [self.number()?, self.number()?, self.number()?];
        Ok(Make { reference_bytes, pieces, cuts, control_bytes, difference_bytes, extra_bytes })
    }

    fn number(&mut self) -> Result<u64> {
        take(&mut self.rest).ok_or(Error::delta("its index is cut off"))
    }

    fn count(&mut self) -> Result<usize> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len() / 2);
        count.ok_or(Error::delta("its index is cut off"))
    }

    fn place(&mut self, from: u64) -> Result<u64> {
        let place = from.checked_add_signed(unfold(self.number()?));
        place.ok_or(Error::delta("it reads before the begin of the old image"))
    }

    fn end_in_old(&self, start: u64, bytes: u64) -> Result<u64> {
        let end = start.checked_add(bytes).filter(|end| *end <= self.old_bytes);
        end.ok_or(Error::delta("it reads beyond the end of the old image"))
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::varint::{put, put_signed};

    const OLD_BYTES: u64 = 10_000;

    /// A head with this index; fields of the header can be bent.
    fn head(index: &[u8], new_bytes: u64, bend: impl Fn(&mut [u8])) -> Vec<u8> {
        let packed = zstd::bulk::compress(index, 3).unwrap();
        let mut bytes = MAGIC.to_vec();
        for field in [VERSION, packed.len() as u32, index.len() as u32, 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&(64_u64 << 20).to_le_bytes());
        for size in [OLD_BYTES, new_bytes] {
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(&[7; 32]);
        }
        bend(&mut bytes);
        [bytes, packed].concat()
    }

    fn read(bytes: &[u8]) -> Result<Plan> {
        Plan::read(&mut &*bytes, &Limits { memory_bytes: 64 << 20, new_bytes: 1 << 30 })
    }

    fn copy(from: i64, bytes: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, COPY);
        put_signed(&mut out, from);
        put(&mut out, bytes);
        out
    }

    /// A step of one piece and one cut.
    fn made(
        bytes: u64,
        reference_bytes: u64,
        piece: (i64, u64),
        cut: [u64; 3],
        streams: [u64; 3],
    ) -> Vec<u8> {
        let mut out = Vec::new();
        [MAKE, bytes, reference_bytes, 1].into_iter().for_each(|number| put(&mut out, number));
        put_signed(&mut out, piece.0);
        put(&mut out, piece.1);
        put(&mut out, 1);
        cut.into_iter().chain(streams).for_each(|number| put(&mut out, number));
        out
    }

    #[test]
    fn a_plan_is_read() {
        let step = made(500, 4096, (100, 300 << 1 | 1), [1, 4096, 15 << 2 | 1], [10, 20, 30]);
        let index = [copy(0, 4000), step, copy(-4000, 100), copy(0, 50)].concat();
        let bytes = head(&index, 4650, |_| {});
        let plan = read(&bytes).unwrap();
        let places: Vec<_> = plan.steps().iter().map(|step| (step.output_offset, step.delta_bytes)).collect();
        assert_eq!(places, [(0, 0), (4000, 60), (4500, 0), (4600, 0)]);
        assert_eq!(plan.steps()[3].action, Action::Copy { old_offset: 100 });
        assert_eq!(plan.steps()[1].delta_offset, bytes.len() as u64);
        assert_eq!(plan.delta_bytes(), bytes.len() as u64 + 60);
        assert_eq!([0, 3999, 4000, 4649, 4650].map(|good| plan.resume_at(good)), [0, 0, 1, 3, 4]);
    }

    #[test]
    fn what_is_no_plan_is_refused_by_name() {
        let block = [1, 4096, 15 << 2 | 1];
        let step = |reference, piece, cut, streams| made(500, reference, piece, cut, streams);
        for (index, new_bytes, expected) in [
            (copy(0, 100), 101, "another size"),
            (copy(0, OLD_BYTES + 1), OLD_BYTES + 1, "beyond the end"),
            (copy(1, OLD_BYTES), OLD_BYTES, "beyond the end"),
            (copy(-1, 100), 100, "before the begin"),
            (copy(i64::MAX, u64::MAX), 100, "beyond the end"),
            (copy(0, 0), 0, "makes nothing"),
            (vec![2, 0, 0], 100, "unknown kind"),
            (vec![0x80], 100, "cut off"),
            (vec![1, 100, 0, 0x7f], 100, "cut off"),
            (step(0, (0, 1), block, [0; 3]), 500, "a piece has an impossible size"),
            (step(0, (9999, 5 << 1), block, [0; 3]), 500, "beyond the end"),
            (step(0, (0, 2), [0, 4096, 61], [0; 3]), 500, "a frame has an impossible size"),
            (step(0, (0, 2), [1, 0, 61], [0; 3]), 500, "a frame has an impossible size"),
            (step(0, (0, 2), [1, (1 << 20) + 1, 61], [0; 3]), 500, "a frame has an impossible size"),
            (step(0, (0, 2), [1, 8193, 62], [0; 3]), 500, "a frame has an impossible size"),
            (step(0, (0, 2), [u64::MAX, 4096, 61], [0; 3]), 500, "a frame has an impossible size"),
            (step(0, (0, 2), [1, 4096, 23 << 2 | 1], [0; 3]), 500, "a form is unknown"),
            (step(0, (0, 2), [1, 4096, 1], [0; 3]), 500, "a form is unknown"),
            (step(0, (0, 2), block, [u64::MAX, 1, 0]), 500, "too long"),
            (step(0, (0, 2), block, [u64::MAX - 1, 0, 0]), 500, "too long"),
            (step(0, (0, 2), block, [1 << 40, 0, 0]), 500, "bytes of memory; 67108864"),
            (step(60 << 20, (0, 2), block, [0; 3]), 500, "bytes of memory; 67108864"),
            (step(0, (0, 2), [1, 1 << 20, 15 << 2 | 3], [0; 3]), 500, "fits"),
            (step(0, (0, 2), [30, 1 << 20, 22 << 2 | 1], [0; 3]), 500, "fits"),
            (step(0, (0, 2), [70, 1 << 20, 22 << 2 | 1], [0; 3]), 500, "bytes of unpacked data"),
            (step(0, (0, 2), [1, u64::MAX, 0], [0; 3]), 500, "bytes of unpacked data"),
            (step(0, (0, 2), block, [0; 3]).repeat(100_000), 50_000_000, "bytes of index"),
        ] {
            match read(&head(&index, new_bytes, |_| {})) {
                Ok(_) => assert_eq!(expected, "fits"),
                Err(error) => assert!(error.to_string().contains(expected), "{error}, not {expected}"),
            }
        }
    }

    #[test]
    fn a_bent_header_is_refused_by_name() {
        let index = copy(0, 100);
        for (at, value, expected) in [
            (0, b'O', "does not begin as one"),
            (8, 2, "version 2"),
            (12, 1, "does not decompress"),
            (14, 0xff, "bytes of index"),
            (16, 1, "does not decompress"),
            (16, 0xff, "does not decompress"),
            (18, 0xff, "bytes of index"),
            (20, 1, "reserved"),
            (30, 1, "bytes of memory"),
            (27, 0, "bytes of memory"),
            (77, 1, "bytes of space"),
        ] {
            let error = read(&head(&index, 100, |header| header[at] = value)).unwrap_err().to_string();
            assert!(error.contains(expected), "{at}: {error}, not {expected}");
        }
        let whole = head(&index, 100, |_| {});
        assert!(read(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
    }
}
