//! Planted faults: each is found, named and nothing else is.

use std::slice::from_ref;

use super::common::check;
use super::samples::{File, ar, cpio, elf, gzip, kernel, pe, tar, xz, zstd};

#[test]
fn text_and_bytes() {
    check(b"one\ntwo\nthree\n", b"one\n2\nthree\n", &[": text []"]);
    check(b"one\ntwo\n", b"two\none\n", &[": order [order]"]);
    check(b"one\ntwo\n", b"one\ntwo", &[": text []"]);
    check(b"\x00one", b"\x00two", &[": bytes []"]);
    check(b"\x00one", b"\x00one and more", &[": bytes []"]);
    check(b"", b"text\n", &[": text []"]);
    check(b"text\n", &gzip(b"text\n", 0), &[": text | gzip []"]);
    check(b"at Nov 29 2026\n", b"at Nov 30 2026\n", &[": text [timestamp]"]);
    check(b"\0at /build/a/x.c\0", b"\0at /build/b/x.c\0", &[": bytes [path]"]);
}

#[test]
fn json_values_and_spelling() {
    let value = br#"{"a": [1, 2], "b": {"c/d": "x"}}"#;
    check(value, br#"{"b": {"c/d": "x"}, "a": [1, 2]}"#, &[": order [order]"]);
    check(value, br#"{"a":[1,2],"b":{"c/d":"x"}}"#, &[": encoding []"]);
    check(value, br#"{"a": [1, 2], "b": {"c/d": "\u0078"}}"#, &[": encoding []"]);
    check(value, br#"{"a": [2, 1], "b": {"c/d": "x"}}"#, &["value at /a: order [order]"]);
    check(value, br#"{"a": [1, 2, 3], "b": {"c/d": "x"}}"#, &["value at /a/2: only right []"]);
    check(value, br#"{"a": [1, 2], "b": {"c/d": "y"}}"#, &["value at /b/c~1d: value []"]);
    check(
        br#"{"built": "2026-11-29T01:02:03Z"}"#,
        br#"{"built": "2026-11-29T01:02:04Z"}"#,
        &["value at /built: value [timestamp]"],
    );
    check(value, b"{ no JSON\n", &[": text []"]);
}

#[test]
fn times_in_headers() {
    check(&gzip(b"x", 1), &gzip(b"x", 2), &["mtime: value [timestamp]"]);
    let file = File::new("a", b"x");
    let later = File { mtime: 1_000_000_001, ..file.clone() };
    check(&tar(from_ref(&file)), &tar(from_ref(&later)), &["a › mtime: value [timestamp]"]);
    check(&ar(from_ref(&file)), &ar(from_ref(&later)), &["a › mtime: value [timestamp]"]);
    check(&cpio(&[file]), &cpio(&[later]), &["a › mtime: value [timestamp]"]);
    check(&pe(&[(".text", b"x")], 1), &pe(&[(".text", b"x")], 2), &["time stamp: value [timestamp]"]);
}

#[test]
fn owners_and_modes() {
    let file = File::new("a", b"x");
    let other = File { mode: 0o755, uid: 1000, ..file.clone() };
    let expected = ["a › mode: value [mode]", "a › uid: value [owner]"];
    check(&tar(from_ref(&file)), &tar(from_ref(&other)), &expected);
    check(&cpio(from_ref(&file)), &cpio(from_ref(&other)), &expected);
    check(&ar(&[file]), &ar(&[other]), &["a › uid: value [owner]", "a › mode: value [mode]"]);
}

#[test]
fn members_in_another_sequence() {
    let (a, b) = (File::new("a", b"x"), File::new("b", b"y"));
    let (sorted, unsorted) = ([a.clone(), b.clone()], [b, a.clone()]);
    check(&tar(&sorted), &tar(&unsorted), &["order of members: order [order]"]);
    check(&ar(&sorted), &ar(&unsorted), &["order of members: order [order]"]);
    check(&tar(&sorted), &tar(&[a]), &["b: only left []"]);
}

#[test]
fn names_that_are_not_utf_8() {
    let odd = File { name: b"a\xff\n", ..File::new("", b"x") };
    let other = File { contents: b"y", ..odd.clone() };
    check(&tar(&[odd]), &tar(&[other]), &["a\\xff\\n: text []"]);
}

/// Names, times and attributes that stand in records before the member.
#[test]
fn tar_extensions() {
    let record = |mtime: &str| {
        let line = format!("path=long name\n{} mtime={mtime}\n", 10 + mtime.len());
        format!("{} {line}", 18).into_bytes()
    };
    let archive = |mtime: &str| {
        let records = record(mtime);
        let mut bytes = tar(&[File::new("PaxHeaders/a", &records), File::new("a", b"x")]);
        bytes[156] = b'x';
        // The kind counts in the sum.
        let sum: u32 = bytes[..512]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    check(&archive("1.5"), &archive("1.6"), &["long name › mtime: value [timestamp]"]);
}

#[test]
fn compressed_streams() {
    let (one, two) = (b"at /build/one/x\n".as_slice(), b"at /build/two/x\n".as_slice());
    check(&gzip(one, 0), &gzip(two, 0), &["contents: text [path]"]);
    check(&xz(one), &xz(two), &["contents: text [path]"]);
    check(&zstd(one, 3), &zstd(two, 3), &["contents: text [path]"]);
    // Equal inside, written by another level.
    let long: Vec<u8> = (0..20_000u32).flat_map(|number| (number * number).to_le_bytes()).collect();
    check(&zstd(&long, 1), &zstd(&long, 2), &[": encoding [compression]"]);
    // What stands behind is named, and opened too.
    let behind = |rest: &[u8]| [gzip(one, 0), rest.to_vec()].concat();
    check(&behind(b"\0\x01"), &behind(b"\0\x02"), &["bytes behind the stream: bytes []"]);
    check(&behind(b""), &behind(b"\0\x02"), &["bytes behind the stream: only right []"]);
    check(&behind(&gzip(b"x", 0)), &behind(&gzip(b"y", 0)), &["contents: text []"]);
    check(&[xz(one), xz(two)].concat(), &[xz(one), xz(one)].concat(), &["contents: text [path]"]);
    check(
        &[zstd(one, 1), zstd(two, 1)].concat(),
        &[zstd(one, 1), zstd(one, 1)].concat(),
        &["contents: text [path]"],
    );
}

#[test]
fn containers_in_containers() {
    let nested = |contents: &[u8]| gzip(&tar(&[File::new("b", &xz(&cpio(&[File::new("c", contents)])))]), 0);
    check(&nested(b"x"), &nested(b"y"), &["contents › b › contents › c: text []"]);
}

/// The kernel takes several archives one after the other.
#[test]
fn initramfs_of_two_archives() {
    let both = |contents: &[u8]| {
        let mut first = cpio(&[File::new("early", b"x")]);
        first.resize(first.len().next_multiple_of(512), 0);
        [first, gzip(&cpio(&[File::new("init", contents)]), 0)].concat()
    };
    check(&both(b"x"), &both(b"y"), &["bytes behind the archive › contents › init: text []"]);
}

#[test]
fn programs() {
    let id = [7; 20];
    let plain = elf(b"\x01same", b"main\0", &id);
    check(
        &plain,
        &elf(b"\x01same", b"main\0", &[8; 20]),
        &["section '.note.gnu.build-id' › build id: value [random-id]"],
    );
    check(
        &elf(b"at Nov 29 2026 \0", b"main\0", &id),
        &elf(b"at Nov 30 2026 \0", b"main\0", &id),
        &["section '.rodata': bytes [timestamp]"],
    );
    check(
        &elf(b"/build/a/x.c\0", b"main\0", &id),
        &elf(b"/build/b/x.c\0", b"main\0", &id),
        &["section '.rodata': bytes [path]"],
    );
    check(
        &plain,
        &elf(b"\x01same", b"main\0added\0", &id),
        &["section '.symtab': text []", "section '.strtab': text []"],
    );
    // The table itself holds places of names only.
    check(&plain, &elf(b"\x01same", b"mane\0", &id), &["section '.strtab': text []"]);
}

#[test]
fn unified_kernel_images() {
    let image = |command: &[u8], release: &str, initrd: &[u8]| {
        let linux = kernel(&gzip(b"\0vmlinux", 0), release);
        pe(&[(".osrel", b"ID=x\n"), (".cmdline", command), (".linux", &linux), (".initrd", initrd)], 0)
    };
    let initrd = cpio(&[File::new("init", b"x")]);
    let plain = image(b"quiet root=/dev/a", "6.1.0 #1", &initrd);
    check(&plain, &image(b"quiet root=/dev/b", "6.1.0 #1", &initrd), &["section '.cmdline': text [path]"]);
    check(
        &plain,
        &image(b"quiet root=/dev/a", "6.1.0 #1", &cpio(&[File::new("init", b"y")])),
        &["section '.initrd' › init: text []"],
    );
    check(
        &plain,
        &image(b"quiet root=/dev/a", "6.1.0 #2", &initrd),
        &["section '.linux' › version: value []", "section '.linux' › setup code: bytes []"],
    );
}

#[test]
fn kernels() {
    let with = |payload: &[u8]| kernel(&gzip(payload, 0), "6.1.0 (builder@host) #1");
    check(&with(b"\0one"), &with(b"\0two"), &["payload › contents: bytes []"]);
}
