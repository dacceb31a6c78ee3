//! The dm-verity tree: format 1, SHA-256, 4 KiB blocks, no superblock.
//!
//! Source: Linux kernel documentation, device-mapper/verity, and the level
//! rule of `drivers/md/dm-verity-target.c`.
//!
//! Leaf hashes are taken per block by the caller (on all cores, or from a
//! segment's cache); everything above them is 1/128 of the work and done here.

use sha2::{Digest, Sha256};

/// Data and hash block size.
pub const BLOCK_BYTES: usize = 4096;
/// A SHA-256 digest.
pub const HASH_BYTES: usize = 32;
const HASHES_PER_BLOCK: usize = BLOCK_BYTES / HASH_BYTES;

/// SHA-256("osbuild verity 1"). One constant for all images, because cached
/// leaf hashes are valid only under the salt that they were made with; what a
/// random salt would add (different trees for equal data) is not wanted here.
pub const SALT: [u8; HASH_BYTES] = [
    0x9d, 0xdb, 0xcd, 0x92, 0x62, 0xca, 0x65, 0xbc, 0xc0, 0x13, 0xd5, 0x7c, 0x3b, 0xa0, 0x0b, 0x51, 0xe5,
    0xaf, 0x6e, 0xd5, 0x31, 0xa1, 0x5e, 0x04, 0xcc, 0xcf, 0xaf, 0x66, 0xb7, 0x86, 0x91, 0x99,
];

/// A digest of one block under [`SALT`].
pub type Hash = [u8; HASH_BYTES];

/// Hashes one block.
///
/// # Panics
/// If `block` is not [`BLOCK_BYTES`] long.
pub fn hash_block(block: &[u8]) -> Hash {
    assert_eq!(block.len(), BLOCK_BYTES);
    let mut hasher = Sha256::new();
    hasher.update(SALT);
    hasher.update(block);
    hasher.finalize().into()
}

/// Hashes every block of `data`, one digest after the other.
///
/// # Panics
/// If `data` is not whole blocks.
pub fn leaves(data: &[u8]) -> Vec<u8> {
    assert_eq!(data.len() % BLOCK_BYTES, 0, "verity data is whole blocks");
    data.chunks_exact(BLOCK_BYTES).flat_map(hash_block).collect()
}

/// A finished tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub root_hash: Hash,
    /// The hash area: the highest level first, whole blocks. Empty for a
    /// device of one block, whose root hash is that block's.
    pub bytes: Vec<u8>,
}

/// Builds the tree over leaf hashes as [`leaves`] gives them.
///
/// # Panics
/// If `leaves` is empty or not whole digests.
pub fn tree(leaves: Vec<u8>) -> Tree {
    assert!(!leaves.is_empty() && leaves.len() % HASH_BYTES == 0, "a device has at least one block");
    let mut levels: Vec<Vec<u8>> = Vec::new();
    let mut hashes = leaves;
    while hashes.len() > HASH_BYTES {
        hashes.resize(hashes.len().div_ceil(BLOCK_BYTES) * BLOCK_BYTES, 0);
        let above = self::leaves(&hashes);
        levels.push(hashes);
        hashes = above;
    }
    let root_hash = hashes.try_into().expect("the loop ends at one digest");
    Tree { root_hash, bytes: levels.into_iter().rev().flatten().collect() }
}

/// Bytes of the hash area over `data_blocks` blocks.
pub fn tree_bytes(data_blocks: u64) -> u64 {
    let mut total = 0;
    let mut hashes = data_blocks;
    while hashes > 1 {
        hashes = hashes.div_ceil(HASHES_PER_BLOCK as u64);
        total += hashes;
    }
    total * BLOCK_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salt_is_what_its_comment_says() {
        assert_eq!(SALT, <[u8; 32]>::from(Sha256::digest(b"osbuild verity 1")));
    }

    #[test]
    fn sizes_follow_the_kernel() {
        for (blocks, hash_blocks) in
            [(1, 0), (2, 1), (128, 1), (129, 3), (128 * 128, 129), (128 * 128 + 1, 132)]
        {
            let tree = tree(vec![7; blocks * HASH_BYTES]);
            assert_eq!(tree.bytes.len(), hash_blocks * BLOCK_BYTES, "{blocks}");
            assert_eq!(tree_bytes(blocks as u64), tree.bytes.len() as u64, "{blocks}");
        }
    }

    #[test]
    fn one_block_is_its_own_root() {
        let block = [3; BLOCK_BYTES];
        assert_eq!(tree(leaves(&block)).root_hash, hash_block(&block));
    }
}
