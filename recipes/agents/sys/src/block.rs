//! The disk that this system runs from, and its partition table.
//!
//! It is found from the slaves of `dm-0`, never by label or type: with equal
//! identifiers on a second disk, a global search may find the wrong one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use osbuild_boot::gpt::{self, Gpt, SECTOR_BYTES};
use osbuild_boot::layout::{Role, SECTOR_SIZE};
use osbuild_boot::slot::Slot;
use rustix::fs::FlockOperation;

use crate::{Failed, Result, ioctl, lock};

const SYS_BLOCK: &str = "/sys/class/block";
const LOCK: &str = "/run/osbuild/gpt.lock";

/// The one lock of the partition table, for who changes it by other means than
/// [`SystemDisk::update_table`]; held until what it returns is dropped.
///
/// # Errors
/// The lock's file cannot be made.
pub fn table_lock() -> Result<File> {
    lock::exclusive(LOCK)
}

/// The disk, and the slot that runs.
#[derive(Clone, Debug)]
pub struct SystemDisk {
    /// `vda`, `nvme0n1`.
    pub name: String,
    pub slot: Slot,
}

impl SystemDisk {
    /// Finds the disk below the verified root.
    ///
    /// # Errors
    /// The root is no mapped device, or its slaves are no slot of ours.
    pub fn find() -> Result<Self> {
        let slaves = Path::new(SYS_BLOCK).join("dm-0/slaves");
        let mut found = None;
        for slave in std::fs::read_dir(&slaves).map_err(Failed::at("list", &slaves))?.flatten() {
            let name = slave.file_name().to_string_lossy().into_owned();
            let number = read_number(&Path::new(SYS_BLOCK).join(&name).join("partition"))?;
            let slot = Slot::BOTH.into_iter().find(|slot| u64::from(slot.root().number()) == number);
            if let Some(slot) = slot {
                found = Some((name, slot));
            }
        }
        let not_found = || std::io::Error::other("no ROOT partition among the slaves");
        let (partition, slot) =
            found.ok_or_else(not_found).map_err(Failed::at("find the disk below", &slaves))?;
        // /sys/class/block/vda3 → …/block/vda/vda3
        let link = Path::new(SYS_BLOCK).join(&partition);
        let real = link.canonicalize().map_err(Failed::at("resolve", &link))?;
        let name = real.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
        Ok(Self { name: name.unwrap_or_default(), slot })
    }

    pub fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// The device of a partition: `vda9`, `nvme0n1p9`.
    pub fn partition(&self, role: Role) -> PathBuf {
        let separator = if self.name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        Path::new("/dev").join(format!("{}{separator}{}", self.name, role.number()))
    }

    /// Reads the table, changes it, writes it; under the one lock that every
    /// program of the node takes. `change` returns whether to write.
    ///
    /// # Errors
    /// The disk cannot be read or written, or holds no valid table.
    pub fn update_table<T>(&self, change: impl FnOnce(&mut Gpt) -> (bool, T)) -> Result<T> {
        let _turn = lock::exclusive(LOCK)?;
        let mut disk = FileDisk::open(&self.device())?;
        let mut table = gpt::load_and_repair(&mut disk).map_err(|error| self.table_error(error))?;
        let (is_changed, result) = change(&mut table);
        if is_changed {
            gpt::store(&mut disk, &table)
                .map_err(Failed::at("write the partition table of", self.device()))?;
        }
        Ok(result)
    }

    /// Reads the table and changes nothing: what a torn copy needs, whoever
    /// changes the table next does.
    ///
    /// # Errors
    /// The disk cannot be read, or holds no valid table.
    pub fn read_table(&self) -> Result<gpt::Loaded> {
        // Nobody has written yet if there is no lock.
        let lock = File::open(LOCK).ok();
        if let Some(lock) = &lock {
            rustix::fs::flock(lock, FlockOperation::LockShared).map_err(Failed::at("lock", LOCK))?;
        }
        let mut disk = FileDisk::open_to_read(&self.device())?;
        gpt::load(&mut disk).map_err(|error| self.table_error(error))
    }

    fn table_error(&self, error: gpt::LoadError<std::io::Error>) -> Failed {
        let source = match error {
            gpt::LoadError::Disk(source) => source,
            gpt::LoadError::Neither { primary, backup } => {
                std::io::Error::other(format!("no valid copy (primary: {primary:?}, backup: {backup:?})"))
            }
        };
        Failed { action: "read the partition table of", path: self.device(), source }
    }
}

/// A block device as the table's code wants it.
pub struct FileDisk {
    file: File,
    sectors: u64,
}

impl FileDisk {
    /// # Errors
    /// Opening the device or asking its size failed.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(path, OpenOptions::new().read(true).write(true))
    }

    /// # Errors
    /// As [`FileDisk::open`].
    pub fn open_to_read(path: &Path) -> Result<Self> {
        Self::of(path, OpenOptions::new().read(true))
    }

    fn of(path: &Path, options: &OpenOptions) -> Result<Self> {
        let file = options.open(path).map_err(Failed::at("open", path))?;
        let size = ioctl::device_size(&file).map_err(Failed::at("ask the size of", path))?;
        Ok(Self { file, sectors: size / SECTOR_SIZE })
    }
}

impl gpt::Disk for FileDisk {
    type Error = std::io::Error;

    fn sector_count(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        debug_assert_eq!(buffer.len() % SECTOR_BYTES, 0);
        self.file.seek(SeekFrom::Start(sector * SECTOR_SIZE))?;
        self.file.read_exact(buffer)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(sector * SECTOR_SIZE))?;
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

fn read_number(path: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(path).map_err(Failed::at("read", path))?;
    text.trim().parse().map_err(std::io::Error::other).map_err(Failed::at("read a number from", path))
}
