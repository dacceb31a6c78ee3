//! Collecting garbage.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use osbuild_store::local::ObjectInfo;
use osbuild_store::store::SourceSink;
use osbuild_store::{LocalStore, StorePath};

use crate::bench::Bench;
use crate::files::names;
use crate::measure::{Spread, run, sync, wall};
use crate::nix::Nix;
use crate::table::{Row, Size};

/// Each of a chain refers to the one before it.
const CHAIN: usize = 10;

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let sizes: Vec<Size> = bench.sizes(100_000).into_iter().map(|count| measure(bench, count)).collect();
    let count = bench.scaled(100_000);
    vec![Row {
        name: "gc",
        what: format!("{count} small objects in chains of {CHAIN}, of which a link keeps a tenth."),
        item: "object",
        sizes,
        target: None,
    }]
}

fn measure(bench: &Bench, count: usize) -> Size {
    let (mut home, mut root) = (bench.directory(), bench.directory());
    let mut ours = || {
        home = bench.directory();
        let objects = fill(home.path(), count);
        let mut command = bench.ours(home.path());
        command.args(["store", "gc"]);
        sync(home.path());
        (objects, wall(|| drop(run(&mut command))))
    };
    let mut theirs = |objects: &[Object]| {
        root = bench.directory();
        let nix = Nix::new(root.path());
        fill_nix(&nix, root.path(), objects);
        let mut command = nix.command("nix-store");
        command.arg("--gc");
        sync(root.path());
        wall(|| drop(run(&mut command)))
    };
    let (mut by_us, mut by_nix) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (objects, time) = ours();
        by_us.push(time);
        by_nix.push(theirs(&objects));
    }
    let left = names(&home.path().join("store"));
    assert!(left.len() > count / CHAIN / 2 && left.len() < count / 2, "{} objects are left", left.len());
    assert!(left == names(&Nix::new(root.path()).objects()), "other objects are left than Nix leaves");
    Size { items: count, nix: Some(Spread::new(by_nix)), ours: Spread::new(by_us) }
}

/// An object's text and what the store knows of it.
struct Object {
    text: String,
    info: ObjectInfo,
}

/// Makes a store of so many objects; the last is the root, and refers to every
/// tenth chain.
fn fill(home: &Path, count: usize) -> Vec<Object> {
    let store = LocalStore::open(home).expect("a store can be made");
    let mut objects = Vec::with_capacity(count);
    let mut kept = BTreeSet::new();
    let mut references = BTreeSet::new();
    let add = |text: String, references: &BTreeSet<StorePath>| {
        let path = store.add_text("object", text.as_bytes(), references).expect("it can be added");
        let info = store.info(&path).expect("the database is sound").expect("it was just added");
        Object { text, info }
    };
    for index in 0..count - 1 {
        let object = add(format!("object {index}\n"), &references);
        references = BTreeSet::from([object.info.path.clone()]);
        if (index + 1).is_multiple_of(CHAIN) {
            if (index / CHAIN).is_multiple_of(10) {
                kept.append(&mut references);
            }
            references.clear();
        }
        objects.push(object);
    }
    let root = add("root\n".to_owned(), &kept);
    store.add_root(&home.join("result"), &root.info.path).expect("it can be linked");
    objects.push(root);
    store.sync().expect("the disk can be written");
    objects
}

/// Puts the same objects into Nix's store, in the form in which it dumps its
/// database: path, hash, size, deriver, references.
fn fill_nix(nix: &Nix, root: &Path, objects: &[Object]) {
    fs::create_dir_all(nix.objects()).expect("the directory is writable");
    let mut dump = String::new();
    let logical = |path: &StorePath| format!("/nix/store/{path}\n");
    let physical = |path: &StorePath| -> PathBuf { nix.objects().join(path.as_str()) };
    for Object { text, info } in objects {
        fs::write(physical(&info.path), text).expect("the directory is writable");
        let (hash, size) = (info.nar_hash.to_hex(), info.nar_size_bytes);
        dump += &format!("{}{hash}\n{size}\n\n{}\n", logical(&info.path), info.references.len());
        dump.extend(info.references.iter().map(logical));
    }
    let mut child =
        nix.command("nix-store").arg("--load-db").stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it was asked for");
    input.write_all(dump.as_bytes()).expect("it reads all");
    drop(input);
    assert!(child.wait().expect("it is ours").success());
    let last = &objects.last().expect("there is a root").info.path;
    let link = root.join("nix/var/nix/gcroots/result");
    fs::create_dir_all(link.parent().expect("it has one")).expect("the directory is writable");
    std::os::unix::fs::symlink(logical(last).trim_end(), link).expect("the directory is writable");
}
