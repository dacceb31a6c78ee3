//! Small files of every format, made here byte by byte or by the libraries
//! that write them elsewhere. Tools of the host are asked in `tools`.

use std::collections::BTreeMap;
use std::io::Write;

use osbuild_format::root_manifest::{Entry, Node, RootManifest};
use osbuild_format::squashfs::link::{Segment, link};
use osbuild_format::squashfs::segment::{Compressor, SegmentWriter};

/// One of each, by name.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let archive = tar(&[File::new("a.txt", b"first\n"), File::new("b.txt", b"second\n")]);
    vec![
        ("text", b"one\ntwo\nthree\n".to_vec()),
        ("json", br#"{"a": [1, 2, {"b": "c"}], "d": null}"#.to_vec()),
        ("bytes", (0..=255).collect()),
        ("gzip", gzip(b"some text\n", 7)),
        ("gzip-members", [gzip(b"one\n", 1), gzip(b"two\n", 2), b"rest".to_vec()].concat()),
        ("xz", xz(b"some text\n")),
        ("zstd", zstd(b"some text\n", 3)),
        ("tar", archive.clone()),
        ("tar.gz", gzip(&archive, 0)),
        ("cpio", cpio(&[File::new("a", b"first\n"), File::new("b", b"second\n")])),
        ("ar", ar(&[File::new("a.o/", b"first\n"), File::new("b.o/", b"second\n")])),
        ("elf", elf(b"rodata", b"main\0other\0", &[7; 20])),
        ("pe", pe(&[(".text", b"code"), (".cmdline", b"quiet\0")], 77)),
        ("kernel", kernel(&gzip(b"vmlinux", 0), "6.1.0 (a@b) #1")),
        ("squashfs", squashfs(&[("/a", b"first\n"), ("/d/b", b"second\n")])),
        ("fat", fat(0x1234_5678, 0x6000, &[("A       TXT", b"first\n")])),
        ("gpt", gpt(&[("ONE", 1, &[1; 512]), ("TWO", 2, &[2; 1024])])),
    ]
}

/// A member of an archive.
#[derive(Clone)]
pub(crate) struct File<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) contents: &'a [u8],
    pub(crate) mtime: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
}

impl<'a> File<'a> {
    pub(crate) fn new(name: &'a str, contents: &'a [u8]) -> Self {
        Self { name: name.as_bytes(), contents, mtime: 1_000_000_000, mode: 0o644, uid: 0 }
    }
}

pub(crate) fn gzip(contents: &[u8], mtime: u32) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    let mut encoder = flate2::GzBuilder::new().mtime(mtime).write(Vec::new(), level);
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn xz(contents: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(contents: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(contents, level).unwrap()
}

/// ustar, with the end of two zero blocks.
pub(crate) fn tar(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    for file in files {
        let mut header = [0u8; 512];
        header[..file.name.len()].copy_from_slice(file.name);
        let mut put = |at: usize, width: usize, value: u64| {
            header[at..at + width].copy_from_slice(format!("{value:0width$o}").as_bytes());
        };
        put(100, 7, file.mode.into());
        put(108, 7, file.uid.into());
        put(116, 7, 0);
        put(124, 11, file.contents.len() as u64);
        put(136, 11, file.mtime);
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend_from_slice(file.contents);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// newc.
pub(crate) fn cpio(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    let end = File { mtime: 0, mode: 0, ..File::new("TRAILER!!!", b"") };
    for (index, file) in files.iter().chain([&end]).enumerate() {
        let (size, name) = (file.contents.len() as u64, file.name.len() as u64 + 1);
        let mode = u64::from(file.mode | 0o100_000);
        let numbers = [index as u64, mode, file.uid.into(), 0, 1, file.mtime, size, 0, 0, 0, 0, name, 0];
        archive.extend_from_slice(b"070701");
        numbers.iter().for_each(|number| archive.extend_from_slice(format!("{number:08x}").as_bytes()));
        archive.extend_from_slice(file.name);
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(file.contents);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

/// GNU; names end in a slash.
pub(crate) fn ar(files: &[File<'_>]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for file in files {
        let name = String::from_utf8_lossy(file.name);
        let (mtime, uid, mode, size) = (file.mtime, file.uid, file.mode, file.contents.len());
        archive.extend_from_slice(
            format!("{name:<16}{mtime:<12}{uid:<6}{:<6}{mode:<8o}{size:<10}`\n", 0).as_bytes(),
        );
        archive.extend_from_slice(file.contents);
        if !archive.len().is_multiple_of(2) {
            archive.push(b'\n');
        }
    }
    archive
}

/// 64-bit, little-endian, without segments: `.rodata`, a table of symbols
/// whose names are the given ones, and a build id.
pub(crate) fn elf(rodata: &[u8], symbols: &[u8], build_id: &[u8]) -> Vec<u8> {
    let section_names = b"\0.rodata\0.symtab\0.strtab\0.note.gnu.build-id\0.shstrtab\0";
    let name_at = |name: &str| {
        section_names.windows(name.len()).position(|part| part == name.as_bytes()).unwrap() as u32
    };
    let strings = [b"\0", symbols].concat();
    let mut symbol_table = vec![0; 24];
    for (at, _) in strings.iter().enumerate().skip(1).filter(|(at, byte)| **byte != 0 && strings[at - 1] == 0)
    {
        symbol_table.extend([(at as u32).to_le_bytes().as_slice(), &[0x12, 0, 1, 0], &[0; 16]].concat());
    }
    let id_bytes = build_id.len() as u32;
    let note =
        [&4u32.to_le_bytes(), &id_bytes.to_le_bytes(), &3u32.to_le_bytes(), b"GNU\0".as_slice(), build_id]
            .concat();
    let sections: [(&str, u32, u32, &[u8]); 5] = [
        (".rodata", 1, 0, rodata),
        (".symtab", 2, 3, &symbol_table),
        (".strtab", 3, 0, &strings),
        (".note.gnu.build-id", 7, 0, &note),
        (".shstrtab", 3, 0, section_names),
    ];
    let mut file = vec![0; 64];
    let mut table = vec![0; 64];
    for (name, kind, link, contents) in sections {
        file.resize(file.len().next_multiple_of(8), 0);
        let mut row = [0; 64];
        row[0..4].copy_from_slice(&name_at(name).to_le_bytes());
        row[4..8].copy_from_slice(&kind.to_le_bytes());
        row[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        row[32..40].copy_from_slice(&(contents.len() as u64).to_le_bytes());
        row[40..44].copy_from_slice(&link.to_le_bytes());
        table.extend(row);
        file.extend_from_slice(contents);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let table_at = file.len() as u64;
    file.extend(table);
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
    file[40..48].copy_from_slice(&table_at.to_le_bytes());
    file[58..64].copy_from_slice(&[64, 0, 6, 0, 5, 0]);
    file
}

/// PE32+ with sections of the given names.
pub(crate) fn pe(sections: &[(&str, &[u8])], time: u32) -> Vec<u8> {
    let mut file = vec![0; 0x400];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x80;
    file[0x80..0x84].copy_from_slice(b"PE\0\0");
    file[0x84..0x88].copy_from_slice(&[0x64, 0x86, sections.len() as u8, 0]);
    file[0x88..0x8c].copy_from_slice(&time.to_le_bytes());
    file[0x94] = 240;
    file[0x98..0x9a].copy_from_slice(&0x20bu16.to_le_bytes());
    file[0x98 + 108] = 16;
    for (index, (name, contents)) in sections.iter().enumerate() {
        let start = file.len() as u32;
        let row = 0x98 + 240 + index * 40;
        file.extend_from_slice(contents);
        file.resize(file.len().next_multiple_of(512), 0);
        let stored = file.len() as u32 - start;
        let header = &mut file[row..row + 40];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[8..12].copy_from_slice(&(contents.len() as u32).to_le_bytes());
        header[12..16].copy_from_slice(&(0x1000 * (index as u32 + 1)).to_le_bytes());
        header[16..20].copy_from_slice(&stored.to_le_bytes());
        header[20..24].copy_from_slice(&start.to_le_bytes());
    }
    file
}

/// A bzImage with one sector of setup code, whose payload ends in the kernel's
/// size as the kernel's build writes it.
pub(crate) fn kernel(payload: &[u8], version: &str) -> Vec<u8> {
    let mut file = vec![0; 1024 + 64];
    file[0x1f1] = 1;
    file[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    file[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
    file[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
    file[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
    file[0x248..0x24c].copy_from_slice(&64u32.to_le_bytes());
    file[0x24c..0x250].copy_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
    file.extend_from_slice(payload);
    file.extend([7, 0, 0, 0]);
    file.extend([1; 32]);
    file
}

/// By the writer of images. Directories follow from the paths, one level deep.
pub(crate) fn squashfs(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entry = |path: &str, node| Entry {
        path: path.to_owned(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        xattrs: BTreeMap::new(),
        package: None,
        node,
    };
    let store = "/nix/store/00000000000000000000000000000000-sample".to_owned();
    let mut entries = vec![entry("/", Node::Directory)];
    let mut writer = SegmentWriter::new(4096, 3);
    let mut compressor = Compressor::new(3);
    let mut data = Vec::new();
    for (path, contents) in files {
        let directory = path.rsplit_once('/').unwrap().0;
        if !directory.is_empty() && entries.iter().all(|entry| entry.path != directory) {
            entries.push(entry(directory, Node::Directory));
        }
        let file = path[1..].to_owned();
        let hash = [entries.len() as u8; 32];
        let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let size = contents.len() as u64;
        let mut blocks = Vec::new();
        if writer.is_small(size) {
            blocks.extend(writer.add_small(file.clone(), contents, text).1);
        } else {
            let number = writer.add_large(file.clone(), size, text);
            let owner = osbuild_format::squashfs::segment::Owner::File(number);
            let parts = contents.chunks(4096);
            blocks.extend(
                parts.map(|part| osbuild_format::squashfs::segment::RawBlock { owner, bytes: part.to_vec() }),
            );
        }
        for block in blocks {
            let stored = block.store(&mut compressor);
            writer.written(&stored);
            data.extend(stored.bytes);
        }
        entries.push(entry(path, Node::File { store: store.clone(), file, blake3: hash, size }));
    }
    if let Some(block) = writer.take_fragment() {
        let stored = block.store(&mut compressor);
        writer.written(&stored);
        data.extend(stored.bytes);
    }
    let (index, padding) = writer.finish();
    data.resize(data.len() + padding, 0);
    let manifest = RootManifest::new(entries).unwrap();
    let linked = link(&manifest, &[Segment { store: &store, index: &index }]).unwrap();
    [linked.head, data, linked.tail].concat()
}

/// FAT12 with one sector a cluster. Files have names of eleven bytes and fit
/// into one cluster each.
pub(crate) fn fat(id: u32, time: u16, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; 512 * 20];
    disk[..11].copy_from_slice(b"\xeb\x3c\x90sample  ");
    disk[11..24].copy_from_slice(&[0, 2, 1, 1, 0, 1, 16, 0, 20, 0, 0xf8, 1, 0]);
    disk[38] = 0x29;
    disk[39..43].copy_from_slice(&id.to_le_bytes());
    disk[43..62].copy_from_slice(b"NO NAME    FAT12   ");
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (index, (name, contents)) in files.iter().enumerate() {
        let cluster = index + 2;
        // Two entries of twelve bits in three bytes; each file ends its chain.
        let at = 512 + cluster + cluster / 2;
        let (low, high) = if cluster % 2 == 0 { (0xff, 0x0f) } else { (0xf0, 0xff) };
        disk[at] |= low;
        disk[at + 1] |= high;
        let row = 1024 + index * 32;
        disk[row..row + 11].copy_from_slice(name.as_bytes());
        disk[row + 22..row + 24].copy_from_slice(&time.to_le_bytes());
        disk[row + 24..row + 26].copy_from_slice(&0x5b21u16.to_le_bytes());
        disk[row + 26..row + 28].copy_from_slice(&(cluster as u16).to_le_bytes());
        disk[row + 28..row + 32].copy_from_slice(&(contents.len() as u32).to_le_bytes());
        let data = 1024 + 512 + (cluster - 2) * 512;
        disk[data..data + contents.len()].copy_from_slice(contents);
    }
    disk
}

/// Partitions of (name, a byte of the GUID, contents), four entries at most,
/// without a backup.
pub(crate) fn gpt(partitions: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; 512 * 4];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[512..520].copy_from_slice(b"EFI PART");
    disk[512 + 56..512 + 72].fill(9);
    disk[512 + 72] = 2;
    disk[512 + 80] = 4;
    disk[512 + 84] = 128;
    for (index, (name, guid, contents)) in partitions.iter().enumerate() {
        let first = disk.len() as u64 / 512;
        disk.extend_from_slice(contents);
        disk.resize(disk.len().next_multiple_of(512), 0);
        let last = disk.len() as u64 / 512 - 1;
        let entry = &mut disk[1024 + index * 128..][..128];
        entry[..16].fill(3);
        entry[16..32].fill(*guid);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
        for (place, unit) in entry[56..].chunks_exact_mut(2).zip(name.encode_utf16()) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
    disk
}
