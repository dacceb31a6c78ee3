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
    "--eval --restrict-eval",
    "--eval --restrict-eval -I . default.nix -A a",
    "--eval --restrict-eval -E import_./folder",
    "--eval --restrict-eval -E builtins.readFile_/etc/passwd",
    "--eval --restrict-eval -E builtins.pathExists_/etc/passwd",
    "--eval --restrict-eval -E builtins.pathExists_./folder",
    "--eval --restrict-eval -E builtins.getEnv_\"HOME\"",
    "--eval --restrict-eval -E builtins.currentSystem==\"x\"",
    "--eval --restrict-eval -E builtins?currentTime",
    "--eval --restrict-eval -E \"${./file.nix}\"",
    "--eval --restrict-eval -E toString_./file.nix",
    "--eval --restrict-eval --strict -E builtins.readDir_<given>",
    "--eval --restrict-eval -E builtins.readFile_<given/default.nix>",
    "--eval --restrict-eval -E builtins.readFile_<file.nix>",
    "--eval --restrict-eval -E builtins.fetchurl_\"http://localhost:1/x\"",
    "--eval --restrict-eval -E builtins.fetchurl_\"file:///etc/passwd\"",
    "--eval --restrict-eval --parse default.nix",
    "--option restrict-eval true --eval -E import_./folder",
    "--eval --pure-eval",
    "--eval --pure-eval -I . default.nix",
    "--eval --pure-eval -E <given>",
    "--eval --pure-eval -E builtins.tryEval_<given>",
    "--eval --pure-eval --strict -E builtins.nixPath",
    "--eval --pure-eval -E builtins.pathExists_/etc/passwd",
    "--eval --pure-eval -E builtins?currentTime",
    "--eval --pure-eval --impure -E builtins?currentTime",
    "--eval --pure-eval -E builtins.storePath_\"/nix/store/1wpyvq8w31x9rqfa9qi77qmjprypn7w3-x\"",
    "--eval -E builtins.storePath_\"/nix/store/1wpyvq8w31x9rqfa9qi77qmjprypn7w3-x/y\"",
    "--eval --pure-eval -E builtins.fetchurl_\"http://localhost:1/x\"",
    "--pure-eval --find-file given",
    "--eval --abort-on-warn -E builtins.warn_\"w\"_1",
    "--eval -E builtins.warn_\"w\"_1",
    "--eval --abort-on-warn -E builtins.tryEval_(builtins.warn_\"w\"_1)",
    "--eval --trace-verbose -E builtins.traceVerbose_\"t\"_1",
    "--eval --trace-verbose -E builtins.traceVerbose_(throw_\"t\")_1",
    "--eval -E builtins.traceVerbose_(throw_\"t\")_1",
    "--eval --max-call-depth 50 -E let_f=n:if_n==0_then_0_else_1+f_(n-1);in_f_20",
    "--eval --max-call-depth 50 -E let_f=n:if_n==0_then_0_else_1+f_(n-1);in_f_60",
    "--eval --max-call-depth x -E 1",
    "--eval --max-call-depth -1 -E 1",
    "--eval --max-call-depth 1k -E let_f=n:if_n==0_then_0_else_1+f_(n-1);in_f_500",
    "--eval --option max-call-depth x -E 1",
    "--eval --option pure-eval maybe -E builtins?currentTime",
    "--eval --option pure-eval yes -E builtins?currentTime",
    "--eval --timeout x -E 1",
    "--eval --cores -E 1",
    "--eval --option no-such thing -E 1",
    "--eval --lint-url-literals warn -E http://x",
    "--eval --lint-url-literals fatal -E http://x",
    "--eval --lint-url-literals nonsense -E http://x",
    "--eval --allow-import-from-derivation -E 1",
    "--eval --trace-function-calls -E 1",
    "--eval --eval-system one --system two -E builtins.currentSystem",
    "--eval --eval-system  --system two -E builtins.currentSystem",
    "--eval --strict --nix-path a=/b -E builtins.nixPath",
    "--eval --strict --nix-path a=/b -I c=/d -E builtins.nixPath",
    "--eval --show-trace -A f",
    "--eval --show-trace -E throw_\"no\"",
    "--eval --timeout 5 -A a",
    "--eval-only --eval --strict -A b",
    "--eval-only --json --strict -A b",
    "--parse-only file.nix default.nix",
    "--parse --eval file.nix",
    "--eval --parse -E 1",
    "--eval --strict - default.nix",
    "default.nix - --eval --strict",
    "--eval --strict -E 1 -A a -A b default.nix",
    "--eval file.nix --arg y 2 folder",
    "--arg y 2 --eval file.nix",
    "--eval --argstr y b --argstr x a file.nix",
    "file.nix --argstr y b --eval --arg x \"a\"",
    "--eval --arg y 1 --arg y 2 file.nix",
    "--eval --arg y 1 --argstr y 2 file.nix",
    "--eval --arg z 1 --arg y 2 file.nix",
    "--eval --arg y ) file.nix",
    "--eval --arg y nope file.nix",
    "--eval -A f --arg n 1 --arg m 2",
    "--eval -A f.x --arg n {x=3;}",
    "--eval --json -A f",
    "--eval --json --strict -E {a=1;b=[{c=null;}];}",
    "--eval --json --xml -E 1",
    "--eval --xml --json -E 1",
    "--eval --xml --raw -E \"r\"",
    "--eval --raw --strict -E [\"r\"]",
    "--eval --xml -E {a=1+1;b=[(2+2)];}",
    "--eval --xml --strict -E {a=1+1;b=[(2+2)];}",
    "--eval --xml --strict --no-location -E {a=x:x;}",
    "--eval --xml -A a default.nix",
    "--eval --no-location -A a",
    "--json -A a",
    "--strict -A a",
    "--eval --read-write-mode -A a",
    "--eval --read-write-mode --readonly-mode -A a",
    "--eval --strict -A b -A f -A a",
    "--eval -A",
    "--eval -A a..b",
    "--eval -A .",
    "--eval -A \"a\"",
    "--eval -A b.x",
    "--eval -A b.-1",
    "--eval -E 1 -",
    "- --eval -A q.1",
    "--find-file",
    "--find-file given nothing",
    "--find-file -I given=. given",
    "--version --eval",
    "--eval -- -E",
    "--eval -- folder",
    "-A a -- --eval --strict -A b - default.nix",
    "--eval -- --arg y 2",
    "--eval -- --show-trace",
    "--eval --log-format bar -E 1",
    "--eval -E -- 1 2",
    "--eval --expr 1 --expr 2",
    "--eval -I",
    "--eval --option cores",
    "--eval --add-root x -E 1",
    "--eval --log-format raw -E 1",
    "--eval --log-format nonsense -E 1",
    "--eval -j 3 -E 1",
    "--eval -j x -E 1",
    "--eval -vvvE 1",
    "--eval -EA a {a=4;}",
    "--eval --no-such-switch -E 1",
    "--eval --no-pure-eval -E 1",
    "--eval --no-timeout -E 1",
    "--eval --extra-nix-path a=/b --strict -E builtins.elem_{path=\"/b\";prefix=\"a\";}_builtins.nixPath",
    "--eval --debug -E 1",
    "--eval --dry-run -E 1",
    "--eval --repair -E 1",
    "--eval --store dummy:// -E 1",
    "--eval --store nonsense:// -E 1",
    "--eval ./folder/",
    "--find-file nix/fetchurl.nix",
    "--eval -E builtins.attrNames_(builtins.functionArgs_(import_<nix/fetchurl.nix>))",
    "--eval folder/default.nix",
    "--eval <given/default.nix>",
    "--eval <given>/default.nix",
    "--eval ~/nothing.nix",
    "--eval http://localhost:1/x.tar.gz",
];

/// Those in which older ones differ.
const SINCE_2_34: &[&str] = &["--eval --lint-url-literals warn -E http://x", "--version --eval"];

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
    let is_older = judge::is_older_nix();
    for case in CASES {
        let Some(judge) = judge::judge("nix-instantiate") else { return };
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (theirs, _, their_code) = run(place.prepare(judge, &words), INPUT);
        let (ours, _, our_code) = run(place.ours(&words), INPUT);
        if (&ours, our_code) != (&theirs, their_code) && !(is_older && SINCE_2_34.contains(case)) {
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

/// Settings in the environment and in files; `|` stands for the end of a line.
const CONFIGURED: &[(&str, &str, &str)] = &[
    ("pure-eval = true", "", "--eval -E builtins?currentTime"),
    ("pure-eval = true", "", "--eval --no-pure-eval -E builtins?currentTime"),
    ("pure-eval = maybe", "", "--eval -E 1"),
    ("pure-eval true", "", "--eval -E 1"),
    ("nonsense = true", "", "--eval -E 1"),
    ("# pure-eval = true| |pure-eval = false # x", "", "--eval -E builtins?currentTime"),
    ("eval-system = configured", "", "--eval -E builtins.currentSystem"),
    ("eval-system = configured", "", "--eval -E builtins.currentSystem --eval-system said"),
    ("system = configured", "eval-system = filed", "--eval -E builtins.currentSystem"),
    ("", "eval-system = filed", "--eval -E builtins.currentSystem"),
    ("eval-system = configured", "eval-system = filed", "--eval -E builtins.currentSystem"),
    ("include /nothing", "", "--eval -E 1"),
    ("!include /nothing|eval-system = configured", "", "--eval -E builtins.currentSystem"),
    ("", "include more.conf|system = filed", "--eval -E builtins.currentSystem"),
    ("nix-path = other=/etc", "", "--eval --strict -E builtins.length_builtins.nixPath"),
    ("extra-nix-path = other=/etc", "", "--eval --strict -E builtins.length_builtins.nixPath"),
    ("restrict-eval = true", "", "--eval -E builtins.readFile_/etc/passwd"),
    (
        "restrict-eval = true|allowed-uris = http://localhost",
        "",
        "--eval -E builtins.fetchurl_\"http://other/x\"",
    ),
    ("abort-on-warn = true", "", "--eval -E builtins.warn_\"w\"_1"),
    ("max-call-depth = 20", "", "--eval -E let_f=n:if_n==0_then_0_else_1+f_(n-1);in_f_30"),
    (
        "max-call-depth = 20",
        "",
        "--eval -E let_f=n:if_n==0_then_0_else_1+f_(n-1);in_f_30 --max-call-depth 40",
    ),
];

#[test]
fn settings_are_read_where_nix_reads_them() {
    let place = Place::new();
    let files = place.directory.path().join("etc");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("more.conf"), "eval-system = included\n").unwrap();
    let mut wrong = Vec::new();
    for (environment, file, case) in CONFIGURED {
        let Some(judge) = judge::judge("nix-instantiate") else { return };
        std::fs::write(files.join("nix.conf"), file.replace('|', "\n")).unwrap();
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = |mut command: Command| {
            command.env("NIX_CONF_DIR", &files).env("NIX_CONFIG", environment.replace('|', "\n"));
            run(command, "")
        };
        let (theirs, _, their_code) = answer(place.prepare(judge, &words));
        let (ours, err, our_code) = answer(place.ours(&words));
        if (&ours, our_code) != (&theirs, their_code) {
            wrong.push(format!(
                "{environment}, {file}, {case}: {our_code} {ours}{err}\n  real Nix: {their_code} {theirs}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Settings that would change the answer and are not there.
#[test]
fn what_is_not_there_is_refused() {
    let place = Place::new();
    let check = |case: &str, expected: &str| {
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (out, err, code) = run(place.ours(&words), "");
        let first = err.lines().next().unwrap_or_default();
        assert_eq!((out.as_str(), first, code), ("", expected, 1), "{case}");
    };
    check(
        "--eval --option eval-profiler flamegraph -E 1",
        "error: setting 'eval-profiler' cannot be 'flamegraph' here",
    );
    check(
        "--eval --allow-unsafe-native-code-during-evaluation -E 1",
        "error: setting 'allow-unsafe-native-code-during-evaluation' cannot be 'true' here",
    );
    check(
        "--eval --lint-url-literals fatal -E 1",
        "error: setting 'lint-url-literals' cannot be 'fatal' here",
    );
    check(
        "--eval --extra-experimental-features no-url-literals -E 1",
        "error: setting 'extra-experimental-features' cannot be 'no-url-literals' here",
    );
    check("--eval --store ssh://host -E 1", "error: don't know how to open Nix store 'ssh://host'");
}

/// What programs say beside their values, by settings.
#[test]
fn settings_decide_what_is_said() {
    let place = Place::new();
    let said = |case: &str| {
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(place.ours(&words), "")
    };
    let (out, err, code) = said("--eval --trace-verbose -E builtins.traceVerbose_\"t\"_1");
    assert_eq!((out.as_str(), err.as_str(), code), ("1\n", "trace: t\n", 0));
    let (out, err, code) = said("--eval -E builtins.traceVerbose_\"t\"_1");
    assert_eq!((out.as_str(), err.as_str(), code), ("1\n", "", 0));
    let (_, err, _) = said("--eval --abort-on-warn -E builtins.warn_\"w\"_1");
    assert!(
        err.starts_with(
            "evaluation warning: w\nerror: aborting to reveal stack trace of warning, as abort-on-warn is set\n"
        ),
        "{err}"
    );
    let (_, err, _) = said("--eval --option pure-eval maybe -E 1");
    assert_eq!(err, "warning: Boolean setting 'pure-eval' has invalid value 'maybe'\n");
    let (_, err, _) = said("--eval --restrict-eval -E builtins.readFile_/etc/passwd");
    assert!(
        err.starts_with("error: access to absolute path '/etc/passwd' is forbidden in restricted mode"),
        "{err}"
    );
    let mut command = place.ours(&["--eval", "-E", "builtins.warn \"w\" 1"]);
    command.env("NIX_ABORT_ON_WARN", "1");
    assert_eq!(run(command, "").2, 1);
}
