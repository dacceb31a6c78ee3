//! Rules of the house that no compiler checks: who may lean on whom, which
//! rooms are pure, where unsafe code may stand, what must not be written.

use std::fs;
use std::path::{Path, PathBuf};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the project").to_owned()
}

/// Rust files below a folder, with their text; `target` left out.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![project().join(folder)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                waiting.extend(fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(project()).expect("below the project").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("UTF-8")));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources below {folder}");
    found
}

/// Lines that are code, not comments or tests' text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

fn refuse(folder: &str, words: &[&str], except: &[&str], why: &str) {
    let mut wrong = Vec::new();
    for (name, text) in sources(folder) {
        if except.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        // A file's tests, at its end, may do as they like.
        let body = text.split("#[cfg(test)]").next().unwrap_or("");
        for line in code(body) {
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{why}:\n{}", wrong.join("\n"));
}

#[test]
fn arrows_point_from_cli_to_core_to_store() {
    let manifest =
        |folder: &str| fs::read_to_string(project().join(folder).join("Cargo.toml")).expect("readable");
    for (folder, forbidden) in [
        ("store", &["osbuild-core", "osbuild-format", "osbuild-boot"][..]),
        ("core", &["osbuild = "]),
        ("core/boot", &["osbuild-", "[dependencies]"]),
        ("core/format", &["osbuild-core", "osbuild-store"]),
        ("core/install", &["osbuild-core", "osbuild-store", "osbuild-tuf", "osbuild-update"]),
        ("qemu-tests", &["osbuild-core", "osbuild-store", "osbuild-boot", "osbuild-format"]),
    ] {
        let text = manifest(folder);
        let body: Vec<&str> =
            text.lines().filter(|line| !line.starts_with("name =") && !line.starts_with('#')).collect();
        for word in forbidden {
            assert!(!body.iter().any(|line| line.contains(word)), "{folder} must not lean on {word}");
        }
    }
    refuse(
        "core/src/derivation",
        &["crate::lang", "crate::build", "crate::graph", "crate::instantiate"],
        &[],
        "derivation leans on nothing above it",
    );
    refuse(
        "core/src/lang",
        &["crate::build", "crate::graph", "crate::instantiate", "crate::fetch", "crate::image"],
        &[],
        "lang knows no store and no build",
    );
    refuse(
        "core/src/graph",
        &["crate::lang", "crate::instantiate", "crate::image"],
        &[],
        "graph knows derivations only",
    );
}

#[test]
fn pure_rooms_touch_nothing() {
    let effects = ["std::fs", "std::net", "std::process", "std::env", "SystemTime", "Instant::now"];
    let rooms = [
        "core/src/derivation",
        "core/src/lang",
        "core/src/graph/picture",
        "core/format/src",
        "core/install/src",
        "core/boot/src",
        "recipes/operator/src/law",
    ];
    for folder in rooms {
        // The suite that every host must pass is test code in a file of its own.
        refuse(folder, &effects, &["core/src/lang/host/suite.rs"], "pure rooms take bytes and return bytes");
    }
}

#[test]
fn unsafe_code_stands_where_it_may() {
    let allowed = [
        "core/sandbox",
        "core/src/lang",
        // What no library would call is what an attacker calls.
        "core/tests/engine/attacker.rs",
        "recipes/agents/sys",
        "recipes/agents/loader",
    ];
    for folder in ["store", "core", "cli", "qemu-tests", "recipes/agents", "recipes/operator"] {
        refuse(folder, &["unsafe {", "unsafe fn", "unsafe impl"], &allowed, "unsafe code elsewhere");
    }
}

#[test]
fn both_lock_files_hold_the_same_compressor() {
    let version = |file: &str| {
        let text = fs::read_to_string(project().join(file)).expect("readable");
        let mut lines = text.lines();
        lines.find(|line| *line == "name = \"zstd-sys\"")?;
        lines.next().map(str::to_owned)
    };
    let toolkit = version("Cargo.lock").expect("the toolkit compresses");
    if let Some(agents) = version("recipes/agents/Cargo.lock") {
        assert_eq!(toolkit, agents, "images and nodes must compress alike");
    }
}

#[test]
fn the_root_holds_only_what_was_agreed() {
    let agreed = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "cli",
        "clippy.toml",
        "core",
        "qemu-tests",
        "recipes",
        "rustfmt.toml",
        "store",
        "variants",
    ];
    let built = ["target"];
    for entry in fs::read_dir(project()).expect("readable").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_fine = name.starts_with('.')
            || name.starts_with("result")
            || agreed.contains(&name.as_str())
            || built.contains(&name.as_str());
        assert!(is_fine, "{name} does not belong in the project's root");
    }
}

#[test]
fn no_host_of_a_registry_is_written_down() {
    // Spelled so that this file does not contain what it looks for.
    let hosts = [
        ["static.", "crates.io"],
        ["index.", "crates.io"],
        ["deb.", "debian.org"],
        ["snapshot.", "debian.org"],
    ];
    let mut waiting: Vec<PathBuf> = ["recipes", "variants", "core", "cli", "store", "qemu-tests"]
        .iter()
        .map(|f| project().join(f))
        .collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                waiting.extend(fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
            }
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for [first, second] in hosts {
            assert!(
                !text.contains(&format!("{first}{second}")),
                "{} names a host; say mirror://",
                path.display()
            );
        }
    }
}
