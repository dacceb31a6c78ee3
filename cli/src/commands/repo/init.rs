//! `osbuild repo init`: a new repository.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::commit::Signers;
use osbuild_core::repo::init::{Init, init};
use osbuild_core::repo::signer::Algorithm;
use serde_json::json;

use super::now;
use crate::commands::passphrase::PassphraseArguments;
use crate::config::CommonArguments;
use crate::error::Failure;

/// Make a repository and its first keys
///
/// The roles: `root` says whose keys the others are and needs several of its
/// keys; `targets` says what is published. Their keys are used rarely and can be
/// kept offline. `snapshot`, `timestamp` and `rollout` (when releases are given
/// out) are signed every day.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A directory that does not exist yet
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// Where the private keys are written (default: DIR-keys)
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Keys of the root role
    #[arg(long, value_name = "N", default_value_t = 3)]
    root_keys: u64,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 2)]
    root_threshold: u64,
    /// What the keys are of
    #[arg(long, value_name = "ALGORITHM", default_value = "ed25519")]
    algorithm: AlgorithmArgument,
    /// Write the keys unencrypted
    #[arg(long)]
    no_passphrase: bool,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum AlgorithmArgument {
    Ed25519,
    /// P-256, which more hardware knows
    Ecdsa,
}

impl From<AlgorithmArgument> for Algorithm {
    fn from(argument: AlgorithmArgument) -> Self {
        match argument {
            AlgorithmArgument::Ed25519 => Self::Ed25519,
            AlgorithmArgument::Ecdsa => Self::EcdsaP256,
        }
    }
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let beside = || {
        let mut name = arguments.repository.file_name().unwrap_or_default().to_owned();
        name.push("-keys");
        arguments.repository.with_file_name(name)
    };
    let request = Init {
        repository: arguments.repository.clone(),
        keys: arguments.keys.clone().unwrap_or_else(beside),
        root_keys: arguments.root_keys,
        root_threshold: arguments.root_threshold,
        algorithm: arguments.algorithm.into(),
    };
    let asking = arguments.passphrase.asking()?;
    let passphrase = asking.new_passphrase(arguments.no_passphrase)?;
    let made = init(&request, passphrase.as_deref(), &Signers::new(BTreeMap::new(), &asking), now())?;

    let mut out = std::io::stdout().lock();
    if common.json {
        let keys: serde_json::Map<String, serde_json::Value> =
            made.keys.iter().map(|(name, file)| (name.clone(), json!(file))).collect();
        writeln!(
            out,
            "{}",
            json!({ "schema": 1, "repository": request.repository, "root": made.root, "keys": keys })
        )?;
        return Ok(());
    }
    writeln!(out, "{}", request.repository.display())?;
    if !common.quiet {
        let offline =
            |(name, _): &&(String, PathBuf)| name.starts_with("root") || name.starts_with("targets");
        let names = |keys: Vec<&(String, PathBuf)>| {
            keys.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (rare, daily): (Vec<_>, Vec<_>) = made.keys.iter().partition(|key| offline(key));
        eprintln!("keys in {}:", request.keys.display());
        eprintln!("  {}: move them to media that are offline, each of root's to another holder", names(rare));
        eprintln!("  {}: where `osbuild repo refresh` runs every few hours", names(daily));
        eprintln!("in variants whose nodes are to follow it:");
        eprintln!("  update = {{ repository = \"https://…\"; channel = \"stable\"; root = ./root.json; }};");
        eprintln!("  with root.json from {}", made.root.display());
    }
    Ok(())
}
