//! A new release's bytes from an old one's, with as few bytes downloaded as
//! possible.
//!
//! Three ways lead there, and [`choice`] tells which costs least. A **delta**
//! ([`plan`] has its format) is made for one pair of images and knows what they
//! are made of: unchanged frames are copied from the old image; for changed
//! ones the delta holds a patch of what was compressed, and the node compresses
//! the result again with the same library. **Chunks** ([`chunks`]) need no pair:
//! an image is cut where its contents say so, and what the old one has already
//! is not fetched. Else the **whole image** is.
//!
//! Nothing here is trusted, and nothing here decides what is: bytes that come
//! out are judged by the hash tree and the digests of the release manifest.
//! What is promised for any bytes read is that no memory beyond the limits is
//! taken, and that there is an end.
//!
//! It opens no file and no connection, starts no thread, and never looks into
//! an image on the node. What *makes* deltas is behind the feature `make`.

pub mod apply;
pub mod plan;

mod index;

mod patch;
mod reference;
mod refit;

#[cfg(feature = "make")]
pub mod make;

pub mod chunks;

pub mod choice;

mod error;
mod varint;

pub use error::{Error, Result};

use std::io;

/// What can be read at any place: a partition, a file, bytes.
pub trait ReadAt {
    /// Fills the buffer with what stands at `offset`.
    ///
    /// # Errors
    /// Fewer bytes are there, or they cannot be read.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..));
        let part = rest.and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

/// The size and the SHA-256 of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub bytes: u64,
    pub sha256: [u8; 32],
}

impl Identity {
    pub fn of(image: &[u8]) -> Self {
        use sha2::Digest;
        Self { bytes: image.len() as u64, sha256: sha2::Sha256::digest(image).into() }
    }
}
