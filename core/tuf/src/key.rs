//! Public keys, their ids, and what they have signed (§4.2, §4.3).

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::Signature as Ed25519Signature;
use p256::ecdsa::signature::Verifier;
use p256::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::canonical;

/// By which metadata refers to keys. Ours are the SHA-256 of the key's
/// canonical form, so that every client agrees; foreign ones are taken as they
/// are.
pub type KeyId = String;

/// A public key as metadata writes it. A kind that is unknown here is kept and
/// never verifies anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub keytype: String,
    pub scheme: String,
    pub keyval: KeyValue,
    /// What else somebody wrote here; it is signed too.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    pub public: String,
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What is shorter can be factored.
const LEAST_RSA_BYTES: usize = 2048 / 8;

/// What a SubjectPublicKeyInfo of Ed25519 has before the key.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that can verify.
#[derive(Clone, Debug)]
pub enum Verifying {
    Ed25519(ed25519_dalek::VerifyingKey),
    EcdsaP256(p256::ecdsa::VerifyingKey),
    RsaPss(rsa::pss::VerifyingKey<Sha256>),
}

impl Key {
    /// From the 32 bytes of an Ed25519 key.
    pub fn ed25519(public: &[u8; 32]) -> Self {
        Self::plain("ed25519", "ed25519", HEXLOWER.encode(public))
    }

    /// From a P-256 key in PEM (SubjectPublicKeyInfo).
    pub fn ecdsa_p256(pem: &str) -> Self {
        Self::plain("ecdsa", "ecdsa-sha2-nistp256", pem.to_owned())
    }

    /// From PEM (SubjectPublicKeyInfo), of either kind; `None` if it is neither.
    ///
    /// Source: RFC 8410 for Ed25519.
    pub fn from_pem(pem: &str) -> Option<Self> {
        if p256::PublicKey::from_public_key_pem(pem).is_ok() {
            return Some(Self::ecdsa_p256(pem));
        }
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let bytes = BASE64.decode(body.as_bytes()).ok()?;
        let key: [u8; 32] = bytes.strip_prefix(&ED25519)?.try_into().ok()?;
        ed25519_dalek::VerifyingKey::from_bytes(&key).ok()?;
        Some(Self::ed25519(&key))
    }

    fn plain(keytype: &str, scheme: &str, public: String) -> Self {
        Self {
            keytype: keytype.to_owned(),
            scheme: scheme.to_owned(),
            keyval: KeyValue { public, extra: BTreeMap::new() },
            extra: BTreeMap::new(),
        }
    }

    pub fn id(&self) -> KeyId {
        let plain = json!({
            "keytype": self.keytype,
            "scheme": self.scheme,
            "keyval": { "public": self.keyval.public },
        });
        let bytes = canonical::to_bytes(&plain).expect("a key holds text only");
        HEXLOWER.encode(&Sha256::digest(bytes))
    }

    /// `None` if it is of an unknown kind or not a key.
    pub fn verifying(&self) -> Option<Verifying> {
        match (self.keytype.as_str(), self.scheme.as_str()) {
            ("ed25519", "ed25519") => {
                let bytes = HEXLOWER_PERMISSIVE.decode(self.keyval.public.as_bytes()).ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
                Some(Verifying::Ed25519(key))
            }
            // Older repositories name the curve in the type.
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
                let key = p256::ecdsa::VerifyingKey::from_public_key_pem(&self.keyval.public).ok()?;
                Some(Verifying::EcdsaP256(key))
            }
            ("rsa", "rsassa-pss-sha256") => {
                let key = rsa::RsaPublicKey::from_public_key_pem(&self.keyval.public).ok()?;
                (key.size() >= LEAST_RSA_BYTES).then(|| Verifying::RsaPss(rsa::pss::VerifyingKey::new(key)))
            }
            _ => None,
        }
    }
}

impl Verifying {
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => Ed25519Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::EcdsaP256(key) => p256::ecdsa::DerSignature::from_bytes(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::RsaPss(key) => rsa::pss::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }

    /// The key itself, whatever it is called: one key under two ids counts
    /// once.
    pub fn identity(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.to_bytes().to_vec(),
            Self::EcdsaP256(key) => key.to_encoded_point(true).as_bytes().to_vec(),
            Self::RsaPss(key) => key.as_ref().n().to_bytes_be(),
        }
    }
}
