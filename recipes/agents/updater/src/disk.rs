//! The disk of the system and PRIVATE's record, as installing a release wants
//! them.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use osbuild_boot::gpt::Disk;
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::private::Private;
use osbuild_install::{Medium, Record};
use osbuild_sys::block::{FileDisk, SystemDisk};
use osbuild_sys::direct::{Direct, PIECE_BYTES};
use osbuild_sys::{Failed, private};

/// The disk below the running root.
pub struct WholeDisk {
    disk: FileDisk,
    /// The same, to be read past what the kernel remembers of it.
    medium: Direct,
    pace: Pace,
}

impl WholeDisk {
    /// # Errors
    /// It cannot be opened.
    pub fn open(disk: &SystemDisk) -> osbuild_sys::Result<Self> {
        let path = disk.device();
        let (disk, medium) = (FileDisk::open(&path)?, Direct::open(&path)?);
        Ok(Self { disk, medium, pace: Pace::AsItComes })
    }

    /// To be read, when nobody waits for it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open_for_scrub(disk: &SystemDisk) -> osbuild_sys::Result<Self> {
        let path = disk.device();
        let (disk, medium) = (FileDisk::open_to_read(&path)?, Direct::open(&path)?);
        Ok(Self { disk, medium, pace: Pace::OutOfTheWay })
    }
}

/// How fast a medium is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    AsItComes,
    /// At most [`SCRUB_BYTES_A_SECOND`]: not every scheduler of a disk knows
    /// idle requests, and a disk may be another machine's.
    OutOfTheWay,
}

const SCRUB_BYTES_A_SECOND: u64 = 16 << 20;

impl Pace {
    /// After so many bytes were read since.
    pub fn keep(self, bytes: usize, since: Instant) {
        if self == Self::OutOfTheWay {
            let due = Duration::from_micros(bytes as u64 * 1_000_000 / SCRUB_BYTES_A_SECOND);
            std::thread::sleep(due.saturating_sub(since.elapsed()));
        }
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
    fn read_back(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut place = sector * SECTOR_SIZE;
        for piece in buffer.chunks_mut(PIECE_BYTES) {
            let since = Instant::now();
            piece.copy_from_slice(self.medium.read_at(place, piece.len())?);
            self.pace.keep(piece.len(), since);
            place += piece.len() as u64;
        }
        Ok(())
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
