//! The disk of the system and PRIVATE's record, as installing a release wants
//! them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

use osbuild_boot::gpt::Disk;
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::private::Private;
use osbuild_install::{Medium, Record};
use osbuild_sys::block::{FileDisk, SystemDisk};
use osbuild_sys::{Failed, ioctl, private};

/// The disk below the running root.
pub struct WholeDisk {
    disk: FileDisk,
    /// The same, to be read past what the kernel remembers of it.
    medium: File,
}

impl WholeDisk {
    /// # Errors
    /// It cannot be opened.
    pub fn open(disk: &SystemDisk) -> osbuild_sys::Result<Self> {
        let path = disk.device();
        let medium = OpenOptions::new().read(true).open(&path).map_err(Failed::at("open", &path))?;
        Ok(Self { disk: FileDisk::open(&path)?, medium })
    }
}

impl Disk for WholeDisk {
    type Error = io::Error;

    fn sector_count(&self) -> u64 {
        self.disk.sector_count()
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read(sector, buffer)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write(sector, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}

impl Medium for WholeDisk {
    /// `BLKFLSBUF` writes out and forgets the pages of the whole disk; those of
    /// its partitions are the partitions' own, and nothing here writes there.
    fn read_back(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        // At the beginning of each stretch that is read in order.
        let start = sector * SECTOR_SIZE;
        if self.medium.stream_position()? != start {
            ioctl::drop_cache(self.medium.as_fd())?;
            self.medium.seek(SeekFrom::Start(start))?;
        }
        self.medium.read_exact(buffer)
    }
}

/// PRIVATE's record.
pub struct Remembered;

impl Record for Remembered {
    type Error = Failed;

    fn load(&mut self) -> Private {
        private::read()
    }

    fn save(&mut self, state: Private) -> Result<(), Failed> {
        private::write(state)
    }
}

/// Parts of the running slot, which a delta takes from.
pub struct Running {
    pub root: File,
    pub tree: File,
    pub kernel: File,
}

impl Running {
    /// # Errors
    /// A partition cannot be opened.
    pub fn open(disk: &SystemDisk) -> osbuild_sys::Result<Self> {
        let open = |role| {
            let path = disk.partition(role);
            File::open(&path).map_err(Failed::at("open", path))
        };
        Ok(Self {
            root: open(disk.slot.root())?,
            tree: open(disk.slot.hash())?,
            kernel: open(disk.slot.boot())?,
        })
    }
}
