//! A disk that is really full, in namespaces of its own. Whatever the store
//! was about to do: the error says so and names the place, nothing is half
//! there, the remedy works, and with room the same succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use osbuild_store::action::{ActionKey, ActionRow, OutputName};
use osbuild_store::cache::{Access, BinaryCache, CacheError, Publisher, Substituters, Watch};
use osbuild_store::error::one_line;
use osbuild_store::local::{GcRequest, Ingest, remove_tree};
use osbuild_store::signature::TrustedKeys;
use osbuild_store::store::{Ingestion, SourceSink};
use osbuild_store::{LocalStore, StoreError, StorePath, is_disk_full};

use super::again::{assert_passed, part, this_test};
use super::{assert_sound, source, tree};

const DISK_KIB: usize = 32_000;

/// What a store does on the disk, and whether it is done.
struct Operation {
    name: &'static str,
    run: fn(&LocalStore, &Path) -> Result<(), CacheError>,
    is_done: fn(&LocalStore) -> bool,
    /// KiB of room with which it cannot be done.
    rooms_kib: &'static [usize],
}

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "source",
        run: add_source,
        is_done: |s| has(s, "source"),
        rooms_kib: &[0, 8, 100, 2000],
    },
    Operation { name: "text", run: add_text, is_done: |s| has(s, "text"), rooms_kib: &[0, 8, 100, 2000] },
    Operation { name: "output", run: add_output, is_done: |s| has(s, "output"), rooms_kib: &[0, 8] },
    Operation { name: "fetch", run: fetch, is_done: |s| has(s, "fetched"), rooms_kib: &[0, 8, 100, 2000] },
    Operation {
        name: "action",
        run: set_action,
        is_done: |s| s.actions().expect("read").len() == 1,
        rooms_kib: &[0, 8, 100],
    },
];

fn has(store: &LocalStore, name: &str) -> bool {
    store.all_paths().expect("listed").iter().any(|path| path.name() == name)
}

fn add_source(store: &LocalStore, _: &Path) -> Result<(), CacheError> {
    store.add_source("source", &tree(10, 400), Ingestion::Recursive)?;
    Ok(())
}

fn add_text(store: &LocalStore, _: &Path) -> Result<(), CacheError> {
    store.add_text("text", &b"0123456789abcdef".repeat(1 << 18), &BTreeSet::new())?;
    Ok(())
}

/// Registers what lies there, with more references than a page holds.
fn add_output(store: &LocalStore, place: &Path) -> Result<(), CacheError> {
    let tree = store.home().join("build/out");
    remove_tree(&tree)?;
    // The builder's part, on another disk.
    std::os::unix::fs::symlink(place, &tree).map_err(StoreError::io("make", &tree))?;
    let mut ingested = store.ingest(&tree, [])?;
    let reference =
        |index: u32| StorePath::new([index.to_le_bytes(); 5].concat().try_into().expect("20 bytes"), "input");
    ingested.references = (0..4000).map(|index| reference(index).expect("a name")).collect();
    let path = StorePath::new([9; 20], "output").expect("a name");
    let placed = store.place(&tree, &Ingest { path, ingested, content_address: None, deriver: None });
    if placed.is_err() {
        remove_tree(&tree)?;
    }
    Ok(placed?)
}

fn fetch(store: &LocalStore, place: &Path) -> Result<(), CacheError> {
    let cache = BinaryCache::at(place.join("cache").to_str().expect("UTF-8"), &Access::default())?;
    let memory = place.join("memory");
    let substituters =
        Substituters::new(vec![cache], TrustedKeys::default(), store.store_dir().clone(), &memory);
    let watch = Watch { cancelled: &|| false, warn: &|text| panic!("{text}"), progress: &|_, _, _| () };
    let hash = tree(10, 400).hash(Ingestion::Recursive)?;
    let path = store.store_dir().fixed_path("fetched", true, &hash, &BTreeSet::new(), false).expect("a name");
    let found = substituters.find_closure(store, &[path].into(), &watch)?;
    assert_eq!(found.len(), 1, "the cache has it");
    substituters.fetch(store, &found, 1, &watch)
}

fn set_action(store: &LocalStore, _: &Path) -> Result<(), CacheError> {
    let path = StorePath::new([7; 20], "out").expect("a name");
    let output = |index: usize| (OutputName::new(&format!("output-{index}")).expect("a name"), path.clone());
    let row = ActionRow { outputs: (0..5000).map(output).collect::<BTreeMap<_, _>>() };
    Ok(store.set_action(ActionKey::from_digest([1; 32]), &row)?)
}

/// Fills the disk at `place` but for this much.
fn fill(place: &Path, room_kib: usize) {
    let path = place.join("filler");
    let mut file = File::create(&path).expect("made");
    let block = [0x5a; 4096];
    while file.write_all(&block).is_ok() {}
    let length = file.metadata().expect("read").len();
    file.set_len(length.saturating_sub(room_kib as u64 * 1024) / 4096 * 4096).expect("cut");
}

fn on_the_disk(disk: &Path, outside: &Path) {
    for operation in OPERATIONS {
        for &room_kib in operation.rooms_kib {
            let when = format!("{} with {room_kib} KiB of room", operation.name);
            let home = disk.join("home");
            let store = LocalStore::open(&home).expect("opened");
            let dead = store.add_source("dead", &tree(4, 500), Ingestion::Recursive).expect("added");
            fill(disk, room_kib);

            let error = (operation.run)(&store, outside).expect_err(&when);
            let said = one_line(&error);
            assert!(is_disk_full(&error), "{when}: {said}");
            assert!(matches!(error, CacheError::Store(_)), "{when}: it is nobody else's fault: {said}");
            assert!(said.contains(home.to_str().expect("UTF-8")), "{when}: no place in: {said}");
            assert!(said.contains("No space left on device") || said.contains("is full"), "{when}: {said}");

            assert!(!(operation.is_done)(&store), "{when}: it failed");
            assert_sound(&store, &when);
            let leftovers = store.verify(&mut |_, _| ()).expect("verified").leftovers;
            let is_output = operation.name == "output";
            assert!(leftovers.is_empty() || is_output, "{when}: {leftovers:?} takes room");
            assert_eq!(
                fs::read_dir(home.join("build")).expect("listed").count(),
                0,
                "{when}: scratch is left"
            );
            drop(store);

            let store = LocalStore::open_for_collection(&home).expect("the remedy works");
            let collected = store.collect_garbage(GcRequest::default(), || ()).expect("the remedy works");
            assert_eq!(collected.removed, [dead], "{when}");
            fs::write(disk.join("more"), vec![0x5a; 1 << 20]).expect("there is room now");
            drop(store);
            fs::remove_file(disk.join("more")).expect("removed");
            fs::remove_file(disk.join("filler")).expect("removed");

            let store = LocalStore::open(&home).expect("opened");
            (operation.run)(&store, outside)
                .unwrap_or_else(|error| panic!("{when}, then with room: {}", one_line(&error)));
            assert!((operation.is_done)(&store), "{when}: it succeeded");
            // It refers to what was never there.
            if !is_output {
                assert_sound(&store, &when);
            }
            drop(store);
            remove_tree(&home).expect("removed");
        }
    }
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_half_done() {
    if let Some(place) = part() {
        let place = Path::new(&place);
        return on_the_disk(&place.join("small"), place);
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(place.path().join("small")).expect("made");
    let other = LocalStore::open(&place.path().join("other")).expect("opened");
    let fetched = other.add_source("fetched", &tree(10, 400), Ingestion::Recursive).expect("added");
    let cache = place.path().join("cache");
    let cache = BinaryCache::at(cache.to_str().expect("UTF-8"), &Access::default()).expect("a directory");
    Publisher::new(&other, &cache, &[], 1).publish(&[fetched].into(), &|| false).expect("published");

    let test = "full_disk::a_full_disk_is_named_and_leaves_nothing_half_done";
    let again = this_test(test, place.path().to_str().expect("UTF-8"));
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-euc"]);
    command.arg(format!("mount -t tmpfs -o size={DISK_KIB}k small \"$1\"; shift; exec \"$@\"")).arg("sh");
    command.arg(place.path().join("small")).arg(again.get_program()).args(again.get_args());
    command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_passed(command.output().expect("the host has unshare"));
    source(&other, "unharmed", "by what happened on the other disk");
}
