//! Sources that cannot be had.

use std::path::Path;

use osbuild_store::{HashAlgorithm, NixHash};
use serde_json::json;

use super::fixture::Fixture;
use super::server::Server;

#[test]
fn no_mirror_is_known() {
    let fixture = Fixture::new();
    let file = fixture.fetch("source.tar", json!({ "urls": ["mirror://my-place/source.tar"] }), b"x");
    let (_, err, code) = fixture.run(&["build", &file, "--quiet"]);
    assert_eq!(
        (err.as_str(), code),
        (
            "error: cannot download: no mirror is known for mirror://my-place/\n  \
             while building: source.tar\n\
             hint: name one in ~/.config/osbuild/config.toml:\n  [mirrors]\n  my-place = \"https://…\"\n\
             or in the environment: OSBUILD_MIRROR_MY_PLACE\n",
            2
        )
    );
    // And that is all it takes.
    std::fs::write(fixture.place.path().join("source.tar"), "x").unwrap();
    let config = fixture.place.path().join(".config/osbuild");
    std::fs::create_dir_all(&config).unwrap();
    let text = format!("[mirrors]\nmy-place = \"file://{}\"\n", fixture.place.path().display());
    std::fs::write(config.join("config.toml"), text).unwrap();
    assert_eq!(fixture.run(&["build", &file]).2, 0);
}

#[test]
fn a_wrong_hash_is_refused_with_both_hashes() {
    let fixture = Fixture::new();
    let evil = fixture.place.path().join("evil");
    std::fs::write(&evil, "evil").unwrap();
    let url = format!("file://{}", evil.display());
    let file = fixture.fetch("source.tar", json!({ "urls": [url] }), b"good");
    let (_, err, code) = fixture.run(&["build", &file, "--quiet"]);
    let hash = |text: &[u8]| NixHash::of(HashAlgorithm::Sha256, text).to_sri();
    let expected = format!(
        "error: cannot download: hash mismatch for file://PLACE/evil: expected {}, got {}\n  \
         while building: source.tar\nhint: ",
        hash(b"good"),
        hash(b"evil")
    );
    assert!(err.starts_with(&expected), "{err}");
    assert_eq!(code, 3);
    // The derivation alone.
    assert_eq!(fixture.run(&["store", "verify"]).0, "1 objects, 0 problems\n");
    std::fs::write(&evil, "good").unwrap();
    fixture.succeeds(&["build", &file]);
}

/// A mirror on loopback whose suite moved on; its key is one of our own.
/// `gpg --quick-gen-key … ed25519 sign`, `gpg --clearsign`; the key is gone.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/build/suite");

#[test]
fn a_pin_that_is_gone_names_what_is_served_instead() {
    let fixture = Fixture::new();
    let server = Server::start(&[Path::new(SUITE), fixture.place.path()]);
    let config = fixture.place.path().join(".config/osbuild");
    std::fs::create_dir_all(&config).unwrap();
    let write_config = |keyring: &str| {
        let text = format!("keyring = \"{keyring}\"\n[mirrors]\nmine = \"{}\"\n", server.address);
        std::fs::write(config.join("config.toml"), text).unwrap();
    };
    let pinned = |package: &str, path: &str| {
        let pin = json!({ "lock": "sdk-c", "suite": "test", "package": package, "version": "14" });
        let urls =
            [format!("mirror://mine/{path}"), format!("mirror://mine-snapshot/20260912T075541Z/{path}")];
        let name = path.rsplit('/').next().unwrap();
        fixture.fetch(name, json!({ "urls": urls, "pin": pin }), b"x")
    };
    write_config(&format!("{SUITE}/keyring.asc"));
    for (package, path, hint) in [
        (
            "gcc",
            "pool/gcc_14.deb",
            "hint: suite test now has gcc 15.2-1: `osbuild lock update sdk-c` pins it\n",
        ),
        (
            "linux",
            "pool/linux_14.orig.tar.xz",
            "hint: suite test now has linux 6.12.110-1: `osbuild lock update sdk-c` pins it\n",
        ),
        ("kept", "pool/kept_14.deb", "hint: suite test still lists this version: the mirror is incomplete"),
        ("lost", "pool/lost_14.deb", "hint: suite test has no lost any more: name another in the request of"),
    ] {
        let file = pinned(package, path);
        let name = path.rsplit('/').next().unwrap();
        let error = format!(
            "error: cannot download {package} 14 (lock sdk-c): cannot fetch {name}: no mirror serves it any more\n  \
             {0}/{path}: 404 Not Found\n  \
             mirror://mine-snapshot/20260912T075541Z/{path}: no mirror is known for mirror://mine-snapshot/\n  \
             while building: {name}\n",
            server.address
        );
        fixture.fails(&["build", &file, "--quiet"], 1, &[&error, hint]);
        // Where the file is again, the same command ends well.
        std::fs::create_dir_all(fixture.place.path().join("pool")).unwrap();
        std::fs::write(fixture.place.path().join(path), "x").unwrap();
        fixture.succeeds(&["build", &file]);
    }

    // An index that cannot be believed is not spoken of.
    write_config("/nowhere");
    let file = pinned("other", "pool/other_14.deb");
    let hint =
        "hint: mirrors drop superseded versions: `osbuild lock update sdk-c` pins what the suite has now\n";
    fixture.fails(&["build", &file, "--quiet"], 1, &["404 Not Found", "while building", hint]);
}

/// A place that not everybody can reach is asked where it is known, and not
/// missed where another has the file.
#[test]
fn an_archive_of_past_states_is_a_further_place() {
    let fixture = Fixture::new();
    let server = Server::start(&[fixture.place.path()]);
    std::fs::create_dir_all(fixture.place.path().join("20260912T075541Z")).unwrap();
    std::fs::write(fixture.place.path().join("new"), "x").unwrap();
    std::fs::write(fixture.place.path().join("20260912T075541Z/old"), "y").unwrap();
    let fetch = |name: &str, contents: &[u8]| {
        let urls =
            [format!("mirror://mine/{name}"), format!("mirror://mine-snapshot/20260912T075541Z/{name}")];
        fixture.fetch(name, json!({ "urls": urls }), contents)
    };
    let build = |file: &str, snapshot: Option<&str>| {
        let mut command = fixture.command(&["build", "--no-link", file]);
        command.env("OSBUILD_MIRROR_MINE", &server.address);
        command.envs(snapshot.map(|address| ("OSBUILD_MIRROR_MINE_SNAPSHOT", address)));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = build(&fetch("new", b"x"), None);
    assert!(code == Some(0) && !err.contains("snapshot"), "{err}");
    let old = fetch("old", b"y");
    let (code, err) = build(&old, None);
    assert!(code == Some(1) && err.contains("no mirror is known for mirror://mine-snapshot/"), "{err}");
    let (code, err) = build(&old, Some(&server.address));
    assert_eq!(code, Some(0), "{err}");
    fixture.is_sound();
}
