//! `osbuild build`: makes what is asked for and links to it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use osbuild_core::derivation::Derivation;
use osbuild_core::graph::below::below;
use osbuild_core::graph::{Engine, Forecast, Realised, Reason};
use osbuild_store::action::OutputName;
use osbuild_store::{LocalStore, StorePath};
use serde_json::json;

use crate::config::{self, CommonArguments};
use crate::error::Failure;
use crate::remote::RemoteArguments;
use crate::targets::Targets;
use crate::ui::Ui;
use crate::workshop::{BuildLimits, Workshop};

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
    /// Builds at a time (default: as many as keep the processors busy); fewer where memory is short
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Cores that each build may use (default: all)
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
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
    #[command(flatten)]
    remote: RemoteArguments,
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
            cores: self.cores,
            timeout: self.timeout.map(Duration::from_secs),
            max_silence: self.max_silence.map(Duration::from_secs),
            keep_failed: self.keep_failed,
            keep_going: self.keep_going,
            substitutes: !self.no_substitutes,
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
    let Outcome::Realised(realised) = realise(store, &quietly(targets), common)? else {
        unreachable!("only a dry run is forecast");
    };
    store.sync()?;
    Ok(realised.into_iter().map(|realised| store.physical(output_of(&realised))).collect())
}

/// A target that was built, with everything that it is made from.
pub(crate) struct Made {
    /// The physical path of its `out`.
    pub(crate) output: PathBuf,
    /// Its derivation last.
    pub(crate) below: Vec<(StorePath, Arc<Derivation>)>,
}

/// Builds one target for another command.
pub(crate) fn make_from(
    store: &Arc<LocalStore>,
    target: &str,
    common: &CommonArguments,
) -> Result<Made, Failure> {
    let arguments = quietly(&[target]);
    let targets = Targets::resolve(store, &arguments.targets, arguments.limits(), common)?;
    targets.only(target)?;
    let Outcome::Realised(realised) = perform(store, &arguments, &targets, common)? else {
        unreachable!("only a dry run is forecast");
    };
    store.sync()?;
    let lookup = |path: &StorePath| targets.lookup(path);
    let below = below(store, &lookup, &targets.wanted)?;
    Ok(Made { output: store.physical(output_of(&realised[0])), below })
}

fn output_of(realised: &Realised) -> &StorePath {
    let path = realised.outputs.get(&OutputName::out()).or_else(|| realised.outputs.values().next());
    path.expect("a derivation has an output")
}

/// What other commands build with.
fn quietly(targets: &[&str]) -> Arguments {
    Arguments {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        out_link: PathBuf::new(),
        no_link: true,
        jobs: None,
        cores: None,
        dry_run: false,
        keep_failed: false,
        keep_going: false,
        rebuild: false,
        remote: RemoteArguments::here(),
        no_substitutes: false,
        timeout: None,
        max_silence: None,
    }
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
    let targets = Targets::resolve(store, &arguments.targets, arguments.limits(), common)?;
    perform(store, arguments, &targets, common)
}

fn perform(
    store: &Arc<LocalStore>,
    arguments: &Arguments,
    targets: &Targets,
    common: &CommonArguments,
) -> Result<Outcome, Failure> {
    let limits = arguments.limits();
    let ui = if common.json { Ui::records() } else { Ui::new(common.verbosity()) };
    let remote = arguments.remote.connect(store, arguments.dry_run, common)?;
    let workshop = Workshop::with_remote(store, limits, ui, remote, arguments.remote.remote_jobs)?;
    let engine = Engine { rebuild: arguments.rebuild, ..workshop.engine() };
    let lookup = |path: &StorePath| targets.lookup(path);
    if arguments.dry_run {
        return Ok(Outcome::Forecast(engine.forecast(&lookup, &targets.wanted)?));
    }
    Ok(Outcome::Realised(engine.realise(&lookup, &targets.wanted)?))
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
            writeln!(
                out,
                "{}",
                json!({
                    "schema": 1, "event": "result", "derivation": derivation, "outputs": outputs,
                })
            )?;
        } else {
            for path in realised.outputs.values() {
                writeln!(out, "{}", physical(path))?;
            }
        }
    }
    Ok(())
}

/// Longer names push the reason to the right.
const NAME_WIDTH: usize = 40;

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
        let reasons: BTreeMap<String, String> =
            forecast.reasons.iter().map(|(path, reason)| (path.to_string(), reason.to_string())).collect();
        let record = json!({
            "schema": 1, "fetch": names(&forecast.fetch), "substitute": names(&forecast.substitute),
            "build": names(&forecast.build), "maybe": names(&forecast.maybe), "reuse": names(&forecast.reuse),
            "reasons": reasons,
        });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    let name = |path: &StorePath| path.derivation_name().to_owned();
    let all = lists.iter().flat_map(|(_, paths)| paths.iter());
    let width = all.map(|path| name(path).chars().count()).max().unwrap_or(0).min(NAME_WIDTH);
    for (verb, paths) in lists {
        for path in paths {
            match &forecast.reasons[path] {
                // The verb says it all.
                Reason::Missing | Reason::InCache => writeln!(out, "{verb:6}{}", name(path))?,
                reason => writeln!(out, "{verb:6}{:width$}  {reason}", name(path))?,
            }
        }
    }
    Ok(())
}
