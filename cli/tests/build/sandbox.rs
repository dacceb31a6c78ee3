//! Builds that fail, that may not run, and that are interrupted.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::fixture::{Fixture, in_order};
use super::server::{STALLS, Server};

#[test]
fn a_failing_build_shows_its_tail_and_where_the_log_is() {
    let fixture = Fixture::new();
    let script = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; echo gone wrong >&2; exit 7";
    let (path, file) = fixture.shell("broken", script, &[]);
    let log = format!("home/log/{}/{}", &path.as_str()[..2], &path.as_str()[2..]);
    fixture.fails(
        &["build", &file, "--quiet"],
        1,
        &[
            "error: builder failed with exit code 7\n  while building: broken\n  | line 16\n",
            "  | line 39\n  | gone wrong\n",
            &format!(
                "  whole log: PLACE/{log}\nhint: `osbuild shell /nix/store/{path}` opens its sandbox; --keep-failed keeps \
                 the build's directory\n"
            ),
        ],
    );
    let text = std::fs::read_to_string(fixture.place.path().join(log)).unwrap();
    assert!(text.starts_with("line 0\n") && text.ends_with("gone wrong\n"), "{text}");
}

/// In a user namespace whose own limit of user namespaces is 0.
#[test]
fn a_host_without_user_namespaces_is_told_how_to_allow_them() {
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("hello", "echo hello > $out", &[]);
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces; exec {} build --quiet {file}",
        env!("CARGO_BIN_EXE_osbuild")
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-euc", &script])
        .env("OSBUILD_HOME", fixture.home())
        .env("HOME", fixture.place.path())
        .current_dir(fixture.place.path())
        .output()
        .expect("the host has unshare");
    let err = String::from_utf8(output.stderr).unwrap();
    in_order(
        &err,
        &[
            "error: this host does not let users make namespaces, which builds run in: ",
            "while building: hello\n",
            "hint: allow it with: sysctl user.max_user_namespaces=65536\n",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{err}");
    fixture.is_sound();
    fixture.succeeds(&["build", &file]);
}

/// Command lines of processes that hold this word.
fn processes_with(word: &str) -> Vec<String> {
    let lines = Path::new("/proc").read_dir().unwrap().flatten();
    let lines = lines.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|l| l.contains(word)).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(fixture: &Fixture, file: &str) -> Child {
    start_with(fixture, &["build", file])
}

fn start_with(fixture: &Fixture, words: &[&str]) -> Child {
    fixture.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Ctrl-C; the command must end by itself, soon and with its exit code.
fn interrupt(fixture: &Fixture, child: Child) {
    let asked = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.ends_with("error: interrupted\n"), "{err}");
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?}", asked.elapsed());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(fixture.place.path().to_str().unwrap()), "{mounts}");
    let scratch: Vec<_> = fixture.home().join("build").read_dir().unwrap().flatten().collect();
    assert!(scratch.is_empty(), "{scratch:?}");
    fixture.is_sound();
}

#[test]
fn an_interrupted_build_leaves_no_process_and_the_next_run_goes_on() {
    let fixture = Fixture::new();
    let (first, _) = fixture.shell("first", "echo first > $out", &[]);
    // Told apart from what other tests run at the same time.
    let time = format!("4.{:07}", std::process::id());
    let (_, file) =
        fixture.shell("second", &format!("sleep {time} & sleep {time}; cat $input0 > $out"), &[&first]);
    let child = start(&fixture, &file);
    let word = format!("sleep {time}");
    let sleeping = || processes_with(&word).iter().filter(|line| line.starts_with("sleep")).count();
    until("both of the build's processes", || sleeping() == 2);
    interrupt(&fixture, child);
    assert_eq!(processes_with(&word), Vec::<String>::new());

    let (_, err, code) = fixture.run(&["build", &file]);
    assert!(code == 0 && err.starts_with("built second (") && err.lines().count() == 1, "{err}");
}

#[test]
fn an_interrupted_download_ends_at_once_and_is_resumed() {
    let fixture = Fixture::new();
    let server = Server::start(&[]);
    let url = format!("{}/stalls", server.address);
    let file = fixture.fetch("stalls", json!({ "urls": [url] }), STALLS);
    let child = start(&fixture, &file);
    server.wait_until_stalled(1);
    // The half that was sent has to get to the disk.
    let partial = fixture.home().join("cache/partial");
    until("half of the file", || {
        partial.read_dir().is_ok_and(|d| d.flatten().any(|e| e.metadata().is_ok_and(|m| m.len() == 5)))
    });
    interrupt(&fixture, child);
    fixture.succeeds(&["build", &file]);
}

#[test]
fn a_download_that_hangs_holds_no_build() {
    let fixture = Fixture::new();
    let server = Server::start(&[]);
    let url = format!("{}/silent", server.address);
    let download = fixture.fetch("silent", json!({ "urls": [url] }), b"x");
    let (low, _) = fixture.shell("low", "echo low > $out", &[]);
    let (_, build) = fixture.shell("build", "cat $input0 > $out", &[&low]);
    let child = start_with(&fixture, &["build", "--no-link", "-j1", &download, &build]);
    server.wait_until_stalled(1);
    let built = fixture.home().join("store");
    let is_built = || {
        built
            .read_dir()
            .is_ok_and(|d| d.flatten().any(|e| e.file_name().as_encoded_bytes().ends_with(b"-build")))
    };
    until("what does not need the download", is_built);
    interrupt(&fixture, child);
}

#[test]
fn a_server_that_never_answers_does_not_hold_the_command() {
    let fixture = Fixture::new();
    let server = Server::start(&[]);
    let url = format!("{}/silent", server.address);
    let file = fixture.fetch("silent", json!({ "urls": [url] }), b"x");
    let child = start(&fixture, &file);
    server.wait_until_stalled(1);
    interrupt(&fixture, child);
}
