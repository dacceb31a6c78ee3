//! `osbuild repo refresh`: signatures before they expire.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::refresh::{ending, refresh};
use serde_json::json;

use super::{KeyArguments, now, open, roles, roles_json};
use crate::config::CommonArguments;
use crate::error::Failure;

/// Sign again what would expire
///
/// The timestamp each time, snapshot and rollout when half of their life is
/// over. To be run more often than the timestamp expires.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// A role to sign again, too: targets, or root
    #[arg(long = "role", value_name = "ROLE", value_parser = ["root", "targets", "snapshot", "rollout"])]
    roles: Vec<String>,
    #[command(flatten)]
    key: KeyArguments,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(&arguments.repository)?;
    let (asking, now) = (arguments.key.asking()?, now());
    let committed = refresh(&repository, &state, &arguments.roles, &arguments.key.signers(&asking), now)?;
    let ending = ending(&repository, &repository.state()?, now);
    let mut out = std::io::stdout().lock();
    if common.json {
        let ending: serde_json::Map<String, serde_json::Value> =
            ending.iter().map(|(role, time)| (role.clone(), json!(time))).collect();
        writeln!(
            out,
            "{}",
            json!({ "schema": 1, "metadata": roles_json(&committed), "endingSoon": ending })
        )?;
        return Ok(());
    }
    writeln!(out, "signed: {}", roles(&committed))?;
    for (role, expires) in ending {
        eprintln!(
            "warning: {role} expires at {expires}: `osbuild repo refresh {} --role {role}` with its keys",
            arguments.repository.display()
        );
    }
    Ok(())
}
