//! Real Nix, if it is here: `OSBUILD_JUDGES` names an unpacked package root,
//! else the PATH is looked at. Absent, it is skipped loudly, or a failure under
//! `OSBUILD_REQUIRE_JUDGES=1`.

use std::path::PathBuf;
use std::process::Command;

pub(crate) fn judge(tool: &str) -> Option<Command> {
    if let Some(root) = std::env::var_os("OSBUILD_JUDGES").map(PathBuf::from) {
        let program = root.join("usr/bin").join(tool);
        if program.exists() {
            let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
            command.arg("--library-path").arg(root.join("usr/lib/x86_64-linux-gnu"));
            command.arg("--argv0").arg(tool).arg(program);
            return Some(command);
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|directory| directory.join(tool).exists()) {
        return Some(Command::new(tool));
    }
    let required = std::env::var_os("OSBUILD_REQUIRE_JUDGES").is_some_and(|value| value == "1");
    assert!(!required, "the judge {tool} is required, and neither in OSBUILD_JUDGES nor in the PATH");
    eprintln!("SKIPPED: the judge {tool} is absent (set OSBUILD_JUDGES)");
    None
}
