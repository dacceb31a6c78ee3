//! The kernel inside a bzImage: where it is, and packing it so that a node can
//! pack the same bytes again.
//!
//! A bzImage is the setup code, then a program that unpacks the kernel, with
//! the kernel inside it as one zstd frame. The kernel's own build makes that
//! frame at the highest level with a window of 128 MiB, which a node has not
//! the memory to repeat; [`Packer`] makes it within [`PACKER_BYTES`].
//!
//! Source: the kernel's `Documentation/arch/x86/boot.rst` (setup header), and
//! `scripts/Makefile.lib` for what follows the frame: the size of the kernel,
//! four bytes, least first.

use std::io::{self, Write};
use std::ops::Range;

use zstd::zstd_safe::{self, CParameter};

/// The level at which kernels are packed unless a recipe says otherwise. Of a
/// kernel of 27 MB it makes 8.0; level 15 takes three times as long for half a
/// percent, and the kernel's build has 6.7 with its window of 128 MiB.
pub const PACK_LEVEL: i32 = 12;

/// What [`Packer`] takes of memory, at most: its window and two tables of
/// 16 MiB each, with what is around them.
pub const PACKER_BYTES: u64 = 40 << 20;

/// The distance over which the packer sees repetitions, and the entries of each
/// of its tables, as powers of two: upper levels would take tables twice as large.
const WINDOW_LOG: u32 = 22;
const TABLE_LOG: u32 = 22;

/// What is handed to the compressor at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// Where the frame is, within the bytes that were searched.
///
/// None if they are no bzImage of boot protocol 2.08 or later, or its payload
/// does not begin with a whole zstd frame.
pub fn find_payload(image: &[u8]) -> Option<Range<usize>> {
    const PROTOCOL_WITH_PAYLOAD: u16 = 0x0208;
    const ZSTD_MAGIC: u32 = 0xfd2f_b528;
    if image.get(0x202..0x206)? != b"HdrS" || u16_at(image, 0x206)? < PROTOCOL_WITH_PAYLOAD {
        return None;
    }
    // Zero is what boot loaders of old wrote, and means four.
    let setup_sectors = match *image.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let (offset, length) = (u32_at(image, 0x248)? as usize, u32_at(image, 0x24c)? as usize);
    let start = (setup_sectors + 1) * 512 + offset;
    let payload = image.get(start..start.checked_add(length)?)?;
    if u32_at(payload, 0)? != ZSTD_MAGIC {
        return None;
    }
    let frame = zstd_safe::find_frame_compressed_size(payload).ok()?;
    Some(start..start + frame)
}

/// Packs a kernel: what is written to it comes out as one frame.
///
/// The bytes are a function of the level, the size and what is written, however
/// it is cut into writes.
pub struct Packer<W: Write> {
    encoder: zstd::Encoder<'static, W>,
    pending: Vec<u8>,
}

impl<W: Write> Packer<W> {
    /// `size` is how many bytes will be written, exactly.
    ///
    /// # Errors
    /// A level that libzstd does not have.
    pub fn new(out: W, size: u64, level: i32) -> io::Result<Self> {
        if !(1..=22).contains(&level) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "zstd levels are 1 to 22"));
        }
        let mut encoder = zstd::Encoder::new(out, level)?;
        for parameter in [
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChainLog(TABLE_LOG),
            CParameter::HashLog(TABLE_LOG),
            CParameter::ContentSizeFlag(true),
            // As the kernel's build has it: the frame is checked at each boot.
            CParameter::ChecksumFlag(true),
        ] {
            encoder.set_parameter(parameter)?;
        }
        encoder.set_pledged_src_size(Some(size))?;
        Ok(Self { encoder, pending: Vec::with_capacity(CHUNK_BYTES) })
    }

    /// Ends the frame.
    ///
    /// # Errors
    /// Not as many bytes were written as announced, or `out` failed.
    pub fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.pending)?;
        self.encoder.finish()
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(CHUNK_BYTES - self.pending.len());
        self.pending.extend_from_slice(&bytes[..take]);
        if self.pending.len() == CHUNK_BYTES {
            self.encoder.write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush would end a block of the frame and so change its bytes.
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise between strings that were there before, so that levels find different ones.
    fn sample(size: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as usize >> 8
        };
        let mut bytes: Vec<u8> = (0..64).map(|_| next() as u8).collect();
        while bytes.len() < size {
            let from = bytes.len() - 1 - next() % bytes.len().min(1 << 16);
            let until = bytes.len().min(from + 3 + next() % 30);
            bytes.extend_from_within(from..until);
            bytes.push(next() as u8);
        }
        bytes.truncate(size);
        bytes
    }

    fn pack(bytes: &[u8], level: i32, cut: usize) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new(), bytes.len() as u64, level).unwrap();
        for part in bytes.chunks(cut) {
            packer.write_all(part).unwrap();
        }
        packer.finish().unwrap()
    }

    #[test]
    fn the_cut_into_writes_does_not_reach_the_bytes() {
        let bytes = sample(700_000);
        for level in [3, PACK_LEVEL] {
            let whole = pack(&bytes, level, bytes.len());
            assert_eq!(zstd::bulk::decompress(&whole, bytes.len()).unwrap(), bytes);
            for cut in [1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1] {
                assert!(pack(&bytes, level, cut) == whole, "level {level}, cut {cut}");
            }
        }
        assert!(pack(&bytes, 3, 1000) != pack(&bytes, PACK_LEVEL, 1000));
    }

    /// The size that was announced is in the frame, so another one is an error.
    #[test]
    fn another_size_than_announced_is_refused() {
        let mut packer = Packer::new(Vec::new(), 10, 3).unwrap();
        packer.write_all(b"nine only").unwrap();
        assert!(packer.finish().is_err());
    }

    /// The tables are as large for any input beyond their size.
    #[test]
    fn the_packer_stays_within_its_memory() {
        let mut context = zstd_safe::CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(22),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChainLog(TABLE_LOG),
            CParameter::HashLog(TABLE_LOG),
        ] {
            context.set_parameter(parameter).unwrap();
        }
        context.set_pledged_src_size(Some(1 << 26)).unwrap();
        let (mut out, bytes) = (vec![0; 1 << 20], sample(CHUNK_BYTES));
        let mut input = zstd_safe::InBuffer::around(&bytes);
        context.compress_stream(&mut zstd_safe::OutBuffer::around(&mut out[..]), &mut input).unwrap();
        let bytes = context.sizeof() as u64;
        assert!((PACKER_BYTES / 2..=PACKER_BYTES).contains(&bytes), "{bytes}");
    }

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0x90; 0x2000];
        image[0x1f1] = 7;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
        image[0x248..0x24c].copy_from_slice(&0x1000_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend_from_slice(payload);
        image.extend_from_slice(&[0xcc; 100]);
        image
    }

    #[test]
    fn the_payload_is_found_without_the_size_behind_it() {
        let frame = pack(&sample(10_000), 3, 10_000);
        let whole = image(&[frame.as_slice(), &10_000_u32.to_le_bytes()].concat());
        assert_eq!(find_payload(&whole), Some(0x2000..0x2000 + frame.len()));

        let mut old = whole.clone();
        old[0x206] = 7;
        let mut foreign = whole.clone();
        foreign[0x2000] = 0x1f;
        let mut long = whole.clone();
        long[0x24f] = 0x7f;
        for other in [&old, &foreign, &long, &image(&frame[..frame.len() - 1]), &Vec::new()] {
            assert_eq!(find_payload(other), None);
        }
        for length in 0..whole.len() - 104 {
            assert_eq!(find_payload(&whole[..length]), None);
        }
    }
}
