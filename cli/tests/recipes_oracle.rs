//! Real Nix must give every recipe and variant the derivation path that we do.

use std::path::Path;
use std::process::Command;

#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

fn stdout(command: &mut Command) -> serde_json::Value {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn real_nix_gives_every_recipe_the_same_derivation_path() {
    let Some(mut nix) = judge::judge("nix-instantiate") else { return };
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
