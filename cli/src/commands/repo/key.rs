//! `osbuild repo key`: keys of a repository's roles.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use osbuild_core::repo::RepoError;
use osbuild_core::repo::init::{add_key, location_of, must_be_outside};
use osbuild_core::repo::signer::{Location, PrivateKey, Signer, read_public};
use osbuild_core::repo::tree::Repository;
use osbuild_tuf::key::Key;
use serde_json::json;

use super::init::AlgorithmArgument;
use super::open;
use crate::commands::passphrase::PassphraseArguments;
use crate::config::CommonArguments;
use crate::error::Failure;

/// Make, register and list keys
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key in a file
    ///
    /// The file is PKCS #8 in PEM, encrypted with the passphrase (scrypt,
    /// AES-256-CBC); `openssl pkey` reads it.
    New {
        /// A file that does not exist yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What the key is of
        #[arg(long, value_name = "ALGORITHM", default_value = "ed25519")]
        algorithm: AlgorithmArgument,
        /// Write it unencrypted
        #[arg(long)]
        no_passphrase: bool,
        #[command(flatten)]
        passphrase: PassphraseArguments,
    },
    /// Tell a repository of a key, so that `rotate` can give it a role
    Add {
        #[arg(value_name = "DIR")]
        repository: PathBuf,
        /// How the key is called from now on
        name: String,
        /// The file of the private key, pkcs11:URI (RFC 7512, with module-path), or exec:COMMAND, which gets what is to be signed on its input and answers with the signature
        #[arg(value_name = "SIGNER")]
        signer: Option<String>,
        /// The public key (PEM): for a command, or for a key that somebody else holds
        #[arg(long, value_name = "FILE")]
        public: Option<PathBuf>,
        #[command(flatten)]
        passphrase: PassphraseArguments,
    },
    /// List the keys that a repository knows, and their roles
    List {
        #[arg(value_name = "DIR")]
        repository: PathBuf,
    },
}

pub(super) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    match command {
        Command::New { file, algorithm, no_passphrase, passphrase } => {
            new(&file, algorithm, no_passphrase, &passphrase, common)
        }
        Command::Add { repository, name, signer, public, passphrase } => {
            add(&repository, &name, signer.as_deref(), public.as_deref(), &passphrase)
        }
        Command::List { repository } => list(&repository, common),
    }
}

fn new(
    file: &Path,
    algorithm: AlgorithmArgument,
    no_passphrase: bool,
    passphrase: &PassphraseArguments,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let passphrase = passphrase.asking()?.new_passphrase(no_passphrase)?;
    let private = PrivateKey::generate(algorithm.into());
    private.write(file, passphrase.as_deref())?;
    let id = private.public_key().id();
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "schema": 1, "file": file, "id": id }))?;
    } else {
        writeln!(out, "{id}")?;
    }
    Ok(())
}

fn add(
    path: &Path,
    name: &str,
    signer: Option<&str>,
    public: Option<&Path>,
    passphrase: &PassphraseArguments,
) -> Result<(), Failure> {
    let repository = Repository::open(path)?;
    let needs_public = || {
        Failure::usage(
            "which key that is cannot be told from it",
            "give its public key: --public FILE (`openssl pkey -pubout` makes one)",
        )
    };
    let (public, written): (Key, Option<String>) = match (signer, public) {
        (None, None) => return Err(needs_public()),
        (None, Some(public)) => (read_public(public)?, None),
        (Some(signer), public) => {
            let asking = passphrase.asking()?;
            let location = Location::parse(signer);
            let written = match &location {
                Location::File(file) => {
                    must_be_outside(file, path)?;
                    location_of(file, path)?
                }
                Location::Pkcs11(_) | Location::Exec(_) => signer.to_owned(),
            };
            let opened = Signer::open(&location, name, Path::new("."), &asking)?;
            let found = match (opened.public_key(), public) {
                (Some(found), _) => found,
                (None, Some(public)) => read_public(public)?,
                (None, None) => return Err(needs_public()),
            };
            (found, Some(written))
        }
    };
    add_key(&repository, name, &public, written.as_deref())?;
    writeln!(std::io::stdout().lock(), "{}", public.id())?;
    Ok(())
}

fn list(path: &Path, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(path)?;
    let delegated =
        state.targets.delegations.iter().flat_map(|all| &all.roles).map(|role| (&role.name, &role.keys));
    let roles: Vec<(&String, &osbuild_tuf::metadata::RoleKeys)> =
        state.root.roles.iter().chain(delegated).collect();
    let mut out = std::io::stdout().lock();
    for named in repository.policy.keys() {
        let id = named.key.id();
        let of: Vec<&str> = roles
            .iter()
            .filter(|(_, keys)| keys.keyids.contains(&id))
            .map(|(role, _)| role.as_str())
            .collect();
        let signer = match &named.location {
            Some(Location::File(file)) => file.display().to_string(),
            Some(Location::Pkcs11(uri)) => uri.clone(),
            Some(Location::Exec(command)) => format!("exec:{command}"),
            None => "somebody else's".to_owned(),
        };
        if common.json {
            let record = json!({ "schema": 1, "name": named.name, "id": id, "roles": of, "type": named.key.keytype,
                "signer": named.location.is_some().then_some(signer) });
            writeln!(out, "{record}")?;
        } else {
            let of = if of.is_empty() { "no role".to_owned() } else { of.join(", ") };
            writeln!(out, "{:<14} {:<8} {:<20} {:.16}…  {signer}", named.name, named.key.keytype, of, id)?;
        }
    }
    // Keys of a role that the policy has forgotten are still its keys.
    for (role, keys) in roles {
        for id in keys.keyids.iter().filter(|id| repository.policy.key(id).is_none()) {
            let problem = RepoError::Key {
                key: id.clone(),
                what: format!("of {role}, and the policy does not know it"),
            };
            eprintln!("warning: {problem}");
        }
    }
    Ok(())
}
