//! Making deltas, on the toolkit's side.
//!
//! An image is taken apart into pieces that were compressed by themselves, and
//! what lies between. What is in the old image as it is, is copied from there,
//! wherever it was. What is not is unpacked, and a patch is made to it from what
//! the old image holds of the same files. A piece that does not come out the
//! same when it is packed again (another compressor made it) goes into the delta
//! as it is, so any two images have a delta, if not always a small one.
//!
//! Patches are of one kind. The other that was tried, zstd with the old file as
//! a prefix (`--patch-from`), made of the changed files of four updates 98 892
//! bytes where these have 55 338, 825 441 and 755 393, 1 587 042 and 1 457 128,
//! 1 016 956 and 839 310; of a fifth, most of which is one new file, 18.02 MB
//! where the whole delta has 18.10. It wins some twenty bytes a file where files
//! have a few hundred, which a delta of images packs together anyway; and it
//! takes the memory of both files. The bench `delta` prints both.
//!
//! Sorting the reference takes most of the time, and twelve bytes a byte; there is
//! one a step, of no more than a gigabyte.

use crate::plan::{Action, HEADER_BYTES, Limits, MAGIC, Plan, Step, VERSION};
use crate::varint::{put, put_signed};
use crate::{Identity, Result};
use pieces::{Pair, with_gaps};

mod root_image;

mod boot_image;

mod pieces;

mod steps;

mod packing;

mod difference;
mod suffixes;

/// The level at which a delta's own streams are compressed.
const LEVEL: i32 = 19;

/// Makes a delta of two root file systems.
///
/// `limits` are those of the nodes that will apply it.
///
/// # Errors
/// [`crate::Error::Image`] if one is no squashfs that this program reads, or
/// [`crate::Error::Limit`] if the new image is too large for the limits.
pub fn root_image(old: &[u8], new: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    delta(&root_image::pair(old, new)?, limits)
}

/// Makes a delta of two boot images.
///
/// # Errors
/// [`crate::Error::BootImage`] if one is no PE image, or [`crate::Error::Limit`] if the new
/// image is too large for the limits.
pub fn boot_image(old: &[u8], new: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    delta(&boot_image::pair(old, new)?, limits)
}

/// Makes a delta of two files in which nothing is compressed: hash trees.
///
/// # Errors
/// [`crate::Error::Limit`] if the new file is too large for the limits.
pub fn plain(old: &[u8], new: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let whole = |bytes: &[u8]| with_gaps(Vec::new(), bytes.len());
    let (old_pieces, new_pieces) = (whole(old), whole(new));
    let groups = vec![(0..old_pieces.len()).collect()];
    let sources = vec![vec![0]; new_pieces.len()];
    delta(&Pair { old, new, old_pieces, new_pieces, groups, sources }, limits)
}

/// What a patch from one text to another costs by itself, to compare with.
pub fn patch_bytes(reference: &[u8], new: &[u8]) -> usize {
    steps::patch_bytes(reference, new)
}

fn delta(pair: &Pair<'_>, limits: &Limits) -> Result<Vec<u8>> {
    let (steps, payload) = steps::make(pair, limits)?;
    let bytes = write(Identity::of(pair.old), Identity::of(pair.new), &steps, &payload);
    // What cannot be read again under these limits helps nobody.
    Plan::read(&mut bytes.as_slice(), limits)?;
    Ok(bytes)
}

/// The head and the payloads, as [`crate::plan`] has it.
fn write(old: Identity, new: Identity, steps: &[Step], payload: &[u8]) -> Vec<u8> {
    let index = index(steps);
    let packed = compress(&index, crate::plan::CONTROL_WINDOW_LOG);
    let mut out = Vec::with_capacity(HEADER_BYTES + packed.len() + payload.len());
    out.extend_from_slice(MAGIC);
    let packer = zstd::zstd_safe::version_number();
    for field in [VERSION, packed.len() as u32, index.len() as u32, packer] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&Plan::needed_bytes(steps).to_le_bytes());
    for identity in [old, new] {
        out.extend_from_slice(&identity.bytes.to_le_bytes());
        out.extend_from_slice(&identity.sha256);
    }
    debug_assert_eq!(out.len(), HEADER_BYTES);
    out.extend_from_slice(&packed);
    out.extend_from_slice(payload);
    out
}

fn index(steps: &[Step]) -> Vec<u8> {
    let mut index = Vec::new();
    let (mut copy_end, mut piece_end) = (0i64, 0i64);
    for step in steps {
        match &step.action {
            Action::Copy { old_offset } => {
                put(&mut index, crate::plan::COPY);
                put_signed(&mut index, *old_offset as i64 - copy_end);
                put(&mut index, step.output_bytes);
                copy_end = (*old_offset + step.output_bytes) as i64;
            }
            Action::Make(make) => {
                for number in [crate::plan::MAKE, step.output_bytes, make.reference_bytes] {
                    put(&mut index, number);
                }
                put(&mut index, make.pieces.len() as u64);
                for piece in &make.pieces {
                    put_signed(&mut index, piece.start as i64 - piece_end);
                    put(&mut index, u64::from(piece.stored_bytes) << 1 | u64::from(piece.is_frame));
                    piece_end = (piece.start + u64::from(piece.stored_bytes)) as i64;
                }
                put(&mut index, make.cuts.len() as u64);
                for cut in &make.cuts {
                    for number in [cut.frames, cut.bytes, cut.form.number()] {
                        put(&mut index, number);
                    }
                }
                put(&mut index, u64::from(make.window_log));
                for number in [make.control_bytes, make.difference_bytes, make.extra_bytes] {
                    put(&mut index, number);
                }
            }
        }
    }
    index
}

/// One frame that reaches back no further than told; nothing for nothing.
fn compress(bytes: &[u8], window_log: u32) -> Vec<u8> {
    use zstd::zstd_safe::CParameter;
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("libzstd has the level and memory");
    compressor.set_parameter(CParameter::WindowLog(window_log)).expect("libzstd has windows of that size");
    compressor.compress(bytes).expect("the buffer is libzstd's own bound")
}
