//! `osbuild repo rotate`: roles to other keys.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::rotate::{Rotation, rotate};
use serde_json::json;

use super::{KeyArguments, now, open, roles, roles_json};
use crate::config::CommonArguments;
use crate::error::Failure;

/// Give a role to other keys, or let its metadata be signed anew
///
/// A new root needs the signatures of the one before it and its own. If not all
/// of these keys are at hand, what is to be signed is left in DIR/staged: pass
/// the file to whoever holds the others (`osbuild repo sign`), put it back, and
/// run `osbuild repo rotate DIR ROLE` without changes to finish.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// root, targets, snapshot, timestamp or rollout
    #[arg(value_name = "ROLE")]
    role: String,
    /// A key that the role gets, by its name in the policy
    #[arg(long, value_name = "NAME")]
    add: Vec<String>,
    /// A key that it loses, by its name or id
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// How many of its keys must sign from now on
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    #[command(flatten)]
    key: KeyArguments,
}

pub(super) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(&arguments.repository)?;
    let asking = arguments.key.asking()?;
    let Arguments { role, add, remove, threshold, .. } = arguments;
    let rotation = Rotation { role, add, remove, threshold };
    let committed = rotate(&repository, &state, &rotation, &arguments.key.signers(&asking), now())?;
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "schema": 1, "metadata": roles_json(&committed) }))?;
    } else {
        writeln!(out, "signed: {}", roles(&committed))?;
    }
    Ok(())
}
