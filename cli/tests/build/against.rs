//! `osbuild verify --against`: a release that somebody else published, made again
//! from what is recorded of it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fixture::{Fixture, in_order};
use super::release::Made;

/// Publishes a release whose build copies a slot and runs a script; the
/// repository.
fn published(fixture: &Fixture, script: &str) -> PathBuf {
    let slot = Made::new("1.0.0", 1).write(fixture.place.path());
    let copy = format!("mkdir $out; cp -r $source/* $out; chmod -R u+w $out; {script}");
    let (_, image) = fixture.shell_of("image", &copy, &slot);
    fixture.succeeds(&["repo", "init", "fleet", "--no-passphrase"]);
    fixture.succeeds(&["repo", "publish", "fleet", &image, "--untested", "a test"]);
    fixture.place.path().join("fleet")
}

/// Somebody with a store and a key of their own.
fn rebuilder() -> Fixture {
    let fixture = Fixture::new();
    fixture.succeeds(&["repo", "key", "new", "key.pem", "--no-passphrase"]);
    fixture
}

fn words(repository: &Path) -> Vec<String> {
    let fixed = ["--verdict", "verdict", "--with", "key.pem", "--verifier", "urn:test:rebuilder"];
    let mut words = vec!["verify".to_owned(), "--against".to_owned(), repository.display().to_string()];
    words.extend(fixed.map(str::to_owned));
    words
}

fn read(fixture: &Fixture, name: &str) -> Option<Value> {
    let bytes = std::fs::read(fixture.place.path().join("verdict").join(name)).ok()?;
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// What an envelope holds.
fn payload(envelope: &Value) -> Value {
    let payload = envelope["payload"].as_str().unwrap().as_bytes();
    serde_json::from_slice(&data_encoding::BASE64.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_release_is_made_again_from_what_is_recorded_of_it() {
    let publisher = Fixture::new();
    let repository = published(&publisher, "");
    // Nothing of the publisher's but the repository's public files.
    let copy = tempfile::tempdir().unwrap();
    let public = copy.path().join("public");
    let status =
        std::process::Command::new("cp").arg("-r").args([&repository.join("public"), &public]).status();
    assert!(status.unwrap().success());
    drop(publisher);

    let rebuilder = rebuilder();
    let words = words(&public);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let out = rebuilder.succeeds(&words);
    in_order(&out, &["stable.test.x86_64 1.0.0 is the same, bit for bit"]);
    rebuilder.is_sound();

    let summary = payload(&read(&rebuilder, "summary.intoto.jsonl").unwrap());
    assert_eq!(summary["predicate"]["verificationResult"], "PASSED");
    assert_eq!(summary["predicate"]["verifier"]["id"], "urn:test:rebuilder");
    let link = read(&rebuilder, "rebuild.link").unwrap();
    assert_eq!(link["signed"]["materials"], link["signed"]["products"]);
    let verdict = read(&rebuilder, "verdict.json").unwrap();
    assert!(verdict["signed"]["targets"]["test.x86_64.1.0.0.manifest.json"].is_object(), "{verdict}");

    // Every step once more.
    let out = rebuilder.succeeds(&[&words[..], &["--fresh", "--vary", "path,cores"]].concat());
    in_order(&out, &["is the same", "1 steps are the same, bit for bit"]);
}

#[test]
fn a_release_that_comes_out_otherwise_gets_no_verdict() {
    let publisher = Fixture::new();
    let repository = published(
        &publisher,
        "sbom=$out/sbom.spdx.json; said=$(cat $sbom); echo \"${said%\\}}, \\\"made\\\": $(date +%s%N)}\" > $sbom",
    );
    let rebuilder = rebuilder();
    // Of a release before it.
    std::fs::create_dir(rebuilder.place.path().join("verdict")).unwrap();
    std::fs::write(rebuilder.place.path().join("verdict/verdict.json"), "{}").unwrap();
    let words = words(&repository);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (out, err, code) = rebuilder.run(&words);
    assert_eq!(code, 3, "{out}{err}");
    in_order(&out, &["sbom.spdx.json of stable.test.x86_64 1.0.0 is another", "made"]);
    in_order(&err, &["error: stable.test.x86_64 1.0.0 is not what it is said to be made from"]);
    let summary = payload(&read(&rebuilder, "summary.intoto.jsonl").unwrap());
    assert_eq!(summary["predicate"]["verificationResult"], "FAILED");
    assert_eq!(read(&rebuilder, "verdict.json"), None);
}

#[test]
fn what_is_not_published_so_is_refused_in_words() {
    let publisher = Fixture::new();
    let repository = published(&publisher, "");
    let address = repository.display().to_string();
    let rebuilder = rebuilder();
    for (extra, code, said) in [
        (vec!["aws-k8s"], 2, "nothing of that name is published; there are: stable/test"),
        (vec!["--release", "9.0.0"], 2, "stable.test.x86_64 has no release 9.0.0"),
        (vec!["a", "b"], 2, "--against is about one release"),
        (vec!["--verdict", "verdict"], 2, "--with"),
        (vec!["--only", "a"], 2, "--only"),
    ] {
        let words = [vec!["verify", "--against", &address], extra].concat();
        rebuilder.fails(&words, code, &[said]);
    }
    rebuilder.fails(&["verify", "--against", "."], 1, &["holds no repository"]);

    // Of an output that was given nobody knows what it was made from.
    let other = Made::new("1.1.0", 2).write(publisher.place.path());
    publisher.succeeds(&["repo", "publish", "fleet", other.to_str().unwrap(), "--untested", "a test"]);
    let said = "stable.test.x86_64 1.1.0 was published without the derivations that it comes from";
    rebuilder.fails(&["verify", "--against", &address], 2, &[said]);
    rebuilder.succeeds(&["verify", "--against", &address, "--release", "1.0.0"]);
}
