//! The module system of recipes/lib by example, under our evaluator and under
//! real Nix: the same values, the same words where it refuses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/cases.nix")
}

/// The names of those cases that are not what they should be.
const CHECK: &str = "c: builtins.filter (n: c.${n}.is != c.${n}.want) (builtins.attrNames c)";

fn good() -> String {
    format!("({CHECK}) (import {}).good", cases().display())
}

fn ours(words: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_osbuild"));
    command.args(words).env_clear().env("OSBUILD_HOME", home.path()).env("HOME", home.path());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn values_are_what_they_should_be() {
    let output = ours(&["eval", "--strict", "--expr", &good()]);
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("[ ]\n", ""));
}

#[test]
fn real_nix_comes_to_the_same_values() {
    let Some(mut command) = judge::judge("nix-instantiate") else { return };
    command.args(["--eval", "--strict", "-E", &good()]).env("NIX_REMOTE", "dummy://");
    let output = judge::passes(&mut command);
    assert_eq!(text(&output.stdout), "[ ]\n");
}

/// Case and message; CASES stands for the file, whose lines may move.
const MESSAGES: &[(&str, &str)] = &[
    ("argument", "the module <inline module> asks for 'nothing', but modules get config, lib, options"),
    ("assertions", "it: first reason; second reason"),
    ("condition", "the condition of mkIf at CASES is \"yes\", not true or false"),
    ("conflict", "option 'x' is defined more than once with different values: 1 at CASES, 2 at CASES"),
    ("declared-twice", "option 'x' is declared twice, at CASES and at CASES"),
    ("enum", "option 'x' must be one of \"a\", \"b\", but \"c\" was given at CASES"),
    ("group", "option 'services' is a group of options, but 2 was given at CASES"),
    ("in-list", "option 'x.1' must be an integer, but \"two\" was given at CASES"),
    ("in-submodule", "unknown option 'x.ada.hom' at CASES; did you mean 'x.ada.home'?"),
    ("not-a-module", "the module <inline module> is 1, not a set or a function to one"),
    ("not-an-option", "'x' among the options at CASES is neither an option nor a set of them"),
    ("range", "option 'x' must be an integer from 0 to 255, but 256 was given at CASES"),
    ("read-only", "option 'x' is read-only, but it is set 2 times: CASES, its default"),
    ("stray", "the module <inline module> has 'x' beside its options or config: move it below config"),
    ("unknown", "unknown option 'services.heatlh' at CASES; did you mean 'services.health'?"),
    ("unset", "option 'x' has no default and is set nowhere: An option."),
    ("wrong-type", "option 'x' must be an integer, but \"one\" was given at CASES"),
];

/// The last `error:` line, with every line number taken out.
fn message(stderr: &str) -> String {
    let start = stderr.rfind("error: ").map_or(0, |start| start + "error: ".len());
    let line = stderr[start..].lines().next().unwrap_or_default();
    let place = format!("{}:", cases().display());
    let mut parts = line.split(&place);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str("CASES");
        clean.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    clean
}

#[test]
fn refusals_name_option_place_and_type() {
    for (case, expected) in MESSAGES {
        let expression = format!("(import {}).bad.{case}", cases().display());
        let output = ours(&["eval", "--strict", "--expr", &expression]);
        assert_eq!(message(&text(&output.stderr)), *expected, "{case}");
        assert_eq!(output.status.code(), Some(1), "{case}");
    }
    let listed = ours(&[
        "eval",
        "--json",
        "--expr",
        &format!("builtins.attrNames (import {}).bad", cases().display()),
    ]);
    let names: Vec<String> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(names, MESSAGES.iter().map(|(case, _)| (*case).to_owned()).collect::<Vec<_>>());
}

#[test]
fn real_nix_refuses_in_the_same_words() {
    for (case, expected) in MESSAGES {
        let Some(mut command) = judge::judge("nix-instantiate") else { return };
        command.args(["--eval", "--strict", "-A", &format!("bad.{case}")]).arg(cases());
        let output = command.env("NIX_REMOTE", "dummy://").output().unwrap();
        assert_eq!(message(&text(&output.stderr)), *expected, "{case}");
    }
}

#[test]
fn options_have_a_page() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let root = project.display().to_string();
    let page = text(&ours(&["docs", "options", "--root", &root]).stdout);
    assert!(page.starts_with("# Options of variants\n"), "{page}");
    assert!(page.contains("\n## `release.version`\n"), "{page}");
    assert!(page.contains("\n## `services.<name>.text`\n"), "{page}");
    assert!(page.contains("- Declared in `variants/lib/options.nix:"), "{page}");
    assert!(!page.contains(&root), "{page}");
    let json = ours(&["docs", "options", "qemu-dev", "--json", "--root", &root]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["schema"], 1);
    assert!(json["options"].as_array().unwrap().len() > 50);
}
