//! With one key, which is given on the command line: what is signed so needs no
//! repository.

use std::path::{Path, PathBuf};

use osbuild_core::repo::RepoError;
use osbuild_core::repo::signer::{Location, Signer, read_public};
use osbuild_tuf::key::Key;

use super::passphrase::PassphraseArguments;
use crate::error::Failure;

#[derive(clap::Args)]
pub(crate) struct SigningArguments {
    /// The file of a private key, pkcs11:URI, or exec:COMMAND
    #[arg(long, value_name = "SIGNER")]
    with: Option<String>,
    /// The public key (PEM) of a command
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

/// An opened key.
pub(crate) struct Signing {
    pub(crate) signer: Signer,
    /// Of a command, only if it was given.
    pub(crate) public: Option<Key>,
    /// As people call it.
    pub(crate) name: String,
}

impl SigningArguments {
    pub(crate) fn is_given(&self) -> bool {
        self.with.is_some()
    }

    /// `None` if nobody is to sign.
    pub(crate) fn open(&self) -> Result<Option<Signing>, Failure> {
        let Some(with) = &self.with else { return Ok(None) };
        let asking = self.passphrase.asking()?;
        let signer = Signer::open(&Location::parse(with), with, Path::new("."), &asking)?;
        let public = self.public.as_deref().map(read_public).transpose()?;
        Ok(Some(Signing { signer, public, name: with.clone() }))
    }
}

impl Signing {
    pub(crate) fn key(&self) -> Result<Key, RepoError> {
        self.signer.key(&self.name, self.public.as_ref())
    }

    /// `what` tells a command what for.
    pub(crate) fn sign(&self, what: &str, message: &[u8]) -> Result<(Key, Vec<u8>), RepoError> {
        let key = self.key()?;
        let signature = self.signer.sign(&self.name, &key, what, message)?;
        Ok((key, signature))
    }
}
