//! `parse-okay-*.nix`: what is understood of a program, as Nix prints it. In
//! the `.exp` the corpus lies at `/lang`.

use std::path::Path;
use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Session, SessionOptions, Source};

use crate::corpus::{cases, folder};

fn parse(path: &Path) -> Result<Vec<u8>, String> {
    let mut session = Session::new(SessionOptions::default(), Arc::new(Computing::default()));
    session.parse(&Source::File(path.to_owned())).map_err(|error| error.to_string())
}

/// Bytes, since programs may hold any.
fn normalised(text: &[u8]) -> Vec<u8> {
    let (from, to) = (folder().display().to_string().into_bytes(), b"/lang");
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, others)) = rest.split_first() {
        if rest.starts_with(&from) {
            out.extend_from_slice(to);
            rest = &rest[from.len()..];
        } else {
            out.push(*first);
            rest = others;
        }
    }
    out
}

#[test]
fn programs_as_they_are_understood() {
    let mut wrong = Vec::new();
    for (name, path) in cases("parse-okay-") {
        let expected = std::fs::read(path.with_extension("exp")).expect("each case has its .exp");
        match parse(&path) {
            Ok(mut text) => {
                text.push(b'\n');
                let text = normalised(&text);
                if text != expected {
                    wrong.push(format!("{name}: {}", String::from_utf8_lossy(&text)));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
}

/// The whole corpus is understood as real Nix understands it.
#[test]
fn real_nix_understands_the_same() {
    let mut wrong = Vec::new();
    for (name, path) in cases("parse-okay-").into_iter().chain(cases("eval-okay-")) {
        let Some(mut command) = crate::judge::judge("nix-instantiate") else { return };
        command.arg("--parse").arg(&path).env("NIX_REMOTE", "dummy://");
        let output = command.output().expect("the judge starts");
        let mut ours = parse(&path).unwrap_or_else(String::into_bytes);
        ours.push(b'\n');
        if output.stdout != ours {
            let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
            wrong.push(format!("{name}:\n  {}  {theirs}", String::from_utf8_lossy(&ours)));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ\n{}", wrong.len(), wrong.join("\n"));
}
