//! A raw disk image file as the partition table's code wants it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use osbuild_boot::gpt::Disk;
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_install::Medium;

use super::DiskError;

/// Whether the file may be changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

pub(crate) struct RawDisk {
    file: File,
    sectors: u64,
}

impl RawDisk {
    pub(crate) fn open(path: &Path, access: Access) -> Result<Self, DiskError> {
        let error = |source| DiskError::Io { action: "open", path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path).map_err(error)?;
        let length = file.metadata().map_err(error)?.len();
        if length < 2 * 1024 * 1024 {
            let what = format!("it has only {length} bytes");
            return Err(DiskError::NotOurs { path: path.to_owned(), what });
        }
        Ok(Self { file, sectors: length / SECTOR_SIZE })
    }
}

impl Disk for RawDisk {
    type Error = io::Error;

    fn sector_count(&self) -> u64 {
        self.sectors
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, sector * SECTOR_SIZE)
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, sector * SECTOR_SIZE)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Medium for RawDisk {
    /// Of an image on the host, the file is what matters, wherever its bytes are
    /// just now.
    fn read_back(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read(sector, buffer)
    }
}
