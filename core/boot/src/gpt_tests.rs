//! The table on a disk in memory: torn writes, lost writes, grown disks.

use super::*;
use crate::layout::{ALIGNMENT_SECTORS, Role};
use std::vec::Vec;

struct Memory {
    bytes: Vec<u8>,
    /// Writes in order, as (sector, bytes); `None` is a flush.
    log: Vec<Option<(u64, Vec<u8>)>>,
}

impl Memory {
    fn new(sectors: u64) -> Self {
        Self { bytes: std::vec![0; (sectors * SECTOR_SIZE) as usize], log: Vec::new() }
    }

    fn put(&mut self, sector: u64, bytes: &[u8]) {
        let at = (sector * SECTOR_SIZE) as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Disk for Memory {
    type Error = ();

    fn sector_count(&self) -> u64 {
        self.bytes.len() as u64 / SECTOR_SIZE
    }

    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> Result<(), ()> {
        let at = (sector * SECTOR_SIZE) as usize;
        buffer.copy_from_slice(self.bytes.get(at..at + buffer.len()).ok_or(())?);
        Ok(())
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), ()> {
        self.put(sector, bytes);
        self.log.push(Some((sector, bytes.to_vec())));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ()> {
        self.log.push(None);
        Ok(())
    }
}

const SECTORS: u64 = 12 * 2048;

fn factory() -> (Memory, Gpt) {
    let mut disk = Memory::new(SECTORS);
    let mut table = Gpt::new(Guid::from_text_bytes([7; 16]), SECTORS);
    for (index, role) in Role::ALL.into_iter().enumerate() {
        let first = (index as u64 + 1) * ALIGNMENT_SECTORS;
        table.set_partition(
            role,
            &Entry {
                type_guid: role.type_guid(),
                guid: Guid::from_text_bytes([index as u8 + 1; 16]),
                first,
                last: first + ALIGNMENT_SECTORS - 1,
                attributes: 0,
                name: Entry::encode_name(role.name()),
            },
        );
    }
    table.set_slots(Pair::FACTORY);
    disk.write(0, &table.protective_mbr()).unwrap();
    store(&mut disk, &table).unwrap();
    (disk, table)
}

#[test]
fn what_was_stored_is_loaded() {
    let (mut disk, table) = factory();
    let loaded = load(&mut disk).unwrap();
    assert!(loaded.table == table && !loaded.needs_repair && loaded.from == Place::Primary);
    assert_eq!(loaded.table.slots(), Some(Pair::FACTORY));
}

#[test]
fn a_slot_is_named_after_its_root_or_blank() {
    let (_, mut table) = factory();
    let untouched = table.partition(Role::BootB);
    let guids = |table: &Gpt| [Role::RootB, Role::HashB].map(|role| table.partition(role).unwrap().guid);
    table.name_after(Slot::B, &[9; 32]);
    assert_eq!(guids(&table), [Guid::of_root(&[9; 32]), Guid::of_hash(&[9; 32])]);
    assert_eq!(table.root_hash(Slot::B), Some([9; 32]));
    table.blank(Slot::B);
    let blank = ["ROOT-B", "HASH-B"].map(|name| Guid::of_partition(table.disk_guid, name));
    assert_eq!(guids(&table), blank);
    assert_eq!(table.partition(Role::BootB), untouched);
}

#[test]
fn one_torn_sector_of_either_copy_is_repaired() {
    let (clean, table) = factory();
    let places = (1..2 + ENTRIES_SECTORS).chain(SECTORS - 1 - ENTRIES_SECTORS..SECTORS);
    for sector in places {
        let mut disk = Memory { bytes: clean.bytes.clone(), log: Vec::new() };
        let at = (sector * SECTOR_SIZE) as usize;
        disk.bytes[at + 11] ^= 0x40;
        let found = load_and_repair(&mut disk).unwrap();
        assert!(found == table, "sector {sector}");
        assert!(disk.bytes == clean.bytes, "sector {sector} was not repaired");
    }
}

/// Every prefix of the sector writes of a change, with every subset of one
/// more sector torn in the middle, leaves the old or the new table.
#[test]
fn a_power_cut_at_any_write_leaves_old_or_new() {
    let (clean, old) = factory();
    let mut new = old.clone();
    new.set_slots(Pair { a: Bits { priority: 1, ..Bits::GOOD }, b: Bits::TRIAL });
    let mut scratch = Memory { bytes: clean.bytes.clone(), log: Vec::new() };
    store(&mut scratch, &new).unwrap();
    let sectors: Vec<(u64, Vec<u8>)> = scratch
        .log
        .iter()
        .flatten()
        .flat_map(|(sector, bytes)| {
            bytes
                .chunks(SECTOR_BYTES)
                .enumerate()
                .map(|(i, b)| (sector + i as u64, b.to_vec()))
                .collect::<Vec<_>>()
        })
        .collect();
    for cut in 0..=sectors.len() {
        for torn_bytes in [0, 1, 200, 511] {
            let mut disk = Memory { bytes: clean.bytes.clone(), log: Vec::new() };
            for (sector, bytes) in &sectors[..cut] {
                disk.put(*sector, bytes);
            }
            if let Some((sector, bytes)) = sectors.get(cut) {
                disk.put(*sector, &[]);
                let at = (sector * SECTOR_SIZE) as usize;
                disk.bytes[at..at + torn_bytes].copy_from_slice(&bytes[..torn_bytes]);
            }
            let found = load_and_repair(&mut disk).expect("one copy is valid");
            assert!(found == old || found == new, "cut at {cut}, torn after {torn_bytes}");
            let again = load(&mut disk).unwrap();
            assert!(again.table == found && !again.needs_repair);
        }
    }
}

/// Within one flush epoch the medium may keep any subset of the writes.
#[test]
fn writes_of_one_epoch_may_be_lost_in_any_combination() {
    let (clean, old) = factory();
    let mut new = old.clone();
    new.set_slots(Pair { a: Bits::GOOD, b: Bits::EMPTY });
    let mut scratch = Memory { bytes: clean.bytes.clone(), log: Vec::new() };
    store(&mut scratch, &new).unwrap();
    let epochs: Vec<Vec<(u64, Vec<u8>)>> =
        scratch.log.split(Option::is_none).map(|epoch| epoch.iter().flatten().cloned().collect()).collect();
    for (index, epoch) in epochs.iter().enumerate() {
        for kept in 0..1u32 << epoch.len() {
            let mut disk = Memory { bytes: clean.bytes.clone(), log: Vec::new() };
            for (sector, bytes) in epochs[..index].iter().flatten() {
                disk.put(*sector, bytes);
            }
            for (write, (sector, bytes)) in epoch.iter().enumerate() {
                if kept >> write & 1 == 1 {
                    disk.put(*sector, bytes);
                }
            }
            let found = load_and_repair(&mut disk).expect("one copy is valid");
            assert!(found == old || found == new);
        }
    }
}

#[test]
fn growing_moves_the_backup_and_extends_data() {
    let (mut disk, table) = factory();
    disk.bytes.resize((2 * SECTORS * SECTOR_SIZE) as usize, 0);
    let grown = load(&mut disk).unwrap().table.grown_to(2 * SECTORS).unwrap();
    store(&mut disk, &grown).unwrap();
    let loaded = load(&mut disk).unwrap();
    assert!(!loaded.needs_repair);
    let (before, after) = (table.partition(Role::Data).unwrap(), loaded.table.partition(Role::Data).unwrap());
    assert_eq!(before.first, after.first);
    assert_eq!((after.last + 1) % ALIGNMENT_SECTORS, 0);
    assert!(after.last > SECTORS && after.last <= loaded.table.last_usable);
    assert!(loaded.table.grown_to(2 * SECTORS).is_none());
}

#[test]
fn overlapping_partitions_are_no_table() {
    let (_, mut table) = factory();
    let mut entry = table.partition(Role::Data).unwrap();
    entry.first = table.partition(Role::Private).unwrap().last;
    table.set_partition(Role::Data, &entry);
    let header = table.header_bytes(Place::Primary);
    assert_eq!(Gpt::parse(&header, table.entries_bytes(), 1).unwrap_err(), Invalid::Extent);
}
