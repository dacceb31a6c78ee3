//! A disk image as its node would treat it: slots read, a payload installed,
//! a roll-back ordered; for whoever prepares or repairs disks from outside.
//!
//! Every change is the law's (`osbuild-boot`); nothing here decides. The file
//! is a raw disk; other formats are converted first.

pub(crate) mod raw;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use osbuild_boot::gpt::{self, Disk as _, Gpt};
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::private::Private;
use osbuild_boot::slot::{Pair, Slot};
use osbuild_format::hex;
use osbuild_format::release::Release;
use osbuild_format::verity::BLOCK_BYTES;
pub use osbuild_install::{Error as InstallError, Refusal};
use osbuild_install::{Examined, Plan, Record, orders};
use sha2::{Digest, Sha256};

use raw::RawDisk;

/// A disk that could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// An operation on a file failed.
    #[error("cannot {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// The file holds no partition table of this layout.
    #[error("{path} holds no disk of this system: {what}")]
    NotOurs { path: PathBuf, what: String },
    /// The payload's manifest cannot be read.
    #[error("cannot read {path}")]
    Manifest { path: PathBuf, source: serde_json::Error },
    /// The payload is not for this disk.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The payload is not what its manifest promises, or could not be written;
    /// or what a slot holds cannot be gone back to.
    #[error(transparent)]
    Install(#[from] InstallError),
}

type Result<T> = std::result::Result<T, DiskError>;

/// Both slots' bits.
///
/// # Errors
/// See [`DiskError`].
pub fn slots(path: &Path) -> Result<Pair> {
    let mut disk = RawDisk::open(path, raw::Access::Read)?;
    table(&mut disk, path)?.slots().ok_or_else(|| not_ours(path, "the partitions are others"))
}

/// What of a slot is not the release's, byte for byte: partitions by name. What
/// is behind the payload is not asked.
///
/// # Errors
/// See [`DiskError`].
pub fn differences(path: &Path, slot: Slot, release: &Release) -> Result<Vec<&'static str>> {
    let mut disk = RawDisk::open(path, raw::Access::Read)?;
    let table = table(&mut disk, path)?;
    let parts = [
        (slot.boot(), release.uki.size, &release.uki.sha256),
        (slot.root(), release.root.size, &release.root.sha256),
        (slot.hash(), release.hash.size, &release.hash.sha256),
    ];
    let mut different = Vec::new();
    for (role, size, due) in parts {
        let entry = table.partition(role).ok_or_else(|| not_ours(path, "the partitions are others"))?;
        let fits = size <= entry.sector_count() * SECTOR_SIZE;
        if !fits || sha256_of(&mut disk, entry.first, size).map_err(io("read", path))? != *due {
            different.push(role.name());
        }
    }
    Ok(different)
}

/// Of so many bytes from a sector on, in hexadecimal.
fn sha256_of(disk: &mut RawDisk, first: u64, size: u64) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES as usize];
    let mut at = 0;
    while at < size {
        let count = (size - at).min(CHUNK_BYTES) as usize;
        disk.read(first + at / SECTOR_SIZE, &mut buffer[..count])?;
        digest.update(&buffer[..count]);
        at += count as u64;
    }
    Ok(hex::encode(&digest.finalize()))
}

/// Writes the payload of `result/slot` into a slot and arms it for a trial, as
/// a node's updater does. What a node might have against the release is not
/// asked, and no trial is recorded: PRIVATE is the node's own.
///
/// # Errors
/// See [`DiskError`]; whatever fails, the other slot stays as it was.
pub fn install(path: &Path, slot: Slot, payload: &Path) -> Result<Pair> {
    let manifest_path = payload.join("manifest.json");
    let text = std::fs::read(&manifest_path).map_err(io("read", &manifest_path))?;
    let release = Release::parse(&text)
        .map_err(|source| DiskError::Manifest { path: manifest_path.clone(), source })?;
    let mut disk = RawDisk::open(path, raw::Access::Write)?;
    let plan = Plan::from_outside(&table(&mut disk, path)?, slot.other(), &release)?;
    let part = |name: &str| {
        let path = payload.join(name);
        File::open(&path).map(|file| (file, path.clone())).map_err(io("open", &path))
    };

    let (mut tree, tree_path) = part("root.verity")?;
    let mut bytes = Vec::new();
    tree.read_to_end(&mut bytes).map_err(io("read", &tree_path))?;
    let mut writing = plan.begin(&mut disk)?.hash_tree(bytes)?;
    let (mut root, root_path) = part("root.squashfs")?;
    let mut buffer = Vec::new();
    let mut first_block = 0;
    loop {
        buffer.clear();
        (&mut root).take(CHUNK_BYTES).read_to_end(&mut buffer).map_err(io("read", &root_path))?;
        if buffer.is_empty() {
            break;
        }
        writing.put_root(first_block, &buffer)?;
        first_block += (buffer.len() / BLOCK_BYTES) as u64;
    }
    writing.put_uki(part("boot.efi")?.0)?;
    Ok(writing.finish()?.activate(&mut NoRecord)?)
}

/// A disk from outside has none: what it says of trials is kept by its node.
struct NoRecord;

impl Record for NoRecord {
    type Error = std::convert::Infallible;

    fn load(&mut self) -> Private {
        Private::default()
    }

    fn save(&mut self, _: Private) -> std::result::Result<(), Self::Error> {
        Ok(())
    }
}

/// Orders a roll-back as an operator of the running slot would (O6): to what is
/// whole. What the node might have against it is not asked, and nothing is held.
///
/// # Errors
/// See [`DiskError`]; whatever fails, the same slot starts next.
pub fn roll_back(path: &Path, running: Slot) -> Result<Pair> {
    let mut disk = RawDisk::open(path, raw::Access::Write)?;
    table(&mut disk, path)?.slots().ok_or_else(|| not_ours(path, "the partitions are others"))?;
    let examined = Examined::read(&mut disk, running.other())?;
    Ok(orders::roll_back_from_outside(&mut disk, examined)?)
}

fn table(disk: &mut RawDisk, path: &Path) -> Result<Gpt> {
    gpt::load(disk).map(|loaded| loaded.table).map_err(|error| match error {
        gpt::LoadError::Disk(source) => io("read", path)(source),
        gpt::LoadError::Neither { primary, .. } => {
            not_ours(path, &format!("no valid partition table ({primary:?})"))
        }
    })
}

const CHUNK_BYTES: u64 = 1 << 20;

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError::Io { action, path, source }
}

fn not_ours(path: &Path, what: &str) -> DiskError {
    DiskError::NotOurs { path: path.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::FileExt;

    use osbuild_boot::layout::Role;
    use osbuild_format::disk::{Content, Factory, Layout, factory};
    use osbuild_format::release::{Blob, Root, Segments, Uki};

    use super::*;

    /// A factory's disk whose slot A holds these bytes, and the release of it.
    fn made(path: &Path) -> Release {
        let (boot, root, hash) = (vec![1; 5000], vec![2; 3 << 20], vec![3; 8192]);
        let blob =
            |bytes: &[u8]| Blob { size: bytes.len() as u64, sha256: hex::encode(&Sha256::digest(bytes)) };
        let layout = Layout::default();
        let plan = factory(&Factory {
            layout: &layout,
            data_bytes: 64 << 20,
            root_hash: [7; 32],
            seed: "",
            loader: &[9; 100],
            boot_bytes: boot.len() as u64,
            root_bytes: root.len() as u64,
            hash_bytes: hash.len() as u64,
        })
        .unwrap();
        let file = File::create(path).unwrap();
        file.set_len(plan.size_bytes).unwrap();
        for piece in &plan.pieces {
            let bytes = match &piece.content {
                Content::Bytes(bytes) => bytes,
                Content::Boot => &boot,
                Content::Root => &root,
                Content::Hash => &hash,
            };
            file.write_all_at(bytes, piece.offset).unwrap();
        }
        let Blob { size, sha256 } = blob(&root);
        let (uki, hash) = (blob(&boot), blob(&hash));
        Release {
            schema: 1,
            variant: "test".to_owned(),
            arch: "x86_64".to_owned(),
            version: "1.0.0".to_owned(),
            rollback_index: 1,
            floor: 0,
            min_from_index: 0,
            layout: layout.digest(),
            root: Root {
                size,
                sha256,
                root_hash: hex::encode(&[7; 32]),
                salt: String::new(),
                blocks: size / 4096,
            },
            uki: Uki {
                size: uki.size,
                unsigned_sha256: uki.sha256.clone(),
                sha256: uki.sha256,
                command_line: String::new(),
            },
            hash,
            loader: blob(&[9; 100]),
            segments: Segments { file: String::new(), sha256: String::new() },
            settings_schema: 1,
            health_sha256: String::new(),
            sbom: Vec::new(),
            attestations: Vec::new(),
        }
    }

    #[test]
    fn a_slot_holds_a_release_to_the_last_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let release = made(&path);
        assert_eq!(differences(&path, Slot::A, &release).unwrap(), [] as [&str; 0]);
        let names = |roles: &[Role]| roles.iter().map(|role| role.name()).collect::<Vec<_>>();
        let empty = names(&[Role::BootB, Role::RootB, Role::HashB]);
        assert_eq!(differences(&path, Slot::B, &release).unwrap(), empty);
        let layout = Layout::default();
        for (role, last) in [(Role::BootA, 4999), (Role::RootA, (3 << 20) - 1), (Role::HashA, 8191)] {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let at = layout.offset_bytes(role) + last;
            let mut byte = [0];
            File::open(&path).unwrap().read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            assert_eq!(differences(&path, Slot::A, &release).unwrap(), names(&[role]));
            file.write_all_at(&byte, at).unwrap();
        }
        let larger = Release { uki: Uki { size: 65 << 20, ..release.uki.clone() }, ..release };
        assert_eq!(differences(&path, Slot::A, &larger).unwrap(), names(&[Role::BootA]));
    }
}
