//! Releases and a disk of their size: some dozens of blocks, as real as
//! necessary. Sizes and bytes of the partition table, the tree, the images and
//! the record are the true formats.

use osbuild_boot::gpt::{self, Entry, FIRST_USABLE_SECTOR, Gpt, SECTOR_BYTES};
use osbuild_boot::guid::Guid;
use osbuild_boot::law::Running;
use osbuild_boot::layout::{LOADER_RUN_BYTES, Role};
use osbuild_boot::private;
use osbuild_boot::slot::{Bits, Pair, Slot};
use osbuild_format::pe::{self, Section};
use osbuild_format::release::{Blob, Release as Manifest, Root, Segments, Uki};
use osbuild_format::verity::{self, BLOCK_BYTES};
use osbuild_format::{disk, fat, hex};
use osbuild_install::{Medium, Node, Record, SinceStart};
use sha2::{Digest, Sha256};

use crate::disk::SimDisk;

/// xorshift64*, the same in every run.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 33) as u8).collect()
    }
}

/// A release with all of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) manifest: Manifest,
    pub(crate) root: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    pub(crate) uki: Vec<u8>,
    pub(crate) root_hash: [u8; 32],
}

impl Version {
    pub(crate) fn release(&self) -> private::Release {
        private::Release::new(&self.manifest.version, self.root_hash).unwrap()
    }

    /// A run of its root.
    pub(crate) fn blocks(&self, from: u64, to: u64) -> &[u8] {
        &self.root[from as usize * BLOCK_BYTES..to as usize * BLOCK_BYTES]
    }
}

/// Four releases, a disk that has room for them, and two loaders.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) versions: Vec<Version>,
    pub(crate) loaders: [Vec<u8>; 2],
    pub(crate) table: Gpt,
    pub(crate) private_sector: u64,
    esp_sectors: u64,
}

pub(crate) const VARIANT: &str = "test-node";
const ARCH: &str = "x86_64";
/// A release that this node has refused before the stories begin.
pub(crate) const REFUSED_BEFORE: [u8; 32] = [0xbb; 32];
pub(crate) const FLOOR_BEFORE: u64 = 1;

impl World {
    /// A disk without a file system on its ESP.
    pub(crate) fn new(blocks: u64) -> Self {
        Self::of(blocks, 8)
    }

    /// A disk on whose ESP there are loaders.
    pub(crate) fn with_loaders(blocks: u64) -> Self {
        Self::of(blocks, (2 * LOADER_RUN_BYTES) / 512 + 512)
    }

    fn of(blocks: u64, esp_sectors: u64) -> Self {
        let table = table(blocks, esp_sectors);
        let layout = disk::layout_digest(&table).unwrap();
        let versions = (0..4).map(|number| version(number, blocks, &layout)).collect();
        let loaders = [501, 502].map(|seed| stub(&Chance::new(seed).bytes(48_000)));
        let private_sector = table.partition(Role::Private).unwrap().first;
        Self { versions, loaders, table, private_sector, esp_sectors }
    }

    /// A disk with a version in each slot.
    pub(crate) fn disk(&self, slots: [(Slot, usize, Bits); 2]) -> SimDisk {
        let mut bytes = vec![0; (self.table.backup_sector as usize + 1) * SECTOR_BYTES];
        let mut put = |role: Role, offset: u64, content: &[u8]| {
            let at = self.table.partition(role).unwrap().first as usize * SECTOR_BYTES + offset as usize;
            bytes[at..at + content.len()].copy_from_slice(content);
        };
        if self.esp_sectors > 8 {
            for (offset, piece) in fat::esp(self.esp_sectors * 512, 0x1234_5678, &self.loaders[0]).unwrap() {
                put(Role::Esp, offset, &piece);
            }
        }
        let mut table = self.table.clone();
        let mut pair = Pair { a: Bits::EMPTY, b: Bits::EMPTY };
        for (slot, number, bits) in slots {
            pair = pair.with(slot, bits);
            if bits == Bits::EMPTY {
                table.blank(slot);
                continue;
            }
            let version = &self.versions[number];
            put(slot.boot(), 0, &version.uki);
            put(slot.root(), 0, &version.root);
            put(slot.hash(), 0, &version.tree);
            table.name_after(slot, &version.root_hash);
        }
        table.set_slots(pair);
        let mut disk = SimDisk::new(bytes, self.private_sector);
        gpt::Disk::write(&mut disk, 0, &table.protective_mbr()).unwrap();
        gpt::store(&mut disk, &table).unwrap();
        let mut record = disk.record();
        let mut state = record.load();
        state.floor = FLOOR_BEFORE;
        let release = private::Release::new("0.0.1-bad", REFUSED_BEFORE).unwrap();
        state.refuse(private::Refused { release, reason: private::Reason::Silent });
        record.save(state).unwrap();
        disk.take_log();
        disk
    }

    /// The usual node: v1 runs in A, v0 from before is in B.
    pub(crate) fn usual_disk(&self) -> SimDisk {
        self.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 0, Bits { priority: 1, ..Bits::GOOD })])
    }

    /// What a healthy node says of itself that runs a version.
    pub(crate) fn node(&self, slot: Slot, number: usize) -> Node {
        let version = &self.versions[number];
        Node {
            running: Running { slot, committed: true },
            release: version.release(),
            variant: VARIANT.to_owned(),
            arch: ARCH.to_owned(),
            rollback_index: version.manifest.rollback_index,
            floor: version.manifest.floor,
            since_start: SinceStart::default(),
        }
    }

    /// Which version a slot holds, whole; by comparison with every byte of it.
    pub(crate) fn whole(&self, disk: &mut SimDisk, table: &Gpt, slot: Slot) -> Result<usize, String> {
        let mut partition = |role: Role| {
            let entry = table.partition(role).unwrap();
            let mut bytes = vec![0; entry.sector_count() as usize * SECTOR_BYTES];
            disk.read_back(entry.first, &mut bytes).unwrap();
            (entry.guid, bytes)
        };
        let (_, boot) = partition(slot.boot());
        let (root_guid, root) = partition(slot.root());
        let (hash_guid, tree) = partition(slot.hash());
        let name = slot.name();
        let (number, version) = self
            .versions
            .iter()
            .enumerate()
            .find(|(_, version)| boot.starts_with(&version.uki))
            .ok_or(format!("slot {name} has the kernel image of no release"))?;
        if boot[version.uki.len()..].iter().any(|byte| *byte != 0) {
            return Err(format!("slot {name}: something is behind the image of v{number}"));
        }
        if (root_guid, hash_guid) != (Guid::of_root(&version.root_hash), Guid::of_hash(&version.root_hash)) {
            return Err(format!("slot {name} has the image of v{number} and another's GUIDs"));
        }
        if !root.starts_with(&version.root) {
            return Err(format!("slot {name}: the root is not that of v{number}"));
        }
        if !tree.starts_with(&version.tree) {
            return Err(format!("slot {name}: the hash tree is not that of v{number}"));
        }
        Ok(number)
    }
}

fn table(blocks: u64, esp_sectors: u64) -> Gpt {
    let sectors = |role| match role {
        Role::Esp => esp_sectors,
        Role::BootA | Role::BootB => 32,
        Role::RootA | Role::RootB => (blocks + 2) * 8,
        Role::HashA | Role::HashB => verity::tree_bytes(blocks) / 512 + 8,
        Role::Private => 16,
        Role::Data => 8,
    };
    let used: u64 = Role::ALL.into_iter().map(sectors).sum();
    let mut table = Gpt::new(Guid::from_text_bytes([7; 16]), FIRST_USABLE_SECTOR + used + 33);
    let mut first = FIRST_USABLE_SECTOR;
    for role in Role::ALL {
        let entry = Entry {
            type_guid: role.type_guid(),
            guid: Guid::of_partition(table.disk_guid, role.name()),
            first,
            last: first + sectors(role) - 1,
            attributes: 0,
            name: Entry::encode_name(role.name()),
        };
        table.set_partition(role, &entry);
        first += sectors(role);
    }
    table
}

/// Every other block is that of the release before, and one is zeros.
fn root(number: u64, blocks: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in 0..blocks {
        let of = if block % 2 == 0 { number } else { number / 2 };
        let chance = &mut Chance::new((block << 8) + of + 1);
        let data = if block == 3 { vec![0; BLOCK_BYTES] } else { chance.bytes(BLOCK_BYTES) };
        bytes.extend(data);
    }
    bytes
}

pub(crate) fn version(number: u64, blocks: u64, layout: &str) -> Version {
    let root = root(number, blocks);
    let made = verity::tree(verity::leaves(&root));
    let (data, tree) = (Guid::of_root(&made.root_hash), Guid::of_hash(&made.root_hash));
    let (root_hash, salt) = (hex::encode(&made.root_hash), hex::encode(&verity::SALT));
    let command_line = format!(
        "console=ttyS0 root=/dev/dm-0 dm-mod.waitfor=PARTUUID={data},PARTUUID={tree} \
         dm-mod.create=\"osroot,,0,ro,0 {} verity 1 PARTUUID={data} PARTUUID={tree} 4096 4096 {blocks} 0 sha256 \
         {root_hash} {salt} 1 panic_on_corruption\"",
        blocks * 8
    );
    let (index, floor) = (number + 1, number.max(FLOOR_BEFORE));
    let os_release = format!(
        "ID=test\nVARIANT_ID={VARIANT}\nVERSION_ID=1.{number}.0\nOSBUILD_ROLLBACK_INDEX={index}\nOSBUILD_FLOOR={floor}\n"
    );
    let kernel = Chance::new(number + 77).bytes(2900);
    let uki = pe::append_sections(
        &stub(b""),
        &[
            Section { name: ".osrel", contents: os_release.as_bytes() },
            Section { name: ".cmdline", contents: command_line.as_bytes() },
            Section { name: ".linux", contents: &kernel },
        ],
    )
    .unwrap();
    let sha256 = |bytes: &[u8]| hex::encode(&Sha256::digest(bytes));
    let manifest = Manifest {
        schema: 1,
        variant: VARIANT.to_owned(),
        arch: ARCH.to_owned(),
        version: format!("1.{number}.0"),
        rollback_index: index,
        floor,
        min_from_index: 0,
        layout: layout.to_owned(),
        root: Root { size: root.len() as u64, sha256: sha256(&root), root_hash, salt, blocks },
        hash: Blob { size: made.bytes.len() as u64, sha256: sha256(&made.bytes) },
        uki: Uki {
            size: uki.len() as u64,
            sha256: sha256(&uki),
            unsigned_sha256: sha256(&uki),
            command_line,
        },
        loader: Blob { size: 0, sha256: String::new() },
        segments: Segments { file: "segments.json".to_owned(), sha256: String::new() },
        settings_schema: 1,
        health_sha256: String::new(),
        sbom: Vec::new(),
        attestations: Vec::new(),
    };
    Version { manifest, root, tree: made.bytes, uki, root_hash: made.root_hash }
}

/// The smallest program that passes for one, with room for sections.
fn stub(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0u8; 1024];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes[0x44..0x46].copy_from_slice(&0x8664u16.to_le_bytes());
    bytes[0x54..0x56].copy_from_slice(&240u16.to_le_bytes());
    let optional = 0x58;
    bytes[optional..optional + 2].copy_from_slice(&0x20bu16.to_le_bytes());
    for (at, value) in [(32, 4096u32), (36, 512), (60, 1024), (108, 16)] {
        bytes[optional + at..optional + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    if text.is_empty() {
        return bytes;
    }
    pe::append_sections(&bytes, &[Section { name: ".text", contents: text }]).unwrap()
}
