//! What goes well, and what is wrong with the words.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::fixture::Fixture;

#[test]
fn builds_links_and_says_where() {
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    let (out, err, code) = fixture.run(&["build", &file]);
    assert_eq!((code, err.starts_with("built hello (")), (0, true), "{err}");
    let link = fixture.place.path().join("result");
    assert_eq!(std::fs::read_to_string(link.join("a")).unwrap(), "A");
    let path = std::fs::read_link(&link).unwrap();
    assert_eq!(
        out.trim_end(),
        path.to_str().unwrap().replace(fixture.place.path().to_str().unwrap(), "PLACE")
    );

    let (out, err, code) = fixture.run(&["build", &file, "--json"]);
    let record: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((record["schema"].as_u64(), err.as_str(), code), (Some(1), "", 0));

    // The link keeps it, and not what it was made from; without, it goes.
    let (out, _, _) = fixture.run(&["store", "gc"]);
    assert!(out.starts_with("removed 1 objects"), "{out}");
    assert!(path.exists());
    std::fs::remove_file(&link).unwrap();
    let (out, _, _) = fixture.run(&["store", "gc"]);
    assert!(out.starts_with("removed 1 objects"), "{out}");
    assert!(!path.exists());
}

#[test]
fn wrong_words_are_exit_2_and_say_so() {
    let fixture = Fixture::new();
    for (words, expected) in [
        (&["build"][..], "required arguments were not provided"),
        (&["bulid"], "unrecognized subcommand 'bulid'"),
        (&["store", "info", "/etc/passwd"], "'/etc/passwd' is no path of the store"),
        (&["store", "gc", "--max-size", "1X"], "unknown unit 'X'"),
    ] {
        let (out, err, code) = fixture.run(words);
        assert!(err.contains(expected) && out.is_empty(), "{err}");
        assert_eq!(code, 2, "{words:?}");
    }
}

#[test]
fn a_damaged_object_is_named_and_made_again() {
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    let (out, _, _) = fixture.run(&["build", &file]);
    let object = PathBuf::from(out.trim_end().replace("PLACE", fixture.place.path().to_str().unwrap()));
    let at = object.join("a");
    std::fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&at, "B").unwrap();
    let (out, err, code) = fixture.run(&["store", "verify"]);
    assert!(out.contains("hello is corrupt: expected sha256-"), "{out}");
    assert!(err.contains("hint: `osbuild store verify --repair`"), "{err}");
    assert_eq!(code, 3);
    assert_eq!(fixture.run(&["store", "verify", "--repair"]).2, 0);
    assert_eq!(fixture.run(&["build", &file]).2, 0);
    assert_eq!(std::fs::read_to_string(at).unwrap(), "A");
}

#[test]
fn a_store_on_a_read_only_place_says_so() {
    if rustix::process::geteuid().is_root() {
        // Root may write anywhere but here.
        let fixture = Fixture::new();
        let output = fixture.command(&["store", "gc"]).env("OSBUILD_HOME", "/proc/osbuild").output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains("cannot make the directory /proc/osbuild"), "{err}");
        return;
    }
    let fixture = Fixture::new();
    std::fs::set_permissions(fixture.place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o555))
        .unwrap();
    let (_, err, code) = fixture.run(&["store", "gc"]);
    std::fs::set_permissions(fixture.place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    assert!(err.contains("cannot make the directory PLACE/home: Permission denied"), "{err}");
    assert!(err.contains("hint: ") && code == 1, "{err}");
}

/// The result is another one each time that it is built.
#[test]
fn processes_that_want_the_same_build_it_once() {
    let fixture = Fixture::new();
    for round in 0..5 {
        let script = format!("sleep 0.1; cat /proc/sys/kernel/random/uuid > $out # {round}");
        let (_, file) = fixture.shell("random", &script, &[]);
        let command = || fixture.command(&["build", "--no-link", "--quiet", &file]);
        let start = |_| command().stdout(std::process::Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..4).map(start).collect();
        let said = children.into_iter().map(|child| child.wait_with_output().unwrap());
        let said: Vec<(bool, Vec<u8>)> =
            said.map(|output| (output.status.success(), output.stdout)).collect();
        assert!(said.iter().all(|one| one.0 && !one.1.is_empty() && *one == said[0]), "{said:?}");
    }
    fixture.is_sound();
}
