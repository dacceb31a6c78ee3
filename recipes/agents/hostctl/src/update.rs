//! What concerns updates.

use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use crate::ask::{Failure, ask, query};

const PATH: &str = "/v1/update";
const LOOK: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub enum Command {
    /// Show the releases that there are, and why each is installed or not (yet)
    Status,
    /// Look at the repository now
    Check,
    /// Install the release that is next; the next start tries it
    Install {
        /// Which (default: the newest whose turn has come)
        version: Option<String>,
        /// Without waiting for its turn or the node's delay
        #[arg(long)]
        now: bool,
        /// Although it is below the floor or failed here before
        #[arg(long, requires = "version")]
        force: bool,
    },
    /// Take an installed release back before the node restarts
    Cancel,
    /// Let the next start be that of the other slot
    Rollback {
        /// Although it is below the floor or was refused
        #[arg(long)]
        force: bool,
    },
    /// Let the release be installed again that was gone back from
    LiftHold,
    /// Restart the node into what was installed
    Restart,
}

/// The status after it.
pub fn run(command: &Command, json: bool) -> Result<Value, Failure> {
    match command {
        Command::Status => ask("GET", PATH, None),
        Command::Check => {
            ask("POST", &format!("{PATH}/check"), None)?;
            follow(json)
        }
        Command::Install { version, now, force } => {
            let said = |flag: bool| flag.then(|| "true".to_owned());
            let query = query(&[("version", version.clone()), ("now", said(*now)), ("force", said(*force))]);
            ask("POST", &format!("{PATH}/install{query}"), None)?;
            follow(json)
        }
        Command::Cancel => ask("POST", &format!("{PATH}/cancel"), None),
        Command::Rollback { force } => {
            let query = query(&[("force", force.then(|| "true".to_owned()))]);
            ask("POST", &format!("{PATH}/roll-back{query}"), None)
        }
        Command::LiftHold => ask("POST", &format!("{PATH}/lift-hold"), None),
        Command::Restart => ask("POST", &format!("{PATH}/restart"), None),
    }
}

/// Until it is done; for people, with how far it is.
fn follow(json: bool) -> Result<Value, Failure> {
    let mut told = String::new();
    loop {
        let record = ask("GET", PATH, None)?;
        if !matches!(record["state"].as_str(), Some("checking" | "installing")) {
            return match record["problem"].as_str() {
                Some(problem) => Err(Failure::refused(problem)),
                None => Ok(record),
            };
        }
        let now = progress(&record);
        if !json && now != told {
            eprintln!("{now}");
            told = now;
        }
        std::thread::sleep(LOOK);
    }
}

/// `root: 12 of 113 MiB (delta)`; in steps of a tenth.
fn progress(record: &Value) -> String {
    let last = record["downloads"].as_array().and_then(|downloads| downloads.last());
    let Some(download) = last else { return "looking at the repository".to_owned() };
    let (bytes, came) = (download["bytes"].as_u64().unwrap_or(0), download["came"].as_u64().unwrap_or(0));
    let tenths = (came.min(bytes) * 10).checked_div(bytes).unwrap_or(10);
    format!(
        "{}: {} % of {bytes} bytes ({})",
        download["what"].as_str().unwrap_or_default(),
        tenths * 10,
        download["way"].as_str().unwrap_or_default()
    )
}
