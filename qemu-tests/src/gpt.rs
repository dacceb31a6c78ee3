//! A second, independent reading of the partition table: just enough to see
//! the slots' bits and where partitions are (UEFI 2.10, section 5.3).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A slot's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    pub(crate) priority: u8,
    pub(crate) tries: u8,
    pub(crate) successful: bool,
    pub(crate) forced: bool,
}

/// `P T S F`, as the law's table writes them.
pub(crate) const fn bits(priority: u8, tries: u8, successful: bool, forced: bool) -> Bits {
    Bits { priority, tries, successful, forced }
}

pub(crate) const EMPTY: Bits = bits(0, 0, false, false);
/// Slot A as it leaves the factory, and a slot that an update was put into.
pub(crate) const FACTORY: Bits = bits(2, 3, false, false);
pub(crate) const GOOD: Bits = bits(2, 3, true, false);

/// The roots of both slots, among the partitions.
pub(crate) const ROOT_A: usize = 3;
pub(crate) const ROOT_B: usize = 6;

/// Byte range of a partition: first byte and length.
pub(crate) fn extent(disk: &Path, number: usize) -> Result<(u64, u64), String> {
    let entry = entry(disk, number)?;
    let (first, last) = (u64_at(&entry, 32), u64_at(&entry, 40));
    Ok((first * 512, (last + 1 - first) * 512))
}

/// Bits of slots A and B: partitions 2 and 5.
pub(crate) fn slots(disk: &Path) -> Result<(Bits, Bits), String> {
    let of = |number| entry(disk, number).map(|entry| decode(u64_at(&entry, 48)));
    Ok((of(2)?, of(5)?))
}

fn decode(attributes: u64) -> Bits {
    bits(
        (attributes >> 48 & 15) as u8,
        (attributes >> 52 & 15) as u8,
        attributes >> 56 & 1 == 1,
        attributes >> 57 & 1 == 1,
    )
}

fn entry(disk: &Path, number: usize) -> Result<[u8; 128], String> {
    let file = File::open(disk).map_err(|error| format!("{}: {error}", disk.display()))?;
    let mut header = [0u8; 512];
    file.read_exact_at(&mut header, 512).map_err(|error| error.to_string())?;
    if &header[0..8] != b"EFI PART" {
        return Err(format!("{}: no primary partition table", disk.display()));
    }
    let start = u64_at(&header, 72) * 512 + (number as u64 - 1) * 128;
    let mut entry = [0u8; 128];
    file.read_exact_at(&mut entry, start).map_err(|error| error.to_string())?;
    Ok(entry)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
