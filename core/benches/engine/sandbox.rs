//! What a build costs beside its own work.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use osbuild_core::build::sandbox::{Attached, BUILDER_IDS, Conditions, SandboxSpec};
use osbuild_core::build::{BuildOptions, Surroundings};
use osbuild_core::derivation::aterm::to_aterm;
use osbuild_core::derivation::{Derivation, Output, placeholder};
use osbuild_core::fetch::{FetchConfig, Fetcher};
use osbuild_core::graph::{Engine, Event, Jobs, Observer, Wanted};
use osbuild_store::action::OutputName;
use osbuild_store::local::remove_tree;
use osbuild_store::store::{Ingestion, SourceSink};
use osbuild_store::{HashAlgorithm, LocalStore, StorePath};

use crate::bench::Bench;
use crate::files::describe;
use crate::measure::{Spread, run, sync, wall};
use crate::nix::Nix;
use crate::place::Directory;
use crate::program::compile;
use crate::table::{Row, Size, Target};

/// Directories that are mounted, besides the program.
const INPUTS: usize = 10;
const LIMIT_MS: f64 = 5.0;

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let world = World::new(bench);
    let count = bench.scaled(200);
    let plain = world.plain(count);
    let less_plain = |times: Vec<f64>| Spread::new(times.iter().map(|time| time - plain.median()).collect());
    let sandbox = less_plain((0..count).map(|_| world.in_sandbox()).collect());
    let numbers = Cell::new(0);
    let engine = |sync| {
        let times = (0..count).map(|_| {
            numbers.set(numbers.get() + 1);
            world.built(numbers.get(), sync)
        });
        less_plain(times.collect())
    };
    let (registered, synced) = (engine(false), engine(true));
    let nix = |synced| Some(less_plain(world.by_nix(bench, synced)));
    let (nix_registered, nix_synced) = (nix(false), nix(true));
    let target =
        Target { what: format!("≤ {LIMIT_MS} ms, the median"), is_met: sandbox.median() <= LIMIT_MS };
    let row = |name, what: &str, nix, ours, target| {
        let sizes = vec![Size { items: 1, nix, ours }];
        Row { name, what: what.to_owned(), item: "build", sizes, target }
    };
    vec![
        row(
            "sandbox",
            "From spawn to reap of a program that does nothing, ten directories mounted, less plain fork and exec of it; of Nix a whole build.",
            nix_registered.clone(),
            sandbox,
            Some(target),
        ),
        row(
            "sandbox-registered",
            "The same as a build: planned, its output hashed and registered, nothing synced.",
            nix_registered,
            registered,
            None,
        ),
        row(
            "sandbox-synced",
            "The same, each build on the disk before the next (Nix: its database; ours: the file system).",
            nix_synced,
            synced,
            None,
        ),
    ]
}

/// A store with a program and its inputs.
struct World {
    store: LocalStore,
    fetcher: Fetcher,
    program: StorePath,
    inputs: BTreeSet<StorePath>,
    /// Emptied when the store in it is closed.
    place: Directory,
}

impl World {
    fn new(bench: &Bench) -> Self {
        let place = bench.directory();
        let home = place.path().join("home");
        let store = LocalStore::open(&home).expect("a store can be made");
        let add = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            store.add_source(&name, &describe(path), Ingestion::Recursive).expect("it can be added")
        };
        let program = add(&compile(place.path()));
        let inputs = (0..INPUTS).map(|index| {
            let directory = place.path().join(format!("input-{index}"));
            fs::create_dir(&directory).expect("the directory is writable");
            fs::write(directory.join("file"), index.to_string()).expect("the directory is writable");
            add(&directory)
        });
        let inputs = inputs.collect();
        let fetcher = Fetcher::new(FetchConfig { cache: home.join("cache"), ..FetchConfig::default() });
        Self { store, fetcher, program, inputs, place }
    }

    fn program(&self) -> PathBuf {
        self.store.physical(&self.program)
    }

    /// Fork and exec, as the standard library does it.
    fn plain(&self, count: usize) -> Spread {
        let program = self.program();
        let once = || {
            wall(|| {
                let status = Command::new(&program).env_clear().status();
                assert!(status.expect("it starts").success());
            })
        };
        Spread::new((0..count).map(|_| once()).collect())
    }

    /// One run of the program in a sandbox of its own.
    fn in_sandbox(&self) -> f64 {
        let scratch = self.store.scratch("bench").expect("the store is writable");
        let output = OwnedFd::from(fs::File::create("/dev/null").expect("every host has it"));
        let mut inputs: Vec<String> = self.inputs.iter().map(ToString::to_string).collect();
        inputs.push(self.program.to_string());
        let dir = self.store.store_dir();
        let program = dir.display(&self.program);
        let spec = SandboxSpec {
            package_root: None,
            objects: &self.store.objects_dir(),
            store_dir: dir.as_str(),
            inputs: &inputs,
            scratch: scratch.path(),
            program: program.as_bytes(),
            arguments: &[],
            environment: &BTreeMap::new(),
            files: &[],
            builder_uid: BUILDER_IDS.start,
            attached: Attached::Output(&output),
            conditions: &Conditions::default(),
        };
        let time = wall(|| {
            let mut child = spec.start().unwrap_or_else(|error| panic!("{error:?}"));
            assert!(child.wait().expect("it is ours").status.success());
        });
        remove_tree(&scratch.keep()).expect("it is ours");
        time
    }

    /// One build by the engine; `number` makes it another one.
    fn built(&self, number: usize, synced: bool) -> f64 {
        let dir = self.store.store_dir();
        let floating = Output::Floating { recursive: true, algorithm: HashAlgorithm::Sha256 };
        let references: BTreeSet<StorePath> = self.inputs.iter().chain([&self.program]).cloned().collect();
        let derivation = Arc::new(Derivation {
            outputs: BTreeMap::from([(OutputName::out(), floating)]),
            input_derivations: BTreeMap::new(),
            input_sources: references.clone(),
            system: format!("{}-linux", std::env::consts::ARCH).into_bytes(),
            builder: dir.display(&self.program).into_bytes(),
            arguments: Vec::new(),
            environment: BTreeMap::from([
                (b"number".to_vec(), number.to_string().into_bytes()),
                (b"out".to_vec(), placeholder::own_output("out").into_bytes()),
            ]),
        });
        let name = format!("build-{number}.drv");
        let path = dir.text_path(&name, &to_aterm(&derivation, dir), &references).expect("a valid name");
        let options = BuildOptions {
            cores: 1,
            keep_failed: false,
            timeout: None,
            max_silence: None,
            surroundings: Surroundings::default(),
        };
        let engine = Engine {
            store: &self.store,
            fetcher: &self.fetcher,
            substituters: None,
            options: &options,
            jobs: Jobs::AtMost(1),
            downloads: 1,
            remote: None,
            remote_jobs: 1,
            keep_going: false,
            rebuild: false,
            observer: &Silent,
            interrupted: &AtomicBool::new(false),
        };
        let wanted = [Wanted { derivation: path, outputs: None }];
        let mut realised = Vec::new();
        let time = wall(|| {
            let result = engine.realise(&|_| Some(derivation.clone()), &wanted);
            realised = result.unwrap_or_else(|error| panic!("{error:?}"));
            if synced {
                self.store.sync().expect("the disk can be written");
            }
        });
        let output = self.store.physical(&realised[0].outputs[&OutputName::out()]);
        assert_eq!(fs::read(output).expect("it was built"), b"made\n");
        time
    }

    /// What each of some builds takes: a command that builds them, less the
    /// same command once they are there.
    fn by_nix(&self, bench: &Bench, synced: bool) -> Vec<f64> {
        const BUILDS: usize = 20;
        let directory = bench.directory();
        let nix = if synced { Nix::synced(directory.path()) } else { Nix::new(directory.path()) };
        let inputs: String = (0..INPUTS).map(|index| format!(" ./input-{index}")).collect();
        let mut times = Vec::new();
        for round in 0..bench.rounds {
            let text = format!(
                "builtins.genList (number: derivation {{\n  name = \"build-{round}-${{toString number}}\";\n  \
                 system = builtins.currentSystem;\n  builder = ./program;\n  inputs = [{inputs} ];\n}}) {BUILDS}\n"
            );
            let file = self.place.path().join("builds.nix");
            fs::write(&file, text).expect("the directory is writable");
            let build = || {
                sync(directory.path());
                wall(|| drop(run(nix.command("nix-build").args(["--no-out-link", "-j1"]).arg(&file))))
            };
            times.push((build() - build()) / BUILDS as f64);
        }
        times
    }
}

struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}
