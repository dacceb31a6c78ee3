//! `osbuild repo waves`: when releases are given out.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;

use osbuild_core::repo::waves::{Order, change, documents, find_line, lines, parse_wave};
use osbuild_tuf::time::Time;
use osbuild_update::documents::Given;
use osbuild_update::names::Line;
use osbuild_update::wave::{EVERYBODY, Position, Wave};
use serde_json::json;

use super::{KeyArguments, now, open, roles, roles_json};
use crate::config::CommonArguments;
use crate::error::Failure;

/// Say when releases are given out, hold them, and look how far they are
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Give a release out anew, from now on
    Set {
        #[command(flatten)]
        which: Which,
        /// `24h` (evenly), `now`, or points as 1%@1h,50%@1d,100%@3d
        #[arg(long, value_name = "WAVE")]
        wave: String,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Hold a release: no node begins with it until `resume`
    Pause {
        #[command(flatten)]
        which: Which,
        /// Shown on every node that waits
        #[arg(long, value_name = "TEXT")]
        why: String,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Go on where a pause began
    Resume {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        key: KeyArguments,
    },
    /// Show how far releases are given out
    Status {
        #[arg(value_name = "DIR")]
        repository: PathBuf,
    },
    /// Draw how many nodes begin when
    Simulate {
        /// As for `publish`
        #[arg(long, value_name = "WAVE")]
        wave: String,
        /// Nodes of the fleet
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        nodes: u32,
        /// Rows of the picture
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(2..=1000))]
        rows: u32,
    },
}

/// Which release.
#[derive(clap::Args)]
pub(crate) struct Which {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// The channel and variant, where there are several: CHANNEL/VARIANT
    #[arg(long, value_name = "CHANNEL/VARIANT")]
    line: Option<String>,
    /// The version (default: the newest)
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

pub(super) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    match command {
        Command::Set { which, wave, key } => order(&which, &Order::Set(wave), &key, common),
        Command::Pause { which, why, key } => order(&which, &Order::Pause { why }, &key, common),
        Command::Resume { which, key } => order(&which, &Order::Resume, &key, common),
        Command::Status { repository } => status(&repository, common),
        Command::Simulate { wave, nodes, rows } => simulate(&wave, nodes, rows, common),
    }
}

fn order(which: &Which, order: &Order, key: &KeyArguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(&which.repository)?;
    let line = find_line(&state, which.line.as_deref())?;
    let asking = key.asking()?;
    let version = which.version.as_deref();
    let (version, committed) =
        change(&repository, &state, &line, version, order, &key.signers(&asking), now())?;
    let mut out = std::io::stdout().lock();
    if common.json {
        let record = json!({ "schema": 1, "channel": line.channel, "variant": line.variant, "version": version,
            "metadata": roles_json(&committed) });
        writeln!(out, "{record}")?;
    } else {
        writeln!(out, "{}/{} {version}; signed: {}", line.channel, line.variant, roles(&committed))?;
    }
    Ok(())
}

fn status(repository: &std::path::Path, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(repository)?;
    let now = now();
    let mut out = std::io::stdout().lock();
    for line in lines(&state) {
        let documents = documents(&repository, &state, &line)?;
        for release in documents.catalogue.releases.iter().rev() {
            let given = documents.rollout.releases.get(&release.root_hash);
            if common.json {
                writeln!(out, "{}", record(&line, &release.version, given, now))?;
            } else {
                writeln!(out, "{}/{} {}: {}", line.channel, line.variant, release.version, said(given, now))?;
            }
        }
    }
    Ok(())
}

/// Of how many nodes the turn has come; a pause holds what had come by then.
fn share(given: &Given, now: Time) -> u32 {
    given.wave.share_at(given.paused.as_ref().map_or(now, |pause| pause.since))
}

fn said(given: Option<&Given>, now: Time) -> String {
    let Some(given) = given else { return "given out to nobody".to_owned() };
    let percent = f64::from(share(given, now)) * 100.0 / f64::from(EVERYBODY);
    match (&given.paused, end(&given.wave)) {
        (Some(pause), _) => format!("paused at {percent:.1} % since {}: {}", pause.since, pause.why),
        (None, end) if now >= end => format!("given out to all since {end}"),
        (None, end) => format!("{percent:.1} %, to all at {end}"),
    }
}

fn end(wave: &Wave) -> Time {
    wave.points().last().expect("a wave has its end").time
}

fn record(line: &Line, version: &str, given: Option<&Given>, now: Time) -> serde_json::Value {
    json!({ "schema": 1, "channel": line.channel, "variant": line.variant, "arch": line.arch, "version": version,
        "share": given.map(|given| f64::from(share(given, now)) / f64::from(EVERYBODY)),
        "end": given.map(|given| end(&given.wave)),
        "paused": given.and_then(|given| given.paused.as_ref()).map(|pause| json!({ "since": pause.since, "why": pause.why })) })
}

/// A fleet of made-up nodes, each with the position that its id gives it.
fn simulate(wave: &str, nodes: u32, rows: u32, common: &CommonArguments) -> Result<(), Failure> {
    let start = now();
    let wave = parse_wave(wave, start)?;
    let turn = |number: u32| wave.time_of(Position::of(&format!("{number:032x}"), "simulated"));
    let turns: Vec<Time> = (0..nodes).map(turn).collect();
    let length = end(&wave).0 - start.0;
    let steps = u64::from(rows).min(length.max(1));
    let mut counts = vec![0_u32; steps as usize];
    for turn in turns {
        let step = ((turn.0 - start.0) * steps / length.max(1)).min(steps - 1);
        counts[step as usize] += 1;
    }
    let mut out = std::io::stdout().lock();
    let mut come = 0;
    for (step, count) in counts.iter().enumerate() {
        come += count;
        let after = length * (step as u64 + 1) / steps;
        let percent = f64::from(come) * 100.0 / f64::from(nodes);
        if common.json {
            let record = json!({ "schema": 1, "afterSeconds": after, "begin": count, "begun": come });
            writeln!(out, "{record}")?;
            continue;
        }
        let bar = bar(f64::from(come) / f64::from(nodes), std::io::stdout().is_terminal());
        let after = humantime::format_duration(std::time::Duration::from_secs(after)).to_string();
        writeln!(out, "{after:>12}  {bar}  {percent:5.1} %  +{count}")?;
    }
    Ok(())
}

const BAR_CELLS: usize = 50;

/// Eighths of cells on a terminal, whole ones elsewhere.
fn bar(part: f64, fine: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part * BAR_CELLS as f64 * 8.0).round() as usize;
    let (whole, rest) = (eighths / 8, eighths % 8);
    let bar = if fine { "█".repeat(whole) + EIGHTHS[rest] } else { "#".repeat(whole) };
    format!("{bar:<BAR_CELLS$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_part() {
        assert_eq!(bar(0.0, true).trim_end(), "");
        assert_eq!(bar(0.5, false).trim_end(), "#".repeat(25));
        assert_eq!(bar(1.0, true).chars().count(), BAR_CELLS);
        assert_eq!(bar(0.51, true).chars().nth(25), Some('▌'));
    }
}
