//! Where a slot's parts are, and reading and writing within them only.

use osbuild_boot::gpt::{Gpt, SECTOR_BYTES};
use osbuild_boot::layout::{Role, SECTOR_SIZE};
use osbuild_boot::slot::Slot;

use crate::{Error, Medium, Result};

/// One transfer.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// A partition's sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    first: u64,
    sectors: u64,
}

/// The three partitions of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) boot: Extent,
    pub(crate) root: Extent,
    pub(crate) hash: Extent,
}

impl Places {
    pub(crate) fn of(table: &Gpt, slot: Slot) -> Result<Self> {
        let [boot, root, hash] = [slot.boot(), slot.root(), slot.hash()].map(|role| Extent::of(table, role));
        Ok(Self { boot: boot?, root: root?, hash: hash? })
    }
}

impl Extent {
    pub(crate) fn of(table: &Gpt, role: Role) -> Result<Self> {
        let entry = table.partition(role).ok_or(Error::NoPartition(role.name()))?;
        Ok(Self { first: entry.first, sectors: entry.sector_count() })
    }

    pub(crate) fn size_bytes(self) -> u64 {
        self.sectors * SECTOR_SIZE
    }

    /// Writes whole sectors.
    ///
    /// # Panics
    /// If they are not whole sectors of this partition: sizes were checked
    /// before anything was written.
    pub(crate) fn write<D: Medium>(self, disk: &mut D, offset: u64, bytes: &[u8]) -> Result<()> {
        disk.write(self.sector(offset, bytes.len()), bytes).map_err(Error::disk("write to the disk"))
    }

    /// Reads whole sectors back from the medium.
    ///
    /// # Panics
    /// As [`Extent::write`].
    pub(crate) fn read_back<D: Medium>(self, disk: &mut D, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let sector = self.sector(offset, buffer.len());
        disk.read_back(sector, buffer).map_err(Error::disk("read back what is on the disk"))
    }

    /// Reads bytes back, which need not end with a sector.
    pub(crate) fn read_back_bytes<D: Medium>(self, disk: &mut D, size: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (size as usize).next_multiple_of(SECTOR_BYTES)];
        for (index, chunk) in bytes.chunks_mut(CHUNK_BYTES).enumerate() {
            self.read_back(disk, (index * CHUNK_BYTES) as u64, chunk)?;
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn sector(self, offset: u64, length: usize) -> u64 {
        let is_whole = offset % SECTOR_SIZE == 0 && length % SECTOR_BYTES == 0;
        assert!(is_whole && offset + length as u64 <= self.size_bytes(), "within the partition, by sectors");
        self.first + offset / SECTOR_SIZE
    }
}
