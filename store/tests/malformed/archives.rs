//! Archives that are none.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;

use osbuild_store::nar::{MAX_DEPTH, NarError, NarVisitor, read_nar, unpack};

use crate::bounded::in_little_memory;
use crate::judge::judge;

/// What an archive is made of.
#[derive(Clone, Copy)]
enum Part {
    /// Tokens, each a string of the format.
    Words(&'static str),
    /// One string that holds a blank or is empty.
    Text(&'static [u8]),
    /// A length, with nothing behind it.
    Length(u64),
    /// Bytes as they are.
    Raw(&'static [u8]),
    /// A string of this many letters.
    Long(usize),
}
use Part::{Length, Long, Raw, Text, Words};

const FILE: Part = Words("( type regular contents x )");

/// A directory with one member of this name.
macro_rules! named {
    ($name:expr) => {
        &[Words("nix-archive-1 ( type directory entry ( name"), $name, Words("node"), FILE, Words(") )")]
    };
}

/// Name of the case; its parts.
const MALFORMED: &[(&str, &[Part])] = &[
    ("nothing", &[]),
    ("another-format", &[Words("nix-archive-2"), FILE]),
    ("no-format", &[FILE]),
    ("format-only", &[Words("nix-archive-1")]),
    ("format-in-capitals", &[Words("NIX-ARCHIVE-1"), FILE]),
    ("no-parenthesis", &[Words("nix-archive-1 type regular contents x )")]),
    ("not-closed", &[Words("nix-archive-1 ( type regular contents x")]),
    ("closed-otherwise", &[Words("nix-archive-1 ( type regular contents x ]")]),
    ("name-empty", named!(Text(b""))),
    ("name-dot", named!(Words("."))),
    ("name-dot-dot", named!(Words(".."))),
    ("name-with-slash", named!(Words("a/b"))),
    ("name-begins-with-slash", named!(Words("/etc"))),
    ("name-ends-with-slash", named!(Words("a/"))),
    ("name-climbs", named!(Words("../../escaped"))),
    ("name-with-nul", named!(Text(b"a\0b"))),
    ("name-is-nul", named!(Text(b"\0"))),
    ("name-of-256-bytes", named!(Long(256))),
    ("name-without-end", named!(Length(u64::MAX))),
    ("name-of-half-the-numbers", named!(Length(1 << 63))),
    ("name-larger-than-the-file", named!(Length(1 << 31))),
    (
        "members-descend",
        &[
            Words("nix-archive-1 ( type directory entry ( name b node"),
            FILE,
            Words(") entry ( name a node"),
            FILE,
            Words(") )"),
        ],
    ),
    (
        "members-in-order-of-a-locale",
        &[
            Words("nix-archive-1 ( type directory entry ( name a node"),
            FILE,
            Words(") entry ( name B node"),
            FILE,
            Words(") )"),
        ],
    ),
    (
        "member-twice",
        &[
            Words("nix-archive-1 ( type directory entry ( name a node"),
            FILE,
            Words(") entry ( name a node"),
            FILE,
            Words(") )"),
        ],
    ),
    (
        "member-first-a-link-then-below-it",
        &[
            Words("nix-archive-1 ( type directory entry ( name a node ( type symlink target /tmp ) )"),
            Words("entry ( name a node ( type directory entry ( name escaped node"),
            FILE,
            Words(") ) ) )"),
        ],
    ),
    ("member-without-name", &[Words("nix-archive-1 ( type directory entry ( node"), FILE, Words(") )")]),
    ("member-without-node", &[Words("nix-archive-1 ( type directory entry ( name a ) )")]),
    (
        "member-named-twice",
        &[Words("nix-archive-1 ( type directory entry ( name a name b node"), FILE, Words(") )")],
    ),
    (
        "member-with-two-nodes",
        &[
            Words("nix-archive-1 ( type directory entry ( name a node"),
            FILE,
            Words("node"),
            FILE,
            Words(") )"),
        ],
    ),
    (
        "member-with-unknown-field",
        &[Words("nix-archive-1 ( type directory entry ( name a mode 0 node"), FILE, Words(") )")],
    ),
    (
        "member-with-the-node-first",
        &[Words("nix-archive-1 ( type directory entry ( node"), FILE, Words("name a ) )")],
    ),
    ("type-unknown", &[Words("nix-archive-1 ( type fifo )")]),
    ("type-empty", &[Words("nix-archive-1 ( type"), Text(b""), Words(")")]),
    ("type-absent", &[Words("nix-archive-1 ( contents x )")]),
    ("type-twice", &[Words("nix-archive-1 ( type regular type regular contents x )")]),
    (
        "type-of-a-directory-behind-a-file",
        &[Words("nix-archive-1 ( type regular contents x type directory )")],
    ),
    ("field-unknown", &[Words("nix-archive-1 ( type regular mode 0755 contents x )")]),
    ("field-of-a-link-in-a-file", &[Words("nix-archive-1 ( type regular target x )")]),
    ("field-of-a-file-in-a-link", &[Words("nix-archive-1 ( type symlink contents x )")]),
    (
        "field-of-a-directory-in-a-file",
        &[Words("nix-archive-1 ( type regular entry ( name a node"), FILE, Words(") )")],
    ),
    ("contents-twice", &[Words("nix-archive-1 ( type regular contents x contents y )")]),
    ("contents-in-a-directory", &[Words("nix-archive-1 ( type directory contents x )")]),
    ("executable-with-a-value", &[Words("nix-archive-1 ( type regular executable yes contents x )")]),
    (
        "executable-behind-contents",
        &[Words("nix-archive-1 ( type regular contents x executable"), Text(b""), Words(")")],
    ),
    (
        "executable-twice",
        &[
            Words("nix-archive-1 ( type regular executable"),
            Text(b""),
            Words("executable"),
            Text(b""),
            Words("contents x )"),
        ],
    ),
    ("executable-directory", &[Words("nix-archive-1 ( type directory executable"), Text(b""), Words(")")]),
    ("link-to-nothing", &[Words("nix-archive-1 ( type symlink target"), Text(b""), Words(")")]),
    ("link-with-nul", &[Words("nix-archive-1 ( type symlink target"), Text(b"a\0b"), Words(")")]),
    ("link-without-target", &[Words("nix-archive-1 ( type symlink )")]),
    ("link-with-two-targets", &[Words("nix-archive-1 ( type symlink target a target b )")]),
    ("link-of-4096-bytes", &[Words("nix-archive-1 ( type symlink target"), Long(4096), Words(")")]),
    ("link-without-end", &[Words("nix-archive-1 ( type symlink target"), Length(u64::MAX)]),
    ("format-without-end", &[Length(u64::MAX)]),
    ("format-of-half-the-numbers", &[Length(1 << 63)]),
    ("format-larger-than-the-file", &[Length(1 << 31), Raw(b"nix-archive-1\0\0\0")]),
    ("type-larger-than-the-file", &[Words("nix-archive-1 ( type"), Length(1 << 31)]),
    ("contents-without-end", &[Words("nix-archive-1 ( type regular contents"), Length(u64::MAX), Raw(b"x")]),
    (
        "contents-of-half-the-numbers",
        &[Words("nix-archive-1 ( type regular contents"), Length(1 << 63), Raw(b"x")],
    ),
    (
        "contents-below-half-the-numbers",
        &[Words("nix-archive-1 ( type regular contents"), Length((1 << 63) - 1), Raw(b"x")],
    ),
    (
        "contents-whose-padding-overflows",
        &[Words("nix-archive-1 ( type regular contents"), Length(u64::MAX - 6), Raw(b"x")],
    ),
    (
        "contents-larger-than-the-file",
        &[Words("nix-archive-1 ( type regular contents"), Length(1 << 31), Raw(b"x")],
    ),
    (
        "contents-padded-with-others",
        &[Words("nix-archive-1 ( type regular contents"), Length(1), Raw(b"x\0\0\0\0\0\0\x01"), Words(")")],
    ),
    (
        "contents-padded-too-little",
        &[Words("nix-archive-1 ( type regular contents"), Length(1), Raw(b"x"), Words(")")],
    ),
    (
        "contents-padded-too-much",
        &[
            Words("nix-archive-1 ( type regular contents"),
            Length(8),
            Raw(b"12345678\0\0\0\0\0\0\0\0"),
            Words(")"),
        ],
    ),
    ("name-padded-with-others", named!(Raw(b"\x01\0\0\0\0\0\0\0a\0\0\0\0\0\0\x80"))),
    (
        "token-padded-with-others",
        &[Words("nix-archive-1"), Raw(b"\x01\0\0\0\0\0\0\0(\x01\0\0\0\0\0\0"), Words("type directory )")],
    ),
    ("lengths-in-the-other-order", &[Raw(b"\0\0\0\0\0\0\0\x0dnix-archive-1\0\0\0")]),
];

fn bytes(parts: &[Part]) -> Vec<u8> {
    let mut archive = Vec::new();
    let string = |text: &[u8], archive: &mut Vec<u8>| {
        archive.extend_from_slice(&(text.len() as u64).to_le_bytes());
        archive.extend_from_slice(text);
        archive.resize(archive.len().next_multiple_of(8), 0);
    };
    for part in parts {
        match part {
            Words(words) => words.split(' ').for_each(|word| string(word.as_bytes(), &mut archive)),
            Text(text) => string(text, &mut archive),
            Length(length) => archive.extend_from_slice(&length.to_le_bytes()),
            Raw(raw) => archive.extend_from_slice(raw),
            Long(length) => string(&b"n".repeat(*length), &mut archive),
        }
    }
    archive
}

/// Every kind of node, with padding of every length.
fn sample() -> Vec<u8> {
    bytes(&[
        Words("nix-archive-1 ( type directory"),
        Words("entry ( name a node ( type regular contents 1234567 ) )"),
        Words("entry ( name bcd node ( type symlink target ../a ) )"),
        Words("entry ( name directory node ( type directory entry ( name run node ( type regular executable"),
        Text(b""),
        Words("contents #!sh ) ) ) )"),
        Words(")"),
    ])
}

/// Reads what it can, keeps nothing.
struct Ignores;

impl NarVisitor for Ignores {
    type Error = NarError;

    fn directory(&mut self) -> Result<(), NarError> {
        Ok(())
    }
    fn enter(&mut self, _: &[u8]) -> Result<(), NarError> {
        Ok(())
    }
    fn leave(&mut self) -> Result<(), NarError> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), NarError> {
        Ok(())
    }
    fn regular(&mut self, _: bool, _: u64, contents: &mut dyn Read) -> Result<(), NarError> {
        io::copy(contents, &mut io::sink()).expect("memory can be read");
        Ok(())
    }
    fn symlink(&mut self, _: &[u8]) -> Result<(), NarError> {
        Ok(())
    }
}

fn read(archive: &mut dyn Read) -> Result<(), NarError> {
    read_nar(archive, &mut Ignores)
}

fn assert_malformed(name: &str, result: Result<(), NarError>) {
    match result {
        Err(NarError::Malformed { .. }) => {}
        Err(other) => panic!("{name}: refused for another reason: {other}"),
        Ok(()) => panic!("{name}: accepted"),
    }
}

#[test]
fn the_sample_is_an_archive() {
    read(&mut sample().as_slice()).expect("nothing is wrong with it");
    let others: [&[Part]; 4] =
        [named!(Long(255)), named!(Words("...")), named!(Words(".a")), named!(Text(b" \n\\\xff"))];
    for parts in others {
        read(&mut bytes(parts).as_slice()).expect("an unusual name is a name");
    }
}

#[test]
fn malformed_archives_are_refused_in_little_memory() {
    in_little_memory("archives::malformed_archives_are_refused_in_little_memory", || {
        let place = tempfile::tempdir().expect("a temporary directory");
        for (name, parts) in MALFORMED {
            let archive = bytes(parts);
            assert_malformed(name, read(&mut archive.as_slice()));
            let target = place.path().join(name);
            assert!(unpack(&mut archive.as_slice(), &target).is_err(), "{name}: unpacked");
        }
        assert!(!place.path().parent().expect("not the root").join("escaped").exists());
        let sample = sample();
        for length in 0..sample.len() {
            assert_malformed(&format!("cut at {length}"), read(&mut &sample[..length]));
        }
    });
}

/// Directories within directories without end: the stack is bounded.
#[test]
fn a_million_levels_are_refused_in_little_memory() {
    in_little_memory("archives::a_million_levels_are_refused_in_little_memory", || {
        let head = bytes(&[Words("nix-archive-1")]);
        let level = bytes(&[Words("( type directory entry ( name a node")]);
        let levels = |count: usize| Repeated { head: head.clone(), level: level.clone(), count };
        assert_malformed("deep", read(&mut levels(1_000_000)));
        // As deep as allowed, it is the end that is missing.
        let Err(NarError::Malformed { reason, .. }) = read(&mut levels(MAX_DEPTH)) else { panic!("it ends") };
        assert_eq!(reason, "the archive ends too early");
        let Err(NarError::Malformed { reason, .. }) = read(&mut levels(MAX_DEPTH + 1)) else {
            panic!("it ends")
        };
        assert_eq!(reason, "directories nest too deep");
    });
}

/// A stream that nobody has to hold.
struct Repeated {
    head: Vec<u8>,
    level: Vec<u8>,
    count: usize,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.head.is_empty() && self.count > 0 {
            self.count -= 1;
            self.head.clone_from(&self.level);
        }
        let got = self.head.as_slice().read(buffer)?;
        self.head.drain(..got);
        Ok(got)
    }
}

/// Whether real Nix unpacks an archive; `None` without a judge.
fn nix_unpacks(place: &Path, name: &str, archive: &[u8]) -> Option<bool> {
    let file = place.join(format!("{name}.nar"));
    fs::write(&file, archive).expect("written");
    let mut restore = judge("nix-store")?;
    restore.arg("--restore").arg(place.join(name)).stdin(fs::File::open(&file).expect("opened"));
    restore.env("NIX_STATE_DIR", place.join("state")).env("NIX_REMOTE", "dummy://");
    Some(restore.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the judge starts").success())
}

#[test]
fn what_nix_refuses_to_unpack_is_refused() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let Some(unpacked) = nix_unpacks(place.path(), "sample", &sample()) else { return };
    assert!(unpacked, "Nix unpacks the sample");
    // What it takes although nobody would have written it.
    let mut lenient = Vec::new();
    for (name, parts) in MALFORMED {
        let archive = bytes(parts);
        let ours = read(&mut archive.as_slice()).is_ok();
        let theirs = nix_unpacks(place.path(), name, &archive).expect("it was there a moment ago");
        assert!(theirs || !ours, "{name}: Nix refuses it");
        if theirs {
            lenient.push(*name);
        }
    }
    println!("Nix accepts {lenient:?}");
    assert!(lenient.len() < MALFORMED.len() / 4, "Nix accepts most of this: {lenient:?}");
    let sample = sample();
    for index in (0..sample.len()).step_by(5) {
        let mut bent = sample.clone();
        bent[index] ^= 0x55;
        let ours = read(&mut bent.as_slice()).is_ok();
        let theirs = nix_unpacks(place.path(), &format!("bent-{index}"), &bent).expect("as above");
        assert!(theirs || !ours, "byte {index} bent: Nix refuses it");
    }
}
