//! Objects in one stream: between stores of ours, and to and from real Nix.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use osbuild_store::store::SourceSink as _;
use osbuild_store::{LocalStore, StoreError, StorePath};

use crate::fixture::Fixture;
use crate::judge::{judge, passes};

/// A text that refers to a source and to another text, as derivations do; Nix would
/// read what is called as one.
fn text(fixture: &Fixture) -> StorePath {
    let source = fixture.source("a source");
    let inner = fixture.from.add_text("inner", b"inner", &BTreeSet::new()).unwrap();
    fixture.from.add_text("outer", b"outer", &BTreeSet::from([source, inner])).unwrap()
}

fn exported(store: &LocalStore, path: &StorePath) -> Vec<u8> {
    let mut stream = Vec::new();
    store.export([path], &mut stream).unwrap();
    stream
}

/// Nix's older command, with a store of its own below `root`.
fn nix_store(root: &Path) -> Option<Command> {
    let mut command = judge("nix-store")?;
    command.env("NIX_CONFIG", "substituters =\nbuild-users-group =\n").env("HOME", root);
    command.env_remove("NIX_REMOTE").env_remove("NIX_PATH");
    command.args(["--store", &format!("local?root={}", root.join("nix-root").display())]);
    Some(command)
}

#[test]
fn what_was_exported_is_imported_whole() {
    let fixture = Fixture::new();
    let path = text(&fixture);
    let stream = exported(&fixture.from, &path);
    assert_eq!(stream, exported(&fixture.from, &path));
    let added = fixture.to.import(&mut stream.as_slice()).unwrap();
    assert_eq!((added.len(), added.last()), (3, Some(&path)));
    for path in &added {
        let info = |store: &LocalStore| {
            let info = store.info(path).unwrap().unwrap();
            (info.nar_hash, info.references, info.content_address)
        };
        assert_eq!(info(&fixture.from), info(&fixture.to), "{path}");
    }
    assert_eq!(exported(&fixture.to, &path), stream);
    // Once more: they are there.
    assert_eq!(fixture.to.import(&mut stream.as_slice()).unwrap(), added);
}

#[test]
fn nix_imports_what_we_export_and_exports_the_same() {
    let fixture = Fixture::new();
    let path = text(&fixture);
    let stream = exported(&fixture.from, &path);
    let file = fixture.path().join("stream");
    std::fs::write(&file, &stream).unwrap();
    let Some(mut import) = nix_store(fixture.path()) else { return };
    let output = passes(import.arg("--import").stdin(Stdio::from(File::open(&file).unwrap())));
    let paths: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(paths.last(), Some(&fixture.from.store_dir().display(&path)));

    let mut export = nix_store(fixture.path()).expect("it was there a moment ago");
    let theirs = passes(export.arg("--export").args(&paths)).stdout;
    assert!(theirs == stream, "{} bytes, and {} of Nix", stream.len(), theirs.len());
    assert_eq!(fixture.to.import(&mut theirs.as_slice()).unwrap().len(), 3);
}

/// An object that others vouch for is none that a stream can bring.
#[test]
fn only_what_follows_from_its_contents_is_imported() {
    let fixture = Fixture::new();
    let stream = exported(&fixture.from, &fixture.program());
    let error = fixture.to.import(&mut stream.as_slice()).unwrap_err();
    assert!(matches!(&error, StoreError::Import(what) if what.contains("does not follow")), "{error}");
    assert!(fixture.to.all_paths().unwrap().is_empty());
}

/// Whatever byte is another, nothing comes that is not what its name says; and
/// what a stream refers to has to be in it.
#[test]
fn a_spoiled_stream_brings_nothing_wrong() {
    let fixture = Fixture::new();
    let path = text(&fixture);
    let stream = exported(&fixture.from, &path);
    let originals = fixture.from.closure([&path]).unwrap();
    for at in 0..stream.len() {
        let mut spoiled = stream.clone();
        spoiled[at] ^= 1;
        let error = fixture.to.import(&mut spoiled.as_slice()).err();
        assert!(error.is_some(), "byte {at} of {}", stream.len());
    }
    for length in 0..stream.len() {
        fixture.to.import(&mut &stream[..length]).unwrap_err();
    }
    for path in fixture.to.all_paths().unwrap() {
        assert_eq!(fixture.to.info(&path).unwrap().unwrap().nar_hash, originals[&path].nar_hash);
        fixture.to.check_object(&path).unwrap();
    }

    // The last object without those before it.
    let empty = LocalStore::open(&fixture.path().join("empty")).unwrap();
    let end = 8;
    let before: usize = originals
        .keys()
        .filter(|other| **other != path)
        .map(|other| exported(&fixture.from, other).len() - end)
        .sum();
    let error = empty.import(&mut &stream[before..]).unwrap_err();
    assert!(matches!(error, StoreError::Missing(_)), "{error}");
}
