//! `osbuild build` and `osbuild store` as a user types them: messages, exit
//! codes, and a store that survives being killed at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use osbuild_core::derivation::aterm::to_aterm;
use osbuild_core::derivation::{self, Derivation, placeholder};
use osbuild_store::action::OutputName;
use osbuild_store::{HashAlgorithm, NixHash, StoreDir, StorePath};
use serde_json::{Value, json};

struct Fixture {
    place: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("drv")).unwrap();
        Self { place }
    }

    fn home(&self) -> PathBuf {
        self.place.path().join("home")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_osbuild"));
        command
            .args(words)
            .env_clear()
            .env("OSBUILD_HOME", self.home())
            .env("HOME", self.place.path())
            .current_dir(self.place.path())
            .stdin(Stdio::null());
        command
    }

    /// Standard output, standard error with the place taken out, exit code.
    fn run(&self, words: &[&str]) -> (String, String, i32) {
        let Output { status, stdout, stderr } = self.command(words).output().unwrap();
        let clean = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(self.place.path().to_str().unwrap(), "PLACE")
        };
        (clean(stdout), clean(stderr), status.code().unwrap_or(-1))
    }

    /// Writes a `.drv` of a built-in builder as real Nix would; its file.
    fn derivation(
        &self,
        builder: &str,
        name: &str,
        mut parameters: Value,
        output: derivation::Output,
        inputs: &[&StorePath],
    ) -> (StorePath, String) {
        parameters["builtinVersion"] = "1".into();
        parameters["name"] = name.into();
        let derivation = Derivation {
            outputs: BTreeMap::from([(OutputName::out(), output)]),
            input_derivations: inputs
                .iter()
                .map(|input| ((*input).clone(), BTreeSet::from([OutputName::out()])))
                .collect(),
            input_sources: BTreeSet::new(),
            system: b"builtin".to_vec(),
            builder: format!("builtin:{builder}").into_bytes(),
            arguments: Vec::new(),
            environment: BTreeMap::from([(b"__json".to_vec(), parameters.to_string().into_bytes())]),
        };
        let dir = StoreDir::default();
        let text = to_aterm(&derivation, &dir);
        let references = inputs.iter().map(|input| (*input).clone()).collect();
        let path = dir.text_path(&format!("{name}.drv"), &text, &references).unwrap();
        let file = self.place.path().join("drv").join(path.as_str());
        std::fs::write(&file, text).unwrap();
        (path, file.to_str().unwrap().to_owned())
    }

    fn tree(&self, name: &str, files: Value) -> (StorePath, String) {
        self.derivation("write-tree", name, json!({ "files": files }), floating(), &[])
    }

    fn fetch(&self, name: &str, parameters: Value, contents: &[u8]) -> String {
        let hash = NixHash::of(HashAlgorithm::Sha256, contents);
        let path = StoreDir::default().fixed_path(name, false, &hash, &BTreeSet::new(), false).unwrap();
        let output = derivation::Output::Fixed { path, recursive: false, hash };
        self.derivation("fetchurl", name, parameters, output, &[]).1
    }
}

fn floating() -> derivation::Output {
    derivation::Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 }
}

#[test]
fn builds_links_and_says_where() {
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    let (out, err, code) = fixture.run(&["build", &file]);
    assert_eq!((code, err.starts_with("built hello (")), (0, true), "{err}");
    let link = fixture.place.path().join("result");
    assert_eq!(std::fs::read_to_string(link.join("a")).unwrap(), "A");
    let path = std::fs::read_link(&link).unwrap();
    assert_eq!(
        out.trim_end(),
        path.to_str().unwrap().replace(fixture.place.path().to_str().unwrap(), "PLACE")
    );

    let (out, err, code) = fixture.run(&["build", &file, "--json"]);
    let record: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((record["schema"].as_u64(), err.as_str(), code), (Some(1), "", 0));

    // The link keeps it; without, it goes.
    let (out, _, _) = fixture.run(&["store", "gc"]);
    assert!(out.starts_with("removed 0 objects"), "{out}");
    assert!(path.exists());
    std::fs::remove_file(&link).unwrap();
    let (out, _, _) = fixture.run(&["store", "gc"]);
    assert!(out.starts_with("removed 1 objects"), "{out}");
    assert!(!path.exists());
}

#[test]
fn no_mirror_is_known() {
    let fixture = Fixture::new();
    let file = fixture.fetch("source.tar", json!({ "urls": ["mirror://my-place/source.tar"] }), b"x");
    let (_, err, code) = fixture.run(&["build", &file, "--quiet"]);
    assert_eq!(
        (err.as_str(), code),
        (
            "error: cannot download: no mirror is known for mirror://my-place/\n  \
             while building: source.tar\n\
             hint: name one in ~/.config/osbuild/config.toml:\n  [mirrors]\n  my-place = \"https://…\"\n\
             or in the environment: OSBUILD_MIRROR_MY_PLACE\n",
            2
        )
    );
    // And that is all it takes.
    std::fs::write(fixture.place.path().join("source.tar"), "x").unwrap();
    let config = fixture.place.path().join(".config/osbuild");
    std::fs::create_dir_all(&config).unwrap();
    let text = format!("[mirrors]\nmy-place = \"file://{}\"\n", fixture.place.path().display());
    std::fs::write(config.join("config.toml"), text).unwrap();
    assert_eq!(fixture.run(&["build", &file]).2, 0);
}

#[test]
fn a_wrong_hash_is_refused_with_both_hashes() {
    let fixture = Fixture::new();
    let evil = fixture.place.path().join("evil");
    std::fs::write(&evil, "evil").unwrap();
    let url = format!("file://{}", evil.display());
    let file = fixture.fetch("source.tar", json!({ "urls": [url] }), b"good");
    let (_, err, code) = fixture.run(&["build", &file, "--quiet"]);
    let hash = |text: &[u8]| NixHash::of(HashAlgorithm::Sha256, text).to_sri();
    let expected = format!(
        "error: cannot download: hash mismatch for file://PLACE/evil: expected {}, got {}\n  \
         while building: source.tar\nhint: ",
        hash(b"good"),
        hash(b"evil")
    );
    assert!(err.starts_with(&expected), "{err}");
    assert_eq!(code, 3);
    assert_eq!(fixture.run(&["store", "verify"]).0, "0 objects, 0 problems\n");
}

#[test]
fn a_pin_that_is_gone_names_its_lock() {
    let fixture = Fixture::new();
    let pin = json!({ "lock": "sdk-c", "package": "gcc", "version": "14" });
    let file = fixture.fetch("gcc.deb", json!({ "urls": ["file:///nowhere/gcc.deb"], "pin": pin }), b"x");
    let (_, err, code) = fixture.run(&["build", &file, "--quiet"]);
    assert_eq!(
        (err.as_str(), code),
        (
            "error: cannot download gcc 14 (lock sdk-c): cannot fetch gcc.deb: no mirror serves it any more\n  \
             file:///nowhere/gcc.deb: no such file\n  \
             while building: gcc.deb\n\
             hint: the mirror serves another version by now: `osbuild lock update sdk-c` pins it\n",
            1
        )
    );
}

#[test]
fn wrong_words_are_exit_2_and_say_so() {
    let fixture = Fixture::new();
    for (words, expected) in [
        (&["build"][..], "required arguments were not provided"),
        (&["bulid"], "unrecognized subcommand 'bulid'"),
        (&["store", "info", "/etc/passwd"], "'/etc/passwd' is no path of the store"),
        (&["store", "gc", "--max-size", "1X"], "unknown unit 'X'"),
    ] {
        let (out, err, code) = fixture.run(words);
        assert!(err.contains(expected) && out.is_empty(), "{err}");
        assert_eq!(code, 2, "{words:?}");
    }
}

#[test]
fn a_damaged_object_is_named_and_made_again() {
    let fixture = Fixture::new();
    let (_, file) = fixture.tree("hello", json!({ "a": { "text": "A" } }));
    let (out, _, _) = fixture.run(&["build", &file]);
    let object = PathBuf::from(out.trim_end().replace("PLACE", fixture.place.path().to_str().unwrap()));
    let at = object.join("a");
    std::fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&at, "B").unwrap();
    let (out, err, code) = fixture.run(&["store", "verify"]);
    assert!(out.contains("hello is corrupt: expected sha256-"), "{out}");
    assert!(err.contains("hint: `osbuild store verify --repair`"), "{err}");
    assert_eq!(code, 3);
    assert_eq!(fixture.run(&["store", "verify", "--repair"]).2, 0);
    assert_eq!(fixture.run(&["build", &file]).2, 0);
    assert_eq!(std::fs::read_to_string(at).unwrap(), "A");
}

#[test]
fn a_store_on_a_read_only_place_says_so() {
    if rustix::process::geteuid().is_root() {
        // Root may write anywhere but here.
        let fixture = Fixture::new();
        let output = fixture.command(&["store", "gc"]).env("OSBUILD_HOME", "/proc/osbuild").output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains("cannot make the directory /proc/osbuild"), "{err}");
        return;
    }
    let fixture = Fixture::new();
    std::fs::set_permissions(fixture.place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o555))
        .unwrap();
    let (_, err, code) = fixture.run(&["store", "gc"]);
    std::fs::set_permissions(fixture.place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    assert!(err.contains("cannot make the directory PLACE/home: Permission denied"), "{err}");
    assert!(err.contains("hint: ") && code == 1, "{err}");
}

/// Killed again and again at moments spread over a whole run, the store is
/// sound each time, and the next run goes on where the last one ended.
#[test]
fn a_kill_at_any_moment_leaves_a_sound_store() {
    let fixture = Fixture::new();
    let mut entries = serde_json::Map::new();
    let mut inputs = Vec::new();
    for tree in 0..12 {
        let text = format!("{tree} ").repeat(4000);
        let files: serde_json::Map<String, Value> = (0..40)
            .map(|f| (format!("d{}/f{f}", f % 7), json!({ "text": format!("{text}{}", f % 3) })))
            .collect();
        let (path, _) = fixture.tree(&format!("tree-{tree}"), files.into());
        entries.insert(format!("t{tree}"), placeholder::upstream_output(&path, "out").into());
        inputs.push(path);
    }
    let inputs: Vec<&StorePath> = inputs.iter().collect();
    let (_, file) = fixture.derivation("join", "all", json!({ "entries": entries }), floating(), &inputs);

    let mut delay = Duration::from_millis(4);
    let mut finished = 0;
    for round in 0..40 {
        let mut child = fixture
            .command(&["build", &file, "--quiet", "-j", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(delay);
        let _ = child.kill();
        if child.wait().unwrap().success() {
            finished += 1;
        }
        let (out, err, code) = fixture.run(&["store", "verify"]);
        assert_eq!(code, 0, "round {round}, killed after {delay:?}: {out}{err}");
        if finished == 1 {
            // Begin anew, so that late moments of a whole run are met too.
            finished = 0;
            let _ = std::fs::remove_file(fixture.place.path().join("result"));
            assert_eq!(fixture.run(&["store", "gc"]).2, 0);
            delay = Duration::from_millis(4);
        }
        delay += Duration::from_millis(7);
    }
    let (out, err, code) = fixture.run(&["build", &file, "--quiet"]);
    assert_eq!(code, 0, "{out}{err}");
    let result = fixture.place.path().join("result");
    assert_eq!(count_files(&result.canonicalize().unwrap()), 12 * 40);
    assert_eq!(fixture.run(&["store", "gc"]).2, 0);
    let (out, _, code) = fixture.run(&["store", "verify", "--json"]);
    let record: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((record["leftovers"].as_array().map(Vec::len), code), (Some(0), 0), "{out}");
}

fn count_files(directory: &Path) -> usize {
    directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { count_files(&path) } else { 1 })
        .sum()
}
