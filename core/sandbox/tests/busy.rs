//! Programs that somebody still writes. In a process of its own: what it starts
//! would hold the locks of tests beside it.

#![cfg(feature = "probe")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use osbuild_sandbox::{Attached, BUILDER_IDS, Conditions, PROBE, SandboxSpec};

/// As a child of another build holds what this process writes just then.
#[test]
fn a_program_that_is_being_written_is_waited_for() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (objects, scratch) = (place.path().join("objects"), place.path().join("scratch"));
    fs::create_dir(&objects).unwrap();
    fs::create_dir(&scratch).unwrap();
    let program = objects.join("program");
    fs::write(&program, PROBE).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let held = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let output = std::os::fd::OwnedFd::from(fs::File::create("/dev/null").unwrap());
    let spec = SandboxSpec {
        package_root: None,
        objects: &objects,
        store_dir: "/nix/store",
        inputs: &["program".to_owned()],
        scratch: &scratch,
        program: b"/nix/store/program",
        arguments: &[],
        environment: &BTreeMap::new(),
        files: &[],
        builder_uid: BUILDER_IDS.start,
        attached: Attached::Output(&output),
        conditions: &Conditions::default(),
    };
    let mut holder = Command::new("sleep").arg("0.3").stdout(held).spawn().unwrap();
    let ended = spec.start().unwrap().wait().unwrap();
    assert!(ended.status.success(), "{}", ended.status);
    assert!(holder.wait().unwrap().success());
}
