//! What a fuzzer asserts about a repository in one file.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use osbuild_transfer::archive::Archive;
use osbuild_transfer::http::Part;

const BLOCK: usize = 512;

/// A file as it was handed in, and with its headers' sums made right, which no
/// fuzzer guesses.
pub fn export(bytes: &[u8]) {
    read(bytes);
    read(&sealed(bytes));
}

/// Whatever is accepted lies where an export has it, and somebody else's reader
/// finds the same in it.
fn read(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("there is a place for files");
    file.write_all(bytes).expect("and room");
    let Ok(archive) = Archive::open(file.path()) else { return };
    let ours: BTreeMap<String, Vec<u8>> =
        archive.names().map(|name| (name.to_owned(), whole(&archive, name))).collect();
    for name in ours.keys() {
        let of = name.split_once('/').expect("a folder and a file");
        assert!(matches!(of, ("metadata" | "targets", _)), "{name:?} is no folder of an export");
        assert!(!of.1.contains(['/', '\0']) && !of.1.starts_with('.'), "{name:?} leads elsewhere");
    }
    assert_eq!(ours, theirs(bytes), "two readers differ");
}

fn whole(archive: &Archive, name: &str) -> Vec<u8> {
    let part = Part::From { start: 0, limit: u64::MAX };
    let mut content = Vec::new();
    let opened = archive.open_part(name, part).expect("what is listed is there").expect("and within bounds");
    // A part of it is the same.
    opened.take(1 << 20).read_to_end(&mut content).expect("it was complete when it was opened");
    let half = content.len() as u64 / 2;
    let part = Part::Exactly { start: half, end: content.len() as u64 };
    let mut end = Vec::new();
    let opened = archive.open_part(name, part).expect("still there").expect("within bounds");
    opened.take(1 << 20).read_to_end(&mut end).expect("complete");
    assert_eq!(content[half as usize..], end, "a part of {name:?}");
    content
}

fn theirs(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("it is read from its beginning");
    entries
        .map(|entry| {
            let mut entry = entry.expect("what was accepted is an archive");
            let name = String::from_utf8(entry.path_bytes().into_owned()).expect("names are text");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("a file of it is complete");
            (name, content)
        })
        .collect()
}

fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_owned();
    for block in bytes.chunks_exact_mut(BLOCK).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_get_as_far_as_they_should() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/export");
        for (name, files) in [
            ("short", Some(2)),
            ("long-name", Some(2)),
            ("prefix", Some(1)),
            ("pax", None),
            ("elsewhere", None),
        ] {
            let archive = Archive::open(format!("{seeds}/{name}").as_ref());
            assert_eq!(archive.ok().map(|archive| archive.names().count()), files, "{name}");
        }
    }
}
