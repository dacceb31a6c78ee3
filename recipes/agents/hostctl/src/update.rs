//! What concerns updates.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use crate::ask::{Failure, ask, put, query};

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
    /// Hand in an export of the repository (osbuild repo export), for a node that reaches none
    Import {
        /// The file; - is standard input
        file: String,
    },
    /// Forget the export that was handed in
    Forget,
    /// Restart the node into what was installed
    Restart,
    /// Read both slots through now; a bad block of the one that runs restarts the node
    Scrub,
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
            ask("POST", &format!("{PATH}/roll-back{query}"), None)?;
            // All of the other slot is read first.
            follow(json)
        }
        Command::LiftHold => ask("POST", &format!("{PATH}/lift-hold"), None),
        Command::Import { file } => import(file, json),
        Command::Forget => ask("DELETE", &format!("{PATH}/archive"), None),
        Command::Restart => ask("POST", &format!("{PATH}/restart"), None),
        Command::Scrub => {
            let mut record = ask("POST", &format!("{PATH}/scrub"), None)?;
            while record["scrub"]["reads"] == true {
                std::thread::sleep(LOOK);
                record = ask("GET", PATH, None)?;
            }
            // Of the one that runs first.
            let slots = [&record["scrub"]["running"], &record["scrub"]["other"]];
            match slots.iter().find_map(|slot| slot["problem"].as_str()) {
                Some(problem) => Err(Failure::refused(problem)),
                None => Ok(record),
            }
        }
    }
}

/// As many bytes as a request may have.
const PIECE_BYTES: u64 = 1 << 20;

/// Piece by piece, then all of it at once: nothing is of use before.
fn import(file: &str, json: bool) -> Result<Value, Failure> {
    let unreadable = |error: std::io::Error| Failure::refused(&format!("{file}: {error}"));
    let (mut source, size): (Box<dyn Read>, Option<u64>) = if file == "-" {
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        let size = opened.metadata().map_err(unreadable)?.len();
        (Box::new(opened), Some(size))
    };
    let (mut number, mut came, mut told) = (None::<u64>, 0, 0);
    loop {
        let mut piece = Vec::new();
        (&mut source).take(PIECE_BYTES).read_to_end(&mut piece).map_err(unreadable)?;
        if piece.is_empty() && number.is_some() {
            break;
        }
        let words = [("import", number), ("offset", Some(came)), ("size", size)];
        let words = words.map(|(name, value)| (name, value.map(|value| value.to_string())));
        came += piece.len() as u64;
        let answer = put(&format!("{PATH}/archive{}", query(&words)), piece)?;
        number = answer["import"].as_u64();
        if number.is_none() {
            return Err(Failure::refused("the node does not say which import this is"));
        }
        let tenth = size.and_then(|size| (came.min(size) * 10).checked_div(size)).unwrap_or(0);
        if !json && tenth > told {
            eprintln!("handing in: {} %", tenth * 10);
            told = tenth;
        }
    }
    let words = [("import", number), ("size", Some(came))];
    let words = words.map(|(name, value)| (name, value.map(|value| value.to_string())));
    ask("POST", &format!("{PATH}/archive{}", query(&words)), None)
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
    let Some(download) = last else { return "looking".to_owned() };
    let (bytes, came) = (download["bytes"].as_u64().unwrap_or(0), download["came"].as_u64().unwrap_or(0));
    let tenths = (came.min(bytes) * 10).checked_div(bytes).unwrap_or(10);
    format!(
        "{}: {} % of {bytes} bytes ({})",
        download["what"].as_str().unwrap_or_default(),
        tenths * 10,
        download["way"].as_str().unwrap_or_default()
    )
}
