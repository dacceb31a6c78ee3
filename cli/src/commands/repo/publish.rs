//! `osbuild repo publish`: releases into a channel.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use osbuild_core::attest::recorded;
use osbuild_core::repo::publish::{Evidence, Request, plan, publish};
use osbuild_core::repo::release::Slot;
use serde_json::json;

use super::{KeyArguments, now, open, roles, roles_json};
use crate::commands::build::{Made, make_from};
use crate::commands::no_image;
use crate::config::{self, CommonArguments};
use crate::error::Failure;

/// Publish releases, so that nodes update to them
///
/// All or nothing: until the last file is in place, nodes see what was there
/// before. What is published already just so is published once.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// Variants, which are built first, or their outputs (`result`, or what `osbuild sign` wrote)
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// The channel
    #[arg(long, value_name = "NAME", default_value = "stable")]
    channel: String,
    /// How long the fleet takes: `24h` (evenly), `now`, or points as 1%@1h,50%@1d,100%@3d (default: the policy's)
    #[arg(long, value_name = "WAVE")]
    wave: Option<String>,
    /// Say what would be published, change nothing
    #[arg(long)]
    dry_run: bool,
    /// A record that the release was booted and updated to (in-toto, test-result)
    #[arg(long, value_name = "FILE")]
    tested: Vec<PathBuf>,
    /// A verdict of a rebuilder that the release is what it is said to be made from (`osbuild verify --against`)
    #[arg(long, value_name = "FILE")]
    verdict: Vec<PathBuf>,
    /// Publish without such records, for a reason that the record of signings keeps
    #[arg(long, value_name = "WHY", conflicts_with = "tested")]
    untested: Option<String>,
    /// The variant that given outputs come from: what it is made from is published, too, as it is for targets
    #[arg(long, value_name = "TARGET")]
    made_from: Option<String>,
    /// The release's floor may be above the one before it: nodes cannot go back
    #[arg(long)]
    retire_previous: bool,
    #[command(flatten)]
    key: KeyArguments,
}

pub(super) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let Outputs { outputs, derivations } = outputs(&arguments, common)?;
    let (repository, state) = open(&arguments.repository)?;
    let request = Request {
        outputs,
        derivations,
        channel: arguments.channel,
        wave: arguments.wave,
        retire_previous: arguments.retire_previous,
        evidence: match arguments.untested {
            Some(why) => Evidence::None { why },
            None => Evidence::Records(arguments.tested),
        },
        verdicts: arguments.verdict,
        progress: &|what| {
            if !common.quiet && !common.json {
                eprintln!("making {what}");
            }
        },
    };
    let now = now();
    let plan = plan(&repository, &state, &request, now)?;
    let releases = plan.releases.clone();
    let committed = if arguments.dry_run {
        None
    } else {
        let asking = arguments.key.asking()?;
        Some(publish(&repository, &state, plan, &arguments.key.signers(&asking), now)?)
    };

    let mut out = std::io::stdout().lock();
    if common.json {
        let rows: Vec<serde_json::Value> = releases
            .iter()
            .map(|release| {
                let new: Vec<_> = release.new.iter().map(|(name, size)| json!({ "name": name, "size": size })).collect();
                json!({ "channel": release.line.channel, "variant": release.line.variant, "arch": release.line.arch,
                    "version": release.version, "rootHash": release.root_hash, "known": release.is_known, "targets": new })
            })
            .collect();
        let record = json!({ "schema": 1, "dryRun": arguments.dry_run, "releases": rows,
            "metadata": committed.as_ref().map(roles_json) });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    for release in &releases {
        let line = &release.line;
        let bytes: u64 = release.new.iter().map(|(_, size)| size).sum();
        let what = match (release.is_known, arguments.dry_run) {
            (true, _) => "is published already".to_owned(),
            (false, true) => format!("would be published: {} files, {bytes} bytes", release.new.len()),
            (false, false) => format!("published: {} files, {bytes} bytes", release.new.len()),
        };
        writeln!(out, "{} {} in {}: {what}", line.variant, release.version, line.channel)?;
    }
    match &committed {
        Some(committed) if !committed.roles.is_empty() => eprintln!("signed: {}", roles(committed)),
        Some(_) => eprintln!("nothing changed"),
        None => {}
    }
    Ok(())
}

/// What is published, and what it was made from.
struct Outputs {
    outputs: Vec<PathBuf>,
    derivations: BTreeMap<PathBuf, Vec<u8>>,
}

fn outputs(arguments: &Arguments, common: &CommonArguments) -> Result<Outputs, Failure> {
    let mut found = Outputs { outputs: Vec::new(), derivations: BTreeMap::new() };
    for target in &arguments.targets {
        let given = Path::new(target);
        let (output, derivations) = match (given.join(MANIFEST).is_file(), &arguments.made_from) {
            (true, None) => (given.to_owned(), None),
            (true, Some(variant)) => {
                let (output, derivations) = make(variant, common)?;
                is_of(&Slot::read(given)?, &Slot::read(&output)?, target, variant)?;
                (given.to_owned(), Some(derivations))
            }
            (false, _) => {
                let (output, derivations) = make(target, common)?;
                (output, Some(derivations))
            }
        };
        found.derivations.extend(derivations.map(|derivations| (output.clone(), derivations)));
        found.outputs.push(output);
    }
    Ok(found)
}

/// Builds a variant; its output, and what it was made from.
fn make(variant: &str, common: &CommonArguments) -> Result<(PathBuf, Vec<u8>), Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let Made { output, below } = make_from(&store, variant, common)?;
    if !output.join(MANIFEST).is_file() {
        return Err(no_image(variant, MANIFEST));
    }
    Ok((output, recorded::write(&store, &below)?))
}

/// An output that was signed has another manifest and the same root.
fn is_of(given: &Slot, built: &Slot, target: &str, variant: &str) -> Result<(), Failure> {
    let [given, built] =
        [given, built].map(|slot| (&slot.release.root.root_hash, &slot.release.uki.unsigned_sha256));
    if given == built {
        return Ok(());
    }
    let message = format!(
        "'{target}' is not made from '{variant}' as it is now: its root or its kernel image is another"
    );
    Err(Failure::usage(&message, "check out the recipes that it was built from, or leave out --made-from"))
}

const MANIFEST: &str = "slot/manifest.json";
