//! `osbuild repo publish`: releases into a channel.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::publish::{Evidence, Request, plan, publish};
use serde_json::json;

use super::{KeyArguments, now, open, roles, roles_json};
use crate::commands::image_output;
use crate::config::CommonArguments;
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
    /// Publish without such records, for a reason that the record of signings keeps
    #[arg(long, value_name = "WHY", conflicts_with = "tested")]
    untested: Option<String>,
    /// The release's floor may be above the one before it: nodes cannot go back
    #[arg(long)]
    retire_previous: bool,
    #[command(flatten)]
    key: KeyArguments,
}

pub(super) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let outputs = arguments.targets.iter().map(|target| image_output(target, "slot/manifest.json", common));
    let outputs = outputs.collect::<Result<Vec<PathBuf>, Failure>>()?;
    let (repository, state) = open(&arguments.repository)?;
    let request = Request {
        outputs,
        channel: arguments.channel,
        wave: arguments.wave,
        retire_previous: arguments.retire_previous,
        evidence: match arguments.untested {
            Some(why) => Evidence::None { why },
            None => Evidence::Records(arguments.tested),
        },
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
