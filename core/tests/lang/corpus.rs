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

/// The last `error:` line of Nix 2.34.8 for each failing program, since tools
/// look for its words. Where ours may be others, the line begins with `!`; of
/// those there may be one in twenty.
///
/// With `OSBUILD_BLESS=1` and that release as the judge the file is written
/// anew.
#[test]
fn messages_are_those_of_nix() {
    let file = folder().join("nix-messages.txt");
    if std::env::var_os("OSBUILD_BLESS").is_some() {
        std::fs::write(&file, messages_of_the_judge()).expect("the corpus is writable");
    }
    let text = std::fs::read_to_string(&file).expect("the messages are beside the corpus");
    let mut theirs: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('\t')).collect();
    let (mut wrong, mut others, mut total) = (Vec::new(), 0, 0);
    for (name, path) in cases("eval-fail-") {
        let whole = std::fs::read_to_string(path.with_extension("err.exp")).expect("each case has one");
        let ours = whole.lines().next().unwrap_or_default().trim_start_matches("error: ");
        total += 1;
        match (theirs.remove(name.as_str()), theirs.remove(format!("!{name}").as_str())) {
            (Some(same), None) if same == ours => {}
            (None, Some(other)) => others += usize::from(other != ours),
            (None, None) => wrong.push(format!("{name}: nix-messages.txt lacks it")),
            (message, _) => {
                wrong.push(format!("{name}: ours: {ours}\n  theirs: {}", message.unwrap_or(ours)))
            }
        }
    }
    wrong.extend(theirs.keys().map(|name| format!("{name}: no such case")));
    assert!(wrong.is_empty(), "{} messages\n{}", wrong.len(), wrong.join("\n"));
    assert!(others * 20 <= total, "{others} of {total} messages are not those of Nix");
}

fn messages_of_the_judge() -> String {
    let mut text = String::new();
    let here = folder().display().to_string();
    for (name, path) in cases("eval-fail-") {
        let output = run(&path);
        let printed = String::from_utf8_lossy(&output.stderr).replace(&here, "/lang");
        let lines: Vec<&str> = printed.lines().map(str::trim).collect();
        let last = lines.iter().rposition(|line| line.starts_with("error:")).expect("it fails");
        let message = lines[last].trim_start_matches("error:").trim();
        let message = if message.is_empty() { lines[last + 1] } else { message };
        let whole = std::fs::read_to_string(path.with_extension("err.exp")).unwrap_or_default();
        let same = whole.lines().next() == Some(&format!("error: {message}"));
        text.push_str(&format!("{}{name}\t{message}\n", if same { "" } else { "!" }));
    }
    text
}

/// What releases of Nix before 2.34 have another opinion of.
const SINCE_2_34: [&str; 15] = [
    "eval-okay-attr-names-quoted",
    "eval-okay-attrs-merged-deeply",
    "eval-okay-builtins-arities",
    "eval-okay-builtins-globals",
    "eval-okay-builtins-names",
    "eval-okay-derivation-false-flags",
    "eval-okay-find-file-shipped",
    "eval-okay-null-bytes",
    "eval-okay-repeated-lists",
    "eval-okay-sort-comparators-that-are-no-order",
    "eval-fail-ceil-infinite",
    "eval-fail-ceil-integer-rounded",
    "eval-fail-float-to-int",
    // They end by running out of the stack.
    "eval-fail-to-xml-endless",
    "parse-okay-attributes-merge-deep",
];

/// The cases that the judge at hand can judge.
pub(crate) fn judged_cases(prefix: &str) -> BTreeMap<String, PathBuf> {
    let is_older = crate::judge::is_older_nix();
    let mut cases = cases(prefix);
    cases.retain(|name, _| !(is_older && SINCE_2_34.contains(&name.as_str())));
    cases
}

/// The judge agrees that the failing programs fail and prints what ours print.
#[test]
fn real_nix_agrees() {
    if crate::judge::judge("nix-instantiate").is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for (name, path) in judged_cases("eval-okay-") {
        let expected = std::fs::read(path.with_extension("exp")).expect("each case has its .exp");
        let output = run(&path);
        if output.stdout != expected {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    for (name, path) in judged_cases("eval-fail-") {
        if run(&path).status.code() != Some(1) {
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
