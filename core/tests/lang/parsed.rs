//! `parse-okay-*.nix`: what is understood of a program, as Nix prints it. In
//! the `.exp` the corpus lies at `/lang`.

use std::path::Path;
use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Session, SessionOptions, Source};

use crate::corpus::{cases, folder, judged_cases};

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
    for (name, path) in judged_cases("parse-okay-").into_iter().chain(judged_cases("eval-okay-")) {
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

/// Short texts, most of them about where one token ends and the next begins:
/// a line each of `parse-snippets.tsv` has the text, and what Nix 2.34.8
/// printed or the last line of its error, escaped like a string. Where our
/// words are others, the text stands in `OTHER_WORDS`.
#[test]
fn snippets_are_understood_as_by_nix() {
    const OTHER_WORDS: &[&str] = &["1|>2", "1<|2"];
    let file = folder().join("parse-snippets.tsv");
    let lines = std::fs::read_to_string(file).expect("the snippets are beside the corpus");
    let options = || SessionOptions { message: Arc::new(|_| ()), ..SessionOptions::default() };
    let mut session = Session::new(options(), Arc::new(Computing::default()));
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let [text, kind, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three fields: {line}")
        };
        let directory = Path::new("/lang").to_owned();
        let parsed = session.parse(&Source::StandardInput { text: unescaped(text), directory });
        let (ours, found) = match &parsed {
            Ok(shown) => ("ok", shown.clone()),
            Err(error) => ("error", error.to_string().lines().next().unwrap_or_default().as_bytes().to_vec()),
        };
        let same_words = found == unescaped(expected) || OTHER_WORDS.contains(&text);
        if ours != kind || !same_words {
            wrong.push(format!("{text}\n  {kind} {expected}\n  {ours} {}", found.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{} snippets differ\n{}", wrong.len(), wrong.join("\n"));
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).expect("two digits")
                }
                other => other.expect("an escape has a letter"),
            },
            other => other,
        };
        out.push(byte);
    }
    out
}
