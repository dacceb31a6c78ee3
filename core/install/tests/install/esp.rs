//! The firmware's way to its loader, by the FAT specification and not by our
//! own reader.

use osbuild_boot::gpt::{Gpt, SECTOR_BYTES};
use osbuild_boot::layout::Role;

use crate::disk::SimDisk;
use crate::world::World;

/// Follows \EFI\BOOT\BOOTX64.EFI through a disk's bytes, and expects one of the
/// two loaders there: which, by number.
pub(crate) fn started_loader(disk: &[u8], world: &World) -> Result<usize, String> {
    let entry = world.table.partition(Role::Esp).unwrap();
    let esp = &disk[entry.first as usize * SECTOR_BYTES..(entry.last as usize + 1) * SECTOR_BYTES];
    let volume = Volume::open(esp)?;
    let root = volume.chain(u32_at(esp, 44))?;
    let (efi, _) = find(&root, b"EFI        ").ok_or("no \\EFI")?;
    let (boot, _) = find(&volume.chain(efi)?, b"BOOT       ").ok_or("no \\EFI\\BOOT")?;
    let (first, size) = find(&volume.chain(boot)?, b"BOOTX64 EFI").ok_or("no BOOTX64.EFI")?;
    let mut program = volume.chain(first)?;
    program.truncate(size as usize);
    let is =
        |loader: &[u8]| program.starts_with(loader) && program[loader.len()..].iter().all(|byte| *byte == 0);
    world
        .loaders
        .iter()
        .position(|loader| is(loader))
        .ok_or("BOOTX64.EFI is no loader that was ever whole".to_owned())
}

pub(crate) fn is_new(disk: &SimDisk, world: &World) -> bool {
    started_loader(&disk.bytes(), world) == Ok(1)
}

/// Where the directory of both loaders is on the disk.
pub(crate) fn directory_sector(table: &Gpt) -> u64 {
    let entry = table.partition(Role::Esp).unwrap();
    let fat_sectors = ((entry.sector_count() + 2) * 4).div_ceil(512).next_multiple_of(8);
    entry.first + 32 + 2 * fat_sectors + 2
}

struct Volume<'e> {
    esp: &'e [u8],
    fat: usize,
    data: usize,
    cluster_bytes: usize,
}

impl<'e> Volume<'e> {
    fn open(esp: &'e [u8]) -> Result<Self, String> {
        if esp[510..512] != [0x55, 0xaa] || u16_at(esp, 11) != 512 {
            return Err("no boot sector".to_owned());
        }
        let fat = usize::from(u16_at(esp, 14)) * 512;
        let data = fat + usize::from(esp[16]) * u32_at(esp, 36) as usize * 512;
        Ok(Self { esp, fat, data, cluster_bytes: usize::from(esp[13]) * 512 })
    }

    /// All bytes of a chain of clusters.
    fn chain(&self, first: u32) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let mut cluster = first;
        while cluster < 0x0fff_fff8 {
            if cluster < 2 || bytes.len() > self.esp.len() {
                return Err("a chain leads nowhere".to_owned());
            }
            let at = self.data + (cluster as usize - 2) * self.cluster_bytes;
            bytes.extend(self.esp.get(at..at + self.cluster_bytes).ok_or("a chain leads out of the volume")?);
            cluster = u32_at(self.esp, self.fat + cluster as usize * 4) & 0x0fff_ffff;
        }
        Ok(bytes)
    }
}

/// First cluster and size of a name in a directory.
fn find(directory: &[u8], name: &[u8; 11]) -> Option<(u32, u32)> {
    let mut rows = directory.chunks_exact(32).take_while(|row| row[0] != 0);
    let row = rows.find(|row| row[..11] == *name && row[11] & 0x08 == 0)?;
    Some((u32::from(u16_at(row, 26)) | u32::from(u16_at(row, 20)) << 16, u32_at(row, 28)))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
