//! What builders are told of where they are: a program in the sandbox says it.

#![cfg(feature = "probe")]

use std::collections::{BTreeMap, BTreeSet};

use osbuild_sandbox::{BUILDER_IDS, BuildFileSystem, Conditions, Particulars, SandboxError, Told, probe};

fn ask(conditions: &Conditions) -> Result<Particulars, SandboxError> {
    let place = tempfile::tempdir().unwrap();
    let (objects, scratch) = (place.path().join("objects"), place.path().join("scratch"));
    std::fs::create_dir(&objects).unwrap();
    std::fs::create_dir(&scratch).unwrap();
    // Builders of other users work in there.
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    probe(&objects, &scratch, BUILDER_IDS.start, &BTreeMap::new(), conditions)
}

fn normal() -> Conditions {
    Conditions::default()
}

/// Under changed conditions, exactly these particulars differ.
fn check(changed: &Conditions, expected: &[(&str, &str)]) {
    let before = ask(&normal()).unwrap();
    let after = ask(changed).unwrap();
    let differing: BTreeSet<&str> =
        before.keys().filter(|name| before[*name] != after[*name]).map(String::as_str).collect();
    assert_eq!(differing, expected.iter().map(|(name, _)| *name).collect(), "{before:#?}\n{after:#?}");
    for (name, value) in expected.iter().filter(|(_, value)| !value.is_empty()) {
        assert_eq!(after[*name], *value, "{name}");
    }
}

#[test]
fn a_builder_finds_what_it_is_promised() {
    let found = ask(&normal()).unwrap();
    for (name, value) in [
        ("build-directory", "/build"),
        ("group-id", "100"),
        ("host-name", "localhost"),
        (
            "memory-file",
            "MemTotal:        8388608 kB|MemFree:         8388608 kB|MemAvailable:    8388608 kB|SwapTotal:             0 kB|SwapFree:              0 kB|",
        ),
        ("process-id", "2"),
        ("umask", "18"),
        ("user-id", "1000"),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert_eq!(found, ask(&normal()).unwrap(), "and the same again");
}

#[test]
fn users_and_names_differ() {
    let changed = Conditions {
        user_name: "someone".to_owned(),
        group_name: "some".to_owned(),
        user_id: 4321,
        group_id: 765,
        host_name: "elsewhere".to_owned(),
        ..normal()
    };
    let expected = [
        ("group-id", "765"),
        ("group-names", ""),
        ("host-name", "elsewhere"),
        ("user-id", "4321"),
        ("user-names", ""),
    ];
    check(&changed, &expected);
}

#[test]
fn places_and_masks_differ() {
    let build_directory = format!("/build-{}", "long".repeat(20));
    let changed = Conditions { build_directory: build_directory.clone(), umask: 0o027, ..normal() };
    check(&changed, &[("build-directory", &build_directory), ("umask", "23"), ("user-names", "")]);
}

#[test]
fn process_ids_begin_elsewhere() {
    let changed = Conditions { first_process_id: Some(20_000), ..normal() };
    check(&changed, &[("process-id", "20000")]);
}

#[test]
fn addresses_differ() {
    check(&Conditions { randomises_addresses: true, ..normal() }, &[("addresses", "")]);
}

#[test]
fn the_file_system_differs() {
    let changed = Conditions { build_file_system: BuildFileSystem::Overlay, ..normal() };
    let overlay = 0x794c_7630_u32.to_string();
    check(&changed, &[("file-system", &overlay)]);
}

#[test]
fn the_clock_differs_without_another_way_to_read_it() {
    const DAYS: i64 = 400;
    let told = Told { clock_offset_seconds: DAYS * 86_400, ..Told::default() };
    let before: i64 = ask(&normal()).unwrap()["clock-days"].parse().unwrap();
    let after = (before + DAYS).to_string();
    check(
        &Conditions { told, ..normal() },
        &[("clock-days", &after), ("clock-without-calls", "0"), ("file-days", &after)],
    );
}

#[test]
fn directories_are_read_from_their_end() {
    let told = Told { reverses_directories: true, ..Told::default() };
    let order = ask(&normal()).unwrap()["directory-order"].clone();
    let reversed: String = order.chars().rev().collect();
    check(&Conditions { told, ..normal() }, &[("clock-without-calls", "0"), ("directory-order", &reversed)]);
}

#[test]
fn kernel_and_memory_differ() {
    let told = Told {
        kernel_release: Some("9.8.7-other".to_owned()),
        memory_bytes: Some(3 << 30),
        ..Told::default()
    };
    check(
        &Conditions { told, ..normal() },
        &[
            ("clock-without-calls", "0"),
            ("kernel-release", "9.8.7-other"),
            ("kernel-release-file", "9.8.7-other|"),
            ("memory", "3221225472"),
            ("memory-file", ""),
        ],
    );
}
