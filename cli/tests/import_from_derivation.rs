//! Programs that read what derivations make, compared with real Nix: values,
//! exit codes, and every byte of the derivations in the store.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use osbuild_store::store::SourceTree;

#[path = "../../core/tests/engine/host_root.rs"]
mod host_root;
#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

const PROGRAM: &str = r#"
let
  make = more: script: name: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" "PATH=/usr/bin:/bin\n${script}" ];
    sandboxRoot = ./root;
  } // more);
  plain = make { };
  floating = make { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  script = "mkdir $out; echo 42 > $out/default.nix; echo '{\"a\": [1]}' > $out/json; echo 'x + 1' > $out/scoped.nix";
  tree = plain script;
  content = floating script;
  fails = plain "echo said; echo loudly >&2; exit 3";
in
"#;

/// Each makes its own derivation, so that each is built anew.
const CASES: &[(&str, &str)] = &[
    ("import", "n: import (tree n)"),
    ("import-below", "n: import \"${tree n}/default.nix\""),
    ("import-appended", "n: import (tree n + \"/default.nix\")"),
    ("scoped-import", "n: builtins.scopedImport { x = 2; } \"${tree n}/scoped.nix\""),
    ("read-file", "n: builtins.fromJSON (builtins.readFile \"${tree n}/json\")"),
    ("read-dir", "n: builtins.readDir (tree n)"),
    ("read-dir-of-parent", "n: builtins.readDir (dirOf \"${tree n}/json\")"),
    ("read-file-type", "n: [ (builtins.readFileType (tree n)) (builtins.readFileType \"${tree n}/json\") ]"),
    ("path-exists", "n: builtins.pathExists (tree n)"),
    ("path-exists-not", "n: builtins.pathExists \"${tree n}/nothing\""),
    ("hash-file", "n: builtins.hashFile \"sha256\" \"${tree n}/json\""),
    ("path", "n: builtins.path { path = tree n; }"),
    ("path-context", "n: builtins.getContext (builtins.path { path = tree n; name = \"renamed\"; })"),
    ("path-filter", "n: builtins.path { path = \"${tree n}\"; filter = p: t: baseNameOf p != \"json\"; }"),
    ("filter-source", "n: builtins.filterSource (p: t: true) \"${tree n}\""),
    ("find-file", "n: builtins.findFile [ { prefix = \"x\"; path = \"${tree n}\"; } ] \"x/json\""),
    ("store-path-not-built", "n: builtins.storePath \"${tree n}\""),
    (
        "store-path-built",
        "n: let t = tree n; in builtins.seq (import t) (builtins.getContext (builtins.storePath \"${t}\"))",
    ),
    ("nothing-read", "n: builtins.getContext \"${tree n}/x\""),
    (
        "context-of-contents",
        "n: builtins.getContext (builtins.readFile (plain \"echo ${tree \"inner\"} $0 > $out\" n))",
    ),
    ("context-is-dropped", "n: builtins.pathExists (builtins.unsafeDiscardStringContext \"${tree n}\")"),
    ("derivation-file", "n: builtins.substring 0 7 (builtins.readFile (tree n).drvPath)"),
    ("derivation-imported", "n: (import (tree n).drvPath).outPath"),
    ("text-file", "n: builtins.readFile (builtins.toFile n \"text\")"),
    ("source-file", "n: builtins.readFile \"${./program.txt}\""),
    (
        "derivation-of-what-was-read",
        "n: (plain \"echo ${toString (import (tree n))} > $out\" \"outer\").drvPath",
    ),
    ("two-deep", "n: import (plain \"echo ${toString (import (tree n))} > $out\" \"second\")"),
    (
        "many-outputs",
        "n: builtins.readFile (make { outputs = [ \"out\" \"dev\" ]; } \"echo o > $out; echo d > $dev\" n).dev",
    ),
    ("floating-import", "n: import (content n)"),
    ("floating-below", "n: builtins.readFile \"${content n}/json\""),
    ("floating-appended", "n: import (content n + \"/default.nix\")"),
    ("floating-find-file", "n: builtins.findFile [ { path = \"${content n}\"; } ] \"json\""),
    ("floating-unread", "n: builtins.getContext \"${content n}\""),
    ("floating-input", "n: builtins.readFile (plain \"cat ${content \"inner\"}/json > $out\" n)"),
    (
        "floating-outer",
        "n: (plain \"echo ${toString (import (content n))} ${content n} > $out\" \"outer\").drvPath",
    ),
    ("fails", "n: builtins.readFile (fails n)"),
    ("fails-exists", "n: builtins.pathExists (fails n)"),
    ("fails-try", "n: builtins.tryEval (import (fails n))"),
    ("fails-hidden", "n: builtins.tryEval (builtins.pathExists (fails n))"),
    ("fails-deep", "n: import (plain \"cat ${fails \"inner\"} > $out\" n)"),
    (
        "wrong-hash",
        "n: import (make { outputHash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; } \"echo 1 > $out\" n)",
    ),
    ("no-such-file", "n: import \"${tree n}/nothing\""),
    (
        "fetched-by-derivation",
        "n: builtins.readFile (import <nix/fetchurl.nix> { \
           url = \"file://${toString ./program.txt}\"; \
           sha256 = builtins.hashString \"sha256\" \"source\"; name = n; })",
    ),
    ("fetched-with-context", "n: builtins.fetchurl \"file://${tree n}/json\""),
];

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_osbuild"), path.join("nix-instantiate")).unwrap();
        write(&host_root::host_root(), &path.join("root"));
        std::fs::write(path.join("program.txt"), "source").unwrap();
        std::fs::create_dir(path.join("etc")).unwrap();
        let settings = "build-users-group =\nsubstituters =\nbuild-hook =\nsandbox = false\n\
                        experimental-features = ca-derivations\n";
        std::fs::write(path.join("etc/nix.conf"), settings).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn prepare(&self, mut command: Command, words: &[&str]) -> Command {
        command
            .env_clear()
            .args(words)
            .env("HOME", self.directory.path())
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("var"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("NIX_CONF_DIR", self.path("etc"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    fn ours(&self, words: &[&str]) -> Answer {
        run(self.prepare(Command::new(self.path("nix-instantiate")), words))
    }

    /// Puts a store aside, so that another one is at the same place.
    fn aside(&self, name: &str) -> PathBuf {
        std::fs::rename(self.path("store"), self.path(name)).unwrap();
        std::fs::rename(self.path("var"), self.path(&format!("{name}-var"))).unwrap();
        self.path(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Directories of stores cannot be written to.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.directory.path()).status();
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    out: String,
    err: String,
    code: i32,
}

fn run(mut command: Command) -> Answer {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { out: text(stdout), err: text(stderr), code: status.code().unwrap_or(-1) }
}

fn write(tree: &SourceTree, place: &Path) {
    match tree {
        SourceTree::Directory(members) => {
            std::fs::create_dir(place).unwrap();
            for (name, member) in members {
                write(member, &place.join(std::ffi::OsStr::from_bytes(name)));
            }
        }
        SourceTree::Regular { path, .. } => {
            std::fs::copy(path, place).unwrap();
            std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        SourceTree::Symlink { target } => {
            std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), place).unwrap();
        }
        SourceTree::Bytes { .. } => panic!("the root is made of files"),
    }
}

fn program(name: &str, case: &str) -> String {
    format!("{PROGRAM} ({case}) \"{name}\"")
}

/// Every `.drv` of a store.
fn derivations(store: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(store).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".drv") {
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn same(ours: &BTreeMap<String, Vec<u8>>, theirs: &BTreeMap<String, Vec<u8>>) {
    let names =
        |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<std::collections::BTreeSet<_>>();
    let (our_names, their_names) = (names(ours), names(theirs));
    // Real Nix also keeps what it makes of a derivation with floating inputs
    // once their outputs are known; the program never sees that.
    let is_resolved = |name: &&String| name.ends_with("-floating-input.drv") && theirs.contains_key(*name);
    let differing: Vec<&String> =
        our_names.symmetric_difference(&their_names).filter(|name| !is_resolved(name)).collect();
    assert!(differing.is_empty(), "only one of us has {differing:?}");
    for (name, text) in ours {
        assert_eq!(String::from_utf8_lossy(text), String::from_utf8_lossy(&theirs[name]), "{name}");
    }
}

#[test]
fn real_nix_reads_the_same_and_writes_the_same_derivations() {
    let Some(_) = judge::judge("nix-instantiate") else { return };
    let place = Place::new();
    let mode = ["--eval", "--strict", "--read-write-mode", "-E"];
    let words = |text: &str| -> Vec<String> {
        mode.iter().map(|word| (*word).to_owned()).chain([text.to_owned()]).collect()
    };
    let mut theirs = Vec::new();
    for (name, case) in CASES {
        let words = words(&program(name, case));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let judge = judge::judge("nix-instantiate").expect("it was there above");
        // Older ones ask a program beside themselves first whether to build
        // elsewhere, and look for it where the loader is.
        let words = [&["--option", "build-hook", ""][..], &words].concat();
        theirs.push(run(place.prepare(judge, &words)));
    }
    let their_derivations = derivations(&place.aside("theirs"));
    let mut wrong = Vec::new();
    for ((name, case), theirs) in CASES.iter().zip(&theirs) {
        let words = words(&program(name, case));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ours = place.ours(&words);
        if (&ours.out, ours.code) != (&theirs.out, theirs.code) {
            wrong.push(format!("{name}: {ours:?}\n  real Nix: {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
    let our_derivations = derivations(&place.path("store"));
    assert!(our_derivations.len() > CASES.len() / 2, "{}", our_derivations.len());
    same(&our_derivations, &their_derivations);
}

/// `nix-instantiate FILE` with a store directory of its own.
#[test]
fn the_files_in_another_store_are_those_of_real_nix() {
    let Some(judge) = judge::judge("nix-instantiate") else { return };
    let place = Place::new();
    let text = program("n", "n: [ (tree n) (content n) (plain \"echo ${./program.txt}\" \"src\") ]");
    std::fs::write(place.path("file.nix"), &text).unwrap();
    let theirs = run(place.prepare(judge, &["file.nix"]));
    assert_eq!(theirs.code, 0, "{theirs:?}");
    let their_derivations = derivations(&place.aside("theirs"));
    let ours = place.ours(&["file.nix"]);
    assert_eq!((&ours.out, ours.code), (&theirs.out, 0), "{ours:?}");
    for line in ours.out.lines() {
        assert!(Path::new(line).is_file(), "{line}");
    }
    assert_eq!(ours.out.lines().count(), 3);
    same(&derivations(&place.path("store")), &their_derivations);
}

/// `--store DIR`: the root of a file system with a store in it.
#[test]
fn the_files_in_another_root_are_those_of_real_nix() {
    let Some(judge) = judge::judge("nix-instantiate") else { return };
    let place = Place::new();
    let text = program("n", "n: plain \"echo ${./program.txt} ${content n}\" \"outer\"");
    let answer = |command: Command, root: &str| {
        let mut command = place.prepare(command, &["-E", &text, "--store"]);
        command.arg(place.path(root)).env_remove("NIX_STORE_DIR").env_remove("NIX_STATE_DIR");
        let answer = run(command);
        assert_eq!(answer.code, 0, "{answer:?}");
        (answer.out, derivations(&place.path(root).join("nix/store")))
    };
    let (their_out, theirs) = answer(judge, "their-root");
    let (our_out, ours) = answer(Command::new(place.path("nix-instantiate")), "our-root");
    assert_eq!(our_out, their_out);
    assert_eq!(ours.len(), 2);
    same(&ours, &theirs);
}

/// What `nix-instantiate --eval` does without a word about writing.
#[test]
fn nothing_is_built_where_nothing_is_written() {
    let place = Place::new();
    let text = program("read-only", "n: import (tree n)");
    let Answer { out, err, code } = place.ours(&["--eval", "-E", &text]);
    assert_eq!((out.as_str(), code), ("", 1));
    assert!(err.starts_with("error: path '") && err.contains("-read-only.drv' is not valid\n"), "{err}");
    assert!(err.contains("hint: ") && err.contains("--read-write-mode"), "{err}");
    assert!(!place.path("store").exists() && !place.path("var").exists());

    // What was instantiated before can be built.
    assert_eq!(place.ours(&["-E", &program("read-only", "tree")]).code, 0);
    let Answer { out, err, code } = place.ours(&["--eval", "-E", &text]);
    assert_eq!((out.as_str(), code), ("42\n", 0), "{err}");
    // And what was built can be read, whatever the setting says of builds.
    let off = ["--option", "allow-import-from-derivation", "false"];
    let Answer { out, err, code } =
        place.ours(&["--eval", "--read-write-mode", off[0], off[1], off[2], "-E", &text]);
    assert_eq!((out.as_str(), code), ("", 1));
    let said = "-read-only.drv^out' during evaluation because the option \
                'allow-import-from-derivation' is disabled\n";
    assert!(err.starts_with("error: cannot build '") && err.contains(said), "{err}");
}

#[test]
fn a_failed_build_says_which_where_and_why() {
    let place = Place::new();
    let text = program("broken", "n: builtins.readFile (fails n)");
    std::fs::write(place.path("file.nix"), &text).unwrap();
    let Answer { err, code, .. } = place.ours(&["--eval", "--read-write-mode", "file.nix"]);
    assert_eq!(code, 100, "{err}");
    let log = err.lines().find_map(|line| line.strip_prefix("  whole log: ")).expect(&err);
    assert_eq!(std::fs::read_to_string(log).unwrap(), "said\nloudly\n");
    let rest: Vec<&str> = err.lines().filter(|line| !line.contains("log: ")).collect();
    assert!(rest[0].starts_with("failed to build broken ("), "{err}");
    let said = rest[1].strip_prefix("error: cannot build '").expect(&err);
    assert!(
        said.starts_with(place.path("store").to_str().unwrap())
            && said.ends_with("-broken.drv' during evaluation: builder failed with exit code 3"),
        "{err}"
    );
    assert_eq!(rest[2..5], ["  while building: broken", "  | said", "  | loudly"]);
    assert!(rest[5].starts_with("  at ") && rest[5].contains("file.nix:"), "{err}");
    assert!(err.contains("while calling the 'readFile' builtin"), "{err}");
}

#[test]
fn a_build_may_take_only_so_long() {
    let place = Place::new();
    let text = program("slow", "n: import (plain \"sleep 60\" n)");
    for limit in [["--timeout", "1"], ["--max-silent-time", "1"]] {
        let Answer { err, code, .. } =
            place.ours(&["--eval", "--read-write-mode", limit[0], limit[1], "-E", &text]);
        assert_eq!(code, 101, "{err}");
        assert!(err.contains("was stopped after 1 s"), "{err}");
    }
}

/// The commands of our own, with the user's own store.
#[test]
fn every_command_builds_what_programs_read() {
    let place = Place::new();
    let home = place.path("home");
    let run = |words: &[&str], input: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osbuild"));
        command
            .args(words)
            .env_clear()
            .env("HOME", place.directory.path())
            .env("OSBUILD_HOME", &home)
            .current_dir(place.directory.path());
        if let Some(input) = input {
            std::fs::write(place.path("input"), input).unwrap();
            command.stdin(std::fs::File::open(place.path("input")).unwrap());
        }
        let Answer { out, err, code } = run(command);
        assert_eq!(code, 0, "{words:?}: {err}");
        out
    };
    let text = format!("{PROGRAM} n: plain \"echo ${{toString (import (content n))}} > $out\" \"outer\"");
    std::fs::write(place.path("file.nix"), &text).unwrap();
    // Each with an inner derivation of its own, to be built by that command.
    let target = |inner: &str| {
        let file = format!("{inner}.nix");
        std::fs::write(place.path(&file), format!("import ./file.nix \"{inner}\"")).unwrap();
        format!("./{file}")
    };
    let inner = |inner: &str| {
        std::fs::read_dir(home.join("store"))
            .into_iter()
            .flatten()
            .any(|entry| entry.unwrap().file_name().to_str().unwrap().ends_with(&format!("-{inner}")))
    };
    assert_eq!(run(&["eval", "--raw", "-E", "(import ./file.nix \"a\").name"], None), "outer");
    assert!(!home.join("store").exists(), "nothing was read, so nothing was built");
    let path = run(&["eval", "--raw", "-E", "(import ./file.nix \"a\").drvPath"], None);
    assert!(inner("a") && !home.join("store").join(path.rsplit('/').next().unwrap()).exists());
    let shown = run(&["derivation", "show", &target("b")], None);
    // The inner one's name is not in what was read: they are one derivation.
    assert!(inner("b") && shown.contains(&path), "{shown}");
    let built = run(&["build", "--no-link", &target("c")], None);
    assert!(inner("c"));
    assert_eq!(std::fs::read_to_string(built.trim_end()).unwrap(), "42\n");
    // Pure evaluation does not know the system, which the program asks for.
    let known = std::fs::read_to_string(place.path("file.nix")).unwrap();
    let system = format!("\"{}-linux\"", std::env::consts::ARCH);
    std::fs::write(place.path("pure.nix"), known.replace("builtins.currentSystem", &system)).unwrap();
    let pure = run(&["eval", "--pure", "--raw", "-E", "(import ./pure.nix \"e\").drvPath"], None);
    assert!(inner("e") && pure == path);
    let answer = run(&["repl"], Some("(import ./file.nix \"d\").drvPath\n:b import ./file.nix \"d\"\n"));
    assert!(inner("d") && answer.contains(&path) && answer.contains(built.trim_end()), "{answer}");
}
