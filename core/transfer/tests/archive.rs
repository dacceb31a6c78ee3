//! Files that look like an export of a repository, and what of them is refused.

use std::io::Read;
use std::path::PathBuf;

use osbuild_transfer::archive::Archive;
use osbuild_transfer::http::Part;

/// A header by the standard's fields, with its checksum.
fn header(name: &str, size: u64, kind: u8) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    block[263..265].copy_from_slice(b"00");
    seal(&mut block);
    block
}

fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u64 = block[..512].iter().map(|byte| u64::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut made = header(name, bytes.len() as u64, b'0');
    made.extend_from_slice(bytes);
    made.resize(made.len().next_multiple_of(512), 0);
    made
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

struct Written(tempfile::TempDir);

impl Written {
    fn new(parts: &[Vec<u8>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("export.tar"), parts.concat()).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("export.tar")
    }

    fn open(&self) -> Result<Archive, String> {
        Archive::open(&self.path()).map_err(|error| error.to_string())
    }
}

const TIMESTAMP: &str = "metadata/timestamp.json";

fn whole() -> Vec<Vec<u8>> {
    let long = format!("targets/{}.root", "a".repeat(120));
    let mut name = long.into_bytes();
    name.push(0);
    let mut long = header("././@LongLink", name.len() as u64, b'L');
    name.resize(512, 0);
    long.extend(name);
    vec![file(TIMESTAMP, b"{}"), long, file("targets/cut", &[7; 700]), file("targets/b", b""), end()]
}

#[test]
fn what_an_export_has_is_read() {
    let written = Written::new(&whole());
    let archive = written.open().unwrap();
    let names: Vec<usize> = archive.names().map(str::len).collect();
    assert_eq!(names, [TIMESTAMP.len(), "targets/".len() + 125, "targets/b".len()]);
    assert_eq!(archive.metadata("timestamp.json", 2).unwrap(), Some(b"{}".to_vec()));
    assert_eq!(archive.metadata("9.root.json", 2).unwrap(), None);
    assert!(archive.metadata("timestamp.json", 1).unwrap_err().to_string().contains("more than the 1 bytes"));
    let long = archive.names().find(|name| name.len() > 100).unwrap().to_owned();
    for (part, expected) in [
        (Part::From { start: 0, limit: 700 }, 700),
        (Part::From { start: 690, limit: 10 }, 10),
        (Part::From { start: 900, limit: 10 }, 0),
        (Part::Exactly { start: 1, end: 700 }, 699),
    ] {
        let mut bytes = Vec::new();
        archive.open_part(&long, part).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, vec![7; expected], "{part:?}");
    }
    assert!(archive.open_part("targets/c", Part::From { start: 0, limit: 1 }).is_none());
}

#[test]
fn what_an_export_has_not_is_refused() {
    let good = || file(TIMESTAMP, b"{}");
    let at = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good();
        change(&mut bytes);
        bytes
    };
    let link = |kind| {
        let mut block = header("targets/link", 0, kind);
        block[157..167].copy_from_slice(b"/etc/passw");
        seal(&mut block);
        block
    };
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("it holds 'metadata/../x'", vec![file("metadata/../x", b""), end()]),
        ("it holds '/metadata/x'", vec![file("/metadata/x", b""), end()]),
        ("it holds 'targets/.x'", vec![file("targets/.x", b""), end()]),
        ("it holds 'targets/a/b'", vec![file("targets/a/b", b""), end()]),
        ("it holds 'etc/x'", vec![file("etc/x", b""), end()]),
        ("it holds 'targets/'", vec![file("targets/", b""), end()]),
        ("of type '1'", vec![link(b'1'), end()]),
        ("of type '2'", vec![link(b'2'), end()]),
        ("of type '5'", vec![header("targets/d", 0, b'5'), end()]),
        ("of type 'x'", vec![file(TIMESTAMP, b""), header("targets/x", 0, b'x'), end()]),
        ("of type 'S'", vec![header("targets/sparse", 0, b'S'), end()]),
        ("twice", vec![good(), good(), end()]),
        ("ends early", vec![good()]),
        ("goes on behind the end", vec![header("targets/x", 1 << 30, b'0'), end()]),
        ("goes on behind the end", vec![header("targets/x", 0o77777777777, b'0')]),
        ("ends after a name", vec![header("././@LongLink", 0, b'L'), end()]),
        ("of type 'L'", vec![header("a", 0, b'L'), header("b", 0, b'L'), end()]),
        ("of type 'L'", vec![header("a", 4096, b'L'), vec![b'a'; 4096], end()]),
        ("checksum is wrong", vec![at(|bytes| bytes[0] ^= 1), end()]),
        ("no magic", vec![vec![1; 512], end()]),
        // Base 256, which one reader knows and another does not.
        (
            "no size",
            vec![
                at(|bytes| {
                    bytes[124] = 0x80;
                    seal(bytes);
                }),
                end(),
            ],
        ),
        (
            "no size",
            vec![
                at(|bytes| {
                    bytes[124] = b'-';
                    seal(bytes);
                }),
                end(),
            ],
        ),
        ("ends early", vec![]),
        ("ends early", vec![vec![0; 100]]),
    ];
    for (expected, parts) in cases {
        let error = Written::new(&parts).open().unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains("is no export of a repository"), "{error}");
    }
    assert!(Archive::open(&Written::new(&whole()).0.path().join("none")).is_err());
}

/// Whatever one byte of a header becomes: what is read has a lawful name and
/// lies within the file.
#[test]
fn a_bent_header_is_refused_or_harmless() {
    let good = whole().concat();
    let folder = Written::new(&whole());
    for at in (0..512).chain(1024..1536).step_by(3) {
        for bent in [0, b'/', 0xff] {
            let mut bytes = good.clone();
            bytes[at] = bent;
            if at < 512 {
                seal(&mut bytes);
            }
            std::fs::write(folder.path(), &bytes).unwrap();
            let Ok(archive) = folder.open() else { continue };
            for name in archive.names() {
                assert!(name.starts_with("metadata/") || name.starts_with("targets/"), "{name}");
                let part = Part::From { start: 0, limit: u64::MAX };
                let mut all = Vec::new();
                archive.open_part(name, part).unwrap().unwrap().read_to_end(&mut all).unwrap();
            }
        }
    }
}
