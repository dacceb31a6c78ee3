//! A hash tree that leads to its root hash, so that each block can be judged
//! by itself.

use osbuild_format::hex;
use osbuild_format::verity::{self, BLOCK_BYTES, HASH_BYTES, Hash};

use crate::{Error, Result};

/// # Invariants
/// `bytes` is the whole tree over `blocks` blocks whose root is `root_hash`.
#[derive(Debug)]
pub(crate) struct Tree {
    bytes: Vec<u8>,
    root_hash: Hash,
    blocks: u64,
    /// Where the leaves' hashes begin: the lowest level is the last.
    leaves_at: usize,
}

impl Tree {
    /// Checks a tree of which nothing is believed.
    ///
    /// # Errors
    /// [`Error::WrongTree`].
    pub(crate) fn parse(bytes: Vec<u8>, root_hash: Hash, blocks: u64) -> Result<Self> {
        let wrong = || Error::WrongTree { root_hash: hex::encode(&root_hash) };
        if blocks == 0 || bytes.len() as u64 != verity::tree_bytes(blocks) {
            return Err(wrong());
        }
        // A device of one block has no tree: the root hash is the block's own.
        let lowest =
            if blocks == 1 { 0 } else { (blocks as usize * HASH_BYTES).next_multiple_of(BLOCK_BYTES) };
        let leaves_at = bytes.len() - lowest;
        if blocks > 1 {
            let leaves = bytes[leaves_at..][..blocks as usize * HASH_BYTES].to_vec();
            // Everything above the leaves follows from them; where the whole is
            // equal to that, padding too, and its root to the one promised,
            // every level holds from the top.
            let tree = verity::tree(leaves);
            if tree.root_hash != root_hash || tree.bytes != bytes {
                return Err(wrong());
            }
        }
        Ok(Self { bytes, root_hash, blocks, leaves_at })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The first of these blocks (which begin with number `first`) that is not
    /// the device's.
    ///
    /// # Panics
    /// If `data` is not whole blocks of the device.
    pub(crate) fn first_wrong(&self, first: u64, data: &[u8]) -> Option<u64> {
        (first..)
            .zip(data.chunks_exact(BLOCK_BYTES))
            .find(|(block, data)| !self.holds(*block, data))
            .map(|x| x.0)
    }

    /// Whether a block is the device's.
    ///
    /// # Panics
    /// If there is no such block, or `data` is not one block.
    pub(crate) fn holds(&self, block: u64, data: &[u8]) -> bool {
        assert!(block < self.blocks, "the device has this block");
        let leaf = match self.blocks {
            1 => &self.root_hash[..],
            _ => &self.bytes[self.leaves_at + block as usize * HASH_BYTES..][..HASH_BYTES],
        };
        verity::hash_block(data) == leaf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_tree_of_a_root_hash_passes() {
        for blocks in [1u64, 2, 128, 129, 300] {
            let data: Vec<u8> =
                (0..blocks).flat_map(|block| vec![block as u8 ^ (block >> 8) as u8; BLOCK_BYTES]).collect();
            let made = verity::tree(verity::leaves(&data));
            let check = |bytes: &[u8], blocks| Tree::parse(bytes.to_vec(), made.root_hash, blocks);
            let tree = check(&made.bytes, blocks).unwrap();
            assert_eq!(tree.first_wrong(0, &data), None);
            // Where padding passes for one more leaf, no block has that hash.
            if let Ok(longer) = check(&made.bytes, blocks + 1) {
                assert_eq!(longer.first_wrong(blocks, &[0; BLOCK_BYTES]), Some(blocks));
            }
            for at in (0..made.bytes.len()).step_by(1021) {
                let mut bent = made.bytes.clone();
                bent[at] ^= 1;
                assert!(check(&bent, blocks).is_err(), "{blocks}: byte {at}");
            }
            let mut bent = data;
            let last = bent.len() - 1;
            bent[last] ^= 1;
            assert_eq!(tree.first_wrong(0, &bent), Some(blocks - 1));
        }
        assert!(Tree::parse(Vec::new(), [0; 32], 0).is_err());
    }
}
