//! The EFI system partition: FAT32 with exactly two files.
//!
//! Source: Microsoft "FAT: General Overview of On-Disk Format", 1.03.
//!
//! `\EFI\BOOT\BOOTX64.EFI` and `\EFI\BOOT\LOADER.OLD` are contiguous runs of
//! 1 MiB, and both their entries stand in one sector, so a loader is replaced
//! by writing one run and then that sector. For the same reason a file's size
//! is always the whole run: a size that changes would touch the FAT too.
//! [`Loaders`] finds both on such a partition and says what to write there.

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
// `Loaders::exchanged` rests on it.
const _: () = assert!(FIRST_RUN as u8 == (FIRST_RUN + RUN_CLUSTERS) as u8);
const RUN_CLUSTERS: u32 = (LOADER_RUN_BYTES / SECTOR) as u32;
const END_OF_CHAIN: u32 = 0x0fff_ffff;
/// 1980-01-01, the first day there is.
const DATE: u16 = 1 << 5 | 1;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const VOLUME_LABEL: u8 = 0x08;
const ROW_BYTES: usize = 32;
/// Where both loaders stand in their directory.
const ROWS: [usize; 2] = [64, 96];
const CURRENT_NAME: &[u8; 11] = b"BOOTX64 EFI";
const OLD_NAME: &[u8; 11] = b"LOADER  OLD";

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

/// An ESP that was not written by [`esp`], or was changed since, by what is
/// not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    #[error("its boot sector is another system's")]
    BootSector,
    #[error("its allocation table does not give each loader its run")]
    AllocationTable,
    #[error("its directories do not lead to \\EFI\\BOOT")]
    Path,
    #[error("\\EFI\\BOOT does not hold exactly BOOTX64.EFI and LOADER.OLD")]
    Directory,
}

/// Both loaders of an ESP, and which of them the firmware starts.
///
/// # Invariants
/// `current` and `old` are the offsets of [`run_offsets`], in either order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaders {
    /// Offset of BOOTX64.EFI's run within the partition.
    pub current: u64,
    /// Offset of the run that no start depends on.
    pub old: u64,
    /// Offset of the sector that says which is which.
    pub directory_offset: u64,
    directory: [u8; SECTOR as usize],
}

impl Loaders {
    /// How many of a partition's first bytes [`Loaders::parse`] looks at;
    /// `None` if the partition is too small to be such an ESP.
    pub fn head_bytes(size_bytes: u64) -> Option<u64> {
        let (first, second) = run_offsets(size_bytes);
        (second + LOADER_RUN_BYTES <= size_bytes).then_some(first)
    }

    /// Reads the first bytes of a partition of `size_bytes`.
    ///
    /// What others may do to an ESP without harm is let be: the "dirty" marks
    /// that a mount leaves, and files elsewhere.
    ///
    /// # Errors
    /// [`Foreign`].
    pub fn parse(size_bytes: u64, head: &[u8]) -> Result<Self, Foreign> {
        if Self::head_bytes(size_bytes) != Some(head.len() as u64) {
            return Err(Foreign::BootSector);
        }
        let fat_sectors = fat_sectors(size_bytes / SECTOR);
        check_boot_sector(&head[..512], size_bytes / SECTOR, fat_sectors)?;
        for copy in 0..FATS {
            let at = (RESERVED_SECTORS + copy * fat_sectors) * SECTOR;
            check_chains(&head[at as usize..][..(fat_sectors * SECTOR) as usize])?;
        }
        let data = (RESERVED_SECTORS + FATS * fat_sectors) * SECTOR;
        let cluster = |cluster: u32| &head[(data + u64::from(cluster - 2) * SECTOR) as usize..][..512];
        let leads = |from: u32, name: &[u8; 11], to: u32| {
            let mut rows = cluster(from).chunks_exact(ROW_BYTES).take_while(|row| row[0] != 0);
            rows.find(|row| row[..11] == *name && row[11] & VOLUME_LABEL == 0)
                .is_some_and(|row| row[11] & DIRECTORY != 0 && row_cluster(row) == to)
        };
        if !leads(ROOT_CLUSTER, b"EFI        ", EFI_CLUSTER)
            || !leads(EFI_CLUSTER, b"BOOT       ", BOOT_CLUSTER)
        {
            return Err(Foreign::Path);
        }
        let directory: [u8; 512] = cluster(BOOT_CLUSTER).try_into().expect("a sector");
        let current = row_cluster(&directory[current_row(&directory).ok_or(Foreign::Directory)?..]);
        let (first, second) = run_offsets(size_bytes);
        let (current, old) = if current == FIRST_RUN { (first, second) } else { (second, first) };
        let directory_offset = data + u64::from(BOOT_CLUSTER - 2) * SECTOR;
        Ok(Self { current, old, directory_offset, directory })
    }

    /// The directory sector after which the firmware starts what is in `old`.
    ///
    /// The two rows keep their names and exchange their runs. The runs' cluster
    /// numbers differ in one byte ([`FIRST_RUN`]), so wherever a power cut
    /// tears the sector, BOOTX64.EFI is there and is one of the two; with the
    /// names exchanged instead it might be missing.
    pub fn exchanged(&self) -> [u8; SECTOR as usize] {
        let mut directory = self.directory;
        let current = current_row(&directory).expect("it was parsed");
        let old = if current == ROWS[0] { ROWS[1] } else { ROWS[0] };
        let run = row_cluster(&directory[current..]);
        let other = if run == FIRST_RUN { FIRST_RUN + RUN_CLUSTERS } else { FIRST_RUN };
        for (row, cluster) in [(current, other), (old, run)] {
            directory[row + 26..row + 28].copy_from_slice(&(cluster as u16).to_le_bytes());
        }
        directory
    }
}

fn check_boot_sector(found: &[u8], sectors: u64, fat_sectors: u64) -> Result<(), Foreign> {
    const VOLUME_ID: usize = 67;
    /// A mount may note here that the volume is in use.
    const STATE: usize = 65;
    let volume_id = found[VOLUME_ID..VOLUME_ID + 4].try_into().expect("four bytes");
    let mut expected = boot_sector(sectors, fat_sectors, u32::from_le_bytes(volume_id));
    expected[STATE] = found[STATE];
    if found == expected { Ok(()) } else { Err(Foreign::BootSector) }
}

/// Each of both directories is one cluster, each loader its run.
fn check_chains(found: &[u8]) -> Result<(), Foreign> {
    let value = |bytes: &[u8], cluster: u32| {
        let bytes = bytes[cluster as usize * 4..][..4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) & END_OF_CHAIN
    };
    let expected = fat();
    let is_same = |cluster: u32| {
        let (expected, found) = (value(&expected, cluster), value(found, cluster));
        // All of the highest values end a chain.
        expected == found || expected == END_OF_CHAIN && found >= 0x0fff_fff8
    };
    let clusters = [EFI_CLUSTER, BOOT_CLUSTER].into_iter().chain(FIRST_RUN..FIRST_RUN + 2 * RUN_CLUSTERS);
    if clusters.into_iter().all(is_same) { Ok(()) } else { Err(Foreign::AllocationTable) }
}

/// Where in its directory the firmware's loader stands; `None` if the
/// directory is not of two loaders.
fn current_row(directory: &[u8; SECTOR as usize]) -> Option<usize> {
    let is_loader = |row: &[u8], name: &[u8; 11]| {
        let size = u32::from_le_bytes(row[28..32].try_into().expect("four bytes"));
        let runs = [FIRST_RUN, FIRST_RUN + RUN_CLUSTERS];
        row[..11] == *name
            && row[11] & (DIRECTORY | VOLUME_LABEL) == 0
            && runs.contains(&row_cluster(row))
            && u64::from(size) == LOADER_RUN_BYTES
    };
    let row = |at: usize| &directory[at..at + ROW_BYTES];
    let is_rest_free = directory[ROWS[1] + ROW_BYTES..].iter().all(|byte| *byte == 0);
    [(ROWS[0], ROWS[1]), (ROWS[1], ROWS[0])]
        .into_iter()
        .find(|(current, old)| {
            is_loader(row(*current), CURRENT_NAME) && is_loader(row(*old), OLD_NAME) && is_rest_free
        })
        .map(|(current, _)| current)
}

fn row_cluster(row: &[u8]) -> u32 {
    u32::from(row[26]) | u32::from(row[27]) << 8 | u32::from(row[20]) << 16 | u32::from(row[21]) << 24
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
        (1088, entry(CURRENT_NAME, ARCHIVE, FIRST_RUN, size)),
        (1120, entry(OLD_NAME, ARCHIVE, FIRST_RUN + RUN_CLUSTERS, size)),
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 64 << 20;

    fn head() -> Vec<u8> {
        let mut head = vec![0; Loaders::head_bytes(SIZE).unwrap() as usize];
        for (offset, piece) in esp(SIZE, 7, b"loader").unwrap() {
            if let Some(place) = head.get_mut(offset as usize..offset as usize + piece.len()) {
                place.copy_from_slice(&piece);
            }
        }
        head
    }

    #[test]
    fn exchanging_twice_is_the_factory_again() {
        let mut head = head();
        let factory = Loaders::parse(SIZE, &head).unwrap();
        assert_eq!((factory.current, factory.old), run_offsets(SIZE));
        let at = factory.directory_offset as usize;
        head[at..at + 512].copy_from_slice(&factory.exchanged());
        let exchanged = Loaders::parse(SIZE, &head).unwrap();
        assert_eq!((exchanged.current, exchanged.old), (factory.old, factory.current));
        assert_eq!(exchanged.exchanged(), factory.directory);
    }

    #[test]
    fn wherever_the_directory_is_torn_one_of_both_starts() {
        let clean = head();
        let factory = Loaders::parse(SIZE, &clean).unwrap();
        let new = factory.exchanged();
        let at = factory.directory_offset as usize;
        for cut in 0..=512 {
            for (from, to) in [(0, cut), (cut, 512)] {
                let mut torn = clean.clone();
                torn[at + from..at + to].copy_from_slice(&new[from..to]);
                let found = Loaders::parse(SIZE, &torn).unwrap();
                assert_ne!(found.current, found.old, "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_others_made_is_named() {
        let clean = head();
        let data = Loaders::parse(SIZE, &clean).unwrap().directory_offset as usize - 1024;
        let fat = RESERVED_SECTORS as usize * 512;
        let cases = [
            (11, Some(Foreign::BootSector)),
            (82, Some(Foreign::BootSector)),
            // A mark of a mount, the volume's number, and its label.
            (65, None),
            (67, None),
            (data, None),
            (fat + 7, None),
            (fat + EFI_CLUSTER as usize * 4, Some(Foreign::AllocationTable)),
            (fat + (FIRST_RUN + RUN_CLUSTERS) as usize * 4, Some(Foreign::AllocationTable)),
            (data + 32, Some(Foreign::Path)),
            (data + 512 + 64 + 26, Some(Foreign::Path)),
            (data + 1024 + 64, Some(Foreign::Directory)),
            (data + 1024 + 96 + 26, Some(Foreign::Directory)),
            (data + 1024 + 96 + 31, Some(Foreign::Directory)),
            (data + 1024 + 128, Some(Foreign::Directory)),
        ];
        for (at, expected) in cases {
            let mut changed = clean.clone();
            changed[at] ^= 0x40;
            assert_eq!(Loaders::parse(SIZE, &changed).err(), expected, "byte {at}");
        }
        assert_eq!(Loaders::parse(SIZE, &clean[1..]), Err(Foreign::BootSector));
        assert_eq!(Loaders::head_bytes(1 << 20), None);
    }
}
