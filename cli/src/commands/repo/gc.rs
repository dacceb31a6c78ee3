//! `osbuild repo gc`: old releases.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::gc::gc;
use serde_json::json;

use super::{KeyArguments, now, open};
use crate::config::CommonArguments;
use crate::error::Failure;

/// Drop old releases, and files that nothing names
///
/// Files of a release go in the run after the one that dropped it: nodes may be
/// reading them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// Releases that each variant keeps in each channel
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    keep: u16,
    /// Say what would be dropped, change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    key: KeyArguments,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(&arguments.repository)?;
    let asking = arguments.key.asking()?;
    let keep = usize::from(arguments.keep);
    let dropped = gc(&repository, &state, keep, arguments.dry_run, &arguments.key.signers(&asking), now())?;
    let bytes: u64 = dropped.files.iter().map(|(_, size)| size).sum();
    let mut out = std::io::stdout().lock();
    if common.json {
        let files: Vec<&str> = dropped.files.iter().map(|(name, _)| name.as_str()).collect();
        let record = json!({ "schema": 1, "dryRun": arguments.dry_run, "releases": dropped.releases, "files": files, "bytes": bytes });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    let would = if arguments.dry_run { "would be dropped" } else { "dropped" };
    for release in &dropped.releases {
        writeln!(out, "{would}: {release}")?;
    }
    writeln!(out, "{would}: {} files, {bytes} bytes", dropped.files.len())?;
    Ok(())
}
