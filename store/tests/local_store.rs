//! The local store as its users see it: add, find again, verify, collect.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use osbuild_store::action::{ActionKey, ActionRow, OutputName};
use osbuild_store::local::{GcRequest, Ingest, Problem};
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StoreError, StorePath};

fn open() -> (tempfile::TempDir, LocalStore) {
    let home = tempfile::tempdir().unwrap();
    let store = LocalStore::open(home.path()).unwrap();
    (home, store)
}

fn file(text: &str) -> SourceTree {
    SourceTree::Bytes { contents: text.into(), executable: false }
}

/// Adds what `make` writes, under a path of its own.
fn add_built(store: &LocalStore, name: &str, candidates: &[&StorePath], make: impl Fn(&Path)) -> StorePath {
    let scratch = store.scratch("test").unwrap();
    let place = scratch.path().join("out");
    make(&place);
    let ingested = store.ingest(&place, candidates.iter().copied()).unwrap();
    let references = ingested.references.clone();
    let path = store.store_dir().fixed_path(name, true, &ingested.nar_hash, &references, false).unwrap();
    let ingest = Ingest { path: path.clone(), ingested, content_address: None, deriver: None };
    store.place(&place, &ingest).unwrap();
    path
}

#[test]
fn sources_get_the_paths_that_nix_gives_them() {
    let (_home, store) = open();
    // nix-store --add on a file `hello` holding "world"; builtins.toFile "hello" "world".
    let text = store.add_text("hello", b"world", &BTreeSet::new()).unwrap();
    assert_eq!(text.as_str(), "a8pm5wln4zaphc7x9iaqrgm9fravifib-hello");
    let source = store.add_source("hello", &file("world"), Ingestion::Recursive).unwrap();
    assert_eq!(fs::read(store.physical(&source)).unwrap(), b"world");
    assert_eq!(store.add_source("hello", &file("world"), Ingestion::Recursive).unwrap(), source);
    assert!(store.verify(&mut |_, _| ()).unwrap().problems.is_empty());
}

#[test]
fn outputs_become_canonical() {
    let (_home, store) = open();
    let path = add_built(&store, "x", &[], |place| {
        fs::create_dir(place).unwrap();
        fs::write(place.join("run"), "#!").unwrap();
        fs::set_permissions(place.join("run"), fs::Permissions::from_mode(0o4777)).unwrap();
        fs::write(place.join("data"), "1").unwrap();
        fs::set_permissions(place.join("data"), fs::Permissions::from_mode(0o620)).unwrap();
    });
    let at = store.physical(&path);
    for (name, mode) in [("", 0o40555), ("run", 0o100555), ("data", 0o100444)] {
        let metadata = at.join(name).metadata().unwrap();
        assert_eq!((metadata.mode(), metadata.mtime()), (mode, 1), "{name}");
    }
}

#[test]
fn sources_are_canonical_as_outputs_are() {
    let (_home, store) = open();
    let bytes = |contents: &str, executable| SourceTree::Bytes { contents: contents.into(), executable };
    let directory = |members: Vec<(&str, SourceTree)>| {
        SourceTree::Directory(members.into_iter().map(|(name, tree)| (name.into(), tree)).collect())
    };
    let large = "x".repeat(10_000);
    let tree = directory(vec![
        ("data", bytes("1", false)),
        ("empty", directory(vec![])),
        ("inner", directory(vec![("large", bytes(&large, false)), ("run", bytes(&large, true))])),
        ("large", bytes(&large, false)),
        ("link", SourceTree::Symlink { target: b"data".to_vec() }),
    ]);
    let path = store.add_source("tree", &tree, Ingestion::Recursive).unwrap();
    let at = store.physical(&path);
    let metadata = |name: &str| at.join(name).symlink_metadata().unwrap();
    for (name, mode) in [
        ("", 0o40555),
        ("data", 0o100444),
        ("empty", 0o40555),
        ("inner", 0o40555),
        ("inner/large", 0o100444),
        ("inner/run", 0o100555),
        ("link", 0o120777),
    ] {
        assert_eq!((metadata(name).mode(), metadata(name).mtime()), (mode, 1), "{name}");
    }
    assert_eq!(metadata("large").ino(), metadata("inner/large").ino());
    assert_ne!(metadata("large").ino(), metadata("inner/run").ino());
    assert!(store.verify(&mut |_, _| ()).unwrap().problems.is_empty());
}

/// Too large to be hashed before it is known whether that is needed.
#[test]
fn large_sources_are_added_once_whatever_is_known_of_them() {
    let (home, store) = open();
    let source = home.path().join("source");
    let tree = SourceTree::Regular { path: source.clone(), executable: false };
    let add = |name: &str, byte: u8| {
        fs::write(&source, vec![byte; 5 << 20]).unwrap();
        let path = store.add_source(name, &tree, Ingestion::Recursive).unwrap();
        let hash = tree.hash(Ingestion::Recursive).unwrap();
        let expected = store.store_dir().fixed_path(name, true, &hash, &BTreeSet::new(), false).unwrap();
        assert_eq!(path, expected);
        (path.clone(), store.physical(&path).metadata().unwrap().ino())
    };
    // Nothing is known; the same; the same name and size; the same contents.
    let first = add("a", 1);
    assert_eq!(add("a", 1), first);
    assert_ne!(add("a", 2), first);
    let other = add("b", 1);
    assert_ne!(other.0, first.0);
    assert_eq!(other.1, first.1);
    assert!(store.verify(&mut |_, _| ()).unwrap().problems.is_empty());
    assert_eq!(fs::read_dir(home.path().join("build")).unwrap().count(), 0);
}

#[test]
fn equal_files_are_one_file_and_small_ones_are_not() {
    let (_home, store) = open();
    let large = "x".repeat(10_000);
    let make = |extra: &'static str| {
        let large = large.clone();
        move |place: &Path| {
            fs::create_dir(place).unwrap();
            fs::write(place.join("large"), &large).unwrap();
            fs::write(place.join("extra"), extra).unwrap();
        }
    };
    let (one, two) = (add_built(&store, "a", &[], make("1")), add_built(&store, "a", &[], make("2")));
    let inode = |path: &StorePath, name: &str| store.physical(path).join(name).metadata().unwrap().ino();
    assert_eq!(inode(&one, "large"), inode(&two, "large"));
    assert_ne!(inode(&one, "extra"), inode(&two, "extra"));
}

#[test]
fn holes_stay_holes() {
    let (_home, store) = open();
    let path = add_built(&store, "disk", &[], |place| {
        let file = fs::File::create(place).unwrap();
        file.set_len(64 << 20).unwrap();
    });
    let metadata = store.physical(&path).metadata().unwrap();
    assert_eq!(metadata.len(), 64 << 20);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
}

#[test]
fn what_no_archive_holds_is_refused() {
    let (_home, store) = open();
    let scratch = store.scratch("test").unwrap();
    let place = scratch.path().join("out");
    fs::create_dir(&place).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.join("socket")).unwrap();
    assert!(matches!(store.ingest(&place, []), Err(StoreError::FileKind { kind: "socket", .. })));
}

#[test]
fn verify_names_what_changed_and_repair_drops_it() {
    let (_home, store) = open();
    let path = store.add_source("a", &file(&"y".repeat(5000)), Ingestion::Recursive).unwrap();
    let other = store.add_source("b", &file("intact"), Ingestion::Recursive).unwrap();
    let at = store.physical(&path);
    fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&at, "z".repeat(5000)).unwrap();
    let verified = store.verify(&mut |_, _| ()).unwrap();
    assert!(matches!(&verified.problems[..], [Problem::Corrupt { path: p, .. }] if *p == path));
    assert_eq!(store.repair(&verified).unwrap(), 1);
    assert!(!store.is_valid(&path).unwrap() && store.is_valid(&other).unwrap());
    // The damaged bytes must not come back through the shared link.
    store.add_source("a", &file(&"y".repeat(5000)), Ingestion::Recursive).unwrap();
    assert!(store.verify(&mut |_, _| ()).unwrap().problems.is_empty());
}

#[test]
fn gc_keeps_what_roots_reach_and_removes_the_rest() {
    let (home, store) = open();
    let base = store.add_source("base", &file("base"), Ingestion::Recursive).unwrap();
    let text = store.store_dir().display(&base);
    let user = add_built(&store, "user", &[&base], |place| fs::write(place, &text).unwrap());
    let stray = store.add_source("stray", &file("stray"), Ingestion::Recursive).unwrap();
    fs::create_dir(store.objects_dir().join("leftover")).unwrap();
    let link = home.path().join("result");
    store.add_root(&link, &user).unwrap();
    let key = ActionKey::from_digest([1; 32]);
    let row = ActionRow { outputs: BTreeMap::from([(OutputName::out(), stray.clone())]) };
    store.set_action(key, &row).unwrap();

    let collected = store.collect_garbage(GcRequest::default(), || ()).unwrap();
    assert_eq!((collected.removed, collected.leftovers), (vec![stray.clone()], 1));
    assert!(store.is_valid(&base).unwrap() && store.is_valid(&user).unwrap());
    assert!(!store.physical(&stray).exists());
    assert_eq!(store.action(key).unwrap(), Some(row), "rows outlive their objects");

    fs::remove_file(&link).unwrap();
    let collected = store.collect_garbage(GcRequest::default(), || ()).unwrap();
    assert_eq!(collected.removed, vec![user, base], "referrers go first");
    assert!(store.objects_dir().read_dir().unwrap().next().is_none());
}

#[test]
fn unregistered_leftovers_are_replaced() {
    let (_home, store) = open();
    let reference = store.add_source("a", &file("new"), Ingestion::Recursive).unwrap();
    store.forget(&reference).unwrap();
    fs::write(store.physical(&reference), "half-written").unwrap();
    assert_eq!(store.add_source("a", &file("new"), Ingestion::Recursive).unwrap(), reference);
    assert_eq!(fs::read(store.physical(&reference)).unwrap(), b"new");
}

#[test]
fn two_handles_may_add_the_same_at_once() {
    let (home, _store) = open();
    let paths: Vec<StorePath> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let store = LocalStore::open(home.path()).unwrap();
                    let mut last = None;
                    for index in 0..20 {
                        let tree = file(&format!("text {index}"));
                        last = Some(store.add_source("same", &tree, Ingestion::Recursive).unwrap());
                    }
                    last.unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(paths.windows(2).all(|pair| pair[0] == pair[1]));
    let verified = LocalStore::open(home.path()).unwrap().verify(&mut |_, _| ()).unwrap();
    assert_eq!((verified.objects, verified.problems.len(), verified.leftovers.len()), (20, 0, 0));
}
