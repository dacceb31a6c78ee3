//! With one key, which is given on the command line: what is signed so needs no
//! repository.

use std::path::{Path, PathBuf};

use osbuild_core::attest::envelope::Envelope;
use osbuild_core::attest::statement::MEDIA_TYPE;
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
    pub(crate) key: Key,
    /// As people call it.
    pub(crate) name: String,
}

impl SigningArguments {
    pub(crate) fn is_given(&self) -> bool {
        self.with.is_some()
    }

    /// `None` if nobody is to sign; a command's key has to be given.
    pub(crate) fn open(&self) -> Result<Option<Signing>, Failure> {
        let Some(with) = &self.with else { return Ok(None) };
        let asking = self.passphrase.asking()?;
        let signer = Signer::open(&Location::parse(with), with, Path::new("."), &asking)?;
        let public = self.public.as_deref().map(read_public).transpose()?;
        let key = signer.key(with, public.as_ref())?;
        Ok(Some(Signing { signer, key, name: with.clone() }))
    }
}

impl Signing {
    /// `what` tells a command what for.
    pub(crate) fn sign(&self, what: &str, message: &[u8]) -> Result<Vec<u8>, RepoError> {
        self.signer.sign(&self.name, &self.key, what, message)
    }

    /// A statement in its envelope.
    pub(crate) fn seal(&self, what: &str, statement: Vec<u8>) -> Result<Vec<u8>, RepoError> {
        let mut envelope = Envelope::new(MEDIA_TYPE, statement);
        let signature = self.sign(what, &envelope.message())?;
        envelope.add(&self.key, &signature);
        Ok(envelope.to_bytes())
    }
}
