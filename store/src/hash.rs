//! Hashes as Nix names them: an algorithm and a digest, in any of its spellings.

use std::fmt;
use std::io::{self, Write};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

/// The algorithms that Nix accepts for fixed outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl HashAlgorithm {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a digest in bytes.
    pub fn digest_size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A digest together with its algorithm.
///
/// # Invariants
/// `digest.len() == algorithm.digest_size()`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NixHash {
    algorithm: HashAlgorithm,
    digest: Vec<u8>,
}

/// Text that is no hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The prefix before `:` or `-` names no known algorithm.
    #[error("unknown hash algorithm '{0}', expected one of md5, sha1, sha256, sha512")]
    UnknownAlgorithm(String),
    /// The text names no algorithm and none was given beside it.
    #[error("hash '{0}' does not include a type, nor is the type otherwise known from context")]
    MissingAlgorithm(String),
    /// The digest's length or alphabet fits no spelling of the algorithm.
    #[error("hash '{text}' has wrong length for hash algorithm '{algorithm}'")]
    WrongLength { text: String, algorithm: &'static str },
    /// The prefix and the algorithm given beside it differ.
    #[error("hash '{text}' should have type '{expected}'")]
    AlgorithmMismatch { text: String, expected: &'static str },
}

impl NixHash {
    /// Pairs a digest with its algorithm; `None` if the length is wrong.
    pub fn new(algorithm: HashAlgorithm, digest: Vec<u8>) -> Option<Self> {
        (digest.len() == algorithm.digest_size()).then_some(Self { algorithm, digest })
    }

    pub fn sha256(digest: [u8; 32]) -> Self {
        Self { algorithm: HashAlgorithm::Sha256, digest: digest.to_vec() }
    }

    /// Hashes bytes that are already in memory.
    pub fn of(algorithm: HashAlgorithm, bytes: &[u8]) -> Self {
        let digest = match algorithm {
            HashAlgorithm::Md5 => md5::Md5::digest(bytes).to_vec(),
            HashAlgorithm::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            HashAlgorithm::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            HashAlgorithm::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        };
        Self { algorithm, digest }
    }

    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Reads every spelling that Nix reads: `sha256:<hex|nix32|base64>`,
    /// `sha256-<base64>` (SRI), or a bare digest if `algorithm` is given.
    ///
    /// # Errors
    /// See [`HashError`].
    pub fn parse(text: &str, algorithm: Option<HashAlgorithm>) -> Result<Self, HashError> {
        let (prefix, body, is_sri) = match text.split_once(':') {
            Some((prefix, body)) => (Some(prefix), body, false),
            None => match text.split_once('-') {
                Some((prefix, body)) => (Some(prefix), body, true),
                None => (None, text, false),
            },
        };
        let named = match prefix {
            Some(name) => {
                Some(HashAlgorithm::parse(name).ok_or_else(|| HashError::UnknownAlgorithm(name.to_owned()))?)
            }
            None => None,
        };
        let resolved = match (named, algorithm) {
            (Some(n), Some(a)) if n != a => {
                return Err(HashError::AlgorithmMismatch { text: text.to_owned(), expected: a.name() });
            }
            (Some(a), _) | (None, Some(a)) => a,
            (None, None) => return Err(HashError::MissingAlgorithm(text.to_owned())),
        };
        let wrong = || HashError::WrongLength { text: body.to_owned(), algorithm: resolved.name() };
        let digest = decode(body, resolved.digest_size(), is_sri).ok_or_else(wrong)?;
        Ok(Self { algorithm: resolved, digest })
    }

    pub fn to_hex(&self) -> String {
        HEXLOWER_PERMISSIVE.encode(&self.digest)
    }

    pub fn to_nix_base32(&self) -> String {
        crate::base32::to_nix_base32(&self.digest)
    }

    /// `sha256:<nix32>`, as caches write it.
    pub fn to_prefixed_base32(&self) -> String {
        format!("{}:{}", self.algorithm.name(), self.to_nix_base32())
    }

    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.digest)
    }

    /// `sha256-<base64>`, as recipes write it.
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.to_base64())
    }
}

/// Takes what is written and keeps its SHA-256 and its length: how archives
/// are hashed without being kept.
#[derive(Default)]
pub(crate) struct HashSink {
    hash: Sha256,
    size_bytes: u64,
}

impl HashSink {
    /// The hash of all that was written, and how many bytes that was.
    pub(crate) fn finish(self) -> (NixHash, u64) {
        (NixHash::sha256(self.hash.finalize().into()), self.size_bytes)
    }
}

impl Write for HashSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn decode(body: &str, size: usize, is_sri: bool) -> Option<Vec<u8>> {
    let base32_length = (size * 8).div_ceil(5);
    let digest = if !is_sri && body.len() == size * 2 {
        HEXLOWER_PERMISSIVE.decode(body.as_bytes()).ok()?
    } else if !is_sri && body.len() == base32_length {
        match size {
            16 => crate::base32::from_nix_base32::<16>(body)?.to_vec(),
            20 => crate::base32::from_nix_base32::<20>(body)?.to_vec(),
            32 => crate::base32::from_nix_base32::<32>(body)?.to_vec(),
            64 => crate::base32::from_nix_base32::<64>(body)?.to_vec(),
            _ => return None,
        }
    } else {
        BASE64.decode(body.as_bytes()).ok()?
    };
    (digest.len() == size).then_some(digest)
}

/// SRI, the form that recipes and messages use.
impl fmt::Display for NixHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_sri())
    }
}

impl fmt::Debug for NixHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_sri())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_digest_is_the_same_hash() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let expected = NixHash::of(HashAlgorithm::Sha256, b"");
        for text in [
            format!("sha256:{hex}"),
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73".to_owned(),
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
        ] {
            assert_eq!(NixHash::parse(&text, None), Ok(expected.clone()), "{text}");
        }
        assert_eq!(NixHash::parse(hex, Some(HashAlgorithm::Sha256)), Ok(expected));
    }

    #[test]
    fn refuses_the_rest() {
        assert!(matches!(NixHash::parse("abc", None), Err(HashError::MissingAlgorithm(_))));
        assert!(matches!(NixHash::parse("md4:00", None), Err(HashError::UnknownAlgorithm(_))));
        assert!(matches!(NixHash::parse("sha256:00", None), Err(HashError::WrongLength { .. })));
        assert!(matches!(
            NixHash::parse("sha1:00", Some(HashAlgorithm::Sha256)),
            Err(HashError::AlgorithmMismatch { .. })
        ));
    }
}
