//! The partition table: two copies, one truth.
//!
//! Source: UEFI 2.10, section 5.3. The primary copy wins if it is valid, else
//! the backup; every change writes backup, flush, primary, flush, so that a
//! power cut at any sector leaves one valid copy, old or new.

use crate::crc32::crc32;
use crate::guid::Guid;
use crate::layout::{Role, SECTOR_SIZE};
use crate::slot::{Bits, Pair, Slot};

pub const SECTOR_BYTES: usize = SECTOR_SIZE as usize;
/// Entries in a table; the specification's minimum, and all that we write.
pub const ENTRY_COUNT: usize = 128;
pub const ENTRY_BYTES: usize = 128;
pub const ENTRIES_BYTES: usize = ENTRY_COUNT * ENTRY_BYTES;
pub const ENTRIES_SECTORS: u64 = (ENTRIES_BYTES / SECTOR_BYTES) as u64;
const HEADER_BYTES: usize = 92;
const SIGNATURE: &[u8; 8] = b"EFI PART";
const REVISION: u32 = 0x0001_0000;
/// First sector that a partition may use: after the protective MBR, the
/// header and the entries.
pub const FIRST_USABLE_SECTOR: u64 = 2 + ENTRIES_SECTORS;

/// A disk of 512-byte sectors.
pub trait Disk {
    type Error;
    /// Sectors of the whole disk.
    fn sector_count(&self) -> u64;
    /// Reads whole sectors; `buffer` is a multiple of 512 bytes.
    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
    /// Writes whole sectors; `bytes` is a multiple of 512 bytes.
    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Returns once everything written is on the medium.
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// A partition table, whichever copy it came from.
#[derive(Clone, PartialEq, Eq)]
pub struct Gpt {
    pub disk_guid: Guid,
    /// First and last sector that partitions may use, both included.
    pub first_usable: u64,
    pub last_usable: u64,
    /// Where the backup header is: the disk's last sector when the table was
    /// written, which need not be the last one now.
    pub backup_sector: u64,
    entries: [u8; ENTRIES_BYTES],
}

/// One partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub type_guid: Guid,
    pub guid: Guid,
    /// First and last sector, both included.
    pub first: u64,
    pub last: u64,
    pub attributes: u64,
    /// UTF-16, padded with zeros.
    pub name: [u16; 36],
}

impl Entry {
    pub const fn sector_count(&self) -> u64 {
        self.last + 1 - self.first
    }

    /// Encodes an ASCII name.
    pub fn encode_name(name: &str) -> [u16; 36] {
        let mut units = [0u16; 36];
        for (unit, character) in units.iter_mut().zip(name.encode_utf16()) {
            *unit = character;
        }
        units
    }
}

/// Why a copy of the table is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    Signature,
    /// Header size, revision, or a table that is not 128 entries of 128 bytes.
    Shape,
    HeaderChecksum,
    EntriesChecksum,
    /// The header does not say that it is where it was read.
    Place,
    /// A partition lies outside the usable sectors, or two overlap.
    Extent,
}

/// A table that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError<E> {
    Disk(E),
    /// Neither copy is valid.
    Neither {
        primary: Invalid,
        backup: Invalid,
    },
}

/// Which copy of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Primary,
    Backup,
}

impl Gpt {
    /// An empty table for a disk of `sector_count` sectors.
    pub const fn new(disk_guid: Guid, sector_count: u64) -> Self {
        Self {
            disk_guid,
            first_usable: FIRST_USABLE_SECTOR,
            last_usable: sector_count - 2 - ENTRIES_SECTORS,
            backup_sector: sector_count - 1,
            entries: [0; ENTRIES_BYTES],
        }
    }

    /// Checks one copy: `header` was read from `sector`, `entries` from where
    /// it says.
    ///
    /// # Errors
    /// See [`Invalid`].
    pub fn parse(
        header: &[u8; SECTOR_BYTES],
        entries: &[u8; ENTRIES_BYTES],
        sector: u64,
    ) -> Result<Self, Invalid> {
        let fields = Header::parse(header)?;
        if fields.own_sector != sector {
            return Err(Invalid::Place);
        }
        if crc32(&[entries]) != fields.entries_checksum {
            return Err(Invalid::EntriesChecksum);
        }
        let table = Self {
            disk_guid: fields.disk_guid,
            first_usable: fields.first_usable,
            last_usable: fields.last_usable,
            backup_sector: fields.own_sector.max(fields.other_sector),
            entries: *entries,
        };
        table.check_extents()?;
        Ok(table)
    }

    fn check_extents(&self) -> Result<(), Invalid> {
        for index in 0..ENTRY_COUNT {
            let Some(entry) = self.entry_at(index) else { continue };
            let inside = self.first_usable <= entry.first
                && entry.first <= entry.last
                && entry.last <= self.last_usable;
            let overlaps = (0..index)
                .filter_map(|other| self.entry_at(other))
                .any(|other| entry.first <= other.last && other.first <= entry.last);
            if !inside || overlaps {
                return Err(Invalid::Extent);
            }
        }
        Ok(())
    }

    /// The entry at `index` (from 0); `None` if unused.
    ///
    /// # Panics
    /// If `index` is not below [`ENTRY_COUNT`].
    pub fn entry_at(&self, index: usize) -> Option<Entry> {
        let bytes = &self.entries[index * ENTRY_BYTES..(index + 1) * ENTRY_BYTES];
        let type_guid = Guid::from_disk(array(&bytes[0..16]));
        if type_guid == Guid::NIL {
            return None;
        }
        let mut name = [0u16; 36];
        for (unit, pair) in name.iter_mut().zip(bytes[56..128].chunks_exact(2)) {
            *unit = u16::from_le_bytes([pair[0], pair[1]]);
        }
        Some(Entry {
            type_guid,
            guid: Guid::from_disk(array(&bytes[16..32])),
            first: u64_at(bytes, 32),
            last: u64_at(bytes, 40),
            attributes: u64_at(bytes, 48),
            name,
        })
    }

    /// Replaces the entry at `index` (from 0).
    ///
    /// # Panics
    /// If `index` is not below [`ENTRY_COUNT`].
    pub fn set_entry_at(&mut self, index: usize, entry: &Entry) {
        let bytes = &mut self.entries[index * ENTRY_BYTES..(index + 1) * ENTRY_BYTES];
        bytes[0..16].copy_from_slice(&entry.type_guid.to_disk());
        bytes[16..32].copy_from_slice(&entry.guid.to_disk());
        bytes[32..40].copy_from_slice(&entry.first.to_le_bytes());
        bytes[40..48].copy_from_slice(&entry.last.to_le_bytes());
        bytes[48..56].copy_from_slice(&entry.attributes.to_le_bytes());
        for (pair, unit) in bytes[56..128].chunks_exact_mut(2).zip(entry.name) {
            pair.copy_from_slice(&unit.to_le_bytes());
        }
    }

    /// The partition of a role, by number *and* type: a table of another
    /// layout is no table of ours.
    pub fn partition(&self, role: Role) -> Option<Entry> {
        self.entry_at(role.number() as usize - 1).filter(|entry| entry.type_guid == role.type_guid())
    }

    /// Replaces the partition of a role.
    pub fn set_partition(&mut self, role: Role, entry: &Entry) {
        self.set_entry_at(role.number() as usize - 1, entry);
    }

    /// Both slots' bits; `None` if the table is not of our layout.
    pub fn slots(&self) -> Option<Pair> {
        let bits = |slot: Slot| Some(Bits::from_attributes(self.partition(slot.boot())?.attributes));
        Some(Pair { a: bits(Slot::A)?, b: bits(Slot::B)? })
    }

    /// Writes both slots' bits into the table (not to disk).
    pub fn set_slots(&mut self, pair: Pair) {
        for slot in Slot::BOTH {
            if let Some(mut entry) = self.partition(slot.boot()) {
                entry.attributes = pair.of(slot).to_attributes(entry.attributes);
                self.set_partition(slot.boot(), &entry);
            }
        }
    }

    /// Names a slot's ROOT and HASH after the root hash of what they hold.
    pub fn name_after(&mut self, slot: Slot, root_hash: &[u8; 32]) {
        self.set_guid(slot.root(), Guid::of_root(root_hash));
        self.set_guid(slot.hash(), Guid::of_hash(root_hash));
    }

    /// The root hash that a slot's ROOT and HASH are named after.
    pub fn root_hash(&self, slot: Slot) -> Option<[u8; 32]> {
        let mut hash = [0; 32];
        for (half, role) in hash.chunks_exact_mut(16).zip([slot.root(), slot.hash()]) {
            half.copy_from_slice(&self.partition(role)?.guid.to_text_bytes());
        }
        Some(hash)
    }

    /// Gives a slot's ROOT and HASH the GUIDs of a slot that never held
    /// anything, as an EMPTY one has them.
    pub fn blank(&mut self, slot: Slot) {
        for role in [slot.root(), slot.hash()] {
            self.set_guid(role, Guid::of_partition(self.disk_guid, role.name()));
        }
    }

    fn set_guid(&mut self, role: Role, guid: Guid) {
        if let Some(mut entry) = self.partition(role) {
            entry.guid = guid;
            self.set_partition(role, &entry);
        }
    }

    /// The table for a disk that grew to `sector_count` sectors: the backup
    /// goes to the new end, DATA takes the rest. `None` if nothing changes.
    #[must_use]
    pub fn grown_to(&self, sector_count: u64) -> Option<Self> {
        let fresh = Self::new(self.disk_guid, sector_count);
        if fresh.backup_sector <= self.backup_sector {
            return None;
        }
        let mut data = self.partition(Role::Data)?;
        // The last full alignment unit, so that the size stays a multiple.
        let end =
            (fresh.last_usable + 1) / crate::layout::ALIGNMENT_SECTORS * crate::layout::ALIGNMENT_SECTORS;
        data.last = data.last.max(end - 1);
        let mut grown =
            Self { last_usable: fresh.last_usable, backup_sector: fresh.backup_sector, ..self.clone() };
        grown.set_partition(Role::Data, &data);
        Some(grown)
    }

    /// The header sector of one copy.
    pub fn header_bytes(&self, place: Place) -> [u8; SECTOR_BYTES] {
        let (own, other, entries) = match place {
            Place::Primary => (1, self.backup_sector, 2),
            Place::Backup => (self.backup_sector, 1, self.backup_sector - ENTRIES_SECTORS),
        };
        let mut bytes = [0u8; SECTOR_BYTES];
        bytes[0..8].copy_from_slice(SIGNATURE);
        bytes[8..12].copy_from_slice(&REVISION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        bytes[24..32].copy_from_slice(&own.to_le_bytes());
        bytes[32..40].copy_from_slice(&other.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_usable.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.last_usable.to_le_bytes());
        bytes[56..72].copy_from_slice(&self.disk_guid.to_disk());
        bytes[72..80].copy_from_slice(&entries.to_le_bytes());
        bytes[80..84].copy_from_slice(&(ENTRY_COUNT as u32).to_le_bytes());
        bytes[84..88].copy_from_slice(&(ENTRY_BYTES as u32).to_le_bytes());
        bytes[88..92].copy_from_slice(&crc32(&[&self.entries]).to_le_bytes());
        let checksum = crc32(&[&bytes[..HEADER_BYTES]]);
        bytes[16..20].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The entries, the same in both copies.
    pub fn entries_bytes(&self) -> &[u8; ENTRIES_BYTES] {
        &self.entries
    }

    /// The protective MBR (UEFI 2.10, section 5.2.3).
    pub fn protective_mbr(&self) -> [u8; SECTOR_BYTES] {
        let mut bytes = [0u8; SECTOR_BYTES];
        let entry = &mut bytes[446..462];
        entry[1..4].copy_from_slice(&[0x00, 0x02, 0x00]);
        entry[4] = 0xee;
        entry[5..8].copy_from_slice(&[0xff, 0xff, 0xff]);
        entry[8..12].copy_from_slice(&1u32.to_le_bytes());
        let sectors = u32::try_from(self.backup_sector).unwrap_or(u32::MAX);
        entry[12..16].copy_from_slice(&sectors.to_le_bytes());
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }
}

impl core::fmt::Debug for Gpt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Gpt").field("disk_guid", &self.disk_guid).field("slots", &self.slots()).finish()
    }
}

struct Header {
    own_sector: u64,
    other_sector: u64,
    first_usable: u64,
    last_usable: u64,
    disk_guid: Guid,
    entries_sector: u64,
    entries_checksum: u32,
}

impl Header {
    fn parse(bytes: &[u8; SECTOR_BYTES]) -> Result<Self, Invalid> {
        if &bytes[0..8] != SIGNATURE {
            return Err(Invalid::Signature);
        }
        let shape = (u32_at(bytes, 8), u32_at(bytes, 12), u32_at(bytes, 80), u32_at(bytes, 84));
        if shape != (REVISION, HEADER_BYTES as u32, ENTRY_COUNT as u32, ENTRY_BYTES as u32) {
            return Err(Invalid::Shape);
        }
        if crc32(&[&bytes[..16], &[0; 4], &bytes[20..HEADER_BYTES]]) != u32_at(bytes, 16) {
            return Err(Invalid::HeaderChecksum);
        }
        Ok(Self {
            own_sector: u64_at(bytes, 24),
            other_sector: u64_at(bytes, 32),
            first_usable: u64_at(bytes, 40),
            last_usable: u64_at(bytes, 48),
            disk_guid: Guid::from_disk(array(&bytes[56..72])),
            entries_sector: u64_at(bytes, 72),
            entries_checksum: u32_at(bytes, 88),
        })
    }
}

/// Reads one copy whose header is at `sector`.
fn read_copy<D: Disk>(disk: &mut D, sector: u64) -> Result<Result<Gpt, Invalid>, D::Error> {
    let mut header = [0u8; SECTOR_BYTES];
    disk.read(sector, &mut header)?;
    let fields = match Header::parse(&header) {
        Ok(fields) => fields,
        Err(invalid) => return Ok(Err(invalid)),
    };
    let end = fields.entries_sector.checked_add(ENTRIES_SECTORS);
    if end.is_none_or(|end| end > disk.sector_count()) {
        return Ok(Err(Invalid::Place));
    }
    let mut entries = [0u8; ENTRIES_BYTES];
    disk.read(fields.entries_sector, &mut entries)?;
    Ok(Gpt::parse(&header, &entries, sector))
}

/// A table as found on a disk.
pub struct Loaded {
    pub table: Gpt,
    /// The copy that was used.
    pub from: Place,
    /// The other copy is missing, torn, or says something else.
    pub needs_repair: bool,
}

/// Reads the table: the primary copy if it is valid, else the backup.
///
/// # Errors
/// A read failed, or neither copy is valid.
pub fn load<D: Disk>(disk: &mut D) -> Result<Loaded, LoadError<D::Error>> {
    let primary = read_copy(disk, 1).map_err(LoadError::Disk)?;
    let last_sector = disk.sector_count() - 1;
    // A disk that grew has its backup where the primary says.
    let backup_sector = primary.as_ref().map_or(last_sector, |table| table.backup_sector.min(last_sector));
    let backup = read_copy(disk, backup_sector).map_err(LoadError::Disk)?;
    match (primary, backup) {
        (Ok(table), Ok(backup)) => {
            let needs_repair = table != backup;
            Ok(Loaded { table, from: Place::Primary, needs_repair })
        }
        (Ok(table), Err(_)) => Ok(Loaded { table, from: Place::Primary, needs_repair: true }),
        (Err(_), Ok(table)) => Ok(Loaded { table, from: Place::Backup, needs_repair: true }),
        (Err(primary), Err(backup)) => Err(LoadError::Neither { primary, backup }),
    }
}

/// Writes both copies: backup, flush, primary, flush.
///
/// # Errors
/// A write failed; one valid copy, old or new, is on the disk all the same.
pub fn store<D: Disk>(disk: &mut D, table: &Gpt) -> Result<(), D::Error> {
    disk.write(table.backup_sector - ENTRIES_SECTORS, table.entries_bytes())?;
    disk.write(table.backup_sector, &table.header_bytes(Place::Backup))?;
    disk.flush()?;
    disk.write(2, table.entries_bytes())?;
    disk.write(1, &table.header_bytes(Place::Primary))?;
    disk.flush()
}

/// Reads the table and rewrites the losing copy if there is one. Only the
/// loser is written, so the winner stays intact throughout.
///
/// # Errors
/// As [`load`] and [`store`].
pub fn load_and_repair<D: Disk>(disk: &mut D) -> Result<Gpt, LoadError<D::Error>> {
    let loaded = load(disk)?;
    if loaded.needs_repair {
        let table = &loaded.table;
        let (entries, header, place) = match loaded.from {
            Place::Primary => (table.backup_sector - ENTRIES_SECTORS, table.backup_sector, Place::Backup),
            Place::Backup => (2, 1, Place::Primary),
        };
        if header < disk.sector_count() {
            disk.write(entries, table.entries_bytes()).map_err(LoadError::Disk)?;
            disk.write(header, &table.header_bytes(place)).map_err(LoadError::Disk)?;
            disk.flush().map_err(LoadError::Disk)?;
        }
    }
    Ok(loaded.table)
}

fn array<const N: usize>(bytes: &[u8]) -> &[u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*array(&bytes[at..at + 4]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*array(&bytes[at..at + 8]))
}

#[cfg(test)]
#[path = "gpt_tests.rs"]
mod tests;
