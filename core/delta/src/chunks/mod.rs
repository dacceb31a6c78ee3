//! Chunks: an image cut where its contents say so, so that equal parts of two
//! images are cut alike, wherever they are.
//!
//! Next to an image lies its index ([`index`]), a list of lengths and digests.
//! A node cuts the image that it runs in the same way, and fetches by ranges of
//! the image itself what it does not find there. Any server that knows ranges
//! will do; there are no files of chunks.

mod cutter;

mod index;

mod fetch;

#[cfg(test)]
mod noise;

pub use cutter::{Chunk, Cutter, Sizes};
pub use fetch::{Fetch, Part, plan};
pub use index::{Digest, Entry, Index};
