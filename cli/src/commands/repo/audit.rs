//! `osbuild repo audit`: the record of signings.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::audit;

use super::open;
use crate::config::CommonArguments;
use crate::error::Failure;

/// Show every signing, after following the chain of the record
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, _) = open(&arguments.repository)?;
    let audit::Chain { entries, head, .. } = audit::read(&repository.path)?;
    let mut out = std::io::stdout().lock();
    for entry in &entries {
        if common.json {
            writeln!(out, "{}", serde_json::to_string(entry).expect("an entry is plain data"))?;
        } else {
            let keys = entry.keys.join(", ");
            writeln!(
                out,
                "{}  {:<10} {:>5}  by {keys}: {}",
                entry.time, entry.role, entry.version, entry.action
            )?;
        }
    }
    if !common.json {
        let count = entries.len();
        eprintln!("head {head} ({count} entries); note it elsewhere to see whether the end was cut off");
    }
    Ok(())
}
