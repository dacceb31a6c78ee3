//! Small releases in the form of a build's output.

use std::fs;
use std::path::{Path, PathBuf};

use osbuild_boot::guid::Guid;
use osbuild_core::attest::statement::Resource;
use osbuild_core::repo::release::Slot;
use osbuild_core::repo::tested::{self, Tests};
use osbuild_format::pe::{Section, append_sections};
use osbuild_format::release::{Blob, Release, Root, Segments, Uki};
use osbuild_format::{hex, verity};
use sha2::{Digest, Sha256};

use crate::stub::stub;

/// What differs between them.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) version: &'static str,
    pub(crate) rollback_index: u64,
    pub(crate) floor: u64,
    pub(crate) min_from_index: u64,
    pub(crate) seed: u8,
}

impl Made {
    pub(crate) fn new(version: &'static str, rollback_index: u64) -> Self {
        Self { version, rollback_index, floor: 1, min_from_index: 0, seed: rollback_index as u8 }
    }

    /// Writes the output below a folder.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let output = folder.join(format!("{}-{}-{}", self.version, self.rollback_index, self.seed));
        let slot = output.join("slot");
        fs::create_dir_all(&slot).unwrap();
        let root: Vec<u8> = (0..40 * verity::BLOCK_BYTES).map(|at| (at / 7) as u8 ^ self.seed).collect();
        let tree = verity::tree(verity::leaves(&root));
        let (data, hashes) = (Guid::of_root(&tree.root_hash), Guid::of_hash(&tree.root_hash));
        let root_hash = hex::encode(&tree.root_hash);
        let command_line = format!(
            "dm-mod.waitfor=PARTUUID={data},PARTUUID={hashes} dm-mod.create=\"osroot,,0,ro,0 320 verity 1 PARTUUID={data} PARTUUID={hashes} 4096 4096 40 0 sha256 {root_hash} {} 1\" ro",
            hex::encode(&verity::SALT)
        );
        let os_release = format!(
            "ID=test\nVARIANT_ID=test\nVERSION_ID={}\nOSBUILD_ROLLBACK_INDEX={}\nOSBUILD_FLOOR={}\n",
            self.version, self.rollback_index, self.floor
        );
        let sections = [
            Section { name: ".osrel", contents: os_release.as_bytes() },
            Section { name: ".cmdline", contents: command_line.as_bytes() },
            Section { name: ".linux", contents: &[self.seed; 5000] },
        ];
        let uki = append_sections(&stub(), &sections).unwrap();
        let loader = vec![9; 3000];
        let segments = b"{\"schema\":1,\"segments\":[]}\n";
        let digest = |bytes: &[u8]| hex::encode(&Sha256::digest(bytes));
        let release = Release {
            schema: 1,
            variant: "test".to_owned(),
            arch: "x86_64".to_owned(),
            version: self.version.to_owned(),
            rollback_index: self.rollback_index,
            floor: self.floor,
            min_from_index: self.min_from_index,
            layout: "l".to_owned(),
            root: Root {
                size: root.len() as u64,
                sha256: digest(&root),
                root_hash: root_hash.clone(),
                salt: hex::encode(&verity::SALT),
                blocks: 40,
            },
            hash: Blob { size: tree.bytes.len() as u64, sha256: digest(&tree.bytes) },
            uki: Uki {
                size: uki.len() as u64,
                sha256: digest(&uki),
                unsigned_sha256: digest(&uki),
                command_line,
            },
            loader: Blob { size: loader.len() as u64, sha256: digest(&loader) },
            segments: Segments { file: "segments.json".to_owned(), sha256: digest(segments) },
            settings_schema: 1,
            health_sha256: digest(b"h"),
            sbom: Vec::new(),
            attestations: Vec::new(),
        };
        for (name, bytes) in [
            ("root.squashfs", root.as_slice()),
            ("root.verity", &tree.bytes),
            ("boot.efi", &uki),
            ("loader.efi", &loader),
            ("segments.json", segments),
            ("manifest.json", &release.to_bytes()),
        ] {
            fs::write(slot.join(name), bytes).unwrap();
        }
        let spdx = format!("{{\"documentNamespace\": \"urn:osbuild:spdx:{root_hash}\"}}");
        fs::write(output.join("sbom.spdx.json"), spdx).unwrap();
        output
    }
}

/// A record that a release passed these tests, by the writer's hand.
pub(crate) fn record(output: &Path, tests: &[&'static str]) -> PathBuf {
    record_of(output, tests, &[])
}

/// And failed those.
pub(crate) fn record_of(output: &Path, passed: &[&'static str], failed: &[&'static str]) -> PathBuf {
    let slot = Slot::read(output).unwrap();
    let used = vec![Resource::of_bytes("qemu-system-x86_64", &slot.manifest_sha256)];
    let tests = Tests { passed: passed.to_vec(), failed: failed.to_vec() };
    let path = output.join(format!("{}-{}.json", passed.join("-"), failed.join("-")));
    fs::write(&path, tested::record(&slot, used, &tests)).unwrap();
    path
}
