//! Directories of the host.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::common::{compared_trees, leaves};

#[track_caller]
fn check(make: impl Fn(&Path, bool), expected: &[&str]) {
    let found = compared_trees(&make).map(|difference| leaves(&difference)).unwrap_or_default();
    assert_eq!(found, expected);
    assert_eq!(compared_trees(|path, _| make(path, true)), None);
}

fn write(path: &Path, name: &str, contents: &str) {
    fs::write(path.join(name), contents).unwrap();
}

#[test]
fn what_only_one_side_has() {
    let make = |path: &Path, is_right| {
        write(path, "both", "x\n");
        if is_right { write(path, "right", "x\n") } else { write(path, "left", "x\n") }
    };
    check(make, &["left: only left []", "right: only right []"]);
}

#[test]
fn kinds_modes_and_targets() {
    let kind = |path: &Path, is_right| {
        if is_right { fs::create_dir(path.join("a")).unwrap() } else { write(path, "a", "x\n") }
    };
    check(kind, &["a: file | directory []"]);
    let mode = |path: &Path, is_right| {
        write(path, "a", "x\n");
        let mode = if is_right { 0o755 } else { 0o644 };
        fs::set_permissions(path.join("a"), fs::Permissions::from_mode(mode)).unwrap();
    };
    check(mode, &["a › mode: value [mode]"]);
    let target = |path: &Path, is_right| {
        symlink(if is_right { "/build/one/x" } else { "/build/two/x" }, path.join("a")).unwrap();
    };
    check(target, &["a › target: value [path]"]);
}

#[test]
fn mode_and_contents_at_once() {
    let make = |path: &Path, is_right| {
        write(path, "a", if is_right { "x\n" } else { "y\n" });
        let mode = if is_right { 0o755 } else { 0o644 };
        fs::set_permissions(path.join("a"), fs::Permissions::from_mode(mode)).unwrap();
    };
    check(make, &["a › mode: value [mode]", "a › contents: text []"]);
}

#[test]
fn names_that_are_not_utf_8() {
    let make = |path: &Path, is_right| {
        let path = path.join(OsStr::from_bytes(b"d\xff"));
        fs::create_dir(&path).unwrap();
        write(&path, "a", if is_right { "x\n" } else { "y\n" });
    };
    check(make, &["d\\xff › a: text []"]);
}

/// A link to a directory is a link: what it leads to is not looked at.
#[test]
fn links_are_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let make = |path: &Path, is_right| {
        symlink(outside.path(), path.join("link")).unwrap();
        write(outside.path(), "a", if is_right { "x\n" } else { "y\n" });
    };
    check(make, &[]);
}

#[test]
fn an_error_names_the_path() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    let limits = osbuild_compare::Limits::default();
    let error = osbuild_compare::compare(&missing, place.path(), &limits, place.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot look at {}", missing.display()));
}
