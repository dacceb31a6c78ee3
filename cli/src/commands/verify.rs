//! `osbuild verify`: builds again under other surroundings, and says which byte
//! differs, and why.

mod against;
mod diffoscope;

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use osbuild_compare::{Limits, report::text};
use osbuild_core::verify::junit::junit;
use osbuild_core::verify::owners::{Packages, owners};
use osbuild_core::verify::page::page;
use osbuild_core::verify::report::{About, Report, StepRecord};
use osbuild_core::verify::rounds::{Ending, Rounds};
use osbuild_core::verify::steps::{Candidate, Step, candidates, realise};
use osbuild_core::verify::table::table;
use osbuild_core::verify::verdict::{Inquiry, Verdict};
use osbuild_core::verify::{VARIATIONS, Variations};
use osbuild_store::error::one_line;
use osbuild_store::{LocalStore, StorePath};
use serde_json::json;

use against::{Against, AgainstArguments};

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::targets::Targets;
use crate::ui::Ui;
use crate::workshop::{BuildLimits, Workshop};

/// Build everything below targets again, otherwise, and compare bit for bit
///
/// Each step runs once more from the inputs that it had, while what must not
/// reach its outputs is varied: in a first round what costs nothing, in a
/// second one what is told to programs by stopping their system calls. What
/// differs is named down to the byte, with the variation that made the
/// difference. A step that was found the same before is not run again.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a package, a folder, a .nix file or a .drv
    #[arg(required_unless_present = "against", value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    against: AgainstArguments,
    /// Of the steps below, only those of this name, with or without a version
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Not the steps of this name; what is made from them is run from what they gave before
    #[arg(long, value_name = "NAME")]
    except: Vec<String>,
    /// What to vary: all, none, or names separated by commas, with a minus to leave one out
    #[arg(long, value_name = "LIST", default_value = "all", allow_hyphen_values = true, value_parser = variations)]
    vary: Variations,
    /// How many rounds, all of them run; further ones repeat the first two
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Write report.json, report.html, table.md and junit.xml there, and what diffoscope says of differences if it is installed
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Run what was found the same before, too; with --against, run every step once more at all
    #[arg(long)]
    fresh: bool,
    /// Do not build again to find out which variation made a difference
    #[arg(long)]
    no_blame: bool,
    /// Builds at a time (default: as many as keep the processors busy); fewer where memory is short
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Cores that each build may use, where that is not varied (default: all)
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// Ask no binary cache: build everything that is not in the store
    #[arg(long)]
    no_substitutes: bool,
}

fn variations(text: &str) -> Result<Variations, String> {
    Variations::parse(text).map_err(|error| {
        let names: Vec<&str> = VARIATIONS.iter().map(|variation| variation.name()).collect();
        format!("{error}; there are {}", names.join(", "))
    })
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    // Before builds that may take hours.
    if let Some(directory) = &arguments.report {
        make_directory(directory)?;
    }
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let against = Against::open(&arguments.against, &arguments.targets, &store, common)?;
    let limits = BuildLimits {
        jobs: arguments.jobs,
        cores: arguments.cores,
        // Who makes a release again takes nobody's word for a part of it.
        substitutes: !arguments.no_substitutes && against.is_none(),
        ..BuildLimits::default()
    };
    let (words, names) = match &against {
        Some(against) => (vec![store.store_dir().display(against.derivation())], vec![against.name()]),
        None => (arguments.targets.clone(), arguments.targets.clone()),
    };
    let mut targets = Targets::resolve(&store, &words, limits, common)?;
    let ui = if common.json { Ui::records() } else { Ui::new(common.verbosity()) };
    let workshop = Workshop::open(&store, limits, ui)?;
    let engine = workshop.engine();
    let below = candidates(&store, &|path: &StorePath| targets.lookup(path), &targets.wanted)?;
    let recipes = recipes(&mut targets, &below)?;
    let lookup = |path: &StorePath| targets.lookup(path);
    let chosen = choose(below, &arguments.only, &arguments.except)?;
    let steps = realise(&engine, &lookup, &chosen)?;
    if let Some(against) = &against {
        let is_same = against.judge(&steps, common)?;
        // Its steps again are another question, which takes as long again.
        if !arguments.fresh || !is_same {
            store.sync()?;
            return if is_same { Ok(()) } else { Err(against.failure()) };
        }
    }
    let usages = store.usages()?;
    let about = |step: &Step| About {
        recipe: recipes.get(&step.resolved.path).cloned(),
        build_cpu_ms: usages
            .get(step.resolved.name())
            .and_then(|usage| usage.processes)
            .map(|usage| usage.cpu_ms),
    };
    let about: Vec<About> = steps.iter().map(about).collect();

    let rounds = rounds(&arguments.vary, arguments.rounds);
    let scratch = store.scratch("compare")?;
    let inquiry = Inquiry {
        // What is to be run again is not to be remembered.
        rounds: &Rounds::new(&engine, arguments.fresh || arguments.rounds.is_some()),
        limits: Limits::default(),
        scratch: scratch.path(),
        finds_causes: !arguments.no_blame,
    };
    let mut printed = Ok(());
    let mut verdicts = inquiry.run(&steps, &rounds, &mut |verdict| {
        if printed.is_ok() {
            printed = print(&store, &steps, &about, &rounds, verdict, common);
        }
    })?;
    printed?;
    store.sync()?;
    let report = Report::new(&names, &rounds, &steps, &about, &verdicts);
    if let Some(directory) = &arguments.report {
        write_report(directory, &report, &verdicts)?;
        // It takes its time; the report is there without it.
        if !report.differing().is_empty() && diffoscope::is_installed() {
            diffoscope::add(&store, directory, &mut verdicts)?;
            let report = Report::new(&names, &rounds, &steps, &about, &verdicts);
            write_report(directory, &report, &verdicts)?;
        }
    }
    conclude(&report, common)
}

fn make_directory(directory: &Path) -> Result<(), Failure> {
    fs::create_dir_all(directory)
        .map_err(|error| Failure::new(Exit::Failed, &format!("cannot make {}: {error}", directory.display())))
}

/// The file that has each step's recipe, by derivation.
fn recipes(targets: &mut Targets, steps: &[Candidate]) -> Result<HashMap<StorePath, String>, Failure> {
    let mut packages = Packages::default();
    for (derivation, file) in targets.packages()? {
        packages.add(&derivation, &file);
    }
    let owners = owners(steps, &packages, targets.files());
    let known = steps.iter().zip(owners).filter_map(|(step, owner)| Some((step.path.clone(), owner?)));
    Ok(known.collect())
}

/// Steps by name; `linux` is meant by `linux-6.12`, too.
fn choose(below: Vec<Candidate>, only: &[String], except: &[String]) -> Result<Vec<Candidate>, Failure> {
    for name in only.iter().chain(except) {
        if !below.iter().any(|candidate| candidate.is_called(name)) {
            let names: Vec<&str> = below.iter().map(Candidate::name).collect();
            return Err(Failure::usage(
                &format!("no step below is called '{name}'"),
                &format!("there are {}", names.join(", ")),
            ));
        }
    }
    let is_one_of =
        |candidate: &Candidate, names: &[String]| names.iter().any(|name| candidate.is_called(name));
    let is_chosen = |candidate: &Candidate| {
        (only.is_empty() || is_one_of(candidate, only)) && !is_one_of(candidate, except)
    };
    Ok(below.into_iter().filter(is_chosen).collect())
}

/// What costs nothing first, then what is traced; as often as was asked for.
fn rounds(vary: &Variations, count: Option<usize>) -> Vec<Variations> {
    let part = |traced: bool| vary.iter().filter(|one| one.is_traced() == traced).collect::<Variations>();
    let mut rounds: Vec<Variations> =
        [part(false), part(true)].into_iter().filter(|round| !round.is_empty()).collect();
    if rounds.is_empty() {
        rounds.push(Variations::none());
    }
    let count = count.unwrap_or(rounds.len());
    rounds.into_iter().cycle().take(count).collect()
}

/// A verdict as it falls.
fn print(
    store: &LocalStore,
    steps: &[Step],
    about: &[About],
    rounds: &[Variations],
    verdict: &Verdict,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let Verdict { round, step, again, findings, .. } = verdict;
    let name = steps[*step].resolved.name();
    if common.json {
        let record = StepRecord::new(&steps[*step], &about[*step], std::slice::from_ref(verdict));
        let record = json!({ "schema": 1, "event": "verdict", "round": round + 1, "step": record });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    let recipe = about[*step].recipe.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
    match &again.ending {
        Ending::Same | Ending::Known => return Ok(()),
        Ending::Fails(error) => {
            let varied = &rounds[*round];
            writeln!(out, "{name} does not build with {varied} varied{recipe}: {}", one_line(error))?;
            if let Some(cause) = verdict.cause_in_words() {
                writeln!(out, "cause: {cause}")?;
            }
            for line in error.last_lines() {
                writeln!(out, "  | {line}")?;
            }
        }
        Ending::Differs(_) => {
            writeln!(out, "{name} is not reproducible{recipe}")?;
            if let Some(cause) = verdict.cause_in_words() {
                writeln!(out, "cause: {cause}")?;
            }
            for finding in findings {
                let physical = |path| store.physical(path).display().to_string();
                let (first, second) =
                    (physical(&finding.differing.first), physical(&finding.differing.second));
                match &finding.difference {
                    Ok(difference) => out.write_all(text::render(difference, &first, &second).as_bytes())?,
                    Err(error) => writeln!(out, "- {first}\n+ {second}\n{}", one_line(error))?,
                }
            }
        }
    }
    Ok(())
}

fn write_report(directory: &Path, report: &Report, verdicts: &[Verdict]) -> Result<(), Failure> {
    for (name, contents) in [
        ("report.json", serde_json::to_string(report).map_err(std::io::Error::from)?),
        ("report.html", page(report, verdicts)),
        ("junit.xml", junit(report, verdicts)),
        ("table.md", table(report)),
    ] {
        super::write_whole(&directory.join(name), contents.as_bytes())?;
    }
    Ok(())
}

/// Says what all of it comes to, and fails if anything differs.
fn conclude(report: &Report, common: &CommonArguments) -> Result<(), Failure> {
    let (differing, failing) = (report.differing(), report.failing());
    let mut out = std::io::stdout().lock();
    if common.json {
        let record = json!({
            "schema": 1, "event": "result", "isReproducible": report.is_reproducible, "steps": report.steps.len(),
            "differing": differing, "failing": failing,
        });
        writeln!(out, "{record}")?;
    } else if report.is_reproducible {
        writeln!(out, "{} steps are the same, bit for bit", report.steps.len())?;
        for (index, round) in report.rounds.iter().enumerate() {
            writeln!(out, "  round {}: {}", index + 1, round.variations.join(", "))?;
        }
    }
    if let Some(first) = differing.first() {
        let message = format!(
            "{} of {} steps are not reproducible, first of all {first}",
            differing.len(),
            report.steps.len()
        );
        return Err(Failure::new(Exit::Refused, &message));
    }
    if !failing.is_empty() {
        let message = format!(
            "{} of {} steps do not build so: {}",
            failing.len(),
            report.steps.len(),
            failing.join(", ")
        );
        return Err(Failure::new(Exit::Failed, &message));
    }
    Ok(())
}
