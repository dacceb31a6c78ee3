//! Signatures over what caches say: ed25519, each with the name of its key.
//!
//! Keys and signatures are `<name>:<base64>`, as Nix writes them, so that keys
//! made by either serve both.
//!
//! Source: Nix manual, "nix key generate-secret"; RFC 8032.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

const SEED_BYTES: usize = 32;
const PUBLIC_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// Text that is no key or no signature. It is not shown: it may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no `<name>:` before the digits, or the name is empty or holds
    /// a blank.
    #[error("a {what} is written <name>:<base64>")]
    Form { what: &'static str },
    /// What follows the name is not base64, or has another length.
    #[error("the {what} of '{name}' is not {bytes} bytes in base64")]
    Bytes { what: &'static str, name: String, bytes: usize },
    /// The public half of a secret key does not belong to the other half.
    #[error("the two halves of the secret key '{name}' do not belong together")]
    Halves { name: String },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a new key")]
    Random,
}

fn split(text: &str, what: &'static str, bytes: usize) -> Result<(String, Vec<u8>), KeyError> {
    let (name, digits) = text.trim_end().split_once(':').ok_or(KeyError::Form { what })?;
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(KeyError::Form { what });
    }
    let name = name.to_owned();
    match BASE64.decode(digits.as_bytes()) {
        Ok(decoded) if decoded.len() == bytes => Ok((name, decoded)),
        _ => Err(KeyError::Bytes { what, name, bytes }),
    }
}

/// A key that signs.
pub struct SecretKey {
    name: String,
    seed: [u8; SEED_BYTES],
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// Makes a key.
    ///
    /// # Errors
    /// `name` is no key's name, or there is no randomness.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        let mut seed = [0; SEED_BYTES];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Random)?;
        let key = Self { name: name.to_owned(), seed, pair };
        split(&key.to_text(), "secret key", SEED_BYTES + PUBLIC_BYTES)?;
        Ok(key)
    }

    /// Reads `<name>:<base64 of seed and public key>`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text, "secret key", SEED_BYTES + PUBLIC_BYTES)?;
        let (seed, public) = bytes.split_at(SEED_BYTES);
        let Ok(pair) = Ed25519KeyPair::from_seed_and_public_key(seed, public) else {
            return Err(KeyError::Halves { name });
        };
        Ok(Self { name, seed: seed.try_into().expect("split after as many bytes"), pair })
    }

    /// What [`SecretKey::parse`] reads; for a file that nobody else may read.
    pub fn to_text(&self) -> String {
        let bytes = [&self.seed, self.pair.public_key().as_ref()].concat();
        format!("{}:{}", self.name, BASE64.encode(&bytes))
    }

    pub fn public(&self) -> PublicKey {
        let bytes = self.pair.public_key().as_ref();
        PublicKey { name: self.name.clone(), bytes: bytes.try_into().expect("a public key has 32 bytes") }
    }

    pub fn sign(&self, text: &[u8]) -> Signature {
        let bytes = self.pair.sign(text).as_ref().to_vec();
        Signature { key: self.name.clone(), bytes }
    }
}

/// The name only.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

/// A key that checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    bytes: [u8; PUBLIC_BYTES],
}

impl PublicKey {
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = split(text, "public key", PUBLIC_BYTES)?;
        Ok(Self { name, bytes: bytes.try_into().expect("checked by split") })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(&self.bytes))
    }
}

/// A signature, unchecked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    key: String,
    bytes: Vec<u8>,
}

impl Signature {
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (key, bytes) = split(text, "signature", SIGNATURE_BYTES)?;
        Ok(Self { key, bytes })
    }

    /// The name of the key that it says it is by.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key, BASE64.encode(&self.bytes))
    }
}

/// Signatures that an object keeps. A cache may send as many as it likes.
pub const MAX_KEPT: usize = 64;

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A trusted key made it, of this text.
    Verified,
    /// It names a trusted key, which did not make it.
    Refuted,
    /// It names a key that is not known here: it counts for nothing.
    Unknown,
}

/// The keys whose word counts. Several may share a name while one replaces
/// another.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    keys: BTreeMap<String, Vec<PublicKey>>,
}

impl FromIterator<PublicKey> for TrustedKeys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut trusted = Self::default();
        for key in keys {
            trusted.keys.entry(key.name.clone()).or_default().push(key);
        }
        trusted
    }
}

impl TrustedKeys {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether one of these keys signed `text`.
    pub fn accept(&self, text: &[u8], signatures: &[Signature]) -> bool {
        signatures.iter().any(|signature| self.judge(text, signature) == Standing::Verified)
    }

    /// What these keys say of one signature of `text`.
    pub fn judge(&self, text: &[u8], signature: &Signature) -> Standing {
        let Some(keys) = self.keys.get(&signature.key) else { return Standing::Unknown };
        let is_by = |key: &PublicKey| {
            UnparsedPublicKey::new(&ED25519, &key.bytes).verify(text, &signature.bytes).is_ok()
        };
        if keys.iter().any(is_by) { Standing::Verified } else { Standing::Refuted }
    }

    /// The signatures of `text` that are worth passing on with it: those of
    /// trusted keys if they hold, and those of keys that others may know, as
    /// Nix keeps them. What was verified comes first; each stands there once,
    /// and there are at most [`MAX_KEPT`], since nobody vouches for the rest.
    pub fn worth_keeping(&self, text: &[u8], signatures: &[Signature]) -> Vec<Signature> {
        let mut kept: Vec<Signature> = Vec::new();
        for standing in [Standing::Verified, Standing::Unknown] {
            let these = signatures.iter().filter(|signature| self.judge(text, signature) == standing);
            for signature in these {
                if kept.len() < MAX_KEPT && !kept.contains(signature) {
                    kept.push(signature.clone());
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_text_and_key_only() {
        let key = SecretKey::generate("cache-1").unwrap();
        let other = SecretKey::generate("cache-1").unwrap();
        let trusted = TrustedKeys::from_iter([other.public(), key.public()]);
        let signature = Signature::parse(&key.sign(b"text").to_string()).unwrap();
        assert!(trusted.accept(b"text", std::slice::from_ref(&signature)));
        assert!(!trusted.accept(b"texT", std::slice::from_ref(&signature)));
        assert!(!TrustedKeys::from_iter([other.public()]).accept(b"text", std::slice::from_ref(&signature)));
        let renamed = Signature { key: "cache-2".to_owned(), ..signature };
        assert!(!trusted.accept(b"text", &[renamed]));
        assert!(!trusted.accept(b"text", &[]));
    }

    #[test]
    fn what_is_kept_is_verified_or_of_unknown_keys() {
        let key = |name: &str| SecretKey::generate(name).unwrap();
        let (ours, impostor, stranger) = (key("ours"), key("ours"), key("stranger"));
        let trusted = TrustedKeys::from_iter([ours.public()]);
        let [good, bent, foreign] = [&ours, &impostor, &stranger].map(|key| key.sign(b"text"));
        for (signature, standing) in
            [(&good, Standing::Verified), (&bent, Standing::Refuted), (&foreign, Standing::Unknown)]
        {
            assert_eq!(trusted.judge(b"text", signature), standing);
        }
        let all = [foreign.clone(), bent, foreign.clone(), good.clone()];
        assert_eq!(trusted.worth_keeping(b"text", &all), [good.clone(), foreign.clone()]);
        assert_eq!(trusted.worth_keeping(b"other", &all), [foreign]);
        // However many strangers there are, they push nobody out.
        let mut many: Vec<Signature> = (0..1000).map(|n| key(&format!("k{n}")).sign(b"text")).collect();
        many.push(good.clone());
        let kept = trusted.worth_keeping(b"text", &many);
        assert_eq!((kept.len(), &kept[0]), (MAX_KEPT, &good));
    }

    #[test]
    fn the_vectors_of_rfc_8032() {
        // Section 7.1, tests 1 and 2.
        for (seed, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ] {
            let bytes = |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
            let text = format!("k:{}", BASE64.encode(&[bytes(seed), bytes(public)].concat()));
            let key = SecretKey::parse(&text).unwrap();
            assert_eq!(key.to_text(), text);
            assert_eq!(key.sign(&bytes(message)).bytes, bytes(signature));
        }
    }

    #[test]
    fn what_is_no_key_is_told_apart() {
        let good = SecretKey::generate("a").unwrap().to_text();
        assert!(SecretKey::parse(&format!("{good}\n")).is_ok(), "as a file has it");
        let mut bent = good.clone();
        bent.replace_range(2..3, if &bent[2..3] == "A" { "B" } else { "A" });
        assert!(matches!(SecretKey::parse(&bent), Err(KeyError::Halves { .. })));
        for text in ["", "abc", ":AAAA", "a b:AAAA"] {
            assert!(matches!(PublicKey::parse(text), Err(KeyError::Form { .. })), "{text}");
        }
        for text in ["a:", "a:AAAA", "a:%%%"] {
            assert!(matches!(Signature::parse(text), Err(KeyError::Bytes { .. })), "{text}");
        }
        assert!(SecretKey::generate("").is_err() && SecretKey::generate("a b").is_err());
    }
}
