//! FAT12, FAT16 and FAT32. Source: "Microsoft FAT Specification" (2005), and
//! UEFI 2.10 section 13.3 for what of it an ESP uses.

use std::cell::Cell;
use std::rc::Rc;

use crate::fields::{le16, le32};
use crate::limits::Limits;
use crate::opened::{Field, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

use super::fat_directory::Walk;

/// Whether the parameters of a file system stand where a boot sector has them.
pub(crate) fn has_boot_sector(head: &[u8]) -> bool {
    let (Some(jump), Ok(sector)) = (head.first(), le16(head, 11)) else { return false };
    let per_cluster = head.get(13).copied().unwrap_or_default();
    matches!(jump, 0xeb | 0xe9)
        && matches!(sector, 512 | 1024 | 2048 | 4096)
        && per_cluster.is_power_of_two()
        && head.get(16).is_some_and(|fats| matches!(fats, 1 | 2))
        && le16(head, 14).is_ok_and(|reserved| reserved != 0)
}

/// Where the parts of a file system are.
pub(super) struct Volume {
    pub(super) source: Source,
    bits: u32,
    fat: Vec<u8>,
    /// Clusters count from two.
    clusters: u64,
    pub(super) cluster_bytes: u64,
    data_at: u64,
    /// Links of chains followed so far. No cluster belongs to two files, so
    /// there is a bound, which a table that shares them would pass by far.
    followed: Cell<u64>,
}

pub(super) fn open(source: &Source, limits: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let boot = source.bytes(0, 512)?;
    let sector = u64::from(le16(&boot, 11)?);
    let reserved = u64::from(le16(&boot, 14)?);
    let fats = u64::from(boot[16]);
    let root_rows = u64::from(le16(&boot, 17)?);
    let short_or_long = |short: u16, long: u32| if short == 0 { u64::from(long) } else { u64::from(short) };
    let sectors = short_or_long(le16(&boot, 19)?, le32(&boot, 32)?);
    let fat_sectors = short_or_long(le16(&boot, 22)?, le32(&boot, 36)?);
    let fat_at = reserved * sector;
    let root_at = fat_at + fats * fat_sectors * sector;
    let data_at = root_at + (root_rows * 32).next_multiple_of(sector);
    let cluster_bytes = u64::from(boot[13]) * sector;
    let data_bytes = (sectors * sector).min(source.size()).checked_sub(data_at).ok_or(CUT_OFF)?;
    let clusters = data_bytes / cluster_bytes;
    // The count alone decides which of the three it is.
    let bits = match clusters {
        0..4085 => 12,
        4085..65525 => 16,
        _ => 32,
    };
    // A table of sixteen-bit size zero belongs to FAT32 only, whatever the
    // count: small ESPs are made so.
    let bits = if le16(&boot, 22)? == 0 { 32 } else { bits };
    let fat = source.range(fat_at, fat_sectors * sector).ok_or(CUT_OFF)?;
    let used_bytes = ((clusters + 2) * u64::from(bits)).div_ceil(8).min(fat.size());
    let fat = fat.range(0, used_bytes).ok_or(CUT_OFF)?.whole(limits.table_bytes)?;

    let mut opened = Opened::default();
    let extended = if bits == 32 { 64 } else { 36 };
    opened.fields.extend([
        Field::new("name of the maker", &boot[3..11]),
        Field::id("volume id", format!("{:08x}", le32(&boot, extended + 3)?)),
        Field::new("label in the boot sector", &boot[extended + 7..extended + 18]),
        Field::number("bits of the table", bits),
        Field::number("sectors", sectors),
        Field::number("bytes of a sector", sector),
        Field::number("bytes of a cluster", cluster_bytes),
        Field::number("reserved sectors", reserved),
        Field::number("tables", fats),
        Field::number("hidden sectors", le32(&boot, 28)?),
        Field::number("media", boot[21]),
    ]);
    opened.places = vec![(0, "the boot sector".to_owned()), (512, "the reserved sectors".to_owned())];
    for copy in 0..fats {
        opened.places.push((fat_at + copy * fat_sectors * sector, format!("table number {}", copy + 1)));
    }
    opened.places.push((root_at, "the root directory".to_owned()));
    opened.places.push((data_at, "the clusters".to_owned()));

    let volume = Rc::new(Volume {
        source: source.clone(),
        bits,
        fat,
        clusters,
        cluster_bytes,
        data_at,
        followed: Cell::new(0),
    });
    let root = if bits == 32 {
        volume.chain(le32(&boot, 44)?)?
    } else {
        vec![source.range(root_at, root_rows * 32).ok_or(CUT_OFF)?]
    };
    Walk::new(volume, limits).run(root, &mut opened)?;
    Ok(opened)
}

impl Volume {
    /// The clusters from `first` on, neighbours joined.
    pub(super) fn chain(&self, first: u32) -> Result<Vec<Source>, Refusal> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let mut cluster = first;
        while (2..self.clusters + 2).contains(&u64::from(cluster)) {
            let at = self.data_at + (u64::from(cluster) - 2) * self.cluster_bytes;
            match runs.last_mut() {
                Some((start, size)) if *start + *size == at => *size += self.cluster_bytes,
                _ => runs.push((at, self.cluster_bytes)),
            }
            self.followed.set(self.followed.get() + 1);
            if self.followed.get() > self.clusters {
                return Err(Refusal::Malformed("a cluster belongs to two files, or a chain has no end"));
            }
            cluster = self.next(cluster)?;
        }
        runs.into_iter().map(|(at, size)| self.source.range(at, size).ok_or(CUT_OFF)).collect()
    }

    fn next(&self, cluster: u32) -> Result<u32, Refusal> {
        let number = cluster as usize;
        Ok(match self.bits {
            12 => {
                let pair = u32::from(le16(&self.fat, number + number / 2)?);
                let next = if number.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 };
                if next >= 0xff8 { u32::MAX } else { next }
            }
            16 => match le16(&self.fat, number * 2)? {
                0xfff8.. => u32::MAX,
                next => next.into(),
            },
            _ => match le32(&self.fat, number * 4)? & 0x0fff_ffff {
                0x0fff_fff8.. => u32::MAX,
                next => next,
            },
        })
    }
}
