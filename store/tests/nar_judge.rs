//! Archives and content addresses, judged by real Nix.

#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use osbuild_store::nar::{dump_path, unpack};

use judge::judge;

/// Names in the order of bytes, not of a locale; every kind of file; sizes
/// around the padding.
fn sample(root: &Path) {
    fs::create_dir_all(root.join("dir/empty")).unwrap();
    for (index, name) in ["B", "a", "a.b", "a-b", "ab", "é", "~", "dir/deep"].into_iter().enumerate() {
        fs::write(root.join(name), "x".repeat(index + 4)).unwrap();
    }
    fs::write(root.join("nothing"), "").unwrap();
    fs::write(root.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../elsewhere", root.join("link")).unwrap();
}

#[test]
fn nix_writes_the_same_archive_and_reads_ours() {
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    sample(&tree);
    let mut ours = Vec::new();
    dump_path(&tree, &mut ours).unwrap();

    let Some(mut dump) = judge("nix-store") else { return };
    let state = place.path().join("state");
    let output =
        dump.arg("--dump").arg(&tree).env("NIX_STATE_DIR", &state).env("NIX_REMOTE", "dummy://").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ours, output.stdout);

    let archive = place.path().join("tree.nar");
    fs::write(&archive, &ours).unwrap();
    let restored = place.path().join("restored");
    let mut restore = judge("nix-store").expect("it was there a moment ago");
    restore.arg("--restore").arg(&restored).stdin(fs::File::open(&archive).unwrap());
    let output = restore.env("NIX_STATE_DIR", &state).env("NIX_REMOTE", "dummy://").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut again = Vec::new();
    dump_path(&restored, &mut again).unwrap();
    assert_eq!(again, ours);

    unpack(&mut ours.as_slice(), &place.path().join("unpacked")).unwrap();
    let mut again = Vec::new();
    dump_path(&place.path().join("unpacked"), &mut again).unwrap();
    assert_eq!(again, ours);
}
