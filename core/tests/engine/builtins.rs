//! Built-in builders: each on a fixed input, with the digest of its output
//! pinned. A changed digest means a raised version.

use std::io::Write;

use osbuild_store::StorePath;
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use serde_json::json;

use crate::fixture::Fixture;

struct Member<'m> {
    path: &'m str,
    kind: tar::EntryType,
    mode: u32,
    /// Contents, or a link's target.
    data: &'m str,
}

fn file<'m>(path: &'m str, data: &'m str) -> Member<'m> {
    Member { path, kind: tar::EntryType::Regular, mode: 0o644, data }
}

/// A package as `dpkg-deb` writes it, but for the control member's contents.
fn deb(fixture: &Fixture, name: &str, compression: &str, members: &[Member<'_>]) -> String {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        // Written raw, since the library refuses what an attacker would write.
        let bytes = member.path.as_bytes();
        header.as_gnu_mut().unwrap().name[..bytes.len()].copy_from_slice(bytes);
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        let is_file = member.kind.is_file();
        header.set_size(if is_file { member.data.len() as u64 } else { 0 });
        if !is_file && !member.data.is_empty() {
            header.set_link_name(member.data).unwrap();
        }
        header.set_cksum();
        builder.append(&header, if is_file { member.data.as_bytes() } else { &[] }).unwrap();
    }
    let data = builder.into_inner().unwrap();
    let data = match compression {
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(&data).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(data.as_slice(), 1).unwrap(),
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&data).unwrap();
            encoder.finish().unwrap()
        }
        _ => data,
    };
    let mut archive = b"!<arch>\n".to_vec();
    let suffix = if compression.is_empty() { String::new() } else { format!(".{compression}") };
    for (name, contents) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar", vec![0; 1023]),
        (&format!("data.tar{suffix}"), data),
    ] {
        writeln!(archive, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", contents.len())
            .unwrap();
        archive.extend_from_slice(&contents);
        if contents.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    let tree = SourceTree::Bytes { contents: archive, executable: false };
    let path = fixture.store.add_source(name, &tree, Ingestion::Flat).unwrap();
    fixture.store.store_dir().display(&path)
}

fn listing(fixture: &Fixture, path: &StorePath) -> Vec<String> {
    let root = fixture.store.physical(path);
    let mut found = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in directory.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            if path.is_symlink() {
                found.push(format!("{name} -> {}", path.read_link().unwrap().display()));
            } else if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(format!("{name}: {}", std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn pinned(fixture: &Fixture, path: &StorePath, expected: &str) {
    assert_eq!(fixture.store.info(path).unwrap().unwrap().nar_hash.to_sri(), expected);
}

#[test]
fn packages_become_one_root() {
    let fixture = Fixture::new();
    let one = deb(
        &fixture,
        "one.deb",
        "xz",
        &[
            Member { path: "./", kind: tar::EntryType::Directory, mode: 0o755, data: "" },
            Member { path: "./bin/", kind: tar::EntryType::Directory, mode: 0o755, data: "" },
            Member { path: "./bin/su", kind: tar::EntryType::Regular, mode: 0o4755, data: "su" },
            file("./usr/share/doc/one/copyright", "terms"),
            file("./usr/share/common", "same"),
            Member { path: "./usr/bin/again", kind: tar::EntryType::Link, mode: 0o755, data: "./bin/su" },
        ],
    );
    let two = deb(
        &fixture,
        "two.deb",
        "zst",
        &[
            file("./usr/share/common", "same"),
            Member {
                path: "./usr/lib64/ld.so",
                kind: tar::EntryType::Symlink,
                mode: 0o777,
                data: "../lib/ld.so",
            },
            file("./lib/ld.so", "loader"),
        ],
    );
    let three = deb(&fixture, "three.deb", "gz", &[file("./etc/three", "3")]);
    let four = deb(&fixture, "four.deb", "", &[file("./etc/four", "4")]);
    let derivation = fixture.builtin(
        "unpack-debs",
        "root",
        json!({
            "debs": [one, two, three, four], "include": null, "exclude": ["usr/share/doc/**"],
            "links": {"usr/bin/sh": "su"}, "files": {"etc/made": "by hand"},
        }),
    );
    let path = fixture.build(&derivation).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(
        listing(&fixture, &path),
        [
            "bin -> usr/bin",
            "etc/four: 4",
            "etc/made: by hand",
            "etc/three: 3",
            "lib -> usr/lib",
            "lib64 -> usr/lib64",
            "usr/bin/again: su",
            "usr/bin/sh -> su",
            "usr/bin/su: su",
            "usr/lib/ld.so: loader",
            "usr/lib64/ld.so -> ../lib/ld.so",
            "usr/share/common: same",
        ]
    );
    pinned(&fixture, &path, "sha256-BRKo4IXuNPhsdePkGHWZDjkSqKrfJhyZdTHJFZf6n9s=");

    let few = fixture.builtin(
        "unpack-debs",
        "few",
        json!({ "debs": [deb(&fixture, "x.deb", "xz", &[file("./lib/a.so", "a"), file("./usr/bin/b", "b")])],
                "include": ["usr/lib"], "exclude": [], "links": {}, "files": {} }),
    );
    let path = fixture.build(&few).unwrap();
    assert_eq!(listing(&fixture, &path), ["usr/lib/a.so: a"]);
}

fn refused(packages: &[&[Member<'_>]], expected: &str) {
    let fixture = Fixture::new();
    let debs: Vec<String> = packages
        .iter()
        .enumerate()
        .map(|(i, members)| deb(&fixture, &format!("p{i}.deb"), "xz", members))
        .collect();
    let derivation = fixture.builtin("unpack-debs", "root", json!({ "debs": debs }));
    let text = fixture.failure(&derivation);
    assert!(text.contains(expected), "{text}");
    assert!(fixture.store.verify(&mut |_, _| ()).unwrap().problems.is_empty());
}

#[test]
fn conflicts_name_both_packages() {
    refused(
        &[&[file("./etc/x", "1")], &[file("./etc/x", "2")]],
        "p0.deb and p1.deb both have etc/x, and differ",
    );
    refused(
        &[&[file("./etc/x", "1")], &[Member { mode: 0o755, ..file("./etc/x", "1") }]],
        "p0.deb and p1.deb both have etc/x",
    );
}

#[test]
fn packages_cannot_lead_out_of_the_root() {
    let link = |path, data| Member { path, kind: tar::EntryType::Symlink, mode: 0o777, data };
    refused(&[&[file("../evil", "x")]], "leads out of the root");
    refused(&[&[file("./usr/../../evil", "x")]], "leads out of the root");
    refused(&[&[link("./usr/out", "/tmp"), file("./usr/out/evil", "x")]], "both have usr/out");
    let device = Member { path: "./dev/null", kind: tar::EntryType::Char, mode: 0o666, data: "" };
    refused(&[&[device]], "is a device or a pipe");
}

#[test]
fn what_is_no_package_is_refused() {
    let fixture = Fixture::new();
    let tree = SourceTree::Bytes { contents: b"<html>".to_vec(), executable: false };
    let path = fixture.store.add_source("page.deb", &tree, Ingestion::Flat).unwrap();
    let path = fixture.store.store_dir().display(&path);
    let derivation = fixture.builtin("unpack-debs", "root", json!({ "debs": [path] }));
    let text = fixture.failure(&derivation);
    assert!(text.contains("page.deb is no package"), "{text}");
}

#[test]
fn trees_are_written_and_joined() {
    let fixture = Fixture::new();
    let tree = fixture.builtin(
        "write-tree",
        "tree",
        json!({
            "files": { "etc/a": { "text": "A" }, "usr/bin/run": { "text": "#!", "executable": true } },
            "links": { "etc/b": "a" }, "directories": ["var/empty"], "copies": {},
        }),
    );
    let path = fixture.build(&tree).unwrap();
    assert_eq!(listing(&fixture, &path), ["etc/a: A", "etc/b -> a", "usr/bin/run: #!"]);
    assert!(fixture.store.physical(&path).join("var/empty").is_dir());
    pinned(&fixture, &path, "sha256-nrblX0x4dvuPkg2ol6BGUBz5ViRlk82t+BIk9W3JiJM=");

    let logical = fixture.store.store_dir().display(&path);
    let join = fixture.builtin(
        "join",
        "joined",
        json!({ "entries": { "one": logical, "a": format!("{logical}/etc/a") } }),
    );
    let path = fixture.build(&join).unwrap();
    assert_eq!(listing(&fixture, &path), ["a: A", "one/etc/a: A", "one/etc/b -> a", "one/usr/bin/run: #!"]);
    pinned(&fixture, &path, "sha256-LWGeJT0B0o7YHcbWgpnRFCPW3wfl/L7hydnUbnHd1r4=");
}

#[test]
fn bad_paths_and_parameters_are_refused() {
    let fixture = Fixture::new();
    for (parameters, expected) in [
        (json!({ "files": { "../x": { "text": "" } } }), "is no clean relative path"),
        (json!({ "files": { "a": { "text": "" } }, "links": { "a": "b" } }), "'a' is given twice"),
        (json!({ "files": { "a": {} } }), "needs either text or source"),
        (json!({ "flies": {} }), "unknown field `flies`"),
    ] {
        let text = fixture.failure(&fixture.builtin("write-tree", "x", parameters));
        assert!(text.contains(expected), "{text}");
    }
    let text =
        fixture.failure(&fixture.builtin("join", "x", json!({ "entries": { "a/b": "/nix/store/x" } })));
    assert!(text.contains("'a/b' is no file name"), "{text}");
    let text = fixture.failure(&fixture.builtin("absent", "x", json!({})));
    assert!(text.contains("no built-in builder 'absent'"), "{text}");
}

#[test]
fn another_version_of_a_builder_is_refused() {
    let fixture = Fixture::new();
    let path = fixture.builtin("join", "x", json!({ "entries": {} }));
    let mut derivation = (*fixture.lookup(&path).unwrap()).clone();
    let json = br#"{"builtinVersion":"9","entries":{},"name":"x"}"#.to_vec();
    derivation.environment.insert(b"__json".to_vec(), json);
    let text = fixture.failure(&fixture.add("x", derivation));
    assert!(text.contains("wants builtin:join version 9, this osbuild has version 1"), "{text}");
}
