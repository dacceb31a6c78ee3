//! The binary under the name `nix-instantiate`: what it prints, how it ends,
//! and that real Nix prints and ends the same.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_osbuild"), path.join("nix-instantiate")).unwrap();
        let sources = path.join("sources");
        std::fs::create_dir_all(sources.join("folder")).unwrap();
        std::fs::write(sources.join("default.nix"), "{ a = 1; b = [ 2 \"x\" ]; f = { n, m ? 5 }: n; }")
            .unwrap();
        std::fs::write(sources.join("folder/default.nix"), "\"folder\"").unwrap();
        std::fs::write(sources.join("broken.nix"), "{ a = ").unwrap();
        std::fs::write(sources.join("file.nix"), "{ x ? 1, y }: x + y").unwrap();
        Self { directory }
    }

    fn prepare(&self, mut command: Command, words: &[&str]) -> Command {
        command
            .args(words)
            .env("HOME", self.directory.path())
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_PATH", format!("given={0}/sources/folder:{0}/sources", self.directory.path().display()))
            .current_dir(self.directory.path().join("sources"));
        command
    }

    fn ours(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.directory.path().join("nix-instantiate"));
        command.env_clear();
        self.prepare(command, words)
    }
}

fn run(mut command: Command, input: &str) -> (String, String, i32) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Programs that read no input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(stdout), text(stderr), status.code().unwrap_or(-1))
}

/// Words of the command line, one a blank; `_` stands for a blank inside.
const CASES: &[&str] = &[
    "--eval",
    "--eval --strict",
    "--eval -A a",
    "--eval -A b.1 -A a",
    "--eval -A none",
    "--eval -A b.7",
    "--eval -A a.b",
    "--eval -A f --argstr n seven",
    "--eval -A f --arg n {z=throw_\"unused\";}.z",
    "--eval --strict --json",
    "--eval --json",
    "--eval --strict --xml -A b",
    "--eval --strict --xml --no-location",
    "--eval --raw -A b.1",
    "--eval --raw -A a",
    "--eval folder",
    "--eval ./folder/../folder",
    "--eval <given>",
    "--eval <file.nix> --arg y 2",
    "--eval <nothing>",
    "--eval file.nix --argstr y 2",
    "--eval file.nix --arg y 2 --arg x 3",
    "--eval broken.nix",
    "--eval missing.nix",
    "--eval folder default.nix",
    "--eval -E 1+1 2+2",
    "1+1 -E --eval",
    "--eval -E",
    "--eval -",
    "--parse -",
    "--parse default.nix file.nix",
    "--parse -E (x:_x_-_1)_2",
    "--parse broken.nix",
    "--find-file given",
    "--find-file given/default.nix file.nix",
    "--find-file nothing",
    "-I other=folder --find-file other",
    "--eval-only --strict -E builtins.attrNames_{b=1;a=2;}",
    "--eval -E builtins.trace_\"said\"_1",
    "--eval -E builtins.currentSystem --system some-system",
    "--eval -E 1 --option cores 2 --cores 3 -j4 --max-jobs auto --timeout 5 --no-sandbox -vv --quiet -kK",
    "--eval -E 1 --show-trace --extra-experimental-features flakes --readonly-mode --indirect",
    "--eval -E builtins.langVersion --pure-eval",
    "--eval -E throw_\"no\"",
    "--eval -E abort_\"no\"",
    "--eval -E {x}:x",
    "--eval --no-such-flag",
    "--eval --arg x",
    "--arg n 1 -A f",
    "-E 1",
    "-E [_1_]",
    "-E {_a.b_=_1;_}",
];

const INPUT: &str = "{ p = ./x; q = [ 1 (1 + 1) ]; }";

fn words(case: &str) -> Vec<String> {
    case.split(' ').map(|word| word.replace('_', " ")).collect()
}

fn normal(place: &Path, text: &str) -> String {
    text.replace(&*place.to_string_lossy(), "PLACE")
}

#[test]
fn real_nix_prints_and_ends_the_same() {
    let place = Place::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let Some(judge) = judge::judge("nix-instantiate") else { return };
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (theirs, _, their_code) = run(place.prepare(judge, &words), INPUT);
        let (ours, _, our_code) = run(place.ours(&words), INPUT);
        if (&ours, our_code) != (&theirs, their_code) {
            wrong.push(format!("{case}: {our_code} {ours}\n  real Nix: {their_code} {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What real Nix 2.34 prints.
#[test]
fn it_prints_what_nix_prints() {
    let place = Place::new();
    let check = |case: &str, expected: &str| {
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (out, err, code) = run(place.ours(&words), INPUT);
        assert_eq!((normal(place.directory.path(), &out).as_str(), code), (expected, 0), "{case}\n{err}");
    };
    check("--eval --strict", "{ a = 1; b = [ 2 \"x\" ]; f = <LAMBDA>; }\n");
    check("--eval --strict -", "{ p = PLACE/sources/x; q = [ 1 2 ]; }\n");
    check("--parse -", "{ p = PLACE/sources/x; q = [ (1) ((1 + 1)) ]; }\n");
    check("--eval -A b.1 -A a", "\"x\"\n1\n");
    check("--eval -A a --json", "1\n");
    check("--find-file given", "PLACE/sources/folder\n");
    check("--version", "nix-instantiate (Nix) 2.34.8\n");
}

#[test]
fn failures_end_with_one_and_say_why() {
    let place = Place::new();
    let check = |case: &str, expected: &str| {
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (out, err, code) = run(place.ours(&words), INPUT);
        let first = err.lines().next().unwrap_or_default();
        let first = normal(place.directory.path(), first);
        assert_eq!((out.as_str(), first.as_str(), code), ("", expected, 1), "{case}");
    };
    check("--eval -A none", "error: attribute 'none' in selection path 'none' not found");
    check("--eval missing.nix", "error: path 'PLACE/sources/missing.nix' does not exist");
    check("--eval broken.nix", "error: syntax error, unexpected end of file");
    check("--eval --no-such-flag", "error: unrecognised flag '--no-such-flag'");
    check("--eval --arg x", "error: flag '--arg' requires 2 argument(s), but only 1 were given");
    check("-E 1", "error: expression does not evaluate to a derivation (or a set or list of those)");
    check(
        "--find-file nothing",
        "error: file 'nothing' was not found in the Nix search path (add it using $NIX_PATH or -I)",
    );
}

const DERIVATIONS: &str = "let d = name: derivation { inherit name; system = \"s\"; builder = \"/b\"; outputs = [ \"out\" \"dev\" ]; };
    in { b = d \"b\"; a = (d \"a\").dev; deep.recurseForDerivations = true; deep.c = d \"c\"; not.d = d \"d\"; }";

#[test]
fn derivations_are_printed_and_kept() {
    let place = Place::new();
    let home = place.directory.path().join("home");
    let store_command = |words: &[&str]| {
        let mut command = place.ours(words);
        command.env_remove("NIX_REMOTE").env("OSBUILD_HOME", &home);
        command
    };
    let (out, err, code) = run(store_command(&["-"]), DERIVATIONS);
    assert_eq!(code, 0, "{err}");
    assert!(err.starts_with("warning: you did not specify '--add-root'"), "{err}");
    let names: Vec<&str> = out.lines().map(|line| &line["/nix/store/".len() + 33..]).collect();
    assert_eq!(names, ["a.drv!dev", "b.drv", "c.drv"]);
    let (first, _) = out.lines().next().unwrap().split_once('!').unwrap();
    let file = home.join("store").join(first.strip_prefix("/nix/store/").unwrap());
    assert!(std::fs::read(&file).unwrap().starts_with(b"Derive("));

    let root = place.directory.path().join("sources/root").display().to_string();
    let (out, err, code) =
        run(store_command(&["-", "-A", "b", "--add-root", &root, "--indirect"]), DERIVATIONS);
    assert_eq!((out, err, code), (format!("{root}\n"), String::new(), 0));
    assert!(std::fs::read_link(&root).unwrap().starts_with(home.join("store")));
}

/// Without a store, and with another store directory, paths are computed.
#[test]
fn no_store_is_needed() {
    let place = Place::new();
    let mut command = place.ours(&["-", "-A", "b"]);
    command.env("NIX_STORE_DIR", "/other/store").env_remove("HOME");
    let (out, err, code) = run(command, DERIVATIONS);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("/other/store/") && out.ends_with("-b.drv\n"), "{out}");
}
