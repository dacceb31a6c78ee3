//! The corpus, and what real Nix says about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Arguments, Output, Session, SessionOptions, Source};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lang")
}

pub(crate) fn cases(prefix: &str) -> BTreeMap<String, PathBuf> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("the corpus is beside this file") {
        let path = entry.expect("the folder is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(prefix) && name.ends_with(".nix") {
            cases.insert(name.trim_end_matches(".nix").to_owned(), path);
        }
    }
    assert!(!cases.is_empty(), "no {prefix} cases in {}", folder().display());
    cases
}

pub(crate) fn evaluate(source: Source) -> Result<Vec<u8>, String> {
    let options = SessionOptions { message: Arc::new(|_| ()), ..SessionOptions::default() };
    let mut session = Session::new(options, Arc::new(Computing::default()));
    let result = session.eval(&source, "", &Arguments::new(), Output::Nix { strict: true });
    result.map_err(|error| {
        let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("error: {error}{hint}\n")
    })
}

#[test]
fn programs_that_evaluate() {
    let mut wrong = Vec::new();
    for (name, path) in cases("eval-okay-") {
        let expected = std::fs::read(path.with_extension("exp")).expect("each case has its .exp");
        match evaluate(Source::File(path)) {
            Ok(mut text) => {
                text.push(b'\n');
                if text != expected {
                    wrong.push(format!("{name}: printed\n{}", String::from_utf8_lossy(&text)));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn programs_that_fail() {
    let mut wrong = Vec::new();
    let here = folder().display().to_string();
    for (name, path) in cases("eval-fail-") {
        let expectation = path.with_extension("err.exp");
        match evaluate(Source::File(path)) {
            Ok(text) => wrong.push(format!("{name}: printed {}", String::from_utf8_lossy(&text))),
            Err(error) => {
                let error = error.replace(&here, "/lang");
                if std::env::var_os("OSBUILD_BLESS").is_some() {
                    std::fs::write(&expectation, &error).expect("the corpus is writable");
                }
                let expected = std::fs::read_to_string(&expectation).expect("each case has its .err.exp");
                if error != expected {
                    wrong.push(format!("{name}:\n{error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

/// The judge agrees that the failing programs fail and prints what ours print.
/// Where releases before 2.34 differ, the file is listed.
#[test]
fn real_nix_agrees() {
    const NEWER_THAN_THE_JUDGE: [&str; 3] =
        ["eval-okay-builtins-names", "eval-okay-attr-names-quoted", "eval-fail-float-to-int"];
    if crate::judge::judge("nix-instantiate").is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for (name, path) in cases("eval-okay-") {
        if NEWER_THAN_THE_JUDGE.contains(&name.as_str()) {
            continue;
        }
        let expected = std::fs::read(path.with_extension("exp")).expect("each case has its .exp");
        let output = run(&path);
        if output.stdout != expected {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    for (name, path) in cases("eval-fail-") {
        if !NEWER_THAN_THE_JUDGE.contains(&name.as_str()) && run(&path).status.code() != Some(1) {
            wrong.push(format!("{name}: real Nix does not fail"));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

fn run(file: &Path) -> std::process::Output {
    let mut command = crate::judge::judge("nix-instantiate").expect("the caller looked");
    command.args(["--eval", "--strict"]).arg(file);
    command.env("NIX_REMOTE", "dummy://").env_remove("NIX_PATH");
    command.output().expect("the judge starts")
}
