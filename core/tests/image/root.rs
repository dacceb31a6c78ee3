//! Segments and the root manifest to a file system, judged by unsquashfs and
//! veritysetup.

use std::fs;
use std::path::PathBuf;

use osbuild_format::hex;
use osbuild_format::root_manifest::{Node, RootManifest};
use osbuild_format::squashfs::link::{Segment, link};
use osbuild_format::squashfs::read::{Image, MemberKind};
use osbuild_format::squashfs::segment::SegmentIndex;
use osbuild_format::verity;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fixture::{Fixture, Make, logical, noise};
use super::judge::{judge, passes};

/// Two packages that use every shape of file: empty, small, many small, whole
/// blocks, a short last block, holes, incompressible, duplicates, links, a
/// directory of many names, attributes.
fn packages(fixture: &Fixture) -> Vec<(&'static str, String)> {
    let text = b"all work and no play\n".repeat(40_000);
    let mut holes = vec![0u8; 3 * 131_072];
    holes.extend_from_slice(b"end");
    let random = noise(1, 300_000);
    let one = fixture.package(
        "one",
        &[
            ("usr/bin/tool", Make::Program(&text)),
            ("usr/lib/copy-of-tool", Make::File(&text)),
            ("usr/lib/random", Make::File(&random)),
            ("usr/lib/holes", Make::File(&holes)),
            ("usr/lib/block", Make::File(&text[..131_072])),
            ("usr/lib/zeros", Make::File(&holes[..131_072])),
            ("usr/lib/empty", Make::File(b"")),
            ("usr/lib/link", Make::Link("../bin/tool")),
            ("usr/share/doc/one/README", Make::File(b"left out")),
            ("usr/share/kept", Make::Directory),
        ],
    );
    let names: Vec<String> = (0..3000).map(|n| format!("usr/share/many/file-{n:04}")).collect();
    let contents: Vec<Vec<u8>> = (0..3000).map(|n| noise(n + 7, (n as usize * 13) % 700)).collect();
    let members: Vec<(&str, Make<'_>)> =
        names.iter().zip(&contents).map(|(name, bytes)| (name.as_str(), Make::File(bytes))).collect();
    let two = fixture.package("two", &members);
    vec![("one", one), ("two", two)]
}

pub(crate) fn segment(fixture: &Fixture, name: &str, package: &str, jobs: usize) -> Value {
    let parameters = json!({
        "package": package, "exclude": ["usr/share/doc"], "level": 3, "blockSize": 131_072, "builtinVersion": "1",
    });
    let name = format!("segment-{name}");
    let built = fixture
        .build_with_jobs("squashfs-segment", &name, &["data", "index", "leaves"], parameters, jobs)
        .unwrap();
    let data = built.read("data");
    assert_eq!(verity::leaves(&data), built.read("leaves"));
    let at = |output: &str| logical(&format!("{name}-{output}"));
    json!({ "package": package, "data": at("data"), "index": at("index"), "leaves": at("leaves") })
}

pub(crate) fn link_parameters(packages: &[(&str, String)]) -> Value {
    let rows: Vec<Value> = packages
        .iter()
        .map(|(pname, path)| {
            json!({ "pname": pname, "version": "1", "license": "MIT", "cpe": null, "path": path,
                    "exclude": ["usr/share/doc"], "interpreter": false })
        })
        .collect();
    json!({
        "packages": rows,
        "directories": [{ "path": "/var", "mode": "0755", "uid": 0, "gid": 0 },
                        { "path": "/tmp", "mode": "1777", "uid": 0, "gid": 0 }],
        "links": [{ "path": "bin", "target": "usr/bin" }],
        "attributes": [
            { "glob": "usr/lib/random", "uid": 7, "gid": 8, "mode": "0640", "xattrs": { "user.note": "x" } },
            { "glob": "/usr/share/many", "uid": null, "gid": 9, "mode": "0750", "xattrs": {} },
            { "glob": "usr/bin/tool", "uid": null, "gid": null, "mode": null,
              "xattrs": { "security.capability": "0x0100000200040000000000000000000000000000" } },
        ],
        "osRelease": { "ID": "osbuild", "PRETTY_NAME": "A \"test\" $system", "VERSION_ID": "1.2.3" },
        "interpreterBinaries": [],
        "allow": [],
    })
}

/// An image file and its manifest.
fn image(fixture: &Fixture, jobs: usize) -> (PathBuf, RootManifest) {
    let packages = packages(fixture);
    let built = fixture.build("link-root", "root", &["out", "report"], link_parameters(&packages)).unwrap();
    let manifest = RootManifest::parse(&built.read("out")).unwrap();
    let rows: Vec<Value> = packages.iter().map(|(name, path)| segment(fixture, name, path, jobs)).collect();
    let read = |row: &Value, what: &str| fs::read(fixture.physical(row[what].as_str().unwrap())).unwrap();
    let indexes: Vec<SegmentIndex> =
        rows.iter().map(|row| SegmentIndex::parse(&read(row, "index")).unwrap()).collect();
    let segments: Vec<Segment<'_>> =
        packages.iter().zip(&indexes).map(|((_, store), index)| Segment { store, index }).collect();
    let linked = link(&manifest, &segments).unwrap();
    let mut bytes = linked.head;
    for row in &rows {
        bytes.extend(read(row, "data"));
    }
    bytes.extend(linked.tail);
    assert_eq!(bytes.len() as u64, linked.image_bytes);
    let path = fixture.path().join("root.squashfs");
    fs::write(&path, bytes).unwrap();
    (path, manifest)
}

#[test]
fn unsquashfs_reads_what_the_manifest_says() {
    let fixture = Fixture::new();
    let (path, manifest) = image(&fixture, 2);
    let Some(mut command) = judge("unsquashfs") else { return };
    let out = fixture.path().join("extracted");
    passes(command.arg("-no-xattrs").arg("-d").arg(&out).arg(&path));
    for entry in manifest.entries() {
        let at = out.join(entry.path.trim_start_matches('/'));
        let metadata = fs::symlink_metadata(&at).unwrap_or_else(|_| panic!("{} is missing", entry.path));
        match &entry.node {
            Node::Directory => assert!(metadata.is_dir(), "{}", entry.path),
            Node::Link { target } => assert_eq!(fs::read_link(&at).unwrap().to_str(), Some(target.as_str())),
            Node::Inline { text } => assert_eq!(fs::read_to_string(&at).unwrap(), *text),
            Node::File { blake3, size, .. } => {
                let bytes = fs::read(&at).unwrap();
                assert_eq!(bytes.len() as u64, *size, "{}", entry.path);
                assert_eq!(blake3::hash(&bytes).as_bytes(), blake3, "{}", entry.path);
            }
        }
    }
    let count = walkdir(&out);
    assert_eq!(count, manifest.entries().len());

    let listing = passes(judge("unsquashfs").unwrap().args(["-lln"]).arg(&path));
    let listing = String::from_utf8(listing.stdout).unwrap();
    let line = listing.lines().find(|l| l.ends_with("/usr/lib/random")).unwrap();
    assert!(line.starts_with("-rw-r-----") && line.contains("7/8"), "{line}");
    assert!(line.contains("1980-01-01"), "{line}");
}

fn walkdir(path: &std::path::Path) -> usize {
    let mut count = 1;
    for item in fs::read_dir(path).unwrap() {
        let item = item.unwrap();
        count += if item.file_type().unwrap().is_dir() { walkdir(&item.path()) } else { 1 };
    }
    count
}

#[test]
fn veritysetup_accepts_the_tree() {
    let fixture = Fixture::new();
    let (path, _) = image(&fixture, 2);
    let tree = verity::tree(verity::leaves(&fs::read(&path).unwrap()));
    let hash = fixture.path().join("root.verity");
    fs::write(&hash, &tree.bytes).unwrap();
    let Some(mut command) = judge("veritysetup") else { return };
    command.arg("verify").arg(&path).arg(&hash).arg(hex::encode(&tree.root_hash)).arg("--no-superblock");
    command.arg(format!("--salt={}", hex::encode(&verity::SALT))).args(["--hash=sha256", "--format=1"]);
    passes(&mut command);

    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!command.output().unwrap().status.success(), "a flipped bit must be seen");
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let digests: Vec<String> = [1, 2, 7]
        .iter()
        .map(|jobs| {
            let fixture = Fixture::new();
            hex::encode(&Sha256::digest(fs::read(image(&fixture, *jobs).0).unwrap()))
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

/// What the manifest says of an entry, and what the reader found.
#[test]
fn our_reader_reads_all_of_it_back() {
    let fixture = Fixture::new();
    let (path, manifest) = image(&fixture, 2);
    let mut image = Image::open(fs::File::open(&path).unwrap()).unwrap();
    let members = image.members().unwrap();
    assert_eq!(members.len(), manifest.entries().len());
    for (member, entry) in members.iter().zip(manifest.entries()) {
        let found = (&member.path, member.mode, member.uid, member.gid, &member.xattrs);
        assert_eq!(found, (&entry.path, entry.mode, entry.uid, entry.gid, &entry.xattrs));
        match (&member.kind, &entry.node) {
            (MemberKind::Directory, Node::Directory) => {}
            (MemberKind::Link { target: a }, Node::Link { target: b }) => assert_eq!(a, b),
            (MemberKind::File(data), node) => {
                let mut bytes = Vec::new();
                image.contents(data, &mut bytes).unwrap();
                match node {
                    Node::File { blake3, .. } => assert_eq!(blake3::hash(&bytes).as_bytes(), blake3),
                    Node::Inline { text } => assert_eq!(bytes, text.as_bytes()),
                    _ => panic!("{}", entry.path),
                }
            }
            _ => panic!("{} is of another kind", entry.path),
        }
    }
    assert_eq!(manifest.entry("/usr/lib/random").unwrap().xattrs["user.note"], b"x");
}

#[test]
fn our_reader_reads_what_mksquashfs_writes() {
    let fixture = Fixture::new();
    let packages = packages(&fixture);
    let Some(mut mksquashfs) = judge("mksquashfs") else { return };
    let path = fixture.path().join("theirs");
    let source = fixture.physical(&packages[0].1);
    passes(mksquashfs.arg(&source).arg(&path).args([
        "-comp",
        "zstd",
        "-Xcompression-level",
        "3",
        "-no-progress",
    ]));
    let mut image = Image::open(fs::File::open(&path).unwrap()).unwrap();
    for member in image.members().unwrap() {
        if let MemberKind::File(data) = &member.kind {
            let mut bytes = Vec::new();
            image.contents(data, &mut bytes).unwrap();
            assert!(bytes == fs::read(source.join(&member.path[1..])).unwrap(), "{}", member.path);
        }
    }
}

#[test]
fn damaged_images_are_errors_not_crashes() {
    let fixture = Fixture::new();
    let (path, _) = image(&fixture, 2);
    let sound = fs::read(&path).unwrap();
    let tables = sound.len() - 60_000.min(sound.len() / 2);
    let places = noise(11, 4 * 400);
    for (index, place) in places.chunks(4).enumerate() {
        let mut bytes = sound.clone();
        let number = u32::from_le_bytes(place.try_into().unwrap()) as usize;
        // Half of the flips in the superblock, half in the tables.
        let at = if index % 2 == 0 { number % 96 } else { tables + number % (bytes.len() - tables) };
        bytes[at] ^= 1 << (index % 8);
        if let Ok(mut image) = Image::open(std::io::Cursor::new(bytes)) {
            for member in image.members().unwrap_or_default() {
                if let MemberKind::File(data) = &member.kind {
                    let _ = image.contents(data, &mut std::io::sink());
                    break;
                }
            }
        }
    }
}
