//! Who signs: a key in a file, in a token, or behind a command.
//!
//! Files are PKCS #8 in PEM, encrypted (PBES2: scrypt, AES-256-CBC) unless asked
//! otherwise; `openssl pkey` reads them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::Signer as _;
use osbuild_tuf::key::Key;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    EncryptedPrivateKeyInfo, LineEnding, SecretDocument,
};
use rand_core::{OsRng, RngCore as _};

use super::error::{RepoError, io_error};
use super::token::Token;
use crate::exec_signer;

/// Asks for what opens a key.
pub trait Passphrases {
    /// `None` if nobody can be asked.
    fn passphrase(&self, key: &str) -> Option<String>;
}

/// Where a key is, as a policy or a command line writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A PEM file; relative to the repository.
    File(PathBuf),
    /// An object in a token; see `token`.
    Pkcs11(String),
    /// A command and its arguments.
    Exec(String),
}

impl Location {
    /// `pkcs11:…`, `exec:COMMAND`, or a path with or without `file:`.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("pkcs11:") {
            return Self::Pkcs11(text.to_owned());
        }
        if let Some(command) = text.strip_prefix("exec:") {
            return Self::Exec(command.to_owned());
        }
        Self::File(PathBuf::from(text.strip_prefix("file:").unwrap_or(text)))
    }
}

/// The algorithms that can be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Ed25519,
    EcdsaP256,
}

/// Cost of a guess at a passphrase: 16 MiB, five times over. More memory would be
/// more than OpenSSL grants.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);

/// A private key that was read or made.
pub enum PrivateKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    EcdsaP256(Box<p256::ecdsa::SigningKey>),
}

impl PrivateKey {
    pub fn generate(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(Box::new(ed25519_dalek::SigningKey::generate(&mut OsRng))),
            Algorithm::EcdsaP256 => Self::EcdsaP256(Box::new(p256::ecdsa::SigningKey::random(&mut OsRng))),
        }
    }

    /// Reads PKCS #8 in PEM.
    ///
    /// # Errors
    /// [`RepoError::Key`]: another format, or no passphrase opens it.
    pub fn read(path: &Path, name: &str, passphrases: &dyn Passphrases) -> Result<Self, RepoError> {
        let bad =
            |what: &str| RepoError::Key { key: name.to_owned(), what: format!("{}: {what}", path.display()) };
        let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
        let (label, document) =
            SecretDocument::from_pem(&text).map_err(|_| bad("not a private key (PEM, PKCS #8)"))?;
        let document = match label {
            "PRIVATE KEY" => document,
            "ENCRYPTED PRIVATE KEY" => {
                let info = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
                    .map_err(|_| bad("not an encrypted private key (PKCS #8)"))?;
                let passphrase = passphrases
                    .passphrase(name)
                    .ok_or_else(|| bad("it is encrypted, and nobody gives its passphrase"))?;
                info.decrypt(passphrase).map_err(|_| bad("this passphrase does not open it"))?
            }
            _ => {
                return Err(bad("not a private key in PKCS #8 (`openssl pkcs8 -topk8` makes one of others)"));
            }
        };
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(document.as_bytes()) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        let key = p256::ecdsa::SigningKey::from_pkcs8_der(document.as_bytes());
        key.map(|key| Self::EcdsaP256(Box::new(key))).map_err(|_| bad("neither an Ed25519 nor a P-256 key"))
    }

    /// Writes it where nothing is yet, for its owner alone.
    ///
    /// # Errors
    /// [`RepoError::Exists`], or the file cannot be written.
    pub fn write(&self, path: &Path, passphrase: Option<&str>) -> Result<(), RepoError> {
        let document = match self {
            // Without its public half: OpenSSL 3.0 does not read the newer form.
            Self::Ed25519(key) => {
                let bytes =
                    ed25519_dalek::pkcs8::KeypairBytes { secret_key: key.to_bytes(), public_key: None };
                bytes.to_pkcs8_der()
            }
            Self::EcdsaP256(key) => key.to_pkcs8_der(),
        };
        let document = document.expect("a key has an encoding");
        let pem = match passphrase {
            None => document.to_pem("PRIVATE KEY", LineEnding::LF),
            Some(passphrase) => {
                let (mut salt, mut iv) = ([0; 16], [0; 16]);
                OsRng.fill_bytes(&mut salt);
                OsRng.fill_bytes(&mut iv);
                let (log_n, r, p) = SCRYPT;
                let cost = scrypt::Params::new(log_n, r, p, 32).expect("the cost is within its bounds");
                let parameters = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &iv);
                let parameters = parameters.expect("these lengths are right");
                pkcs8::PrivateKeyInfo::try_from(document.as_bytes())
                    .and_then(|info| info.encrypt_with_params(parameters, passphrase))
                    .expect("an encoded key can be encrypted")
                    .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
            }
        };
        let pem = pem.expect("bytes have a text form");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => RepoError::Exists { path: path.to_owned() },
            _ => io_error("create", path)(error),
        })?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error("write", path))
    }

    pub fn public_key(&self) -> Key {
        match self {
            Self::Ed25519(key) => Key::ed25519(key.verifying_key().as_bytes()),
            Self::EcdsaP256(key) => {
                let pem = key.verifying_key().to_public_key_pem(LineEnding::LF);
                Key::ecdsa_p256(&pem.expect("a public key has an encoding"))
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::EcdsaP256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
        }
    }
}

/// Reads a public key (PEM, SubjectPublicKeyInfo).
///
/// # Errors
/// [`RepoError::Key`]
pub fn read_public(path: &Path) -> Result<Key, RepoError> {
    let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
    let bad = || RepoError::Key {
        key: path.display().to_string(),
        what: "not a public key of Ed25519 or P-256 (PEM, PUBLIC KEY)".to_owned(),
    };
    parse_public(&text).ok_or_else(bad)
}

/// Of PEM text, SubjectPublicKeyInfo.
pub(super) fn parse_public(text: &str) -> Option<Key> {
    if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(text) {
        return Some(Key::ed25519(key.as_bytes()));
    }
    let key = p256::ecdsa::VerifyingKey::from_public_key_pem(text).ok()?;
    Some(Key::ecdsa_p256(&key.to_public_key_pem(LineEnding::LF).ok()?))
}

/// The PEM of a key of ours.
pub fn public_pem(key: &Key) -> Option<String> {
    match key.verifying()? {
        osbuild_tuf::key::Verifying::Ed25519(key) => key.to_public_key_pem(LineEnding::LF).ok(),
        osbuild_tuf::key::Verifying::EcdsaP256(key) => key.to_public_key_pem(LineEnding::LF).ok(),
        osbuild_tuf::key::Verifying::RsaPss(_) => None,
    }
}

/// Something that signs with one key.
pub enum Signer {
    Key(PrivateKey),
    Token(Token),
    /// The bytes to be signed on its input, the signature on its output: 64
    /// bytes of Ed25519, or ECDSA in DER. `OSBUILD_SIGN_KEYID` and
    /// `OSBUILD_SIGN_ROLE` tell it what for.
    Exec(String),
}

impl Signer {
    /// # Errors
    /// The key cannot be read.
    pub fn open(
        location: &Location,
        name: &str,
        base: &Path,
        passphrases: &dyn Passphrases,
    ) -> Result<Self, RepoError> {
        match location {
            Location::File(path) => PrivateKey::read(&base.join(path), name, passphrases).map(Self::Key),
            Location::Pkcs11(uri) => Token::open(uri, name, passphrases).map(Self::Token),
            Location::Exec(command) => Ok(Self::Exec(command.clone())),
        }
    }

    /// The public key, unless only the command knows.
    pub fn public_key(&self) -> Option<Key> {
        match self {
            Self::Key(private) => Some(private.public_key()),
            Self::Token(token) => Some(token.public_key().clone()),
            Self::Exec(_) => None,
        }
    }

    /// The public key, which for a command somebody has to give.
    ///
    /// # Errors
    /// [`RepoError::Key`]: nobody knows it.
    pub fn key(&self, name: &str, given: Option<&Key>) -> Result<Key, RepoError> {
        self.public_key().or_else(|| given.cloned()).ok_or_else(|| RepoError::Key {
            key: name.to_owned(),
            what: "a command does not say which key it holds: give its public key (--public FILE)".to_owned(),
        })
    }

    /// Signs, and looks whether the signature is one by `key`.
    ///
    /// # Errors
    /// [`RepoError::Key`]: the command failed, or signs with another key.
    pub fn sign(&self, name: &str, key: &Key, role: &str, message: &[u8]) -> Result<Vec<u8>, RepoError> {
        let bad = |what: String| RepoError::Key { key: name.to_owned(), what };
        let signature = match self {
            Self::Key(private) => private.sign(message),
            Self::Token(token) => token.sign(message).map_err(bad)?,
            Self::Exec(command) => {
                let what_for = [("OSBUILD_SIGN_KEYID", key.id()), ("OSBUILD_SIGN_ROLE", role.to_owned())];
                exec_signer::run(command, message, &what_for).map_err(bad)?
            }
        };
        if !key.verifying().is_some_and(|key| key.verifies(message, &signature)) {
            return Err(bad("what signed is not the key of this name".to_owned()));
        }
        Ok(signature)
    }
}
