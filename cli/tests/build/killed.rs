//! Ended from outside at any moment.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use osbuild_core::derivation::placeholder;
use osbuild_store::StorePath;
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

fn count_files(directory: &Path) -> usize {
    directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { count_files(&path) } else { 1 })
        .sum()
}
