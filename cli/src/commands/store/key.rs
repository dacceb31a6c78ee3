//! `osbuild store key`: keys that sign what caches hold.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use osbuild_store::signature::SecretKey;

use crate::error::{Exit, Failure};

/// Make and show keys that sign what caches hold
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key; its public half is printed
    Generate {
        /// What the key is called, as `cache.example.org-1`
        name: String,
        /// Where the secret key goes: a new file that only its owner can read
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Print the public half of a secret key, for `trusted-public-keys`
    Public {
        /// A file with a secret key
        file: PathBuf,
    },
}

pub(super) fn run(command: &Command) -> Result<(), Failure> {
    let key = match command {
        Command::Generate { name, output } => generate(name, output)?,
        Command::Public { file } => read(file)?,
    };
    writeln!(std::io::stdout().lock(), "{}", key.public())?;
    Ok(())
}

fn generate(name: &str, file: &Path) -> Result<SecretKey, Failure> {
    let key = SecretKey::generate(name)
        .map_err(|error| Failure::usage(&error.to_string(), "a name without blanks and colons"))?;
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{}", key.to_text())?;
        file.sync_all()
    };
    write().map_err(|error| {
        Failure::new(Exit::Failed, &format!("cannot write the key {}: {error}", file.display()))
    })?;
    Ok(key)
}

/// The secret key in a file.
pub(super) fn read(file: &Path) -> Result<SecretKey, Failure> {
    let bad = |reason: String| {
        Failure::new(Exit::Failed, &format!("cannot use the key {}: {reason}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    SecretKey::parse(&text).map_err(|error| bad(error.to_string()))
}
