//! The factory disk: table, ESP, slot A filled, everything else zero.

use std::fmt::Write as _;

use osbuild_boot::gpt::{Entry, Gpt, Place, SECTOR_BYTES};
use osbuild_boot::guid::Guid;
use osbuild_boot::layout::{ALIGNMENT_SECTORS, Role, SECTOR_SIZE};
use osbuild_boot::slot::Pair;
use sha2::{Digest, Sha256};

use crate::fat::{self, FatError};
use crate::hex;

const MIB: u64 = 1 << 20;

/// Sizes of the partitions but DATA, in bytes.
///
/// # Invariants
/// Whole MiB, none below [`Role::minimum_size_bytes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    sizes: [u64; 8],
}

/// What cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A variant names a partition that cannot be enlarged.
    #[error("there is no partition '{0}' to enlarge; there are esp, boot, root, hash and private")]
    UnknownPartition(String),
    /// A variant would shrink a partition.
    #[error("{name} would have {mib} MiB; a variant may only enlarge, and it has {minimum_mib} MiB")]
    TooSmall { name: &'static str, mib: u64, minimum_mib: u64 },
    /// A payload does not fit into its partition.
    #[error("{name} has {partition_bytes} bytes, its content {content_bytes}")]
    DoesNotFit { name: &'static str, partition_bytes: u64, content_bytes: u64 },
    #[error(transparent)]
    Esp(#[from] FatError),
}

impl Default for Layout {
    fn default() -> Self {
        let mut sizes = [0; 8];
        for (size, role) in sizes.iter_mut().zip(Role::ALL) {
            *size = role.minimum_size_bytes();
        }
        Self { sizes }
    }
}

impl Layout {
    /// The sizes with a variant's enlargements, by lower-case name, in MiB;
    /// both slots are enlarged alike.
    ///
    /// # Errors
    /// [`DiskError::UnknownPartition`] or [`DiskError::TooSmall`].
    pub fn new<'n>(enlarge: impl IntoIterator<Item = (&'n str, u64)>) -> Result<Self, DiskError> {
        let mut layout = Self::default();
        for (name, mib) in enlarge {
            let roles: &[Role] = match name {
                "esp" => &[Role::Esp],
                "boot" => &[Role::BootA, Role::BootB],
                "root" => &[Role::RootA, Role::RootB],
                "hash" => &[Role::HashA, Role::HashB],
                "private" => &[Role::Private],
                _ => return Err(DiskError::UnknownPartition(name.to_owned())),
            };
            for role in roles {
                let minimum = role.minimum_size_bytes();
                if mib.saturating_mul(MIB) < minimum {
                    let minimum_mib = minimum / MIB;
                    return Err(DiskError::TooSmall { name: role.name(), mib, minimum_mib });
                }
                layout.sizes[role.number() as usize - 1] = mib * MIB;
            }
        }
        Ok(layout)
    }

    /// The size of a partition other than DATA.
    ///
    /// # Panics
    /// For DATA, whose size is the disk's.
    pub fn size_bytes(&self, role: Role) -> u64 {
        self.sizes[role.number() as usize - 1]
    }

    /// Where a partition begins.
    pub fn offset_bytes(&self, role: Role) -> u64 {
        let before = &self.sizes[..role.number() as usize - 1];
        ALIGNMENT_SECTORS * SECTOR_SIZE + before.iter().sum::<u64>()
    }

    /// Size of a disk with DATA of this size. The last MiB holds the backup
    /// table.
    pub fn disk_bytes(&self, data_bytes: u64) -> u64 {
        self.offset_bytes(Role::Data) + data_bytes + ALIGNMENT_SECTORS * SECTOR_SIZE
    }

    /// SHA-256 over a line `number name type first-sector sectors` for each
    /// partition, DATA's size being `*`: two disks take each other's updates
    /// only if this is equal.
    pub fn digest(&self) -> String {
        digest(|role| {
            let sectors = if role == Role::Data { 0 } else { self.size_bytes(role) / SECTOR_SIZE };
            Some((self.offset_bytes(role) / SECTOR_SIZE, sectors))
        })
        .expect("a layout has every partition")
    }
}

/// The same digest of a disk as it is; `None` if a partition is missing. DATA
/// may have grown with its disk.
pub fn layout_digest(table: &Gpt) -> Option<String> {
    digest(|role| table.partition(role).map(|entry| (entry.first, entry.sector_count())))
}

/// `extent` gives a partition's first sector and how many it has.
fn digest(extent: impl Fn(Role) -> Option<(u64, u64)>) -> Option<String> {
    let mut text = String::new();
    for role in Role::ALL {
        let (first, sectors) = extent(role)?;
        let _ = write!(text, "{} {} {} {first} ", role.number(), role.name(), role.type_guid());
        if role == Role::Data {
            text.push_str("*\n");
        } else {
            let _ = writeln!(text, "{sectors}");
        }
    }
    Some(hex::encode(&Sha256::digest(text)))
}

/// Where bytes of a disk come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// Slot A's kernel image, root and hash tree, whole.
    Boot,
    Root,
    Hash,
}

/// A run of the disk; everything between runs is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub offset: u64,
    pub length: u64,
    pub content: Content,
}

/// A disk, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    pub size_bytes: u64,
    /// Sorted by offset, without overlaps.
    pub pieces: Vec<Piece>,
}

/// What goes onto a factory disk.
pub struct Factory<'a> {
    pub layout: &'a Layout,
    pub data_bytes: u64,
    pub root_hash: [u8; 32],
    /// Tells apart disks of one image.
    pub seed: &'a str,
    pub loader: &'a [u8],
    pub boot_bytes: u64,
    pub root_bytes: u64,
    pub hash_bytes: u64,
}

/// Lays a factory disk out (law, F1): slot A on trial, slot B empty.
///
/// # Errors
/// Something does not fit.
pub fn factory(factory: &Factory<'_>) -> Result<DiskPlan, DiskError> {
    let layout = factory.layout;
    let size_bytes = layout.disk_bytes(factory.data_bytes);
    let table = table(factory, size_bytes / SECTOR_SIZE);
    let mut pieces = Vec::new();
    let mut bytes = |offset, bytes: Vec<u8>| {
        pieces.push(Piece { offset, length: bytes.len() as u64, content: Content::Bytes(bytes) });
    };
    let mut primary = table.protective_mbr().to_vec();
    primary.extend_from_slice(&table.header_bytes(Place::Primary));
    primary.extend_from_slice(table.entries_bytes());
    bytes(0, primary);
    let esp = layout.offset_bytes(Role::Esp);
    let id = table.disk_guid.to_text_bytes();
    let volume_id = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    for (offset, piece) in fat::esp(layout.size_bytes(Role::Esp), volume_id, factory.loader)? {
        bytes(esp + offset, piece);
    }
    let mut backup = table.entries_bytes().to_vec();
    backup.extend_from_slice(&table.header_bytes(Place::Backup));
    bytes((table.backup_sector + 1) * SECTOR_SIZE - backup.len() as u64, backup);
    for (role, length, content) in [
        (Role::BootA, factory.boot_bytes, Content::Boot),
        (Role::RootA, factory.root_bytes, Content::Root),
        (Role::HashA, factory.hash_bytes, Content::Hash),
    ] {
        let partition_bytes = layout.size_bytes(role);
        if length > partition_bytes {
            let (name, content_bytes) = (role.name(), length);
            return Err(DiskError::DoesNotFit { name, partition_bytes, content_bytes });
        }
        pieces.push(Piece { offset: layout.offset_bytes(role), length, content });
    }
    pieces.sort_by_key(|piece| piece.offset);
    Ok(DiskPlan { size_bytes, pieces })
}

fn table(factory: &Factory<'_>, sector_count: u64) -> Gpt {
    let disk = Guid::of_disk(&factory.root_hash, factory.seed);
    let mut table = Gpt::new(disk, sector_count);
    for role in Role::ALL {
        let guid = match role {
            Role::RootA => Guid::of_root(&factory.root_hash),
            Role::HashA => Guid::of_hash(&factory.root_hash),
            _ => Guid::of_partition(disk, role.name()),
        };
        let size = if role == Role::Data { factory.data_bytes } else { factory.layout.size_bytes(role) };
        let first = factory.layout.offset_bytes(role) / SECTOR_SIZE;
        let entry = Entry {
            type_guid: role.type_guid(),
            guid,
            first,
            last: first + size / SECTOR_BYTES as u64 - 1,
            attributes: 0,
            name: Entry::encode_name(role.name()),
        };
        table.set_partition(role, &entry);
    }
    table.set_slots(Pair::FACTORY);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_the_design() {
        let layout = Layout::default();
        let starts: Vec<u64> = Role::ALL.iter().map(|role| layout.offset_bytes(*role) / MIB).collect();
        assert_eq!(starts, [1, 65, 129, 1153, 1169, 1233, 2257, 2273, 2401]);
        assert_eq!(layout.disk_bytes(512 * MIB), 2914 * MIB);
        // A fleet's updaters compare this; it may never change.
        assert_eq!(layout.digest(), "22357b565014c9e7bd181ece714a7b15bc8ac3d9ecbe2da89dd72350330669b7");
    }

    #[test]
    fn a_table_has_the_digest_of_its_layout() {
        let layout = Layout::new([("root", 2048)]).unwrap();
        let root_hash = [7; 32];
        let factory = Factory {
            layout: &layout,
            data_bytes: 512 * MIB,
            root_hash,
            seed: "",
            loader: &[],
            boot_bytes: 0,
            root_bytes: 0,
            hash_bytes: 0,
        };
        let table = table(&factory, layout.disk_bytes(512 * MIB) / SECTOR_SIZE);
        assert_eq!(layout_digest(&table), Some(layout.digest()));
        let grown = table.grown_to(layout.disk_bytes(4096 * MIB) / SECTOR_SIZE).unwrap();
        assert_eq!(layout_digest(&grown), Some(layout.digest()));
        assert_eq!(layout_digest(&Gpt::new(table.disk_guid, 1 << 20)), None);
    }

    #[test]
    fn variants_only_enlarge() {
        let larger = Layout::new([("root", 2048)]).unwrap();
        assert_eq!(larger.size_bytes(Role::RootB), 2048 * MIB);
        assert_ne!(larger.digest(), Layout::default().digest());
        assert!(Layout::new([("root", 512)]).unwrap_err().to_string().contains("only enlarge"));
        assert!(Layout::new([("data", 512)]).unwrap_err().to_string().contains("no partition"));
    }
}
