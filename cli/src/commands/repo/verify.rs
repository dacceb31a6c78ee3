//! `osbuild repo verify`: a repository as those who follow it see it.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::verify::{Report, Subject, verify};
use osbuild_tuf::time::Time;
use serde_json::json;

use super::{now, own_directory, place_of, read_root};
use crate::config::CommonArguments;
use crate::error::{Exit, Failure};

/// Look at a repository as nodes do, and at every byte of it
///
/// From its first root, or a given one: signatures, thresholds, expiry, every
/// target; then what nodes cannot see: files that nothing names, releases whose
/// manifest, hash tree, kernel image and bill of materials do not belong
/// together, the policy, and the record of signings.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A repository, its public/ folder or a copy of that, http://, https:// or s3://
    #[arg(value_name = "DIR|URL")]
    place: String,
    /// As of this time: 2030-01-02T03:04:05Z, or from now on: 30d
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The root to begin with: that of an image (default: the repository's first)
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// It holds some of the releases only, as what `import` made of an export of some
    #[arg(long)]
    partial: bool,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let at = match &arguments.at {
        Some(text) => parse_time(text)?,
        None => now(),
    };
    let directory = own_directory(&arguments.place);
    let place = place_of(&arguments.place)?;
    let root = arguments.from.as_deref().map(read_root).transpose()?;
    let subject = Subject { place: place.as_ref(), directory, root, is_partial: arguments.partial };
    let progress = |name: &str| {
        if !common.quiet && !common.json {
            eprintln!("looking at {name}");
        }
    };
    let report = verify(&subject, at, &progress)?;
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{}", record(&report, at))?
    } else {
        print(&mut out, &report)?
    }
    drop(out);
    match report.problems.as_slice() {
        [] => Ok(()),
        problems => Err(Failure::new(Exit::Refused, &problems.join("\n  "))),
    }
}

/// A point in time, or how far in the future.
fn parse_time(text: &str) -> Result<Time, Failure> {
    if let Some(time) = Time::parse(text) {
        return Ok(time);
    }
    let after = humantime::parse_duration(text.trim_start_matches('+')).map_err(|_| {
        Failure::usage(
            &format!("--at '{text}' is no time"),
            "give 2030-01-02T03:04:05Z, or how far from now: 30d",
        )
    })?;
    Ok(now().after(after))
}

fn print(out: &mut impl std::io::Write, report: &Report) -> std::io::Result<()> {
    for role in &report.roles {
        writeln!(
            out,
            "{:<10} {:>5}  expires {}  signatures {} (of {} keys {} are due)",
            role.role, role.version, role.expires, role.signatures, role.keys, role.threshold
        )?;
    }
    for release in &report.releases {
        let withdrawn = if release.withdrawn { "  withdrawn" } else { "" };
        writeln!(
            out,
            "{}/{} {}  index {}  root {:.16}…{withdrawn}",
            release.line.channel,
            release.line.variant,
            release.version,
            release.rollback_index,
            release.root_hash
        )?;
    }
    writeln!(out, "{} targets of {} bytes are as they were signed", report.targets, report.bytes)?;
    if !report.orphans.is_empty() {
        writeln!(out, "{} files that nothing names (`osbuild repo gc` removes them)", report.orphans.len())?;
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}

fn record(report: &Report, at: Time) -> serde_json::Value {
    let roles: Vec<_> = report
        .roles
        .iter()
        .map(|role| {
            json!({ "role": role.role, "version": role.version, "expires": role.expires, "signatures": role.signatures,
                "threshold": role.threshold, "keys": role.keys })
        })
        .collect();
    let releases: Vec<_> = report
        .releases
        .iter()
        .map(|release| {
            json!({ "channel": release.line.channel, "variant": release.line.variant, "arch": release.line.arch,
                "version": release.version, "rollbackIndex": release.rollback_index, "rootHash": release.root_hash,
                "withdrawn": release.withdrawn })
        })
        .collect();
    json!({ "schema": 1, "at": at, "roles": roles, "releases": releases, "targets": report.targets,
        "bytes": report.bytes, "orphans": report.orphans, "warnings": report.warnings, "problems": report.problems })
}
