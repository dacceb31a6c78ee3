//! The list of an image's chunks.
//!
//! All numbers are little-endian:
//!
//! ```text
//! offset bytes
//!      0     8  "osbchunk"
//!      8     4  version: 1
//!     12     4  least size of a chunk
//!     16     4  average size
//!     20     4  most
//!     24     8  bytes of the image
//!     32    32  SHA-256 of the image
//!     64     4  number of chunks
//!     68        for each chunk, in order: 4 bytes of size, then the first
//!               16 bytes of its BLAKE3
//! ```
//!
//! Half a digest is enough to find equal chunks by: what is made of them is
//! judged by the hash tree, so whoever could make two chunks of one digest would
//! win a failed update.

use super::cutter::{Chunk, Cutter, Sizes};
use crate::plan::{u32_at, u64_at};
use crate::{Error, Identity, Result};

const MAGIC: &[u8; 8] = b"osbchunk";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 68;
const DIGEST_BYTES: usize = 16;
const ROW_BYTES: usize = 4 + DIGEST_BYTES;

/// What names a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; DIGEST_BYTES]);

/// A chunk, by its size and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub bytes: u32,
    pub digest: Digest,
}

/// An image and its chunks.
///
/// # Invariants
/// The sizes of the entries are possible and add up to that of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    sizes: Sizes,
    image: Identity,
    entries: Vec<Entry>,
}

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_blake3(blake3::hash(bytes))
    }

    pub(super) fn from_blake3(hash: blake3::Hash) -> Self {
        let bytes = hash.as_bytes();
        Self(std::array::from_fn(|index| bytes[index]))
    }
}

impl Index {
    /// Cuts an image.
    ///
    /// # Errors
    /// What the reader says.
    pub fn of(mut image: impl std::io::Read, sizes: Sizes) -> std::io::Result<Self> {
        use sha2::Digest as _;
        let (mut cutter, mut hasher) = (Cutter::new(sizes), sha2::Sha256::new());
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let mut note = |chunk: Chunk| entries.push(Entry { bytes: chunk.bytes, digest: chunk.digest });
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let read = match image.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(&buffer[..read]);
            cutter.push(&buffer[..read], &mut note);
            bytes += read as u64;
        }
        cutter.finish(&mut note);
        Ok(Self { sizes, image: Identity { bytes, sha256: hasher.finalize().into() }, entries })
    }

    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub fn image(&self) -> Identity {
        self.image
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.entries.len() * ROW_BYTES);
        out.extend_from_slice(MAGIC);
        for field in [VERSION, self.sizes.least(), self.sizes.average(), self.sizes.most()] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.image.bytes.to_le_bytes());
        out.extend_from_slice(&self.image.sha256);
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            out.extend_from_slice(&entry.bytes.to_le_bytes());
            out.extend_from_slice(&entry.digest.0);
        }
        out
    }

    /// Reads an index, all of it. Takes no more memory than the bytes do.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Version`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |why| Error::Damaged { what: "the index", why };
        let (header, rows) = bytes.split_at_checked(HEADER_BYTES).ok_or(damaged("it is cut off"))?;
        if header[..8] != *MAGIC {
            return Err(damaged("it does not begin as one"));
        }
        let version = u32_at(header, 8);
        if version != VERSION {
            return Err(Error::Version { what: "the index", version });
        }
        let sizes = Sizes::new(u32_at(header, 12), u32_at(header, 16), u32_at(header, 20))?;
        let sha256 = header[32..64].try_into().expect("32 bytes");
        let image = Identity { bytes: u64_at(header, 24), sha256 };
        if rows.len() as u64 != u64::from(u32_at(header, 64)) * ROW_BYTES as u64 {
            return Err(damaged("it has another number of chunks than it states"));
        }
        let entries: Vec<Entry> = rows
            .chunks_exact(ROW_BYTES)
            .map(|row| Entry {
                bytes: u32_at(row, 0),
                digest: Digest(std::array::from_fn(|index| row[4 + index])),
            })
            .collect();
        let is_possible = |(index, entry): (usize, &Entry)| {
            let least = if index + 1 == entries.len() { 1 } else { sizes.least() };
            (least..=sizes.most()).contains(&entry.bytes)
        };
        if !entries.iter().enumerate().all(is_possible) {
            return Err(damaged("a chunk has an impossible size"));
        }
        if entries.iter().map(|entry| u64::from(entry.bytes)).sum::<u64>() != image.bytes {
            return Err(damaged("its chunks have another size than its image"));
        }
        Ok(Self { sizes, image, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index() -> Index {
        let image: Vec<u8> =
            (0..20_000u32).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        Index::of(image.as_slice(), Sizes::new(128, 1024, 4096).unwrap()).unwrap()
    }

    #[test]
    fn what_was_written_is_read_and_what_was_bent_is_not() {
        let index = index();
        let bytes = index.to_bytes();
        assert_eq!(Index::parse(&bytes).unwrap(), index);
        assert!(index.entries().len() > 20);
        for length in 0..bytes.len() {
            assert!(Index::parse(&bytes[..length]).is_err(), "{length}");
        }
        for (at, value, expected) in [
            (0, 0, "does not begin as one"),
            (8, 2, "version 2"),
            (13, 0xff, "cannot be cut"),
            (24, 1, "another size than its image"),
            (64, 1, "another number of chunks"),
            (HEADER_BYTES + 3, 1, "impossible size"),
        ] {
            let mut bent = bytes.clone();
            bent[at] = value;
            let error = Index::parse(&bent).unwrap_err().to_string();
            assert!(error.contains(expected), "{at}: {error}");
        }
    }

    proptest! {
        #[test]
        fn only_what_would_be_written_is_read(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..60usize) {
            let mut bent = index().to_bytes();
            bent[at..at + bytes.len()].copy_from_slice(&bytes);
            for bytes in [bytes, bent] {
                if let Ok(index) = Index::parse(&bytes) {
                    prop_assert_eq!(index.to_bytes(), bytes);
                }
            }
        }
    }
}
