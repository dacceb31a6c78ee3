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
//!     20     4  version of libzstd that packs the frames, as it counts: 10507
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
//!          number: the most that the difference and the extra stream reach
//!          back, as a power of two
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

use crate::{Error, Identity, Result, index};

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
    pub(crate) window_log: u32,
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

/// How far the streams of a patch may reach back, as powers of two: what a step
/// may state for the two that make bytes, and what the control stream may.
pub(crate) const WINDOW_LOGS: std::ops::RangeInclusive<u32> = 10..=26;
pub(crate) const CONTROL_WINDOW_LOG: u32 = 20;

/// What reading a stream takes of memory beside the window.
const STREAM_BYTES: u64 = 768 << 10;

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
    /// [`Error::Damaged`], [`Error::Version`], [`Error::Compressor`],
    /// [`Error::Limit`] or [`Error::ReadDelta`].
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
        let steps = index::read(&index, old.bytes, head_bytes)?;
        // Another version packs other bytes, so nothing need be downloaded.
        let (needed, present) = (u32_at(&header, 20), zstd::zstd_safe::version_number());
        if needed != present && steps.iter().any(Step::packs) {
            return Err(Error::Compressor { needed, present });
        }
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

impl Step {
    /// Whether frames are packed again.
    fn packs(&self) -> bool {
        match &self.action {
            Action::Copy { .. } => false,
            Action::Make(make) => make.cuts.iter().any(|cut| cut.form != Form::Plain),
        }
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
        // No window is larger than what the stream holds, and the two streams
        // together hold what is made.
        let windows = (2 << self.window_log).min(self.unpacked_bytes()) + (1 << CONTROL_WINDOW_LOG);
        let streams = [self.control_bytes, self.difference_bytes, windows, 3 * STREAM_BYTES, packing];
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

    pub(crate) fn from_number(number: u64) -> Option<Self> {
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
    pub(crate) fn max_bytes(self) -> u64 {
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

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
