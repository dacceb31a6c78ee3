//! What the world does to a store: disks fill up, files are torn, clocks jump,
//! and others work in it at the same time.

mod again;
mod clock;
mod damaged_database;
mod full_disk;
mod processes;

use std::collections::BTreeSet;

use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StorePath};

/// A tree of `files` different files of `kib` KiB each.
pub(crate) fn tree(files: usize, kib: usize) -> SourceTree {
    let member = |index: usize| {
        let contents = format!("{index:08}").repeat(kib * 128).into_bytes();
        (format!("f{index}").into_bytes(), SourceTree::Bytes { contents, executable: false })
    };
    SourceTree::Directory((0..files).map(member).collect())
}

pub(crate) fn source(store: &LocalStore, name: &str, text: &str) -> StorePath {
    let tree = SourceTree::Bytes { contents: text.into(), executable: false };
    store.add_source(name, &tree, Ingestion::Recursive).expect("added")
}

/// A file that refers to an object.
pub(crate) fn referrer(store: &LocalStore, name: &str, to: &StorePath) -> StorePath {
    let text = store.store_dir().display(to);
    store.add_text(name, text.as_bytes(), &BTreeSet::from([to.clone()])).expect("added")
}

pub(crate) fn assert_sound(store: &LocalStore, when: &str) {
    let verified = store.verify(&mut |_, _| ()).unwrap_or_else(|error| panic!("{when}: {error}"));
    assert!(verified.problems.is_empty(), "{when}: {:?}", verified.problems);
}
