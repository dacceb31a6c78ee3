//! Where to cut: FastCDC (Xia and others, "FastCDC: a fast and efficient
//! content-defined chunking approach for data deduplication", 2016).
//!
//! A hash runs over the bytes in which each byte's part is shifted out after
//! sixty-four more. A chunk ends where its upper bits are zero. Below the
//! average size two more bits must be, above it two fewer, which draws sizes
//! towards the average without losing that a cut depends on nothing but the
//! sixty-four bytes before it.

use super::index::Digest;
use crate::{Error, Result};

/// Sizes of chunks, in bytes.
///
/// # Invariants
/// The average is a power of two from 256 to 2^24; the least is above 64 and
/// below it, the most above it and at most 2^26.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    least: u32,
    average: u32,
    most: u32,
}

/// A run of an image that was cut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub start: u64,
    pub bytes: u32,
    pub digest: Digest,
}

/// Cuts what is given to it. Holds no bytes back: memory is that of a hash.
pub struct Cutter {
    sizes: Sizes,
    /// Bits that must be zero below and above the average.
    strict: u32,
    loose: u32,
    start: u64,
    bytes: u32,
    rolling: u64,
    hasher: blake3::Hasher,
}

/// How many bits more, or fewer, on either side of the average.
const NORMALISATION: u32 = 2;

/// Bytes that the rolling hash remembers.
const WINDOW_BYTES: u32 = 64;

impl Sizes {
    /// What images are cut into unless a repository says otherwise. Of four
    /// updates of images of 114 to 148 MB, index included, chunks of half and of
    /// twice the size cost between 4 % less and 7 % more, and of four times the
    /// size 5 to 30 % more (`examples/compare.rs`).
    pub const DEFAULT: Self = Self { least: 4 << 10, average: 16 << 10, most: 64 << 10 };

    /// # Errors
    /// [`Error::Damaged`] for sizes that the cutter does not do.
    pub fn new(least: u32, average: u32, most: u32) -> Result<Self> {
        let is_possible = average.is_power_of_two()
            && (256..=1 << 24).contains(&average)
            && (WINDOW_BYTES + 1..average).contains(&least)
            && average < most
            && most <= 1 << 26;
        let why = "it has sizes that cannot be cut";
        if is_possible {
            Ok(Self { least, average, most })
        } else {
            Err(Error::Damaged { what: "the index", why })
        }
    }

    pub fn least(self) -> u32 {
        self.least
    }

    pub fn average(self) -> u32 {
        self.average
    }

    pub fn most(self) -> u32 {
        self.most
    }
}

impl Cutter {
    pub fn new(sizes: Sizes) -> Self {
        let bits = sizes.average.trailing_zeros();
        Self {
            sizes,
            strict: bits + NORMALISATION,
            loose: bits - NORMALISATION,
            start: 0,
            bytes: 0,
            rolling: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Takes the next bytes of the image and gives the chunks that end in them.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Chunk)) {
        while !bytes.is_empty() {
            let (taken, is_end) = self.find_end(bytes);
            let (now, later) = bytes.split_at(taken);
            self.hasher.update(now);
            self.bytes += taken as u32;
            if is_end {
                each(self.take());
            }
            bytes = later;
        }
    }

    /// The last chunk, if bytes are left for one.
    pub fn finish(mut self, each: &mut impl FnMut(Chunk)) {
        if self.bytes > 0 {
            each(self.take());
        }
    }

    fn take(&mut self) -> Chunk {
        let digest = Digest::from_blake3(self.hasher.finalize());
        self.hasher.reset();
        let chunk = Chunk { start: self.start, bytes: self.bytes, digest };
        self.start += u64::from(self.bytes);
        (self.bytes, self.rolling) = (0, 0);
        chunk
    }

    /// How many of the bytes belong to the chunk at hand, and whether it ends
    /// with them.
    fn find_end(&mut self, bytes: &[u8]) -> (usize, bool) {
        // Nothing ends before the least size, and the hash forgets what is more
        // than a window before it.
        let skipped = (self.sizes.least - WINDOW_BYTES).saturating_sub(self.bytes);
        let skipped = (skipped as usize).min(bytes.len());
        let mut size = self.bytes + skipped as u32;
        for (index, byte) in bytes.iter().enumerate().skip(skipped) {
            self.rolling = (self.rolling << 1).wrapping_add(GEAR[usize::from(*byte)]);
            size += 1;
            let bits = if size < self.sizes.average { self.strict } else { self.loose };
            let is_cut = size >= self.sizes.least && self.rolling >> (64 - bits) == 0;
            if is_cut || size == self.sizes.most {
                return (index + 1, true);
            }
        }
        (bytes.len(), false)
    }
}

/// A random number for each byte, from the first 256 that splitmix64 gives for
/// zero. They are part of the format.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut state = 0u64;
    let mut index = 0;
    while index < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = mixed ^ mixed >> 31;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::noise::noise;
    use proptest::prelude::*;

    fn sizes() -> Sizes {
        Sizes::new(128, 512, 2048).unwrap()
    }

    fn cut(image: &[u8], portion: usize) -> Vec<Chunk> {
        let (mut cutter, mut chunks) = (Cutter::new(sizes()), Vec::new());
        for part in image.chunks(portion) {
            cutter.push(part, &mut |chunk| chunks.push(chunk));
        }
        cutter.finish(&mut |chunk| chunks.push(chunk));
        chunks
    }

    proptest! {
        #[test]
        fn chunks_are_the_image_whatever_the_portions(seed in any::<u64>(), bytes in 0..20_000usize, portion in 1..3000usize) {
            let image = noise(seed, bytes);
            let chunks = cut(&image, portion);
            prop_assert_eq!(&chunks, &cut(&image, image.len().max(1)));
            let mut end = 0;
            for (index, chunk) in chunks.iter().enumerate() {
                prop_assert_eq!(chunk.start, end);
                end += u64::from(chunk.bytes);
                let is_last = index + 1 == chunks.len();
                prop_assert!(chunk.bytes <= 2048 && (is_last || chunk.bytes >= 128));
                let bytes = &image[chunk.start as usize..end as usize];
                prop_assert_eq!(chunk.digest, Digest::of(bytes));
            }
            prop_assert_eq!(end, image.len() as u64);
        }

        /// After something inserted, the old cuts come back.
        #[test]
        fn a_change_stays_where_it_is(seed in any::<u64>(), at in 0..40_000usize, inserted in 1..100usize) {
            let old = noise(seed, 40_000);
            let new = [&old[..at], &noise(!seed, inserted), &old[at..]].concat();
            let known: Vec<Digest> = cut(&old, 40_000).iter().map(|chunk| chunk.digest).collect();
            let chunks = cut(&new, 40_000);
            let fresh: u64 =
                chunks.iter().filter(|chunk| !known.contains(&chunk.digest)).map(|chunk| u64::from(chunk.bytes)).sum();
            prop_assert!(fresh < 12 * 2048, "{fresh}");
        }
    }

    #[test]
    fn sizes_are_near_the_average() {
        let chunks = cut(&noise(7, 4 << 20), 65_536);
        let average = (4 << 20) / chunks.len();
        assert!((384..768).contains(&average), "{average}");
    }

    #[test]
    fn the_table_is_the_one_of_the_format() {
        assert_eq!(GEAR[..2], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn sizes_that_cannot_be_cut_are_refused() {
        assert!(Sizes::new(65, 256, 257).is_ok());
        for (least, average, most) in [
            (64, 256, 512),
            (128, 500, 1000),
            (512, 512, 1024),
            (128, 512, 512),
            (128, 128, 256),
            (1 << 20, 1 << 25, 1 << 26),
        ] {
            assert!(Sizes::new(least, average, most).is_err(), "{least} {average} {most}");
        }
    }
}
