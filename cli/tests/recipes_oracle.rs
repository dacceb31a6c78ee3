//! Real Nix must give every recipe and variant the derivation path that we do.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `nix-instantiate` out of `OSBUILD_JUDGES` (an unpacked package root), else
/// from the PATH; `None` if it is absent and may be.
fn nix_instantiate() -> Option<Command> {
    let judges = std::env::var_os("OSBUILD_JUDGES").map(PathBuf::from);
    let command = match &judges {
        Some(root) => {
            let mut command = Command::new(root.join("usr/lib64/ld-linux-x86-64.so.2"));
            command.arg("--library-path").arg(root.join("usr/lib/x86_64-linux-gnu"));
            command.args(["--argv0", "nix-instantiate"]).arg(root.join("usr/bin/nix-instantiate"));
            command
        }
        None => Command::new("nix-instantiate"),
    };
    let is_there = match &judges {
        Some(root) => root.join("usr/bin/nix-instantiate").exists(),
        None => Command::new("nix-instantiate").arg("--version").output().is_ok(),
    };
    if is_there {
        return Some(command);
    }
    assert!(
        std::env::var_os("OSBUILD_REQUIRE_JUDGES").is_none_or(|value| value != "1"),
        "the judge nix-instantiate is required, and neither in OSBUILD_JUDGES nor in the PATH"
    );
    eprintln!("SKIPPED: the judge nix-instantiate is absent (set OSBUILD_JUDGES)");
    None
}

fn stdout(command: &mut Command) -> serde_json::Value {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn real_nix_gives_every_recipe_the_same_derivation_path() {
    let Some(mut nix) = nix_instantiate() else { return };
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the project");
    let home = tempfile::tempdir().unwrap();
    let expression = format!(
        "let r = import {}/recipes {{ }}; paths = builtins.mapAttrs (_: p: p.drvPath); in \
         {{ pkgs = paths r.pkgs; variants = paths r.variants; }}",
        project.display()
    );
    let theirs = stdout(
        nix.args(["--option", "experimental-features", "ca-derivations"])
            .args(["--eval", "--strict", "--json", "-E", &expression])
            .env("NIX_REMOTE", "dummy://")
            .env("HOME", home.path()),
    );
    let ours = stdout(
        Command::new(env!("CARGO_BIN_EXE_osbuild"))
            .args(["eval", "--strict", "--json", "--expr", &expression])
            .env("OSBUILD_HOME", home.path()),
    );
    let names = |value: &serde_json::Value| value["pkgs"].as_object().map_or(0, serde_json::Map::len);
    assert!(names(&theirs) > 20, "too few packages: {theirs}");
    assert_eq!(ours, theirs);
}
