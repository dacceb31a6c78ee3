//! Constants of the disk. A fleet in the field depends on every one of them.

use crate::guid::Guid;

pub const SECTOR_SIZE: u64 = 512;
/// Partitions begin at multiples of this.
pub const ALIGNMENT_SECTORS: u64 = 2048;

const MIB: u64 = 1 << 20;

/// The role of a partition; the discriminant is its number on disk (1–9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Role {
    Esp = 1,
    BootA = 2,
    RootA = 3,
    HashA = 4,
    BootB = 5,
    RootB = 6,
    HashB = 7,
    Private = 8,
    Data = 9,
}

impl Role {
    pub const ALL: [Self; 9] = [
        Self::Esp,
        Self::BootA,
        Self::RootA,
        Self::HashA,
        Self::BootB,
        Self::RootB,
        Self::HashB,
        Self::Private,
        Self::Data,
    ];

    /// The partition's number, from 1.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The GPT name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esp => "ESP",
            Self::BootA => "BOOT-A",
            Self::RootA => "ROOT-A",
            Self::HashA => "HASH-A",
            Self::BootB => "BOOT-B",
            Self::RootB => "ROOT-B",
            Self::HashB => "HASH-B",
            Self::Private => "PRIVATE",
            Self::Data => "DATA",
        }
    }

    pub const fn type_guid(self) -> Guid {
        match self {
            Self::Esp => TYPE_ESP,
            Self::BootA | Self::BootB => TYPE_BOOT,
            Self::RootA | Self::RootB => TYPE_ROOT,
            Self::HashA | Self::HashB => TYPE_HASH,
            Self::Private => TYPE_PRIVATE,
            Self::Data => TYPE_DATA,
        }
    }

    /// The least size in bytes; a variant may only enlarge it. DATA takes what
    /// is left, at least this much.
    pub const fn minimum_size_bytes(self) -> u64 {
        match self {
            Self::Esp => 64 * MIB,
            Self::BootA | Self::BootB => 64 * MIB,
            Self::RootA | Self::RootB => 1024 * MIB,
            Self::HashA | Self::HashB => 16 * MIB,
            Self::Private => 128 * MIB,
            Self::Data => 512 * MIB,
        }
    }
}

const fn guid(text: &str) -> Guid {
    match Guid::parse(text) {
        Some(guid) => guid,
        None => panic!("ill-formed GUID constant"),
    }
}

/// EFI system partition (UEFI 2.10, section 5.3.3).
pub const TYPE_ESP: Guid = guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
pub const TYPE_BOOT: Guid = guid("976a1b51-d83c-4d62-9220-4494050a4ce7");
/// Discoverable Partitions Specification: root, x86-64.
pub const TYPE_ROOT: Guid = guid("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
/// Discoverable Partitions Specification: root verity, x86-64.
pub const TYPE_HASH: Guid = guid("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5");
pub const TYPE_PRIVATE: Guid = guid("fb71eefa-a3e5-4e72-b294-2c1891dc964e");
pub const TYPE_DATA: Guid = guid("087a9a67-0656-457d-9206-0db54eaeba86");

/// The bit of PRIVATE's and DATA's attributes that says: a file system was
/// made here and synced. Never cleared by a program.
pub const FORMATTED_BIT: u32 = 48;

/// A UKI or a root may fill this share of its slot when it is built, so that
/// later versions fit.
pub const MAX_FILL_PERCENT: u64 = 50;

/// The loader on the ESP and its predecessor: 8.3 names, each a contiguous
/// run of this many bytes.
pub const LOADER_PATH: &str = "\\EFI\\BOOT\\BOOTX64.EFI";
pub const OLD_LOADER_PATH: &str = "\\EFI\\BOOT\\LOADER.OLD";
pub const LOADER_RUN_BYTES: u64 = MIB;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_on_disk() {
        for (index, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role.number() as usize, index + 1);
            assert_eq!(role.minimum_size_bytes() % (ALIGNMENT_SECTORS * SECTOR_SIZE), 0);
        }
    }
}
