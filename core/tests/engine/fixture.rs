//! A store of its own, a package root made of the host's shell, and
//! derivations made by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use osbuild_core::build::{BuildOptions, Surroundings};
use osbuild_core::derivation::aterm::to_aterm;
use osbuild_core::derivation::{Derivation, Output, placeholder};
use osbuild_core::fetch::{FetchConfig, Fetcher};
use osbuild_core::graph::{Engine, Event, GraphError, Jobs, Kind, Observer, Outcome, Wanted};
use osbuild_store::action::OutputName;
use osbuild_store::store::{Ingestion, SourceSink};
use osbuild_store::{HashAlgorithm, LocalStore, StorePath};

use super::host_root::host_root;

pub(crate) struct Fixture {
    _home: tempfile::TempDir,
    pub(crate) store: LocalStore,
    pub(crate) fetcher: Fetcher,
    pub(crate) root: StorePath,
    pub(crate) options: BuildOptions,
    pub(crate) interrupted: AtomicBool,
    derivations: Mutex<BTreeMap<StorePath, Arc<Derivation>>>,
    /// Names of the steps that ran, in the order in which they ended.
    pub(crate) ran: Recorder,
}

#[derive(Default)]
pub(crate) struct Recorder {
    names: Mutex<BTreeMap<usize, String>>,
    running: AtomicUsize,
    ended: Mutex<Vec<String>>,
    warnings: Mutex<Vec<String>>,
    phases: Mutex<Vec<String>>,
    planned: Mutex<Vec<(usize, usize, bool)>>,
    most_at_once: AtomicUsize,
}

impl Observer for Recorder {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { step, name, kind, .. } => {
                let verb = if kind == Kind::Substitute { "substitute " } else { "" };
                self.names.lock().unwrap().insert(step, format!("{verb}{name}"));
                let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
                self.most_at_once.fetch_max(running, Ordering::Relaxed);
            }
            Event::Finished { step, outcome: Outcome::Made } => {
                let name = self.names.lock().unwrap()[&step].clone();
                self.ended.lock().unwrap().push(name);
                self.running.fetch_sub(1, Ordering::Relaxed);
            }
            Event::Finished { outcome: Outcome::Failed, .. } => {
                self.running.fetch_sub(1, Ordering::Relaxed);
            }
            Event::Planned { certain, possible, usual } => {
                self.planned.lock().unwrap().push((certain, possible, usual.is_some()));
            }
            Event::Phase { name, .. } => self.phases.lock().unwrap().push(name.to_owned()),
            Event::Warning { text } => self.warnings.lock().unwrap().push(text.to_owned()),
            _ => {}
        }
    }
}

impl Recorder {
    /// What ran since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.ended.lock().unwrap())
    }

    /// How many ran at the same time since the last call, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn phases(&self) -> Vec<String> {
        self.phases.lock().unwrap().clone()
    }

    /// Plans since the last call: steps that run, that may run, and whether it
    /// was known how long they take.
    pub(crate) fn planned(&self) -> Vec<(usize, usize, bool)> {
        std::mem::take(&mut *self.planned.lock().unwrap())
    }

    pub(crate) fn warned_of(&self, text: &str) -> bool {
        self.warnings.lock().unwrap().iter().any(|warning| warning.contains(text))
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_config(FetchConfig::default())
    }

    pub(crate) fn with_config(config: FetchConfig) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = LocalStore::open(home.path()).unwrap();
        let fetcher = Fetcher::new(FetchConfig { cache: home.path().join("cache"), ..config });
        let root = store.add_source("root", &host_root(), Ingestion::Recursive).unwrap();
        let options = BuildOptions {
            cores: 2,
            keep_failed: false,
            timeout: None,
            max_silence: None,
            surroundings: Surroundings::default(),
        };
        Self {
            _home: home,
            store,
            fetcher,
            root,
            options,
            interrupted: AtomicBool::new(false),
            derivations: Mutex::default(),
            ran: Recorder::default(),
        }
    }

    /// A floating derivation that runs a script in the package root.
    pub(crate) fn shell(&self, name: &str, script: &str, inputs: &[&StorePath]) -> StorePath {
        self.add(name, self.script(name, script, inputs))
    }

    pub(crate) fn shell_with(
        &self,
        name: &str,
        script: &str,
        inputs: &[&StorePath],
        output: Output,
        more: &[(&str, &str)],
    ) -> StorePath {
        let mut derivation = self.script(name, script, inputs);
        derivation.outputs.insert(OutputName::out(), output);
        let more = more.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        derivation.environment.extend(more);
        self.add(name, derivation)
    }

    /// As [`Fixture::shell`], with a source, which the script finds at `$source`.
    pub(crate) fn shell_of(&self, name: &str, script: &str, source: &StorePath) -> StorePath {
        let mut derivation = self.script(name, script, &[]);
        let at = self.store.store_dir().display(source);
        derivation.environment.insert(b"source".to_vec(), at.into_bytes());
        derivation.input_sources.insert(source.clone());
        self.add(name, derivation)
    }

    fn script(&self, name: &str, script: &str, inputs: &[&StorePath]) -> Derivation {
        let output = Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 };
        let dir = self.store.store_dir();
        let mut environment = BTreeMap::from([
            (b"name".to_vec(), name.as_bytes().to_vec()),
            (b"out".to_vec(), placeholder::own_output("out").into_bytes()),
            (b"sandboxRoot".to_vec(), dir.display(&self.root).into_bytes()),
        ]);
        let mut input_derivations = BTreeMap::new();
        for (index, input) in inputs.iter().enumerate() {
            let text = placeholder::upstream_output(input, "out");
            environment.insert(format!("input{index}").into_bytes(), text.into_bytes());
            input_derivations.insert((*input).clone(), BTreeSet::from([OutputName::out()]));
        }
        Derivation {
            outputs: BTreeMap::from([(OutputName::out(), output)]),
            input_derivations,
            input_sources: BTreeSet::from([self.root.clone()]),
            system: format!("{}-linux", std::env::consts::ARCH).into_bytes(),
            builder: b"/bin/sh".to_vec(),
            arguments: vec![b"-euc".to_vec(), format!("PATH=/usr/bin\n{script}").into_bytes()],
            environment,
        }
    }

    /// A built-in builder with these parameters.
    pub(crate) fn builtin(&self, builder: &str, name: &str, parameters: serde_json::Value) -> StorePath {
        let mut json = parameters;
        json["builtinVersion"] = "1".into();
        json["name"] = name.into();
        let mut input_sources = BTreeSet::new();
        collect_sources(&json, &self.store, &mut input_sources);
        let output = Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 };
        self.add(
            name,
            Derivation {
                outputs: BTreeMap::from([(OutputName::out(), output)]),
                input_derivations: BTreeMap::new(),
                input_sources,
                system: b"builtin".to_vec(),
                builder: format!("builtin:{builder}").into_bytes(),
                arguments: Vec::new(),
                environment: BTreeMap::from([
                    (b"__json".to_vec(), json.to_string().into_bytes()),
                    (b"out".to_vec(), placeholder::own_output("out").into_bytes()),
                ]),
            },
        )
    }

    pub(crate) fn add(&self, name: &str, derivation: Derivation) -> StorePath {
        let dir = self.store.store_dir();
        let references =
            derivation.input_derivations.keys().chain(&derivation.input_sources).cloned().collect();
        let path = dir.text_path(&format!("{name}.drv"), &to_aterm(&derivation, dir), &references).unwrap();
        self.derivations.lock().unwrap().insert(path.clone(), Arc::new(derivation));
        path
    }

    pub(crate) fn engine(&self) -> Engine<'_> {
        Engine {
            store: &self.store,
            fetcher: &self.fetcher,
            substituters: None,
            options: &self.options,
            jobs: Jobs::AtMost(2),
            downloads: 2,
            remote: None,
            remote_jobs: 2,
            keep_going: false,
            rebuild: false,
            observer: &self.ran,
            interrupted: &self.interrupted,
        }
    }

    pub(crate) fn build(&self, derivation: &StorePath) -> Result<StorePath, GraphError> {
        self.build_with(&self.engine(), derivation)
    }

    pub(crate) fn build_with(
        &self,
        engine: &Engine<'_>,
        derivation: &StorePath,
    ) -> Result<StorePath, GraphError> {
        let wanted = [Wanted { derivation: derivation.clone(), outputs: None }];
        let realised = engine.realise(&|path| self.lookup(path), &wanted)?;
        Ok(realised[0].outputs[&OutputName::out()].clone())
    }

    pub(crate) fn lookup(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        self.derivations.lock().unwrap().get(path).cloned()
    }

    /// The text of a built file.
    pub(crate) fn text(&self, derivation: &StorePath) -> String {
        let path = self.build(derivation).unwrap_or_else(|e| panic!("{e:?}"));
        fs::read_to_string(self.store.physical(&path)).unwrap()
    }

    /// The error of the one build that fails, with its causes.
    pub(crate) fn failure(&self, derivation: &StorePath) -> String {
        match self.build(derivation) {
            Err(GraphError::Failed { failures }) => describe(&failures[0].1),
            other => panic!("expected a failed build, got {other:?}"),
        }
    }
}

pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn collect_sources(json: &serde_json::Value, store: &LocalStore, sources: &mut BTreeSet<StorePath>) {
    match json {
        serde_json::Value::String(text) => {
            sources.extend(store.store_dir().split(text).map(|(path, _)| path))
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| collect_sources(item, store, sources))
        }
        serde_json::Value::Object(members) => {
            members.values().for_each(|member| collect_sources(member, store, sources));
        }
        _ => {}
    }
}
