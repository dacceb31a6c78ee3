//! The slot that does not run, judged by what it says of itself: is it whole,
//! and which release?
//!
//! Nothing is compared with a manifest, which a node need not have kept. That
//! the kernel image itself is authentic, the firmware finds out when it starts
//! it. Reading all of a slot takes minutes at idle priority, so nobody holds
//! the partition table's lock meanwhile: what was found is of use as long as
//! the table says of the slot what it said before.

use osbuild_boot::gpt::{self, Entry, Gpt};
use osbuild_boot::law::Forbidden;
use osbuild_boot::private::Release;
use osbuild_boot::slot::{Slot, State};
use osbuild_boot::uki;
use osbuild_format::verity::{self, BLOCK_BYTES};

use crate::extent::Places;
use crate::kernel::{Says, VerityDevice};
use crate::tree::Tree;
use crate::writing::each_block;
use crate::{Error, Medium, Result, change};

/// What is read of an image before its length is known, as the loader does.
const HEAD_BYTES: u64 = 4096;

/// A slot that was good once, as it was read back.
#[derive(Clone, Debug)]
pub struct Examined {
    slot: Slot,
    seen: [Option<Entry>; 3],
    contents: Contents,
}

/// What a slot's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    Whole(Whole),
    Damaged {
        what: String,
        /// If its kernel image still says it.
        rollback_index: Option<u64>,
    },
}

/// A release that could be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    pub release: Release,
    pub rollback_index: u64,
    /// Of its root.
    pub blocks: u64,
}

impl Examined {
    /// Reads all of a slot. Nothing is written, a torn copy of the table
    /// included: that is for whoever holds its lock.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the slot was never good, before anything of it
    /// is read; the disk failed.
    pub fn read<D: Medium>(disk: &mut D, slot: Slot) -> Result<Self> {
        let table = gpt::load(disk).map_err(change::load_error)?.table;
        let state = change::slots(&table)?.of(slot).state();
        if !matches!(state, State::Good | State::Spent) {
            return Err(Forbidden::NothingToRollBackTo.into());
        }
        let (mut rollback_index, mut blocks) = (None, 0);
        let found = kernel(disk, &table, slot).and_then(|says| {
            (rollback_index, blocks) = (Some(says.rollback_index), says.root.blocks);
            root(disk, &table, slot, &says)
        });
        let contents = match (found, rollback_index) {
            (Ok(release), Some(rollback_index)) => Contents::Whole(Whole { release, rollback_index, blocks }),
            (Err(Error::NotIntact { what, .. }), _) => Contents::Damaged { what, rollback_index },
            (Err(error), _) => return Err(error),
            (Ok(_), None) => unreachable!("its kernel image said it before its root was read"),
        };
        Ok(Self { slot, seen: seen(&table, slot), contents })
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    pub(crate) fn rollback_index(&self) -> Option<u64> {
        match &self.contents {
            Contents::Whole(whole) => Some(whole.rollback_index),
            Contents::Damaged { rollback_index, .. } => *rollback_index,
        }
    }

    /// # Errors
    /// [`Error::NotIntact`].
    pub(crate) fn whole(&self) -> Result<Whole> {
        match &self.contents {
            Contents::Whole(whole) => Ok(*whole),
            Contents::Damaged { what, .. } => {
                Err(Error::NotIntact { slot: self.slot.name(), what: what.clone() })
            }
        }
    }

    /// Whether what was found is still so, as far as the table says.
    pub fn is_of(&self, table: &Gpt) -> bool {
        seen(table, self.slot) == self.seen
    }

    /// The table as it is now. Who writes into a slot blanks its names first
    /// (O4), so one that is named and marked as it was has the bytes that it
    /// had.
    ///
    /// # Errors
    /// [`Error::TableChanged`], or the disk failed.
    pub(crate) fn check_unchanged<D: Medium>(&self, disk: &mut D) -> Result<Gpt> {
        let table = change::load(disk)?;
        if self.is_of(&table) {
            return Ok(table);
        }
        Err(Error::TableChanged { slot: self.slot.name() })
    }
}

/// What the table says of a slot: places, names, bits.
fn seen(table: &Gpt, slot: Slot) -> [Option<Entry>; 3] {
    [slot.boot(), slot.root(), slot.hash()].map(|role| table.partition(role))
}

/// Reads a slot's kernel image back, and what it says of its release.
///
/// # Errors
/// [`Error::NotIntact`] if the loader could not start it, or it is no release
/// of this system; or the disk failed.
fn kernel<D: Medium>(disk: &mut D, table: &Gpt, slot: Slot) -> Result<Says> {
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
fn root<D: Medium>(disk: &mut D, table: &Gpt, slot: Slot, says: &Says) -> Result<Release> {
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
