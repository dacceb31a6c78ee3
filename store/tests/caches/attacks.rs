//! A cache that lies or is broken. In each case nothing enters the store, and
//! the same without the attack does.

use std::io::Write;
use std::path::Path;

use osbuild_store::StorePath;
use osbuild_store::cache::CacheError;

use crate::fixture::Fixture;

/// How the object of a test is vouched for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vouched {
    /// By a signature over its description.
    Signed,
    /// By its contents.
    Contents,
}

/// Publishes an object, lets `attack` change the cache's files (its
/// description and its archive), and sees that the object does not arrive.
fn refused(vouched: Vouched, attack: impl Fn(&Fixture, &Path, &Path)) -> (Fixture, Option<CacheError>) {
    for attacked in [false, true] {
        let fixture = Fixture::new();
        let path = match vouched {
            Vouched::Signed => {
                let program = fixture.program();
                fixture.publish(&[&program], &fixture.signed());
                // The library is there already: one object is attacked.
                let library = fixture.from.info(&program).unwrap().unwrap().references.into_iter();
                let library = library.into_iter().find(|path| *path != program).unwrap();
                fixture.fetch_here(&library).unwrap();
                program
            }
            Vouched::Contents => {
                let source = fixture.source("the text of a source");
                fixture.publish(&[&source], &[]);
                source
            }
        };
        let description = fixture.file(&format!("{}.narinfo", path.hash_part()));
        if attacked {
            let text = std::fs::read_to_string(&description).unwrap();
            let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
            attack(&fixture, &description, &fixture.file(url));
        }
        let result = fixture.fetch_here(&path);
        fixture.check();
        let arrived = fixture.to.is_valid(&path).unwrap();
        assert_eq!(arrived, !attacked);
        if attacked {
            return (fixture, result.err());
        }
        result.unwrap();
    }
    unreachable!("the second round returns")
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    let bent = text.replace(from, to);
    assert_ne!(text, bent, "{from} does not occur in {text}");
    std::fs::write(file, bent).unwrap();
}

fn field(file: &Path, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap().to_owned()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// An archive of one file.
fn archive(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let tree = osbuild_store::store::SourceTree::Bytes { contents: text.to_vec(), executable: false };
    osbuild_store::nar::dump_tree(&tree, &mut bytes).unwrap();
    bytes
}

fn is_wrong_archive(error: Option<CacheError>) -> bool {
    matches!(error, Some(CacheError::Archive { .. }))
}

#[test]
fn wrong_archive() {
    for vouched in [Vouched::Signed, Vouched::Contents] {
        let (_, error) = refused(vouched, |_, _, nar| std::fs::write(nar, zstd(&archive(b"evil"))).unwrap());
        assert!(is_wrong_archive(error));
    }
}

#[test]
fn wrong_archive_with_a_hash_to_match() {
    // Without a signature the hash is the cache's own word.
    let (_, error) = refused(Vouched::Contents, |_, description, nar| {
        let evil = archive(b"the text of a sourcE");
        std::fs::write(nar, zstd(&evil)).unwrap();
        let hash = osbuild_store::NixHash::of(osbuild_store::HashAlgorithm::Sha256, &evil);
        let was = format!("NarHash: {}", field(description, "NarHash"));
        replace(description, &was, &format!("NarHash: {}", hash.to_prefixed_base32()));
    });
    assert!(is_wrong_archive(error));
    let (fixture, error) = refused(Vouched::Signed, |_, description, nar| {
        let evil = archive(b"evil");
        std::fs::write(nar, zstd(&evil)).unwrap();
        let hash = osbuild_store::NixHash::of(osbuild_store::HashAlgorithm::Sha256, &evil);
        let was = format!("NarHash: {}", field(description, "NarHash"));
        replace(description, &was, &format!("NarHash: {}", hash.to_prefixed_base32()));
    });
    assert!(error.is_none() && fixture.warned_of("no trusted key signed it"));
}

#[test]
fn truncated_archive() {
    for (what, keep) in [("compressed", 40), ("nothing", 0)] {
        let (_, error) = refused(Vouched::Signed, |_, _, nar| {
            let bytes = std::fs::read(nar).unwrap();
            std::fs::write(nar, &bytes[..keep]).unwrap();
        });
        assert!(is_wrong_archive(error), "{what}");
    }
    let (_, error) = refused(Vouched::Contents, |_, _, nar| {
        let plain = zstd::decode_all(std::fs::File::open(nar).unwrap()).unwrap();
        std::fs::write(nar, zstd(&plain[..plain.len() - 8])).unwrap();
    });
    assert!(is_wrong_archive(error));
}

#[test]
fn longer_archive() {
    let (_, error) = refused(Vouched::Signed, |_, _, nar| {
        let mut plain = zstd::decode_all(std::fs::File::open(nar).unwrap()).unwrap();
        plain.extend_from_slice(b"more");
        std::fs::write(nar, zstd(&plain)).unwrap();
    });
    assert!(is_wrong_archive(error));
}

#[test]
fn endless_archive() {
    // A gigabyte of zeros in a few kilobytes, as one file of the archive.
    let (fixture, error) = refused(Vouched::Signed, |_, _, nar| {
        let mut encoder = zstd::Encoder::new(std::fs::File::create(nar).unwrap(), 1).unwrap();
        let mut head = archive(b"");
        let length_at = head.len() - 24;
        head.truncate(length_at);
        encoder.write_all(&head).unwrap();
        encoder.write_all(&(1u64 << 40).to_le_bytes()).unwrap();
        for _ in 0..1024 {
            encoder.write_all(&[0; 1 << 20]).unwrap();
        }
        encoder.finish().unwrap();
    });
    assert!(is_wrong_archive(error));
    drop(fixture);
}

#[test]
fn wrong_reference_list() {
    const MORE: &str = "00000000000000000000000000000009-more";
    let cut = |all: &str| all.split(' ').next().unwrap().to_owned();
    let grown = |all: &str| format!("{MORE} {all}");
    for bend in [cut as fn(&str) -> String, grown] {
        let (fixture, error) = refused(Vouched::Signed, |_, description, _| {
            let all = field(description, "References");
            replace(description, &format!("References: {all}"), &format!("References: {}", bend(&all)));
        });
        assert!(error.is_none() && fixture.warned_of("no trusted key signed it"));
    }
    let (fixture, error) = refused(Vouched::Contents, |_, description, _| {
        replace(description, "References: \n", &format!("References: {MORE}\n"));
    });
    assert!(error.is_none() && fixture.warned_of("no trusted key signed it"));
}

#[test]
fn another_objects_description() {
    // The file is named by the digest alone; a name in it that differs must
    // not bring another object in, however well that is signed.
    let (_, error) = refused(Vouched::Signed, |fixture, description, _| {
        let other = fixture.source("another one");
        fixture.publish(&[&other], &fixture.signed());
        std::fs::copy(fixture.file(&format!("{}.narinfo", other.hash_part())), description).unwrap();
    });
    assert!(error.is_none());
}

#[test]
fn path_traversal_in_the_address_of_the_archive() {
    for evil in ["../outside", "nar/../../outside", "/etc/passwd", "nar/%2e%2e/outside", "file:///etc/passwd"]
    {
        let (fixture, error) = refused(Vouched::Contents, |fixture, description, nar| {
            std::fs::copy(nar, fixture.path().join("outside")).unwrap();
            replace(description, &field(description, "URL"), evil);
        });
        assert!(error.is_none() && fixture.warned_of("malformed .narinfo"), "{evil}");
    }
}

#[test]
fn path_traversal_in_the_archive() {
    let (fixture, error) = refused(Vouched::Contents, |_, _, nar| {
        let mut bytes = archive(b"");
        bytes.clear();
        for token in [
            "nix-archive-1",
            "(",
            "type",
            "directory",
            "entry",
            "(",
            "name",
            "../../../escaped",
            "node",
            "(",
            "type",
            "regular",
            "contents",
            "evil",
            ")",
            ")",
            ")",
        ] {
            bytes.extend_from_slice(&(token.len() as u64).to_le_bytes());
            bytes.extend_from_slice(token.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        std::fs::write(nar, zstd(&bytes)).unwrap();
    });
    assert!(is_wrong_archive(error));
    assert!(!fixture.to.home().join("escaped").exists() && !fixture.path().join("escaped").exists());
}

#[test]
fn files_that_block_or_never_end() {
    let (_, error) = refused(Vouched::Signed, |_, _, nar| {
        std::fs::remove_file(nar).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            nar,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o644),
            0,
        )
        .unwrap();
    });
    assert!(matches!(error, Some(CacheError::Place(_))));
    let (_, error) = refused(Vouched::Signed, |_, _, nar| {
        std::fs::remove_file(nar).unwrap();
        std::os::unix::fs::symlink("/dev/zero", nar).unwrap();
    });
    assert!(matches!(error, Some(CacheError::Place(_))));
    let (fixture, error) = refused(Vouched::Signed, |_, description, _| {
        std::fs::write(description, "x: y\n".repeat(1 << 20)).unwrap();
    });
    assert!(error.is_none() && fixture.warned_of("is larger than"));
}

#[test]
fn garbage_where_a_description_should_be() {
    for garbage in [&b""[..], b"\0\xff\xfe", b"<html>Welcome to the hotel</html>\n", b"StorePath: \n"] {
        let (fixture, error) = refused(Vouched::Signed, |_, description, _| {
            std::fs::write(description, garbage).unwrap();
        });
        assert!(error.is_none() && fixture.warned_of("malformed .narinfo"));
    }
}

#[test]
fn a_cache_of_another_store_directory() {
    let (fixture, error) = refused(Vouched::Signed, |fixture, _, _| {
        std::fs::write(fixture.file("nix-cache-info"), "StoreDir: /gnu/store\n").unwrap();
    });
    assert!(error.is_none() && fixture.warned_of("is for the store directory /gnu/store"));
}

#[test]
fn an_archive_that_went_away_is_asked_for_again_later() {
    let (fixture, error) = refused(Vouched::Signed, |_, _, nar| std::fs::remove_file(nar).unwrap());
    assert!(matches!(error, Some(CacheError::Gone { .. })));
    let program: StorePath = fixture.program();
    fixture.publish(&[&program], &fixture.signed());
    fixture.fetch_here(&program).unwrap();
    assert!(fixture.to.is_valid(&program).unwrap());
}
