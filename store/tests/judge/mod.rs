//! Tools of others that judge our bytes; the tests of every room include this.
//!
//! `OSBUILD_JUDGES` names an unpacked package root whose programs run through
//! its own loader; without it they are taken from the PATH. A judge that is
//! absent skips its part loudly, or fails under `OSBUILD_REQUIRE_JUDGES=1`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A command for the tool, or none where it may be skipped.
pub(crate) fn judge(tool: &str) -> Option<Command> {
    if let Some(root) = std::env::var_os("OSBUILD_JUDGES").map(PathBuf::from) {
        for directory in ["usr/bin", "usr/sbin"] {
            let program = root.join(directory).join(tool);
            if program.exists() {
                return Some(through_loader(&root, tool, &program));
            }
        }
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut candidates = std::env::split_paths(&path).map(|directory| directory.join(tool));
        if let Some(program) = candidates.find(|program| program.exists()) {
            return Some(Command::new(program));
        }
    }
    is_absent(tool, "neither in OSBUILD_JUDGES nor in the PATH");
    None
}

const LATER: &str = "later";

/// A judge that comes with the machine, too large for a package root of ours:
/// a program that a variable names, else one in the PATH; or none where it may
/// be skipped, or is asked at another time: then the variable is [`LATER`].
pub(crate) fn machine_judge(tool: &str, variable: &str) -> Option<PathBuf> {
    if let Some(program) = std::env::var_os(variable) {
        if program == LATER {
            eprintln!("NOT ASKED HERE: the judge {tool}, by {variable}");
            return None;
        }
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(tool)).find(|program| program.exists());
    if found.is_none() {
        is_absent(tool, &format!("not in the PATH, and {variable} does not name it"));
    }
    found
}

fn is_absent(tool: &str, place: &str) {
    assert!(
        std::env::var_os("OSBUILD_REQUIRE_JUDGES").is_none_or(|value| value != "1"),
        "the judge {tool} is required, and {place}"
    );
    eprintln!("SKIPPED: the judge {tool} is absent: {place}");
}

/// Whether the judge is a Nix before 2.34, the release that ours is measured
/// by; what is known to differ there is not asked.
pub(crate) fn is_older_nix() -> bool {
    judge("nix-instantiate").is_some_and(|mut nix| {
        let version = nix.arg("--version").output().expect("it starts").stdout;
        !String::from_utf8_lossy(&version).contains(" 2.34.")
    })
}

fn through_loader(root: &Path, tool: &str, program: &Path) -> Command {
    let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(root.join("usr/lib/x86_64-linux-gnu"))
        .arg("--argv0")
        .arg(tool)
        .arg(program);
    command
}

/// Runs to the end and fails the test with all that was printed otherwise.
pub(crate) fn passes(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
