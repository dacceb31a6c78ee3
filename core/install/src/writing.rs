//! The bytes of a release on their way into the other slot.
//!
//! What is there already is kept, from whenever it is: each block counts by its
//! hash, so an update goes on after a kill or a power cut where it was, and a
//! release that was cancelled is not fetched twice.

use std::io::Read;
use std::ops::Range;

use osbuild_boot::gpt::SECTOR_BYTES;
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::uki;
use osbuild_format::hex;
use osbuild_format::verity::BLOCK_BYTES;
use sha2::{Digest, Sha256};

use crate::change;
use crate::extent::{CHUNK_BYTES, Extent, Places};
use crate::kernel::Says;
use crate::preflight::{Payload, Plan};
use crate::tree::Tree;
use crate::{Error, Medium, Result, Verified};

const ROOT: &str = "root";
const TREE: &str = "hash tree";
const KERNEL: &str = "kernel image";
const BLOCKS_PER_CHUNK: u64 = (CHUNK_BYTES / BLOCK_BYTES) as u64;

impl Plan {
    /// O4: nothing can be started from the slot any more, on the medium, before
    /// its first byte changes. Its content stays as it is.
    ///
    /// # Errors
    /// The disk failed, or is another one than the plan was made for.
    pub fn begin<D: Medium>(self, disk: &mut D) -> Result<Emptied<'_, D>> {
        let mut table = change::load(disk)?;
        self.check_places(&table)?;
        change::empty_other(disk, &mut table, self.running)?;
        Ok(Emptied { disk, plan: self })
    }

    pub(crate) fn check_places(&self, table: &osbuild_boot::gpt::Gpt) -> Result<()> {
        let other = self.running.slot.other();
        if Places::of(table, other)? == self.places {
            return Ok(());
        }
        Err(Error::TableChanged { slot: other.name() })
    }
}

/// A slot that cannot be started, ready for a hash tree.
#[derive(Debug)]
pub struct Emptied<'d, D> {
    disk: &'d mut D,
    plan: Plan,
}

impl<'d, D: Medium> Emptied<'d, D> {
    /// The release's hash tree if the slot has it already.
    ///
    /// # Errors
    /// The disk failed.
    pub fn staged_hash_tree(&mut self) -> Result<Option<Vec<u8>>> {
        let Payload { tree_size, root_hash, blocks, .. } = self.plan.payload;
        let bytes = self.plan.places.hash.read_back_bytes(self.disk, tree_size)?;
        match Tree::parse(bytes, root_hash, blocks) {
            Ok(tree) => Ok(Some(tree.into_bytes())),
            Err(_) => Ok(None),
        }
    }

    /// Takes the hash tree, by which every block of the root is judged.
    ///
    /// # Errors
    /// [`Error::WrongTree`], before a byte is written; or the disk failed.
    pub fn hash_tree(self, bytes: Vec<u8>) -> Result<Writing<'d, D>> {
        let Self { disk, plan } = self;
        let tree = Tree::parse(bytes, plan.payload.root_hash, plan.payload.blocks)?;
        for (index, chunk) in tree.bytes().chunks(CHUNK_BYTES).enumerate() {
            plan.places.hash.write(disk, (index * CHUNK_BYTES) as u64, chunk)?;
        }
        Ok(Writing { disk, plan, tree })
    }
}

/// A slot that is being filled.
#[derive(Debug)]
pub struct Writing<'d, D> {
    disk: &'d mut D,
    plan: Plan,
    tree: Tree,
}

impl<'d, D: Medium> Writing<'d, D> {
    /// Which blocks (of 4 KiB) of the root the medium does not have, as sorted
    /// ranges that do not touch.
    ///
    /// # Errors
    /// The disk failed.
    pub fn missing_root(&mut self) -> Result<Vec<Range<u64>>> {
        let mut missing: Vec<Range<u64>> = Vec::new();
        let Self { disk, plan, tree } = self;
        each_block(*disk, plan.places.root, tree, |block, is_right| {
            match missing.last_mut() {
                _ if is_right => {}
                Some(range) if range.end == block => range.end += 1,
                _ => missing.push(block..block + 1),
            }
            Ok(())
        })?;
        Ok(missing)
    }

    /// Writes whole blocks of the root from block `first_block` on. They may
    /// come in any order, and again.
    ///
    /// # Errors
    /// [`Error::NotBlocks`] or [`Error::WrongBlock`], with nothing written; or
    /// the disk failed.
    pub fn put_root(&mut self, first_block: u64, bytes: &[u8]) -> Result<()> {
        let blocks = self.tree.blocks();
        let count = (bytes.len() / BLOCK_BYTES) as u64;
        let is_inside = first_block.checked_add(count).is_some_and(|end| end <= blocks);
        if bytes.len() % BLOCK_BYTES != 0 || !is_inside {
            return Err(Error::NotBlocks { first_block, bytes: bytes.len(), blocks });
        }
        if let Some(block) = self.tree.first_wrong(first_block, bytes) {
            return Err(Error::WrongBlock { block });
        }
        self.plan.places.root.write(self.disk, first_block * BLOCK_BYTES as u64, bytes)
    }

    /// Whether the medium has the release's kernel image already.
    ///
    /// # Errors
    /// The disk failed.
    pub fn has_uki(&mut self) -> Result<bool> {
        let Self { disk, plan, .. } = self;
        match check_uki(*disk, plan) {
            Ok(_) => Ok(true),
            Err(Error::Disk { action, source }) => Err(Error::Disk { action, source }),
            Err(_) => Ok(false),
        }
    }

    /// Writes the kernel image, and zeros behind it to the partition's end.
    ///
    /// Its first sector, without which it is no image at all, is written last
    /// and only once all else is on the medium and known to be right.
    ///
    /// # Errors
    /// [`Error::WrongBytes`] if it is not the manifest's, [`Error::Payload`] if
    /// it cannot be read, or the disk failed; no image is in the slot then.
    pub fn put_uki(&mut self, mut image: impl Read) -> Result<()> {
        let Self { disk, plan, .. } = self;
        let (boot, size) = (plan.places.boot, plan.payload.uki_size);
        let flush = |disk: &mut D| disk.flush().map_err(Error::disk("flush the other slot"));
        boot.write(*disk, 0, &[0; SECTOR_BYTES])?;
        flush(disk)?;

        let mut hasher = Sha256::new();
        let mut first = [0; SECTOR_BYTES];
        let mut buffer = vec![0; CHUNK_BYTES.min(boot.size_bytes() as usize)];
        let mut at = 0;
        while at < boot.size_bytes() {
            let length = buffer.len().min((boot.size_bytes() - at) as usize);
            let chunk = &mut buffer[..length];
            let wanted = size.saturating_sub(at).min(length as u64) as usize;
            image
                .read_exact(&mut chunk[..wanted])
                .map_err(|source| Error::Payload { part: KERNEL, source })?;
            hasher.update(&chunk[..wanted]);
            chunk[wanted..].fill(0);
            if at == 0 {
                first.copy_from_slice(&chunk[..SECTOR_BYTES]);
                boot.write(*disk, SECTOR_BYTES as u64, &chunk[SECTOR_BYTES..])?;
            } else {
                boot.write(*disk, at, chunk)?;
            }
            at += length as u64;
        }
        let more = image.take(1).read_to_end(&mut Vec::new());
        if more.map_err(|source| Error::Payload { part: KERNEL, source })? != 0 {
            return Err(wrong_uki(&plan.payload, format!("more than {size} bytes")));
        }
        let found = hex::encode(&hasher.finalize());
        if found != plan.payload.uki_sha256 {
            return Err(wrong_uki(&plan.payload, format!("sha256 {found}")));
        }
        flush(disk)?;
        boot.write(*disk, 0, &first)
    }

    /// Flushes, reads everything back from the medium, and holds it against
    /// the hash tree, the manifest, and what the kernel image itself says.
    ///
    /// # Errors
    /// What is missing or differs, [`Error::Contradiction`] if image and
    /// manifest belong to different releases, or the disk failed. What is in
    /// the slot stays there for the next attempt.
    pub fn finish(self) -> Result<Verified<'d, D>> {
        let Self { disk, plan, tree } = self;
        disk.flush().map_err(Error::disk("flush the other slot"))?;
        // The tree in memory leads to the root hash. If each block is the one
        // that it names, and the tree's bytes are those on the medium, the root
        // hash of what is on the medium is the manifest's. (The manifest's
        // SHA-256 of the root says nothing more.)
        each_block(disk, plan.places.root, &tree, |block, is_right| {
            let offset = block * BLOCK_BYTES as u64;
            if is_right { Ok(()) } else { Err(Error::NotReadBack { part: ROOT, offset }) }
        })?;
        let on_disk = plan.places.hash.read_back_bytes(disk, tree.bytes().len() as u64)?;
        if let Some(offset) = tree.bytes().iter().zip(&on_disk).position(|(wanted, found)| wanted != found) {
            return Err(Error::NotReadBack { part: TREE, offset: offset as u64 });
        }
        let image = check_uki(disk, &plan)?;
        check_release(&plan.payload, &image)?;
        Ok(Verified { disk, plan })
    }
}

/// Reads all blocks of a root back and judges each.
pub(crate) fn each_block<D: Medium>(
    disk: &mut D,
    root: Extent,
    tree: &Tree,
    mut judge: impl FnMut(u64, bool) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES.min(tree.blocks() as usize * BLOCK_BYTES)];
    let mut first = 0;
    while first < tree.blocks() {
        let count = BLOCKS_PER_CHUNK.min(tree.blocks() - first);
        let chunk = &mut buffer[..count as usize * BLOCK_BYTES];
        root.read_back(disk, first * BLOCK_BYTES as u64, chunk)?;
        for (block, data) in (first..).zip(chunk.chunks_exact(BLOCK_BYTES)) {
            judge(block, tree.holds(block, data))?;
        }
        first += count;
    }
    Ok(())
}

/// The image on the medium if it is the manifest's, with nothing behind it.
fn check_uki<D: Medium>(disk: &mut D, plan: &Plan) -> Result<Vec<u8>> {
    let (boot, size) = (plan.places.boot, plan.payload.uki_size);
    let mut image = boot.read_back_bytes(disk, size.next_multiple_of(SECTOR_SIZE))?;
    let mut at = image.len() as u64;
    let mut rest = image.split_off(size as usize);
    let found = hex::encode(&Sha256::digest(&image));
    if found != plan.payload.uki_sha256 {
        return Err(wrong_uki(&plan.payload, format!("sha256 {found} on the disk")));
    }
    loop {
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Error::NotReadBack { part: "rest of the kernel image's partition", offset: at });
        }
        if at == boot.size_bytes() {
            return Ok(image);
        }
        rest.resize(CHUNK_BYTES.min((boot.size_bytes() - at) as usize), 0);
        boot.read_back(disk, at, &mut rest)?;
        at += rest.len() as u64;
    }
}

fn wrong_uki(payload: &Payload, found: String) -> Error {
    Error::WrongBytes { part: KERNEL, size: payload.uki_size, sha256: payload.uki_sha256.clone(), found }
}

/// Manifest = `.osrel` = command line = GUIDs to be written.
fn check_release(payload: &Payload, image: &[u8]) -> Result<()> {
    let contradiction = |field, manifest: &dyn ToString, image: &dyn ToString| Error::Contradiction {
        field,
        manifest: manifest.to_string(),
        image: image.to_string(),
    };
    let says = Says::read(image).map_err(|error| contradiction("its release", &"one", &error))?;
    let expected = [
        ("VERSION_ID", payload.release.version().to_owned(), says.version.clone()),
        ("VARIANT_ID", payload.variant.clone(), says.variant.clone()),
        ("OSBUILD_ROLLBACK_INDEX", payload.rollback_index.to_string(), says.rollback_index.to_string()),
        ("OSBUILD_FLOOR", payload.floor.to_string(), says.floor.to_string()),
        ("its command line", payload.command_line.clone(), says.command_line.clone()),
        ("its root hash", hex::encode(&payload.root_hash), hex::encode(&says.root.root_hash)),
        ("its root's blocks", payload.blocks.to_string(), says.root.blocks.to_string()),
    ];
    for (field, manifest, image) in expected {
        if manifest != image {
            return Err(contradiction(field, &manifest, &image));
        }
    }
    // What the loader will ask of it, and the kernel after it.
    says.check_device()
        .map_err(|what| contradiction("of its verity device", &"it is as its root hash wants it", &what))?;
    match uki::image_length(image, image.len() as u64) {
        Ok(length) if length == payload.uki_size => Ok(()),
        Ok(length) => Err(contradiction("its length", &payload.uki_size, &length)),
        Err(error) => Err(contradiction("its length", &payload.uki_size, &format!("{error:?}"))),
    }
}
