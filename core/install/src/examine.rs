//! A slot judged by what it says of itself: is it whole, and which release?
//!
//! Nothing is compared with a manifest, which a node need not have kept. That
//! the kernel image itself is authentic, the firmware finds out when it starts
//! it.

use osbuild_boot::gpt::Gpt;
use osbuild_boot::private::Release;
use osbuild_boot::slot::Slot;
use osbuild_boot::uki;
use osbuild_format::verity::{self, BLOCK_BYTES};

use crate::extent::Places;
use crate::kernel::{Says, VerityDevice};
use crate::tree::Tree;
use crate::writing::each_block;
use crate::{Error, Medium, Result};

/// What is read of an image before its length is known, as the loader does.
const HEAD_BYTES: u64 = 4096;

/// Reads a slot's kernel image back, and what it says of its release.
///
/// # Errors
/// [`Error::NotIntact`] if the loader could not start it, or it is no release
/// of this system; or the disk failed.
pub(crate) fn kernel<D: Medium>(disk: &mut D, table: &Gpt, slot: Slot) -> Result<Says> {
    let not_intact = |what: String| Error::NotIntact { slot: slot.name(), what };
    let boot = Places::of(table, slot)?.boot;
    let head = boot.read_back_bytes(disk, HEAD_BYTES.min(boot.size_bytes()))?;
    let length = uki::image_length(&head, boot.size_bytes())
        .map_err(|error| not_intact(format!("it holds no kernel image ({error:?})")))?;
    let image = boot.read_back_bytes(disk, length)?;
    let says = Says::read(&image).map_err(|error| not_intact(error.to_string()))?;
    says.check_device().map_err(|what| not_intact(what.to_owned()))?;
    let guid = |role| table.partition(role).map(|entry| entry.guid);
    if (guid(slot.root()), guid(slot.hash())) == (Some(says.root.data), Some(says.root.tree)) {
        return Ok(says);
    }
    Err(not_intact("its kernel image belongs to another root".to_owned()))
}

/// Reads all of a slot's root back and verifies it by its kernel image's
/// command line. Returns the release.
///
/// # Errors
/// [`Error::NotIntact`], or the disk failed.
pub(crate) fn root<D: Medium>(disk: &mut D, table: &Gpt, slot: Slot, says: &Says) -> Result<Release> {
    let not_intact = |what: String| Error::NotIntact { slot: slot.name(), what };
    let places = Places::of(table, slot)?;
    let VerityDevice { blocks, root_hash, .. } = says.root;
    let fits = blocks.checked_mul(BLOCK_BYTES as u64).is_some_and(|size| size <= places.root.size_bytes());
    if !fits || verity::tree_bytes(blocks) > places.hash.size_bytes() {
        return Err(not_intact("its root is larger than its partition".to_owned()));
    }
    let tree = places.hash.read_back_bytes(disk, verity::tree_bytes(blocks))?;
    let tree = Tree::parse(tree, root_hash, blocks).map_err(|error| not_intact(error.to_string()))?;
    each_block(disk, places.root, &tree, |block, is_right| {
        if is_right { Ok(()) } else { Err(not_intact(format!("block {block} of its root is damaged"))) }
    })?;
    Release::new(&says.version, root_hash)
        .ok_or_else(|| not_intact("its version is longer than 64 bytes".to_owned()))
}
