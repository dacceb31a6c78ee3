//! The EFI system partition: FAT32 with exactly two files.
//!
//! Source: Microsoft "FAT: General Overview of On-Disk Format", 1.03.
//!
//! `\EFI\BOOT\BOOTX64.EFI` and `\EFI\BOOT\LOADER.OLD` are contiguous runs of
//! 1 MiB, and both their entries stand in one sector, so a loader is replaced
//! by writing one run and then that sector. For the same reason a file's size
//! is always the whole run: a size that changes would touch the FAT too.

use osbuild_boot::layout::LOADER_RUN_BYTES;

/// A run of bytes at an offset within the partition; everything else is zero.
pub type Piece = (u64, Vec<u8>);

/// What does not fit.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// A loader longer than its run.
    #[error("the loader has {size} bytes, its place on the ESP has {LOADER_RUN_BYTES}")]
    LoaderTooLarge { size: usize },
}

const SECTOR: u64 = 512;
const RESERVED_SECTORS: u64 = 32;
const FATS: u64 = 2;
const ROOT_CLUSTER: u32 = 2;
const EFI_CLUSTER: u32 = 3;
const BOOT_CLUSTER: u32 = 4;
/// Eight sectors into the data area, which begins at a multiple of 4 KiB.
const FIRST_RUN: u32 = 10;
const RUN_CLUSTERS: u32 = (LOADER_RUN_BYTES / SECTOR) as u32;
const END_OF_CHAIN: u32 = 0x0fff_ffff;
/// 1980-01-01, the first day there is.
const DATE: u16 = 1 << 5 | 1;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const VOLUME_LABEL: u8 = 0x08;

/// Writes the file system of a partition of `size_bytes`, both files holding
/// `loader`.
///
/// # Errors
/// [`FatError::LoaderTooLarge`].
pub fn esp(size_bytes: u64, volume_id: u32, loader: &[u8]) -> Result<Vec<Piece>, FatError> {
    if loader.len() as u64 > LOADER_RUN_BYTES {
        return Err(FatError::LoaderTooLarge { size: loader.len() });
    }
    let sectors = size_bytes / SECTOR;
    let fat_sectors = fat_sectors(sectors);
    let data = RESERVED_SECTORS + FATS * fat_sectors;
    let clusters = sectors - data;
    let used = 3 + 2 * u64::from(RUN_CLUSTERS);

    let boot = boot_sector(sectors, fat_sectors, volume_id);
    let info = info_sector(clusters - used, FIRST_RUN + 2 * RUN_CLUSTERS);
    let mut reserved = vec![0; (RESERVED_SECTORS * SECTOR) as usize];
    for copy in [0, 6] {
        reserved[copy * 512..][..512].copy_from_slice(&boot);
        reserved[(copy + 1) * 512..][..512].copy_from_slice(&info);
    }
    let fat = fat();
    let cluster_at = |cluster: u32| (data + u64::from(cluster - 2)) * SECTOR;
    let directories = directories();
    let mut run = loader.to_vec();
    run.resize(LOADER_RUN_BYTES as usize, 0);
    Ok(vec![
        (0, reserved),
        (RESERVED_SECTORS * SECTOR, fat.clone()),
        ((RESERVED_SECTORS + fat_sectors) * SECTOR, fat),
        (cluster_at(ROOT_CLUSTER), directories),
        (cluster_at(FIRST_RUN), run.clone()),
        (cluster_at(FIRST_RUN + RUN_CLUSTERS), run),
    ])
}

/// Offsets of both runs within a partition of `size_bytes`: `BOOTX64.EFI`'s at
/// the factory, and `LOADER.OLD`'s.
pub fn run_offsets(size_bytes: u64) -> (u64, u64) {
    let data = RESERVED_SECTORS + FATS * fat_sectors(size_bytes / SECTOR);
    let first = (data + u64::from(FIRST_RUN - 2)) * SECTOR;
    (first, first + LOADER_RUN_BYTES)
}

/// Sectors of one FAT, rounded up to 4 KiB so that the data area is aligned.
fn fat_sectors(sectors: u64) -> u64 {
    let entries = sectors + 2;
    (entries * 4).div_ceil(SECTOR).next_multiple_of(8)
}

fn boot_sector(sectors: u64, fat_sectors: u64, volume_id: u32) -> [u8; 512] {
    let mut b = [0u8; 512];
    b[..3].copy_from_slice(&[0xeb, 0x58, 0x90]);
    b[3..11].copy_from_slice(b"OSBUILD ");
    b[11..13].copy_from_slice(&512u16.to_le_bytes());
    b[13] = 1;
    b[14..16].copy_from_slice(&(RESERVED_SECTORS as u16).to_le_bytes());
    b[16] = FATS as u8;
    b[21] = 0xf8;
    // Geometry that nothing uses any more.
    b[24..26].copy_from_slice(&32u16.to_le_bytes());
    b[26..28].copy_from_slice(&8u16.to_le_bytes());
    // Hidden sectors: the ESP begins at 1 MiB.
    b[28..32].copy_from_slice(&2048u32.to_le_bytes());
    b[32..36].copy_from_slice(&(sectors as u32).to_le_bytes());
    b[36..40].copy_from_slice(&(fat_sectors as u32).to_le_bytes());
    b[44..48].copy_from_slice(&ROOT_CLUSTER.to_le_bytes());
    b[48..50].copy_from_slice(&1u16.to_le_bytes());
    b[50..52].copy_from_slice(&6u16.to_le_bytes());
    b[64] = 0x80;
    b[66] = 0x29;
    b[67..71].copy_from_slice(&volume_id.to_le_bytes());
    b[71..82].copy_from_slice(b"ESP        ");
    b[82..90].copy_from_slice(b"FAT32   ");
    b[510..].copy_from_slice(&[0x55, 0xaa]);
    b
}

fn info_sector(free: u64, next_free: u32) -> [u8; 512] {
    let mut b = [0u8; 512];
    b[..4].copy_from_slice(&0x4161_5252u32.to_le_bytes());
    b[484..488].copy_from_slice(&0x6141_7272u32.to_le_bytes());
    b[488..492].copy_from_slice(&(free as u32).to_le_bytes());
    b[492..496].copy_from_slice(&next_free.to_le_bytes());
    b[510..].copy_from_slice(&[0x55, 0xaa]);
    b
}

/// The used part of the allocation table, whole sectors.
fn fat() -> Vec<u8> {
    let last = FIRST_RUN + 2 * RUN_CLUSTERS;
    let mut entries = vec![0u32; last as usize];
    entries[0] = 0x0fff_fff8;
    entries[1] = END_OF_CHAIN;
    for cluster in [ROOT_CLUSTER, EFI_CLUSTER, BOOT_CLUSTER] {
        entries[cluster as usize] = END_OF_CHAIN;
    }
    for run in 0..2 {
        let first = FIRST_RUN + run * RUN_CLUSTERS;
        for cluster in first..first + RUN_CLUSTERS - 1 {
            entries[cluster as usize] = cluster + 1;
        }
        entries[(first + RUN_CLUSTERS - 1) as usize] = END_OF_CHAIN;
    }
    let mut bytes: Vec<u8> = entries.iter().flat_map(|e| e.to_le_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Root, `EFI` and `EFI\BOOT`, one sector each.
fn directories() -> Vec<u8> {
    let mut bytes = vec![0; 3 * 512];
    let size = LOADER_RUN_BYTES as u32;
    let rows = [
        (0, entry(b"ESP        ", VOLUME_LABEL, 0, 0)),
        (32, entry(b"EFI        ", DIRECTORY, EFI_CLUSTER, 0)),
        (512, entry(b".          ", DIRECTORY, EFI_CLUSTER, 0)),
        // A parent that is the root counts as cluster 0.
        (544, entry(b"..         ", DIRECTORY, 0, 0)),
        (576, entry(b"BOOT       ", DIRECTORY, BOOT_CLUSTER, 0)),
        (1024, entry(b".          ", DIRECTORY, BOOT_CLUSTER, 0)),
        (1056, entry(b"..         ", DIRECTORY, EFI_CLUSTER, 0)),
        (1088, entry(b"BOOTX64 EFI", ARCHIVE, FIRST_RUN, size)),
        (1120, entry(b"LOADER  OLD", ARCHIVE, FIRST_RUN + RUN_CLUSTERS, size)),
    ];
    for (at, row) in rows {
        bytes[at..at + 32].copy_from_slice(&row);
    }
    bytes
}

fn entry(name: &[u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; 32] {
    let mut row = [0; 32];
    row[..11].copy_from_slice(name);
    row[11] = attributes;
    for at in [16, 18, 24] {
        row[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    row[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    row[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    row[28..].copy_from_slice(&size.to_le_bytes());
    row
}
