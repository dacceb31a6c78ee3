//! `osbuild shell`: what a builder has, and nothing that is kept.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use super::fixture::Fixture;

#[test]
fn it_has_what_the_builder_has() {
    let fixture = Fixture::new();
    let (input, _) = fixture.shell("input", "echo from the input > $out", &[]);
    // What differs from one process to the next is not asked for.
    let look = "id; pwd; umask; ulimit -a; env | while read -r l; do case $l in PATH=*|TERM=*|_=*|SHLVL=*|out=*) ;; \
                *) echo \"$l\";; esac; done; ls -a / /build /tmp /dev; cat /etc/passwd $input0; \
                cat /proc/self/status | while read -r a b; do case $a in Cap*|Seccomp*|NoNewPrivs*) echo $a $b;; \
                esac; done";
    let (_, file) = fixture.shell("look", &format!("({look}) > $out"), &[&input]);
    let seen = fixture.succeeds(&["build", &file, "--quiet"]);
    let seen = seen.trim_end().replace("PLACE", fixture.place.path().to_str().unwrap());
    let mut seen = std::fs::read_to_string(seen).unwrap();
    // The script that runs the builder.
    seen = seen.replacen("/tmp:\n.\n..\n", "/tmp:\n.\n..\nbuilder\n", 1);
    let shown = fixture.succeeds(&["shell", &file, "--quiet", "--run", look]);
    assert_eq!(shown, seen);
    assert!(shown.contains("from the input\n") && shown.contains("Seccomp: 2\n"), "{shown}");
}

#[test]
fn the_builder_can_be_run_in_it_and_nothing_is_kept() {
    let fixture = Fixture::new();
    let script = "echo \"it's $PATH\" > $out; echo more > /build/file";
    let (path, file) = fixture.shell("built-inside", script, &[]);
    let run = "/tmp/builder && cat $out /build/file";
    let (out, err, code) = fixture.run(&["shell", &file, "--run", run]);
    assert_eq!((out.as_str(), code), ("it's /usr/bin\nmore\n", 0), "{err}");
    let left = std::fs::read_dir(fixture.home().join("build")).unwrap().count();
    assert_eq!(left, 0);
    fixture.is_sound();
    let (_, err, code) = fixture.run(&["log", &file]);
    assert!(err.contains(&format!("there is no log of {path}")) && code == 1, "{err}");
}

#[test]
fn a_shell_that_fails_says_how() {
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("hello", "echo hello > $out", &[]);
    fixture.fails(&["shell", &file, "--run", "exit 3"], 1, &["error: the shell ended with exit code 3\n"]);
    let (_, tree) = fixture.tree("tree", json!({ "a": { "text": "A" } }));
    fixture.fails(
        &["shell", &tree],
        1,
        &["error: tree is made by this program, in no sandbox\n", "hint: its parameters are shown by"],
    );
    let (broken, _) = fixture.shell("broken", "exit 1", &[]);
    let (_, above) = fixture.shell("above", "echo > $out", &[&broken]);
    fixture.fails(&["shell", &above, "--run", "true"], 1, &["builder failed", "while building: broken"]);
}

#[test]
fn commands_may_come_from_a_file() {
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("hello", "echo hello > $out", &[]);
    let mut child = fixture
        .command(&["shell", &file, "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"echo one\necho two\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.status.code()), (b"one\ntwo\n".as_slice(), Some(0)));
}

#[test]
fn an_interrupt_ends_what_it_runs() {
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("hello", "echo hello > $out", &[]);
    let mut child = fixture
        .command(&["shell", &file, "--quiet", "--run", "echo begun; sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let began = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    assert_eq!(std::fs::read_dir(fixture.home().join("build")).unwrap().count(), 0);
    fixture.is_sound();
}

/// A user at a terminal.
struct User {
    terminal: std::fs::File,
    seen: String,
}

impl User {
    fn open() -> (Self, OwnedFd) {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let program = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        rustix::io::ioctl_fionbio(&terminal, true).unwrap();
        (Self { terminal: terminal.into(), seen: String::new() }, program)
    }

    fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until the text appears after what was awaited before.
    fn awaits(&mut self, text: &str) {
        let began = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no '{text}' in: {}", self.seen);
            let mut buffer = [0; 4096];
            match self.terminal.read(&mut buffer) {
                Ok(got) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..got])),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

#[test]
fn at_a_terminal_it_is_one_of_its_own() {
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("hello", "echo hello > $out", &[]);
    let (mut user, program) = User::open();
    let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&user.terminal, size).unwrap();
    // As a login does it: a session with this terminal.
    let mut command = Command::new("setsid");
    let shell = fixture.command(&["shell", &file]);
    command
        .args(["--ctty", "--wait"])
        .arg(shell.get_program())
        .args(shell.get_args())
        .env_clear()
        .envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", "/usr/bin:/bin")
        .current_dir(fixture.place.path())
        .stdin(program.try_clone().unwrap())
        .stdout(program.try_clone().unwrap())
        .stderr(program);
    let mut child = command.spawn().expect("the host has setsid");
    drop(command);
    user.awaits("in the sandbox of hello; /tmp/builder runs its builder");
    // Typed earlier, a line is echoed in front of the prompt.
    user.awaits("\n$ ");
    user.types("echo $((6*7))\n");
    user.awaits("\n42");
    user.awaits("\n$ ");
    // Ctrl-C reaches what runs inside, and it alone.
    user.types("echo begun; sleep 1000\n");
    user.awaits("\nbegun");
    std::thread::sleep(Duration::from_millis(300));
    user.types("\x03");
    user.types("echo still $((1+1))\n");
    user.awaits("still 2");
    user.types("exit 5\n");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not end: {}", user.seen);
        let mut buffer = [0; 4096];
        let _ = user.terminal.read(&mut buffer);
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
    fixture.is_sound();
}
