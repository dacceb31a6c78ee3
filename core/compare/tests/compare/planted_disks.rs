//! Planted faults in file systems and disks.

use super::common::check;
use super::samples::{File, fat, gpt, gzip, squashfs, tar};

#[test]
fn squashfs_contents_and_metadata() {
    let plain = squashfs(&[("/a", b"first\n"), ("/d/b", b"second\n")]);
    let changed = squashfs(&[("/a", b"first\n"), ("/d/b", b"2\n")]);
    check(&plain, &changed, &["d/b: text []"]);
    // The superblock has a time of its own.
    let mut later = plain.clone();
    later[8] ^= 1;
    check(&plain, &later, &["time of making: value [timestamp]"]);
    let large: Vec<u8> = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
    let mut other = large.clone();
    other[20_000] ^= 1;
    check(&squashfs(&[("/large", &large)]), &squashfs(&[("/large", &other)]), &["large: bytes []"]);
}

/// Within one block of small files only the one that differs is named.
#[test]
fn small_files_share_a_block() {
    let plain = squashfs(&[("/a", b"first\n"), ("/b", b"second\n"), ("/c", b"third\n")]);
    let changed = squashfs(&[("/a", b"first\n"), ("/b", b"SECOND\n"), ("/c", b"third\n")]);
    check(&plain, &changed, &["b: text []"]);
}

#[test]
fn fat_ids_times_and_slack() {
    let files: [(&str, &[u8]); 2] = [("A       TXT", b"first\n"), ("B       TXT", b"second\n")];
    let plain = fat(1, 0x6000, &files);
    check(&plain, &fat(2, 0x6000, &files), &["volume id: value [random-id]"]);
    check(
        &plain,
        &fat(1, 0x6001, &files),
        &["A.TXT › written: value [timestamp]", "B.TXT › written: value [timestamp]"],
    );
    check(&plain, &fat(1, 0x6000, &[files[0], ("B       TXT", b"SECOND\n")]), &["B.TXT: text []"]);
    let mut slack = plain.clone();
    slack[1024 + 512 + 100] = 1;
    check(&plain, &slack, &["slack behind A.TXT: only right []"]);
    let mut free = plain.clone();
    *free.last_mut().unwrap() = 1;
    check(&plain, &free, &[": encoding []"]);
}

/// The ESP as images have it.
#[test]
fn esp_of_an_image() {
    let esp = |id, loader: &[u8]| {
        const SIZE: u64 = 8 << 20;
        let mut disk = vec![0; SIZE as usize];
        for (at, bytes) in osbuild_format::fat::esp(SIZE, id, loader).unwrap() {
            disk[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        }
        disk
    };
    check(&esp(1, b"\0loader"), &esp(2, b"\0loader"), &["volume id: value [random-id]"]);
    check(
        &esp(1, b"\0loader"),
        &esp(1, b"\0LOADER"),
        &["EFI/BOOT/BOOTX64.EFI: bytes []", "EFI/BOOT/LOADER.OLD: bytes []"],
    );
}

#[test]
fn disks() {
    let (one, two) = ([1; 512], [2; 512]);
    let plain = gpt(&[("ONE", 1, &one), ("TWO", 2, &two)]);
    check(
        &plain,
        &gpt(&[("ONE", 1, &one), ("TWO", 3, &two)]),
        &["partition 'TWO' › GUID: value [random-id]"],
    );
    check(&plain, &gpt(&[("ONE", 1, &one), ("TWO", 2, &one)]), &["partition 'TWO': bytes []"]);
    check(
        &plain,
        &gpt(&[("ONE", 1, &one), ("2", 2, &two)]),
        &["partition '2': only right []", "partition 'TWO': only left []"],
    );
    let mut attributes = plain.clone();
    attributes[1024 + 128 + 48] = 1;
    check(&plain, &attributes, &["partition 'TWO' › attributes: value []"]);
}

/// A time in an archive in a file system in a partition.
#[test]
fn all_the_way_in() {
    let disk = |mtime| {
        let archive = gzip(&tar(&[File { mtime, ..File::new("a", b"x") }]), 0);
        gpt(&[("ROOT", 1, &squashfs(&[("/archive.tar.gz", &archive)]))])
    };
    check(
        &disk(1_000_000_000),
        &disk(1_000_000_001),
        &["partition 'ROOT' › archive.tar.gz › contents › a › mtime: value [timestamp]"],
    );
}
