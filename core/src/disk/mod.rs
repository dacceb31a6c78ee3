//! A disk image as its node would treat it: slots read, a payload installed,
//! a roll-back ordered; for whoever prepares or repairs disks from outside.
//!
//! Every change is the law's (`osbuild-boot`); nothing here decides. The file
//! is a raw disk; other formats are converted first.

pub(crate) mod raw;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use osbuild_boot::gpt::{self, Gpt};
use osbuild_boot::guid::Guid;
use osbuild_boot::law::{self, Event, Forbidden, Running, Verdict};
use osbuild_boot::layout::{Role, SECTOR_SIZE};
use osbuild_boot::slot::{Pair, Slot};
use osbuild_format::release::{Blob, Release};
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
    /// A part of the payload is larger than its partition.
    #[error("{part} has {size} bytes, but {partition} holds {room}")]
    TooLarge { part: &'static str, size: u64, partition: &'static str, room: u64 },
    /// Bytes are not those that the manifest promises.
    #[error("{path}: expected sha256 {expected}, got {actual}")]
    Mismatch { path: String, expected: String, actual: String },
    /// Two slots with one root hash could not be told apart.
    #[error("slot {slot} already holds this root (hash {root_hash}): no two slots may hold the same one")]
    SameRoot { slot: &'static str, root_hash: String },
    /// The law of slots forbids it.
    #[error("the law of slots forbids it: {0}")]
    Forbidden(&'static str),
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

/// Writes the payload of `result/slot` into a slot and arms it for a trial:
/// O4, the bytes, read back, O3.
///
/// # Errors
/// See [`DiskError`]; whatever fails, the other slot stays as it was.
pub fn install(path: &Path, slot: Slot, payload: &Path) -> Result<Pair> {
    let manifest_path = payload.join("manifest.json");
    let text = std::fs::read(&manifest_path).map_err(io("read", &manifest_path))?;
    let release = Release::parse(&text)
        .map_err(|source| DiskError::Manifest { path: manifest_path.clone(), source })?;
    let root_hash = osbuild_format::hex::decode_array::<32>(&release.root.root_hash)
        .ok_or_else(|| not_ours(&manifest_path, "the root hash is no SHA-256"))?;

    let mut disk = RawDisk::open(path, raw::Access::Write)?;
    let mut table = table(&mut disk, path)?;
    let parts = [
        ("boot.efi", slot.boot(), Blob { size: release.uki.size, sha256: release.uki.sha256.clone() }),
        ("root.squashfs", slot.root(), Blob { size: release.root.size, sha256: release.root.sha256.clone() }),
        ("root.verity", slot.hash(), release.hash.clone()),
    ];
    for (part, role, blob) in &parts {
        let room = partition(&table, *role, path)?.sector_count() * SECTOR_SIZE;
        if blob.size > room {
            return Err(DiskError::TooLarge { part, size: blob.size, partition: role.name(), room });
        }
    }
    let other_root = partition(&table, slot.other().root(), path)?.guid;
    if other_root == Guid::of_root(&root_hash) {
        return Err(DiskError::SameRoot { slot: slot.other().name(), root_hash: release.root.root_hash });
    }

    let running = Running { slot: slot.other(), committed: true };
    change(&mut disk, &mut table, path, running, Event::BeginWrite)?;
    for (part, role, blob) in &parts {
        let entry = partition(&table, *role, path)?;
        let (start, room) = (entry.first * SECTOR_SIZE, entry.sector_count() * SECTOR_SIZE);
        copy(&payload.join(part), &disk, path, start, room, *role)?;
        disk.sync().map_err(io("sync", path))?;
        verify(&disk, path, start, blob, part)?;
    }
    for (role, guid) in [(slot.root(), Guid::of_root(&root_hash)), (slot.hash(), Guid::of_hash(&root_hash))] {
        let mut entry = partition(&table, role, path)?;
        entry.guid = guid;
        table.set_partition(role, &entry);
    }
    change(&mut disk, &mut table, path, running, Event::Activate)
}

/// Orders a roll-back as an operator of the running slot would (O6).
///
/// # Errors
/// See [`DiskError`].
pub fn roll_back(path: &Path, running: Slot) -> Result<Pair> {
    let mut disk = RawDisk::open(path, raw::Access::Write)?;
    let mut table = table(&mut disk, path)?;
    let running = Running { slot: running, committed: true };
    change(&mut disk, &mut table, path, running, Event::RollBack { is_barred: false, force: false })
}

fn table(disk: &mut RawDisk, path: &Path) -> Result<Gpt> {
    gpt::load(disk).map(|loaded| loaded.table).map_err(|error| match error {
        gpt::LoadError::Disk(source) => io("read", path)(source),
        gpt::LoadError::Neither { primary, .. } => {
            not_ours(path, &format!("no valid partition table ({primary:?})"))
        }
    })
}

fn partition(table: &Gpt, role: Role, path: &Path) -> Result<gpt::Entry> {
    table.partition(role).ok_or_else(|| not_ours(path, &format!("there is no {}", role.name())))
}

fn change(disk: &mut RawDisk, table: &mut Gpt, path: &Path, running: Running, event: Event) -> Result<Pair> {
    let before = table.slots().ok_or_else(|| not_ours(path, "the partitions are others"))?;
    let Verdict { bits, other_emptied, .. } = law::apply(before, running, event).map_err(|forbidden| {
        DiskError::Forbidden(match forbidden {
            Forbidden::NotCommitted => "the running system has not committed",
            Forbidden::NothingToRollBackTo => "the other slot was never good",
            Forbidden::Barred => "the other slot is refused or below the floor",
            Forbidden::NothingToCancel => "nothing is activated",
            Forbidden::NotRearmable => "the other slot is not spent, or was armed again before",
        })
    })?;
    table.set_slots(bits);
    if other_emptied {
        for role in [running.slot.other().root(), running.slot.other().hash()] {
            let mut entry = partition(table, role, path)?;
            entry.guid = Guid::of_partition(table.disk_guid, role.name());
            table.set_partition(role, &entry);
        }
    }
    gpt::store(disk, table).map_err(io("write the partition table of", path))?;
    Ok(bits)
}

const CHUNK: usize = 1 << 20;

/// Copies a part; BOOT's rest is zeroed, since the loader takes an image's
/// length from its own headers and signatures forbid padding.
fn copy(from: &Path, disk: &RawDisk, path: &Path, start: u64, room: u64, role: Role) -> Result<()> {
    let mut source = File::open(from).map_err(io("open", from))?;
    let mut buffer = vec![0u8; CHUNK];
    let mut at = 0u64;
    loop {
        let count = source.read(&mut buffer).map_err(io("read", from))?;
        if count == 0 {
            break;
        }
        disk.file().write_all_at(&buffer[..count], start + at).map_err(io("write", path))?;
        at += count as u64;
    }
    if matches!(role, Role::BootA | Role::BootB) {
        buffer.fill(0);
        while at < room {
            let count = CHUNK.min((room - at) as usize);
            disk.file().write_all_at(&buffer[..count], start + at).map_err(io("write", path))?;
            at += count as u64;
        }
    }
    Ok(())
}

fn verify(disk: &RawDisk, path: &Path, start: u64, blob: &Blob, part: &str) -> Result<()> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; CHUNK];
    let mut at = 0u64;
    while at < blob.size {
        let count = CHUNK.min((blob.size - at) as usize);
        disk.file().read_exact_at(&mut buffer[..count], start + at).map_err(io("read", path))?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    let actual = osbuild_format::hex::encode(&hasher.finalize());
    if actual == blob.sha256 {
        return Ok(());
    }
    Err(DiskError::Mismatch { path: part.to_owned(), expected: blob.sha256.clone(), actual })
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError::Io { action, path, source }
}

fn not_ours(path: &Path, what: &str) -> DiskError {
    DiskError::NotOurs { path: path.to_owned(), what: what.to_owned() }
}
