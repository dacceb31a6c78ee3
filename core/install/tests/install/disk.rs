//! A disk in memory that logs what is written and flushed, and can be given
//! the faults of bad disks and bad installers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::rc::Rc;

use osbuild_boot::gpt::{Disk, ENTRIES_SECTORS, SECTOR_BYTES};
use osbuild_boot::private::{Private, RECORD_BYTES};
use osbuild_install::{Medium, Record};

const RECORD_SECTORS: u64 = (RECORD_BYTES / SECTOR_BYTES) as u64;

/// What one flush covers. PRIVATE is a file system: syncing a file of it
/// flushes nothing that was written to the disk beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Disk,
    Record,
    /// Only under [`Faults::payload_apart`].
    Payload,
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Write { group: Group, sector: u64, bytes: Rc<[u8]> },
    Flush(Group),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Writes to the slots' partitions are not covered by the flushes.
    pub(crate) payload_apart: bool,
    /// The two copies of the partition table are written in one go.
    pub(crate) no_flush_between_tables: bool,
    /// The table's writes are not made, and nobody notices.
    pub(crate) deaf_to_tables: bool,
    /// Writes to these sectors never reach the medium.
    pub(crate) loses: Option<Range<u64>>,
    /// Reading back asks the cache.
    pub(crate) reads_back_the_cache: bool,
    /// The record is kept in memory until it is asked for.
    pub(crate) record_late: bool,
}

#[derive(Debug)]
struct Sim {
    /// What the medium has once everything is flushed.
    bytes: Vec<u8>,
    /// What the cache has and the medium will never have.
    lost: BTreeMap<u64, Vec<u8>>,
    log: Vec<Entry>,
    faults: Faults,
    private_sector: u64,
    late_record: Option<Private>,
}

/// One disk for all who have a clone of it.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Rc<RefCell<Sim>>);

impl SimDisk {
    pub(crate) fn new(bytes: Vec<u8>, private_sector: u64) -> Self {
        let (lost, log, faults) = (BTreeMap::new(), Vec::new(), Faults::default());
        Self(Rc::new(RefCell::new(Sim { bytes, lost, log, faults, private_sector, late_record: None })))
    }

    pub(crate) fn record(&self) -> SimRecord {
        SimRecord(self.clone())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    pub(crate) fn take_log(&self) -> Vec<Entry> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    /// The flush that an installer with [`Faults::payload_apart`] makes too late.
    pub(crate) fn flush_payload(&self) {
        self.0.borrow_mut().log.push(Entry::Flush(Group::Payload));
    }

    pub(crate) fn save_late_record(&self) {
        let state = self.0.borrow_mut().late_record.take();
        if let Some(state) = state {
            self.write_record(state);
        }
    }

    fn write_record(&self, mut state: Private) {
        let place = state.next_place() as u64;
        state.generation += 1;
        let mut sim = self.0.borrow_mut();
        let sector = sim.private_sector + place * RECORD_SECTORS;
        sim.write(Group::Record, sector, &state.encode());
        sim.log.push(Entry::Flush(Group::Record));
    }
}

impl Sim {
    fn write(&mut self, group: Group, sector: u64, bytes: &[u8]) {
        let at = sector as usize * SECTOR_BYTES;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.log.push(Entry::Write { group, sector, bytes: bytes.into() });
    }

    fn is_of_table(&self, sector: u64) -> bool {
        let sectors = (self.bytes.len() / SECTOR_BYTES) as u64;
        sector < 2 + ENTRIES_SECTORS || sector + 1 + ENTRIES_SECTORS >= sectors
    }

    /// The last write was of the backup table's header.
    fn is_between_tables(&self) -> bool {
        let last = (self.bytes.len() / SECTOR_BYTES) as u64 - 1;
        matches!(self.log.last(), Some(Entry::Write { sector, .. }) if *sector == last)
    }
}

impl Disk for SimDisk {
    type Error = Infallible;

    fn sector_count(&self) -> u64 {
        (self.0.borrow().bytes.len() / SECTOR_BYTES) as u64
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), Infallible> {
        self.read_back(sector, buffer)?;
        for (sector, chunk) in (sector..).zip(buffer.chunks_exact_mut(SECTOR_BYTES)) {
            if let Some(cached) = self.0.borrow().lost.get(&sector) {
                chunk.copy_from_slice(cached);
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), Infallible> {
        let mut sim = self.0.borrow_mut();
        let is_of_table = sim.is_of_table(sector);
        if is_of_table && sim.faults.deaf_to_tables {
            return Ok(());
        }
        let group = if sim.faults.payload_apart && !is_of_table { Group::Payload } else { Group::Disk };
        let end = sector + (bytes.len() / SECTOR_BYTES) as u64;
        let loses = sim.faults.loses.clone().unwrap_or(end..end);
        let part = |from: u64, to: u64| {
            let within = |at: u64| (at.clamp(sector, end) - sector) as usize * SECTOR_BYTES;
            &bytes[within(from)..within(to)]
        };
        for (lost, chunk) in loses.clone().zip(part(loses.start, loses.end).chunks_exact(SECTOR_BYTES)) {
            sim.lost.insert(lost.max(sector), chunk.to_vec());
        }
        for (from, to) in [(sector, loses.start.max(sector)), (loses.end.max(sector), end)] {
            if from < to.min(end) {
                sim.write(group, from, part(from, to));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        let mut sim = self.0.borrow_mut();
        if !(sim.faults.no_flush_between_tables && sim.is_between_tables()) {
            sim.log.push(Entry::Flush(Group::Disk));
        }
        Ok(())
    }
}

impl Medium for SimDisk {
    fn read_back(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), Infallible> {
        let sim = self.0.borrow();
        let at = sector as usize * SECTOR_BYTES;
        buffer.copy_from_slice(&sim.bytes[at..at + buffer.len()]);
        if sim.faults.reads_back_the_cache {
            for (sector, chunk) in (sector..).zip(buffer.chunks_exact_mut(SECTOR_BYTES)) {
                if let Some(cached) = sim.lost.get(&sector) {
                    chunk.copy_from_slice(cached);
                }
            }
        }
        Ok(())
    }
}

/// The record in PRIVATE's first sectors, two places.
#[derive(Clone, Debug)]
pub(crate) struct SimRecord(SimDisk);

impl Record for SimRecord {
    type Error = Infallible;

    fn load(&mut self) -> Private {
        let sim = self.0.0.borrow();
        newest(&sim.bytes, sim.private_sector)
    }

    fn save(&mut self, state: Private) -> Result<(), Infallible> {
        if self.0.0.borrow().faults.record_late {
            self.0.0.borrow_mut().late_record = Some(state);
        } else {
            self.0.write_record(state);
        }
        Ok(())
    }
}

/// The record of a disk's bytes.
pub(crate) fn newest(bytes: &[u8], private_sector: u64) -> Private {
    let at = private_sector as usize * SECTOR_BYTES;
    let (first, second) = bytes[at..at + 2 * RECORD_BYTES].split_at(RECORD_BYTES);
    Private::newest(first, second)
}
