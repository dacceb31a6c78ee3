//! Slots and factory disks, judged by sgdisk, fsck.vfat and mtools.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use osbuild_boot::guid::Guid;
use osbuild_boot::uki;
use osbuild_format::hex;
use osbuild_format::release::Release;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fixture::{Built, Fixture, Make, logical, noise};
use super::judge::{judge, passes};
use super::root::{link_parameters, segment};
use super::stub::stub;

fn parts(fixture: &Fixture) -> Value {
    parts_with_loader(fixture, &noise(4, 30_001))
}

fn parts_with_loader(fixture: &Fixture, loader: &[u8]) -> Value {
    let health = fixture.package(
        "health",
        &[
            ("usr/share/osbuild/health.toml", Make::File(b"schema = 1\n")),
            ("usr/lib/x", Make::File(&noise(3, 200_000))),
        ],
    );
    let packages = [("health", health)];
    let mut link = link_parameters(&packages);
    link["osRelease"]["VARIANT_ID"] = json!("test");
    fixture.build("link-root", "root", &["out", "report"], link).unwrap();
    let segments: Vec<Value> = packages.iter().map(|(name, path)| segment(fixture, name, path, 2)).collect();
    fixture.package(
        "parts",
        &[
            ("stub.efi", Make::File(&stub())),
            ("loader.efi", Make::File(loader)),
            ("bzImage", Make::File(&noise(5, 1_000_000))),
        ],
    );
    let part = |name: &str| format!("{}/{name}", logical("parts"));
    json!({
        "manifest": logical("root-out"), "segments": segments,
        "kernel": part("bzImage"), "stub": part("stub.efi"), "loader": part("loader.efi"),
        "commandLine": ["console=ttyS0,115200n8", "@verity@", "ro"],
        "variant": "test", "arch": "x86_64", "version": "1.2.3", "rollbackIndex": 7, "floor": 2,
        "minFromIndex": 1, "settingsSchema": 1, "healthFile": "/usr/share/osbuild/health.toml",
        "partitions": {},
    })
}

fn disk(fixture: &Fixture, name: &str, extra: Value) -> Built {
    let mut parameters = json!({
        "slot": logical("slot-out"), "loader": format!("{}/loader.efi", logical("parts")),
        "format": "raw", "dataSizeMiB": 512, "seed": "",
    });
    parameters.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    fixture.build("disk", name, &["out"], parameters).unwrap()
}

pub(crate) fn built(fixture: &Fixture) -> (PathBuf, PathBuf, Release) {
    built_with_loader(fixture, &noise(4, 30_001))
}

pub(crate) fn built_with_loader(fixture: &Fixture, loader: &[u8]) -> (PathBuf, PathBuf, Release) {
    let parameters = parts_with_loader(fixture, loader);
    let slot = fixture.build("slot", "slot", &["out"], parameters).unwrap().outputs["out"].clone();
    let disk = disk(fixture, "disk", json!({})).outputs["out"].clone();
    let release = Release::parse(&fs::read(slot.join("manifest.json")).unwrap()).unwrap();
    (slot, disk, release)
}

#[test]
fn the_manifest_is_what_is_in_the_slot() {
    let fixture = Fixture::new();
    let (slot, _, release) = built(&fixture);
    let read = |name: &str| fs::read(slot.join(name)).unwrap();
    let sha256 = |bytes: &[u8]| hex::encode(&Sha256::digest(bytes));
    let (root, tree, uki) = (read("root.squashfs"), read("root.verity"), read("boot.efi"));
    assert_eq!((release.root.size, &release.root.sha256), (root.len() as u64, &sha256(&root)));
    assert_eq!((release.hash.size, &release.hash.sha256), (tree.len() as u64, &sha256(&tree)));
    assert_eq!((release.uki.size, &release.uki.sha256), (uki.len() as u64, &sha256(&uki)));
    assert_eq!(release.health_sha256, sha256(b"schema = 1\n"));
    assert_eq!(uki::image_length(&uki[..4096], 64 << 20), Ok(uki.len() as u64));
    assert_eq!(uki::section(&uki, b".linux"), Some(&noise(5, 1_000_000)[..]));
    let line = uki::command_line(&uki).unwrap();
    assert_eq!(line, release.uki.command_line.as_bytes());
    let root_hash = hex::decode_array(&release.root.root_hash).unwrap();
    assert_eq!(uki::check_partitions(line, Guid::of_root(&root_hash), Guid::of_hash(&root_hash)), Ok(()));
    let os_release = String::from_utf8(uki::section(&uki, b".osrel").unwrap().to_vec()).unwrap();
    assert!(os_release.contains("\nBUILD_ID=") || os_release.starts_with("BUILD_ID="), "{os_release}");
}

#[test]
fn the_disk_is_sparse_and_judged_sound() {
    let fixture = Fixture::new();
    let (slot, disk, release) = built(&fixture);
    let metadata = fs::metadata(&disk).unwrap();
    assert_eq!(metadata.len(), 2914 << 20);
    assert!(metadata.blocks() * 512 < 8 << 20, "the disk file must be sparse");
    let file = File::open(&disk).unwrap();
    for (name, offset) in [("boot.efi", 65u64), ("root.squashfs", 129), ("root.verity", 1153)] {
        let expected = fs::read(slot.join(name)).unwrap();
        let mut found = vec![0; expected.len()];
        file.read_exact_at(&mut found, offset << 20).unwrap();
        assert!(expected == found, "{name}");
    }
    let Some(mut sgdisk) = judge("sgdisk") else { return };
    let verified = passes(sgdisk.arg("-v").arg(&disk));
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(text.contains("No problems found"), "{text}");
    let printed = passes(judge("sgdisk").unwrap().args(["-i", "3"]).arg(&disk));
    let text = String::from_utf8_lossy(&printed.stdout).to_lowercase();
    let root = Guid::of_root(&hex::decode_array(&release.root.root_hash).unwrap()).to_string();
    assert!(text.contains(&root) && text.contains("root-a"), "{text}");
    let printed = passes(judge("sgdisk").unwrap().args(["-i", "2"]).arg(&disk));
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("Attribute flags: 0032000000000000"), "{text}");

    let mut esp = vec![0; 64 << 20];
    file.read_exact_at(&mut esp, 1 << 20).unwrap();
    let path = fixture.path().join("esp");
    fs::write(&path, esp).unwrap();
    passes(judge("fsck.vfat").unwrap().args(["-n", "-v"]).arg(&path));
    for name in ["BOOTX64.EFI", "LOADER.OLD"] {
        let out = fixture.path().join(name);
        passes(judge("mcopy").unwrap().arg("-i").arg(&path).arg(format!("::/EFI/BOOT/{name}")).arg(&out));
        let bytes = fs::read(out).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
        assert!(bytes[..30_001] == noise(4, 30_001)[..] && bytes[30_001..].iter().all(|b| *b == 0));
    }
}

#[test]
fn every_byte_is_determined() {
    let digest = || {
        let fixture = Fixture::new();
        let (_, disk, _) = built(&fixture);
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(disk).unwrap()).unwrap();
        hasher.finalize()
    };
    assert_eq!(digest(), digest());
}

#[test]
fn what_does_not_fit_is_refused() {
    let fixture = Fixture::new();
    let mut parameters = parts(&fixture);
    fs::write(fixture.physical(&logical("parts")).join("bzImage"), noise(1, 33 << 20)).unwrap();
    let error = fixture.build("slot", "big", &["out"], parameters.clone()).err().unwrap().to_string();
    assert!(error.contains("kernel image has 33.0 MiB") && error.contains("at most 32.0 MiB"), "{error}");
    parameters["partitions"] = json!({ "boot": 80 });
    fixture.build("slot", "larger", &["out"], parameters.clone()).unwrap();
    parameters["partitions"] = json!({ "boot": 32 });
    let error = fixture.build("slot", "smaller", &["out"], parameters.clone()).err().unwrap().to_string();
    assert!(error.contains("only enlarge"), "{error}");
    parameters["partitions"] = json!({});
    parameters["version"] = json!("1.2.4");
    let error = fixture.build("slot", "other", &["out"], parameters).err().unwrap().to_string();
    assert!(error.contains("VERSION_ID=1.2.3, the variant says 1.2.4"), "{error}");
}

#[test]
fn every_format_holds_the_same_disk() {
    let fixture = Fixture::new();
    let (_, raw, _) = built(&fixture);
    let mut disks = vec![json!({ "format": "raw", "file": logical("disk-out") })];
    for format in ["qcow2", "vmdk", "vhd"] {
        let name = format!("disk-{format}");
        let path = disk(&fixture, &name, json!({ "format": format })).outputs["out"].clone();
        disks.push(json!({ "format": format, "file": logical(&format!("{name}-out")) }));
        let Some(mut compare) = judge("qemu-img") else { return };
        let theirs = if format == "vhd" { "vpc" } else { format };
        compare.args(["compare", "-f", "raw", "-F", theirs]);
        if format == "vhd" {
            // QEMU rounds to a geometry unless told that the size is right.
            let source = format!("driver=vpc,force_size_calc=current_size,file.filename={}", path.display());
            compare = judge("qemu-img").unwrap();
            compare.args(["compare", "--image-opts"]);
            compare.arg(format!("driver=raw,file.filename={}", raw.display())).arg(source);
        } else {
            compare.arg(&raw).arg(&path);
        }
        passes(&mut compare);
        if format == "qcow2" {
            passes(judge("qemu-img").unwrap().args(["check", "-f", "qcow2"]).arg(&path));
        }
    }
    let packages = json!([{ "pname": "health", "version": "1", "license": "MIT", "cpe": null,
                            "path": logical("health"), "exclude": [], "interpreter": false }]);
    let parameters = json!({ "slot": logical("slot-out"), "disks": disks, "packages": packages });
    let built = fixture.build("image-manifest", "outer", &["out"], parameters).unwrap();
    let manifest: Value = serde_json::from_slice(&built.read("out")).unwrap();
    for (row, disk) in manifest["disks"].as_array().unwrap().iter().zip(&disks) {
        assert_eq!(row["virtual_size"], json!(2914u64 << 20), "{row}");
        let path = fixture.physical(disk["file"].as_str().unwrap());
        assert_eq!(row["file_size"], json!(fs::metadata(path).unwrap().len()));
    }
    assert_eq!(manifest["release"]["version"], "1.2.3");
}

#[test]
fn the_size_report_adds_up() {
    let fixture = Fixture::new();
    let (_, _, release) = built(&fixture);
    let components = json!([{ "pname": "health", "version": "1", "license": "MIT", "description": "d" }]);
    let parameters =
        json!({ "manifest": logical("root-out"), "slot": logical("slot-out"), "components": components });
    let built = fixture.build("sbom", "sbom", &["spdx", "cdx", "size"], parameters).unwrap();
    let document = |name: &str| serde_json::from_slice::<Value>(&built.read(name)).unwrap();
    let size = document("size");
    assert_eq!(size["root_bytes"], json!(release.root.size));
    assert_eq!(size["packages"][0]["bytes"], json!(200_011));
    assert!(size["packages"][0]["compressed_bytes"].as_u64().unwrap() > 200_000);
    assert_eq!(size["largest_files"][0]["path"], "/usr/lib/x");
}
