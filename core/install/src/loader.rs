//! The boot loader's update: into the run that no start depends on, then one
//! sector.
//!
//! A loader is never written where the firmware might start it half: the run
//! behind LOADER.OLD is written, flushed and read back, and only then does the
//! directory say that it is BOOTX64.EFI. The one before stays as LOADER.OLD.

use osbuild_boot::law::Forbidden;
use osbuild_boot::layout::{LOADER_RUN_BYTES, Role};
use osbuild_boot::slot::State;
use osbuild_boot::uki;
use osbuild_format::fat::{Foreign, Loaders};
use osbuild_format::hex;
use osbuild_format::release::Blob;
use sha2::{Digest, Sha256};

use crate::extent::{CHUNK_BYTES, Extent};
use crate::preflight::Node;
use crate::{Error, Medium, Result, change};

const PART: &str = "loader";

/// What became of the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Replaced,
    /// The firmware starts it already.
    AlreadyThere,
}

/// Makes `loader` the one that the firmware starts. `manifest` is what the
/// running release says of its loader.
///
/// # Errors
/// [`Error::Forbidden`] before the commit, [`Error::SlotActivated`] after an
/// activation in the same boot, [`Error::WrongBytes`], [`Error::ForeignEsp`],
/// all with nothing written; [`Error::NotReadBack`] or the disk failed, with
/// the old loader still in its place.
pub fn replace<D: Medium>(disk: &mut D, node: &Node, loader: &[u8], manifest: &Blob) -> Result<Outcome> {
    if !node.running.committed {
        return Err(Forbidden::NotCommitted.into());
    }
    let table = change::load(disk)?;
    // An activation that is still to be tried, whoever forgot to say so.
    let is_trial_due = change::others_bits(&table, node.running)?.state() == State::Trial;
    if node.since_start.slot_activated || is_trial_due {
        return Err(Error::SlotActivated);
    }
    check(loader, manifest)?;
    let esp = Extent::of(&table, Role::Esp)?;
    let loaders = find(disk, esp)?;
    let mut run = loader.to_vec();
    run.resize(LOADER_RUN_BYTES as usize, 0);
    if read_run(disk, esp, loaders.current)? == run {
        return Ok(Outcome::AlreadyThere);
    }

    for (index, chunk) in run.chunks(CHUNK_BYTES).enumerate() {
        esp.write(disk, loaders.old + (index * CHUNK_BYTES) as u64, chunk)?;
    }
    flush(disk)?;
    let found = read_run(disk, esp, loaders.old)?;
    if let Some(at) = run.iter().zip(&found).position(|(wanted, found)| wanted != found) {
        return Err(Error::NotReadBack { part: PART, offset: at as u64 });
    }
    esp.write(disk, loaders.directory_offset, &loaders.exchanged())?;
    flush(disk)?;
    Ok(Outcome::Replaced)
}

/// Whether the firmware starts this loader already: to be asked before it is
/// fetched.
///
/// # Errors
/// [`Error::ForeignEsp`], or the disk failed.
pub fn is_current<D: Medium>(disk: &mut D, manifest: &Blob) -> Result<bool> {
    let table = change::load(disk)?;
    let esp = Extent::of(&table, Role::Esp)?;
    let current = find(disk, esp)?.current;
    let run = read_run(disk, esp, current)?;
    let size = usize::try_from(manifest.size).unwrap_or(usize::MAX);
    let image = run.get(..size);
    Ok(image.is_some_and(|image| hex::encode(&Sha256::digest(image)) == manifest.sha256))
}

/// The loader is the manifest's, and an image that firmware takes.
fn check(loader: &[u8], manifest: &Blob) -> Result<()> {
    let size = loader.len() as u64;
    let found = hex::encode(&Sha256::digest(loader));
    if (size, &found) != (manifest.size, &manifest.sha256) {
        let (size, sha256) = (manifest.size, manifest.sha256.clone());
        return Err(Error::WrongBytes { part: PART, size, sha256, found: format!("sha256 {found}") });
    }
    if size > LOADER_RUN_BYTES {
        return Err(Error::LoaderTooLarge { size, room: LOADER_RUN_BYTES });
    }
    match uki::image_length(loader, size) {
        Ok(_) => Ok(()),
        Err(error) => {
            let sha256 = manifest.sha256.clone();
            Err(Error::WrongBytes { part: PART, size, sha256, found: format!("no program ({error:?})") })
        }
    }
}

fn find<D: Medium>(disk: &mut D, esp: Extent) -> Result<Loaders> {
    let head = Loaders::head_bytes(esp.size_bytes()).ok_or(Foreign::BootSector)?;
    let head = esp.read_back_bytes(disk, head)?;
    Ok(Loaders::parse(esp.size_bytes(), &head)?)
}

fn read_run<D: Medium>(disk: &mut D, esp: Extent, offset: u64) -> Result<Vec<u8>> {
    let mut run = vec![0; LOADER_RUN_BYTES as usize];
    for (index, chunk) in run.chunks_mut(CHUNK_BYTES).enumerate() {
        esp.read_back(disk, offset + (index * CHUNK_BYTES) as u64, chunk)?;
    }
    Ok(run)
}

fn flush<D: Medium>(disk: &mut D) -> Result<()> {
    disk.flush().map_err(Error::disk("flush the ESP"))
}
