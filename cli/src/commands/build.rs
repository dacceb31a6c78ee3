//! `osbuild build`: makes what is asked for and links to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::derivation::Derivation;
use osbuild_core::derivation::aterm::from_aterm;
use osbuild_core::graph::{Engine, Forecast, Realised, Wanted};
use osbuild_core::instantiate::Session;
use osbuild_core::instantiate::target::Target;
use osbuild_store::action::OutputName;
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StorePath};
use serde_json::json;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::realiser::{BuildLimits, DOWNLOADS, Place};
use crate::session;
use crate::ui::Ui;

/// Build variants, packages or derivations
///
/// Prints the physical path of each output. Downloads and builds what is
/// missing and nothing else; an interrupted run is resumed by the next one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a package, a folder, a .nix file or a .drv
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Where to put the link to the result; further ones are called RESULT-2, …
    #[arg(long, short = 'o', value_name = "RESULT", default_value = "result")]
    out_link: PathBuf,
    /// Make no link: the result lives until the next garbage collection
    #[arg(long)]
    no_link: bool,
    /// Builds at a time, and cores each may use (default: all cores)
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Say what would be done, do nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep the directory of a failed build
    #[arg(long)]
    keep_failed: bool,
    /// Go on with what does not depend on a failed build
    #[arg(long)]
    keep_going: bool,
    /// Build again and compare; a difference is an error, and both results are kept
    #[arg(long)]
    rebuild: bool,
    /// Ask no binary cache: build everything that is not in the store
    #[arg(long)]
    no_substitutes: bool,
    /// Stop a build that runs longer
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Stop a build that writes nothing for longer
    #[arg(long, value_name = "SECONDS")]
    max_silence: Option<u64>,
}

impl Arguments {
    fn limits(&self) -> BuildLimits {
        BuildLimits {
            jobs: self.jobs,
            cores: None,
            timeout: self.timeout.map(Duration::from_secs),
            max_silence: self.max_silence.map(Duration::from_secs),
            keep_failed: self.keep_failed,
            keep_going: self.keep_going,
        }
    }
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    match realise(&store, &arguments, common)? {
        Outcome::Forecast(forecast) => print_forecast(&forecast, common.json),
        Outcome::Realised(realised) => {
            if !arguments.no_link {
                link_results(&store, &arguments.out_link, &realised)?;
            }
            store.sync()?;
            print_results(&store, &realised, common.json)
        }
    }
}

/// Builds targets for another command; the physical path of each one's `out`.
pub(crate) fn make(
    store: &Arc<LocalStore>,
    targets: &[&str],
    common: &CommonArguments,
) -> Result<Vec<PathBuf>, Failure> {
    let arguments = Arguments {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        out_link: PathBuf::new(),
        no_link: true,
        jobs: None,
        dry_run: false,
        keep_failed: false,
        keep_going: false,
        rebuild: false,
        no_substitutes: false,
        timeout: None,
        max_silence: None,
    };
    let Outcome::Realised(realised) = realise(store, &arguments, common)? else {
        unreachable!("only a dry run is forecast");
    };
    store.sync()?;
    let out = |realised: Realised| {
        let path = realised.outputs.get(&OutputName::out()).or_else(|| realised.outputs.values().next());
        store.physical(path.expect("a derivation has an output"))
    };
    Ok(realised.into_iter().map(out).collect())
}

enum Outcome {
    Forecast(Forecast),
    Realised(Vec<Realised>),
}

fn realise(
    store: &Arc<LocalStore>,
    arguments: &Arguments,
    common: &CommonArguments,
) -> Result<Outcome, Failure> {
    let interrupted = catch_interrupts();
    let targets = Targets::resolve(store, arguments, common)?;
    let fetcher = config::fetcher(store)?;
    let substituters = config::substituters(store)?;
    let limits = arguments.limits();
    let options = limits.to_options();
    let ui = Ui::new(common.verbosity());
    let engine = Engine {
        store,
        fetcher: &fetcher,
        substituters: (!arguments.no_substitutes).then_some(&substituters),
        options: &options,
        jobs: limits.jobs(),
        downloads: DOWNLOADS,
        keep_going: arguments.keep_going,
        rebuild: arguments.rebuild,
        observer: &ui,
        interrupted,
    };
    let lookup = |path: &StorePath| targets.lookup(path);
    if arguments.dry_run {
        return Ok(Outcome::Forecast(engine.forecast(&lookup, &targets.wanted)?));
    }
    Ok(Outcome::Realised(engine.realise(&lookup, &targets.wanted)?))
}

/// What the words on the command line mean.
struct Targets {
    wanted: Vec<Wanted>,
    session: Session,
    /// Those of real Nix, read from beside the one that was named.
    foreign: HashMap<StorePath, Arc<Derivation>>,
}

impl Targets {
    fn resolve(
        store: &Arc<LocalStore>,
        arguments: &Arguments,
        common: &CommonArguments,
    ) -> Result<Self, Failure> {
        let words = &arguments.targets;
        let (targets, project) = session::targets(words, common)?;
        let place = Place::open(store.clone(), common.verbosity(), arguments.limits());
        let session = session::for_targets(&targets, project.as_ref(), place);
        let mut resolved = Self { wanted: Vec::new(), session, foreign: HashMap::new() };
        for (word, target) in words.iter().zip(&targets) {
            if matches!(target, Target::Derivation(path) if !store.is_valid(path)?) {
                let derivation = resolved.read_beside(store, Path::new(word))?;
                resolved.wanted.push(Wanted { derivation, outputs: None });
                continue;
            }
            let found = resolved.session.instantiate_target(target, project.as_ref(), &Default::default())?;
            if found.is_empty() {
                return Err(Failure::new(Exit::Failed, &format!("'{word}' holds no derivation")));
            }
            resolved.wanted.extend(found.into_iter().map(|found| Wanted {
                derivation: found.drv_path,
                outputs: Some(found.outputs_wanted.into_iter().collect()),
            }));
        }
        Ok(resolved)
    }

    fn lookup(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        self.foreign.get(path).cloned().or_else(|| self.session.derivation(path))
    }

    /// A `.drv` that somebody else wrote, with those beside it that it needs.
    fn read_beside(&mut self, store: &LocalStore, file: &Path) -> Result<StorePath, Failure> {
        let directory = file.parent().unwrap_or(Path::new("."));
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let bad = |what: String| Failure::new(Exit::Failed, &format!("{}: {what}", file.display()));
        let root = StorePath::parse(&name).map_err(|e| bad(e.to_string()))?;
        let mut queue = vec![root.clone()];
        while let Some(path) = queue.pop() {
            if self.foreign.contains_key(&path) {
                continue;
            }
            let Ok(bytes) = std::fs::read(directory.join(path.as_str())) else {
                if path == root {
                    return Err(bad("no such file".to_owned()));
                }
                continue;
            };
            let derivation = from_aterm(&bytes, store.store_dir()).map_err(|e| bad(e.to_string()))?;
            queue.extend(derivation.input_derivations.keys().cloned());
            for source in &derivation.input_sources {
                import_beside(store, directory, source)?;
            }
            self.foreign.insert(path, Arc::new(derivation));
        }
        Ok(root)
    }
}

/// Adds a source that lies beside a `.drv` of real Nix, if its contents say
/// that it is what its name says.
fn import_beside(store: &LocalStore, directory: &Path, source: &StorePath) -> Result<(), Failure> {
    let file = directory.join(source.as_str());
    if store.is_valid(source)? || file.symlink_metadata().is_err() {
        return Ok(());
    }
    let tree = source_tree(&file)?;
    let added = store.add_source(source.name(), &tree, Ingestion::Recursive)?;
    if added == *source {
        return Ok(());
    }
    if let SourceTree::Regular { path, .. } = &tree {
        let bytes = std::fs::read(path)?;
        if store.add_text(source.name(), &bytes, &BTreeSet::new())? == *source {
            return Ok(());
        }
    }
    Err(Failure::new(Exit::Refused, &format!("{} is not what its name says", file.display())))
}

fn source_tree(file: &Path) -> Result<SourceTree, Failure> {
    let metadata = file.symlink_metadata()?;
    if metadata.is_symlink() {
        let target = std::fs::read_link(file)?.as_os_str().as_bytes().to_vec();
        return Ok(SourceTree::Symlink { target });
    }
    if !metadata.is_dir() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return Ok(SourceTree::Regular { path: file.to_owned(), executable });
    }
    let mut members = BTreeMap::new();
    for entry in file.read_dir()? {
        let entry = entry?;
        members.insert(entry.file_name().as_bytes().to_vec(), source_tree(&entry.path())?);
    }
    Ok(SourceTree::Directory(members))
}

/// `result`, `result-dev`, `result-2`: as Nix names them.
fn link_results(store: &LocalStore, link: &Path, realised: &[Realised]) -> Result<(), Failure> {
    for (index, realised) in realised.iter().enumerate() {
        for (output, path) in &realised.outputs {
            let mut name = link.as_os_str().to_owned();
            if index > 0 {
                name.push(format!("-{}", index + 1));
            }
            if output.as_str() != "out" {
                name.push(format!("-{output}"));
            }
            store.add_root(Path::new(&name), path)?;
        }
    }
    Ok(())
}

fn print_results(store: &LocalStore, realised: &[Realised], json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    for realised in realised {
        let physical = |path: &StorePath| store.physical(path).display().to_string();
        if json {
            let outputs: serde_json::Map<String, serde_json::Value> = realised
                .outputs
                .iter()
                .map(|(name, path)| (name.to_string(), physical(path).into()))
                .collect();
            let derivation = store.store_dir().display(&realised.derivation);
            writeln!(out, "{}", json!({ "schema": 1, "derivation": derivation, "outputs": outputs }))?;
        } else {
            for path in realised.outputs.values() {
                writeln!(out, "{}", physical(path))?;
            }
        }
    }
    Ok(())
}

fn print_forecast(forecast: &Forecast, json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let lists = [
        ("fetch", &forecast.fetch),
        ("copy", &forecast.substitute),
        ("build", &forecast.build),
        ("maybe", &forecast.maybe),
    ];
    if json {
        let names = |paths: &Vec<StorePath>| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
        let record = json!({
            "schema": 1, "fetch": names(&forecast.fetch), "substitute": names(&forecast.substitute),
            "build": names(&forecast.build), "maybe": names(&forecast.maybe), "reuse": names(&forecast.reuse),
        });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    for (verb, paths) in lists {
        for path in paths {
            writeln!(out, "{verb:6}{}", path.name().trim_end_matches(".drv"))?;
        }
    }
    Ok(())
}
