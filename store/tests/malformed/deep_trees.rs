//! Trees whose paths are longer than the kernel takes: an archive and a build
//! can make them, since they need not name a path to do so.

use std::os::fd::OwnedFd;
use std::path::Path;

use osbuild_store::LocalStore;
use osbuild_store::local::{GcRequest, remove_tree};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

/// Directories in directories, each with a file and with a name of this many
/// bytes.
fn deep_tree(root: &Path, levels: usize, name_bytes: usize) {
    let name = "d".repeat(name_bytes);
    std::fs::create_dir(root).expect("made");
    let open = |at: &OwnedFd, name: &str, flags: OFlags| {
        openat(at, name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o444)).expect("opened")
    };
    let mut directory =
        openat(CWD, root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("opened");
    for _ in 0..levels {
        open(&directory, "file", OFlags::CREATE | OFlags::WRONLY);
        mkdirat(&directory, name.as_str(), Mode::from_raw_mode(0o755)).expect("made");
        directory = open(&directory, &name, OFlags::DIRECTORY);
    }
}

#[test]
fn a_tree_too_deep_for_paths_stayed_for_ever() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let store = LocalStore::open(home.path()).expect("opened");
    for (levels, name_bytes) in [(40, 255), (2100, 1), (100, 120)] {
        let tree = home.path().join("build/left");
        deep_tree(&tree, levels, name_bytes);
        // Of its own, as after a failed build, and as what a killed one left.
        remove_tree(&tree).expect("removed");
        assert!(!tree.exists());
        deep_tree(&tree, levels, name_bytes);
        let collected = store.collect_garbage(GcRequest::default(), || ()).expect("collected");
        assert_eq!(collected.leftovers, 1);
        assert!(!tree.exists());
    }
}
