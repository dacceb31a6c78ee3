//! One fixed input per builder and version, and the digest of what it gives.
//!
//! If one of these changes, images of equal recipes change: raise the
//! builder's number here, in its table and in `recipes/lib/builtins.nix`.

use std::fs;
use std::path::Path;

use osbuild_core::build::builtin::BUILTINS;
use osbuild_format::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::fixture::{Fixture, logical};
use super::slot::built;

const GOLDEN: &[(&str, u32, &str)] = &[
    ("squashfs-segment", 1, "b90a8959e638085bc037050e7e574e349a2e9c267ae25877d395b68cc71c6d38"),
    ("link-root", 1, "9c8a8d118acb08528b6bc6fc0c7232c3aa982b7ecd87f76e6470172c23529691"),
    ("slot", 2, "07e3f13e4e8681fb247cde8136842f10324e5e9660c02f4e7c5a4a92118f939a"),
    ("disk", 1, "f8c2cd30e4bc64656dd604cf66430e2b4aa10a971fc213e94bab1ae032d3cc4a"),
    ("sbom", 2, "714c965020a65e4e3938d4b109f007007e49086cc506c204def25225d5c6a2fc"),
    ("image-manifest", 1, "f2c44dd32686959582dea68af2759c0f73d1ac0f249bacad10b6f4e70da0943f"),
];

#[test]
fn bytes_of_every_builder_are_pinned() {
    let fixture = Fixture::new();
    let (slot, _, _) = built(&fixture);
    let packages = json!([{ "pname": "health", "version": "1", "license": "MIT", "cpe": null,
                            "path": logical("health"), "exclude": [], "interpreter": false }]);
    let components = json!([{ "pname": "health", "version": "1", "license": "MIT", "description": "d" }]);
    let sbom =
        json!({ "manifest": logical("root-out"), "slot": logical("slot-out"), "components": components });
    fixture.build("sbom", "sbom", &["spdx", "cdx", "size"], sbom).unwrap();
    let disk = json!({ "slot": logical("slot-out"), "loader": format!("{}/loader.efi", logical("parts")),
                       "format": "qcow2", "dataSizeMiB": 512, "seed": "golden" });
    fixture.build("disk", "golden", &["out"], disk).unwrap();
    let disks = json!([{ "format": "qcow2", "file": logical("golden-out") }]);
    let outer = json!({ "slot": logical("slot-out"), "disks": disks, "packages": packages });
    fixture.build("image-manifest", "outer", &["out"], outer).unwrap();

    let of = |names: &[&str]| {
        let mut hasher = Sha256::new();
        for name in names {
            add(&mut hasher, &fixture.physical(&logical(name)));
        }
        hex::encode(&hasher.finalize())
    };
    assert!(slot.is_dir());
    let found = [
        of(&["segment-health-data", "segment-health-index", "segment-health-leaves"]),
        of(&["root-out", "root-report"]),
        of(&["slot-out"]),
        of(&["golden-out"]),
        of(&["sbom-spdx", "sbom-cdx", "sbom-size"]),
        of(&["outer-out"]),
    ];
    let expected: Vec<&str> = GOLDEN.iter().map(|(_, _, digest)| *digest).collect();
    assert_eq!(found, expected[..], "a builder gives other bytes than its version promises");
    for (name, version, _) in GOLDEN {
        let row = BUILTINS.iter().find(|row| row.name == *name).unwrap();
        assert_eq!(row.version, *version, "builtin:{name}");
    }
}

/// Hashes a file, or a directory's files in the order of their names.
fn add(hasher: &mut Sha256, path: &Path) {
    if path.is_dir() {
        let mut members: Vec<_> = fs::read_dir(path).unwrap().map(|item| item.unwrap().path()).collect();
        members.sort();
        for member in members {
            add(hasher, &member);
        }
    } else {
        hasher.update(fs::read(path).unwrap());
    }
}
