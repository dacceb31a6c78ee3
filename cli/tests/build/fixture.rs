//! A place of its own: a store, and derivations made by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use osbuild_core::derivation::aterm::to_aterm;
use osbuild_core::derivation::{self, Derivation, placeholder};
use osbuild_store::action::OutputName;
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{HashAlgorithm, LocalStore, NixHash, StoreDir, StorePath};
use serde_json::{Value, json};

use super::host_root::host_root;

pub(crate) struct Fixture {
    pub(crate) place: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("drv")).unwrap();
        Self { place }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.place.path().join("home")
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
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
    pub(crate) fn run(&self, words: &[&str]) -> (String, String, i32) {
        self.run_with(words, &[])
    }

    /// As [`Fixture::run`], with these variables.
    pub(crate) fn run_with(&self, words: &[&str], variables: &[(&str, &OsStr)]) -> (String, String, i32) {
        let mut command = self.command(words);
        let Output { status, stdout, stderr } = command.envs(variables.iter().copied()).output().unwrap();
        let clean = |bytes: Vec<u8>| {
            String::from_utf8(bytes).unwrap().replace(self.place.path().to_str().unwrap(), "PLACE")
        };
        (clean(stdout), clean(stderr), status.code().unwrap_or(-1))
    }

    /// Writes a `.drv` of a built-in builder as real Nix would; its file.
    pub(crate) fn derivation(
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
            input_derivations: outs(inputs),
            input_sources: BTreeSet::new(),
            system: b"builtin".to_vec(),
            builder: format!("builtin:{builder}").into_bytes(),
            arguments: Vec::new(),
            environment: BTreeMap::from([(b"__json".to_vec(), parameters.to_string().into_bytes())]),
        };
        self.write(name, &derivation)
    }

    pub(crate) fn tree(&self, name: &str, files: Value) -> (StorePath, String) {
        self.derivation("write-tree", name, json!({ "files": files }), floating(), &[])
    }

    /// A build in the sandbox: a script for the host's own shell.
    pub(crate) fn shell(&self, name: &str, script: &str, inputs: &[&StorePath]) -> (StorePath, String) {
        self.build(name, script, inputs, None)
    }

    /// The same with a folder, which the script finds at `$source`.
    pub(crate) fn shell_of(&self, name: &str, script: &str, source: &Path) -> (StorePath, String) {
        self.build(name, script, &[], Some(source))
    }

    fn build(
        &self,
        name: &str,
        script: &str,
        inputs: &[&StorePath],
        source: Option<&Path>,
    ) -> (StorePath, String) {
        let store = LocalStore::open(&self.home()).unwrap();
        let root = store.add_source("root", &host_root(), Ingestion::Recursive).unwrap();
        let mut sources = BTreeSet::from([root.clone()]);
        let mut environment = BTreeMap::from([
            (b"name".to_vec(), name.as_bytes().to_vec()),
            (b"out".to_vec(), placeholder::own_output("out").into_bytes()),
            (b"sandboxRoot".to_vec(), store.store_dir().display(&root).into_bytes()),
        ]);
        for (index, input) in inputs.iter().enumerate() {
            let text = placeholder::upstream_output(input, "out");
            environment.insert(format!("input{index}").into_bytes(), text.into_bytes());
        }
        if let Some(folder) = source {
            let source = store.add_source("source", &tree_of(folder), Ingestion::Recursive).unwrap();
            environment.insert(b"source".to_vec(), store.store_dir().display(&source).into_bytes());
            sources.insert(source);
        }
        self.write(
            name,
            &Derivation {
                outputs: BTreeMap::from([(OutputName::out(), floating())]),
                input_derivations: outs(inputs),
                input_sources: sources,
                system: format!("{}-linux", std::env::consts::ARCH).into_bytes(),
                builder: b"/bin/sh".to_vec(),
                arguments: vec![b"-euc".to_vec(), format!("PATH=/usr/bin\n{script}").into_bytes()],
                environment,
            },
        )
    }

    fn write(&self, name: &str, derivation: &Derivation) -> (StorePath, String) {
        let dir = StoreDir::default();
        let text = to_aterm(derivation, &dir);
        let references =
            derivation.input_derivations.keys().chain(&derivation.input_sources).cloned().collect();
        let path = dir.text_path(&format!("{name}.drv"), &text, &references).unwrap();
        let file = self.place.path().join("drv").join(path.as_str());
        std::fs::write(&file, text).unwrap();
        (path, file.to_str().unwrap().to_owned())
    }

    /// The command must end with this exit code and these words on standard
    /// error, in this order; and leave a sound store behind.
    pub(crate) fn fails(&self, words: &[&str], code: i32, expected: &[&str]) {
        let (out, err, actual) = self.run(words);
        assert_eq!(actual, code, "{words:?}: {out}{err}");
        in_order(&err, expected);
        self.is_sound();
    }

    pub(crate) fn succeeds(&self, words: &[&str]) -> String {
        let (out, err, code) = self.run(words);
        assert_eq!(code, 0, "{words:?}: {out}{err}");
        out
    }

    /// Runs a script that may mount below the place, where nobody else sees it;
    /// `$osbuild` is the command, with the store `home`. What was printed.
    pub(crate) fn with_mounts(&self, home: &Path, script: &str) -> String {
        let output = Command::new("timeout")
            .args(["120", "unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", script])
            .env("OSBUILD_HOME", home)
            .env("HOME", self.place.path())
            .env("osbuild", env!("CARGO_BIN_EXE_osbuild"))
            .current_dir(self.place.path())
            .output()
            .expect("the host has timeout and unshare");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let text = text.replace(self.place.path().to_str().unwrap(), "PLACE");
        assert!(output.status.success(), "{}: {script}\n{text}", output.status);
        text
    }

    pub(crate) fn is_sound(&self) {
        let (out, err, code) = self.run(&["store", "verify"]);
        assert_eq!(code, 0, "the store is not sound: {out}{err}");
    }

    pub(crate) fn fetch(&self, name: &str, parameters: Value, contents: &[u8]) -> String {
        let hash = NixHash::of(HashAlgorithm::Sha256, contents);
        let path = StoreDir::default().fixed_path(name, false, &hash, &BTreeSet::new(), false).unwrap();
        let output = derivation::Output::Fixed { path, recursive: false, hash };
        self.derivation("fetchurl", name, parameters, output, &[]).1
    }
}

/// A folder of folders and plain files.
fn tree_of(path: &Path) -> SourceTree {
    if !path.is_dir() {
        return SourceTree::Regular { path: path.to_owned(), executable: false };
    }
    let member = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_encoded_bytes(), tree_of(&entry.path()))
    };
    SourceTree::Directory(path.read_dir().unwrap().map(member).collect())
}

pub(crate) fn floating() -> derivation::Output {
    derivation::Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 }
}

fn outs(inputs: &[&StorePath]) -> BTreeMap<StorePath, BTreeSet<OutputName>> {
    inputs.iter().map(|input| ((*input).clone(), BTreeSet::from([OutputName::out()]))).collect()
}

/// Each part stands in the text, behind the one before.
pub(crate) fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("{part:?} is not (there) in:\n{text}") };
        rest = &rest[at + part.len()..];
    }
}
