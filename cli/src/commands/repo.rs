//! `osbuild repo`: signed repositories that nodes update from.

mod audit;
mod gc;
mod init;
mod key;
mod mirror;
mod publish;
mod refresh;
mod rotate;
mod serve;
mod sign;
mod verify;
mod waves;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use osbuild_core::repo::RepoError;
use osbuild_core::repo::commit::{Committed, Signers};
use osbuild_core::repo::policy;
use osbuild_core::repo::signer::Location;
use osbuild_core::repo::tree::{PUBLIC, Repository, State};
use osbuild_store::cache::place::Place;
use osbuild_store::cache::place_at;
use osbuild_tuf::time::Time;

use super::passphrase::{Asking, PassphraseArguments};
use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// Keep signed repositories that nodes update from
///
/// A repository is a directory: policy.toml and audit.jsonl, and public/, which
/// any static web server gives out. What is in it follows The Update Framework
/// 1.0, so that other clients of TUF can read it, too.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Init(init::Arguments),
    #[command(subcommand)]
    Key(key::Command),
    Publish(publish::Arguments),
    Refresh(refresh::Arguments),
    Rotate(rotate::Arguments),
    Sign(sign::Arguments),
    Verify(verify::Arguments),
    #[command(subcommand)]
    Waves(waves::Command),
    Export(mirror::ExportArguments),
    Import(mirror::ImportArguments),
    Push(mirror::PushArguments),
    Pull(mirror::PullArguments),
    Gc(gc::Arguments),
    Audit(audit::Arguments),
    Serve(serve::Arguments),
}

pub(crate) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::run(&arguments, common),
        Command::Key(command) => key::run(command, common),
        Command::Publish(arguments) => publish::run(arguments, common),
        Command::Refresh(arguments) => refresh::run(&arguments, common),
        Command::Rotate(arguments) => rotate::run(arguments, common),
        Command::Sign(arguments) => sign::run(&arguments, common),
        Command::Verify(arguments) => verify::run(&arguments, common),
        Command::Waves(command) => waves::run(command, common),
        Command::Export(arguments) => mirror::export(&arguments, common),
        Command::Import(arguments) => mirror::import(&arguments, common),
        Command::Push(arguments) => mirror::push(&arguments, common),
        Command::Pull(arguments) => mirror::pull(&arguments, common),
        Command::Gc(arguments) => gc::run(&arguments, common),
        Command::Audit(arguments) => audit::run(&arguments, common),
        Command::Serve(arguments) => serve::run(&arguments, common),
    }
}

/// Whose keys sign.
#[derive(clap::Args)]
pub(crate) struct KeyArguments {
    /// Where a key is, instead of where the policy says: NAME=FILE, NAME=pkcs11:URI or NAME=exec:COMMAND
    #[arg(long = "key", value_name = "NAME=SIGNER", value_parser = parse_key)]
    signers: Vec<(String, String)>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

fn parse_key(text: &str) -> Result<(String, String), String> {
    let (name, signer) =
        text.split_once('=').ok_or("expected NAME=FILE, NAME=pkcs11:URI or NAME=exec:COMMAND")?;
    Ok((name.to_owned(), signer.to_owned()))
}

impl KeyArguments {
    fn asking(&self) -> Result<Asking, Failure> {
        self.passphrase.asking()
    }

    /// As files from here: what the policy names is relative to itself.
    fn signers<'a>(&self, asking: &'a Asking) -> Signers<'a> {
        let here = |signer: &str| match Location::parse(signer) {
            Location::File(path) => Location::File(std::path::absolute(&path).unwrap_or(path)),
            other => other,
        };
        let given: BTreeMap<String, Location> =
            self.signers.iter().map(|(name, signer)| (name.clone(), here(signer))).collect();
        Signers::new(given, asking)
    }
}

/// A repository and what it says.
fn open(path: &Path) -> Result<(Repository, State), RepoError> {
    let repository = Repository::open(path)?;
    let state = repository.state()?;
    Ok((repository, state))
}

/// Where a repository's public files are: below one of ours, in a folder, or at an
/// address.
pub(super) fn place_of(text: &str) -> Result<Box<dyn Place>, Failure> {
    let address = match own_directory(text) {
        Some(directory) => directory.join(PUBLIC).display().to_string(),
        None => text.to_owned(),
    };
    Ok(place_at(&address, &config::cache_access())?)
}

/// A repository with its policy, not a copy of its public files.
fn own_directory(text: &str) -> Option<&Path> {
    let given = Path::new(text);
    given.join(policy::FILE).is_file().then_some(given)
}

/// The root that a repository is believed by: a given one, else its first, for
/// which there is only the repository's own word.
pub(super) fn first_root(place: &dyn Place, given: Option<&Path>) -> Result<Vec<u8>, Failure> {
    if let Some(path) = given {
        return read_root(path);
    }
    let first = place.get("metadata/1.root.json", 1 << 20, &|| false).map_err(RepoError::from)?;
    first.ok_or_else(|| Failure::new(Exit::Failed, &format!("{} holds no repository", place.address())))
}

pub(super) fn read_root(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Failed, &format!("cannot read {}: {error}", path.display())))
}

pub(super) fn now() -> Time {
    Time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// `targets 4, rollout 5, snapshot 9, timestamp 12`
fn roles(committed: &Committed) -> String {
    let roles: Vec<String> =
        committed.roles.iter().map(|(role, version)| format!("{role} {version}")).collect();
    roles.join(", ")
}

fn roles_json(committed: &Committed) -> serde_json::Value {
    committed
        .roles
        .iter()
        .map(|(role, version)| (role.clone(), serde_json::json!(version)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
