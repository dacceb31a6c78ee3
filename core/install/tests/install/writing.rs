//! Wrong bytes, and bytes of different releases.

use osbuild_boot::gpt;
use osbuild_boot::slot::{Bits, Pair, Slot};
use osbuild_format::{hex, pe};
use osbuild_install::{Bars, Error, Preflight, Record};
use sha2::{Digest, Sha256};

use crate::disk::{Entry, SimDisk};
use crate::stories::{plan, put_missing, with_tree};
use crate::world::{Version, World};

fn payload_writes(disk: &SimDisk) -> usize {
    disk.take_log().iter().filter(|entry| matches!(entry, Entry::Write { .. })).count()
}

#[test]
fn what_the_tree_does_not_know_is_not_written() {
    let world = World::new(130);
    let version = &world.versions[2];
    let mut disk = world.usual_disk();
    let again = disk.clone();
    let begin = |disk: &mut SimDisk| plan(&world, disk, Slot::A, 1, 2).unwrap();

    for bent in [&version.tree[1..], &[&version.tree[..], &[0]].concat(), &world.versions[3].tree] {
        let begun = begin(&mut disk);
        let emptied = begun.begin(&mut disk).unwrap();
        again.take_log();
        let error = emptied.hash_tree(bent.to_vec()).unwrap_err();
        assert!(matches!(error, Error::WrongTree { .. }) && payload_writes(&again) == 0, "{error}");
    }

    let begun = begin(&mut disk);
    let mut writing = with_tree(&world, 2, begun.begin(&mut disk).unwrap()).unwrap();
    again.take_log();
    let mut bent = version.blocks(4, 8).to_vec();
    bent[2 * 4096 + 4095] ^= 1;
    let cases: [(u64, &[u8], &str); 6] = [
        (4, &bent, "WrongBlock { block: 6 }"),
        (5, version.blocks(4, 5), "WrongBlock { block: 5 }"),
        (4, &bent[1..], "NotBlocks"),
        (129, version.blocks(128, 130), "NotBlocks"),
        (u64::MAX, version.blocks(0, 1), "NotBlocks"),
        (u64::MAX / 4096, version.blocks(0, 1), "NotBlocks"),
    ];
    for (first, bytes, expected) in cases {
        let error = format!("{:?}", writing.put_root(first, bytes).unwrap_err());
        assert!(error.contains(expected), "{error}");
        assert_eq!(payload_writes(&again), 0, "{expected}");
    }
    writing.put_root(4, version.blocks(4, 8)).unwrap();
    assert_eq!(payload_writes(&again), 1);
    // v0, which was there before, shares no block but the zeros.
    assert_eq!(writing.missing_root().unwrap(), [0..3, 8..130]);
}

#[test]
fn an_image_that_is_not_the_manifests_leaves_none() {
    let world = World::new(8);
    let version = &world.versions[2];
    let mut disk = world.usual_disk();
    let first = world.table.partition(Slot::B.boot()).unwrap().first as usize * 512;
    let again = disk.clone();
    let begun = plan(&world, &mut disk, Slot::A, 1, 2).unwrap();
    let mut writing = with_tree(&world, 2, begun.begin(&mut disk).unwrap()).unwrap();
    let mut bent = version.uki.clone();
    bent[3000] ^= 1;
    let longer = [&version.uki[..], &[0]].concat();
    let cases = [(&bent[..], "WrongBytes"), (&longer, "WrongBytes"), (&version.uki[..5000], "Payload")];
    for (image, expected) in cases {
        let error = format!("{:?}", writing.put_uki(image).unwrap_err());
        assert!(error.contains(expected), "{error}");
        assert_eq!(again.bytes()[first..first + 512], [0; 512], "{expected}");
        assert!(!writing.has_uki().unwrap());
    }
    writing.put_uki(&version.uki[..]).unwrap();
    assert!(writing.has_uki().unwrap());
    put_missing(&world, 2, &mut writing, 8).unwrap();
    writing.finish().unwrap();
}

/// Installs v2 as it is once something was changed of it.
fn finish(change: impl FnOnce(&mut Version)) -> Result<Pair, Error> {
    let world = World::new(8);
    let mut disk = world.usual_disk();
    let mut version = world.versions[2].clone();
    change(&mut version);
    let (table, record) = (gpt::load(&mut disk).unwrap().table, disk.record().load());
    let own = world.node(Slot::A, 1);
    let preflight = Preflight { node: &own, table: &table, record: &record };
    let plan = preflight.check(&version.manifest, Bars::Heed).unwrap();
    let mut record = disk.record();
    let mut writing = plan.begin(&mut disk)?.hash_tree(version.tree.clone())?;
    writing.put_root(0, &version.root)?;
    writing.put_uki(&version.uki[..])?;
    writing.finish()?.activate(&mut record)
}

fn seal(version: &mut Version) {
    version.manifest.uki.sha256 = hex::encode(&Sha256::digest(&version.uki));
    version.manifest.uki.size = version.uki.len() as u64;
}

/// Replaces text of the image by other text of its length.
fn replace(version: &mut Version, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = version.uki.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
    version.uki[at..at + to.len()].copy_from_slice(to.as_bytes());
    seal(version);
}

#[test]
fn image_and_manifest_are_of_one_release() {
    assert_eq!(finish(|_| {}).unwrap(), Pair { a: Bits { priority: 1, ..Bits::GOOD }, b: Bits::TRIAL });
    type Change = fn(&mut Version);
    let cases: [(Change, &str); 10] = [
        (|version| version.manifest.version = "1.2.1".to_owned(), "VERSION_ID"),
        (|version| version.manifest.rollback_index = 7, "OSBUILD_ROLLBACK_INDEX"),
        (|version| version.manifest.floor = 1, "OSBUILD_FLOOR"),
        (|version| version.manifest.uki.command_line.push('x'), "its command line"),
        (|version| replace(version, "VARIANT_ID=test-node", "VARIANT_ID=test-nose"), "VARIANT_ID"),
        (|version| replace(version, "VARIANT_ID=", "VARIANT_IX="), "its release"),
        (|version| replace(version, "OSBUILD_FLOOR=2", "OSBUILD_FLOOR=x"), "its release"),
        (|version| replace(version, "console=ttyS0", "console=ttyS1"), "its command line"),
        (
            |version| {
                let other = World::new(8).versions[3].clone();
                version.uki = other.uki;
                seal(version);
            },
            "VERSION_ID",
        ),
        // Bytes behind the image that its own headers do not know.
        (
            |version| {
                version.uki.extend([1; 8]);
                seal(version);
            },
            "its length",
        ),
    ];
    for (change, field) in cases {
        let error = finish(change).unwrap_err();
        assert!(
            matches!(&error, Error::Contradiction { field: found, .. } if *found == field),
            "{field}: {error:?}"
        );
    }
}

/// Of a signed image the certificates are the end.
#[test]
fn a_signed_image_is_as_long_as_its_certificates_say() {
    let sign = |version: &mut Version| {
        version.uki = pe::append_signature(&version.uki, &[0x30; 701]).unwrap();
        seal(version);
        assert_eq!(version.uki.len() % 512, 200);
    };
    finish(sign).unwrap();
    let error = finish(|version| {
        sign(version);
        version.uki.extend([0; 8]);
        seal(version);
    });
    assert!(matches!(error, Err(Error::Contradiction { field: "its length", .. })), "{error:?}");
}

/// A release whose command line maps another root is no release of its own.
#[test]
fn the_command_line_names_the_root_that_is_installed() {
    type Change = fn(&mut Version);
    let cases: [(Change, &str); 3] = [
        (
            |version| {
                let salt = version.manifest.root.salt.clone();
                let other = format!("00{}", &salt[2..]);
                replace(version, &salt, &other);
                version.manifest.uki.command_line = version.manifest.uki.command_line.replace(&salt, &other);
            },
            "of its verity device",
        ),
        (
            |version| {
                let hash = version.manifest.root.root_hash.clone();
                let other = format!("00{}", &hash[2..]);
                replace(version, &hash, &other);
                version.manifest.uki.command_line = version.manifest.uki.command_line.replace(&hash, &other);
            },
            "its root hash",
        ),
        (
            |version| {
                replace(version, "4096 4096 8 0", "4096 4096 7 0");
                replace(version, "0 64 verity", "0 56 verity");
                let line = &version.manifest.uki.command_line;
                let line =
                    line.replace("4096 4096 8 0", "4096 4096 7 0").replace("0 64 verity", "0 56 verity");
                version.manifest.uki.command_line = line;
            },
            "its root's blocks",
        ),
    ];
    for (change, field) in cases {
        let error = finish(change).unwrap_err();
        assert!(
            matches!(&error, Error::Contradiction { field: found, .. } if *found == field),
            "{field}: {error:?}"
        );
    }
}
