//! Ended from outside at any moment.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use osbuild_core::derivation::placeholder;
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StorePath};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fixture::{Fixture, floating};

/// However it ends, nothing can be tidied up.
#[test]
fn a_kill_at_any_moment_leaves_a_sound_store() {
    at_any_moment(Signal::KILL, 40);
}

/// Ctrl-C, which the command hears and ends by itself.
#[test]
fn an_interrupt_at_any_moment_leaves_a_sound_store() {
    at_any_moment(Signal::INT, 20);
}

/// Ended again and again at moments spread over a whole run, the store is
/// sound each time, and the next run goes on where the last one ended.
fn at_any_moment(signal: Signal, rounds: u32) {
    let fixture = Fixture::new();
    let mut entries = serde_json::Map::new();
    let mut inputs = Vec::new();
    for tree in 0..12 {
        let text = format!("{tree} ").repeat(4000);
        let files: serde_json::Map<String, Value> = (0..40)
            .map(|f| (format!("d{}/f{f}", f % 7), json!({ "text": format!("{text}{}", f % 3) })))
            .collect();
        let (path, _) = fixture.tree(&format!("tree-{tree}"), files.into());
        entries.insert(format!("t{tree}"), placeholder::upstream_output(&path, "out").into());
        inputs.push(path);
    }
    let inputs: Vec<&StorePath> = inputs.iter().collect();
    let (_, file) = fixture.derivation("join", "all", json!({ "entries": entries }), floating(), &inputs);

    let mut delay = Duration::from_millis(4);
    let mut finished = 0;
    for round in 0..rounds {
        let mut child = fixture
            .command(&["build", &file, "--quiet", "-j", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(delay);
        let _ = kill_process(Pid::from_child(&child), signal);
        let status = child.wait().unwrap();
        if status.success() {
            finished += 1;
        } else {
            // By our own exit code, or before the first line of ours ran.
            let interrupted = status.code() == Some(130) || status.signal() == Some(Signal::INT.as_raw());
            assert!(signal == Signal::KILL || interrupted, "round {round}, after {delay:?}: {status}");
        }
        let (out, err, code) = fixture.run(&["store", "verify"]);
        assert_eq!(code, 0, "round {round}, ended after {delay:?}: {out}{err}");
        if finished == 1 {
            // Begin anew, so that late moments of a whole run are met too.
            finished = 0;
            let _ = std::fs::remove_file(fixture.place.path().join("result"));
            assert_eq!(fixture.run(&["store", "gc"]).2, 0);
            delay = Duration::from_millis(4);
        }
        delay += Duration::from_millis(280 / u64::from(rounds));
    }
    let (out, err, code) = fixture.run(&["build", &file, "--quiet"]);
    assert_eq!(code, 0, "{out}{err}");
    let result = fixture.place.path().join("result");
    assert_eq!(count_files(&result.canonicalize().unwrap()), 12 * 40);
    assert_eq!(fixture.run(&["store", "gc"]).2, 0);
    let (out, _, code) = fixture.run(&["store", "verify", "--json"]);
    let record: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((record["leftovers"].as_array().map(Vec::len), code), (Some(0), 0), "{out}");
}

/// The names of files that are not finished, in a cache that is a directory.
fn half_written(cache: &Path) -> Vec<PathBuf> {
    let entries = ["", "nar", "actions"].map(|name| cache.join(name).read_dir());
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().as_encoded_bytes().starts_with(b".new-")).collect()
}

/// Stopped in the middle of a file, then killed: the file is left for as long
/// as it has a writer and for some minutes more, and the next publication
/// removes it.
#[test]
fn a_killed_publication_leaves_nothing_for_long() {
    let fixture = Fixture::new();
    let store = LocalStore::open(&fixture.home()).unwrap();
    let big = fixture.place.path().join("big");
    std::fs::File::create(&big).unwrap().set_len(256 << 20).unwrap();
    let tree = SourceTree::Regular { path: big, executable: false };
    let big = store.add_source("big", &tree, Ingestion::Recursive).unwrap();
    let small = SourceTree::Bytes { contents: b"small".to_vec(), executable: false };
    let small = store.add_source("small", &small, Ingestion::Recursive).unwrap();
    let cache = fixture.place.path().join("cache");
    let publish = |path: &StorePath| {
        fixture.command(&["store", "copy", "--to", "cache", "--uncompressed", &format!("/nix/store/{path}")])
    };
    let age = |file: &Path| {
        let old = SystemTime::now() - Duration::from_secs(11 * 60);
        std::fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    };
    // Met in the middle sooner or later.
    let (mut child, left) = (0..20)
        .find_map(|_| {
            let mut child = publish(&big).stdout(Stdio::null()).spawn().unwrap();
            loop {
                let is_big = |path: &PathBuf| path.metadata().is_ok_and(|m| m.len() > 1 << 20);
                if half_written(&cache).iter().any(is_big) {
                    kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
                    if let [left] = half_written(&cache).as_slice() {
                        return Some((child, left.clone()));
                    }
                    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
                }
                if child.try_wait().unwrap().is_some() {
                    std::fs::remove_dir_all(&cache).unwrap();
                    return None;
                }
            }
        })
        .expect("a moment in which the file is half-written");
    let publishes = || assert!(publish(&small).output().unwrap().status.success());
    age(&left);
    publishes();
    assert!(left.exists(), "it has a writer");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(half_written(&cache), std::slice::from_ref(&left));
    // The last page may have been written after it was made older.
    std::fs::File::options().write(true).open(&left).unwrap().set_modified(SystemTime::now()).unwrap();
    publishes();
    assert!(left.exists(), "it is young");
    age(&left);
    publishes();
    assert!(half_written(&cache).is_empty());

    // And the cache is as good as any.
    assert!(publish(&big).output().unwrap().status.success());
    assert!(half_written(&cache).is_empty());
    let words = ["store", "copy", "--from", "cache", &format!("/nix/store/{big}")];
    let output =
        fixture.command(&words).env("OSBUILD_HOME", fixture.place.path().join("elsewhere")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fixture.is_sound();
}

fn count_files(directory: &Path) -> usize {
    directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { count_files(&path) } else { 1 })
        .sum()
}
