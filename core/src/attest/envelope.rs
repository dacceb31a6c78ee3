//! DSSE envelopes: bytes of a known kind, with signatures over both.
//!
//! Source: Dead Simple Signing Envelope, protocol and envelope 1.0.

use data_encoding::{BASE64, BASE64URL};
use osbuild_tuf::key::Key;
use serde::{Deserialize, Serialize};

/// A payload and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// `keyid` is a hint alone: what counts is which key verifies.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

#[derive(Deserialize, Serialize)]
struct Written {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

impl Envelope {
    pub fn new(payload_type: &str, payload: Vec<u8>) -> Self {
        Self { payload_type: payload_type.to_owned(), payload, signatures: Vec::new() }
    }

    /// # Errors
    /// It is no envelope, as a clause.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| format!("not a DSSE envelope: {error}"))?;
        let payload = decode(&written.payload).ok_or("not a DSSE envelope: its payload is not in base64")?;
        if written.signatures.is_empty() {
            return Err("a DSSE envelope that nobody signed".to_owned());
        }
        Ok(Self { payload_type: written.payload_type, payload, signatures: written.signatures })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            payload: BASE64.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self.signatures.clone(),
        };
        let mut bytes = serde_json::to_vec(&written).expect("it is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// What is signed: the payload and its type, each with its length, so that
    /// neither passes for a part of the other.
    pub fn message(&self) -> Vec<u8> {
        let Self { payload_type, payload, .. } = self;
        let mut message =
            format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
        message.extend(payload);
        message
    }

    /// Adds a signature over [`Envelope::message`].
    pub fn add(&mut self, key: &Key, signature: &[u8]) {
        self.signatures.push(Signature { keyid: key.id(), sig: BASE64.encode(signature) });
    }

    /// Those of `keys` that signed this; a key that stands there twice counts once.
    pub fn signers<'k>(&self, keys: &'k [Key]) -> Vec<&'k Key> {
        let message = self.message();
        let signatures: Vec<Vec<u8>> =
            self.signatures.iter().filter_map(|signature| decode(&signature.sig)).collect();
        let mut found: Vec<(Vec<u8>, &Key)> = Vec::new();
        for key in keys {
            let Some(verifying) = key.verifying() else { continue };
            let identity = verifying.identity();
            let is_signed = || signatures.iter().any(|signature| verifying.verifies(&message, signature));
            if !found.iter().any(|(other, _)| *other == identity) && is_signed() {
                found.push((identity, key));
            }
        }
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// The payload, if it is of this type and at least one of `keys` signed it.
    ///
    /// # Errors
    /// Why not, as a clause.
    pub fn open(&self, payload_type: &str, keys: &[Key]) -> Result<&[u8], String> {
        if self.payload_type != payload_type {
            return Err(format!("it holds '{}', not {payload_type}", self.payload_type));
        }
        if self.signers(keys).is_empty() {
            return Err("none of its signatures is by a key that counts here".to_owned());
        }
        Ok(&self.payload)
    }
}

/// Either alphabet is allowed.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).or_else(|_| BASE64URL.decode(text.as_bytes())).ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const KIND: &str = "http://example.com/HelloWorld";

    fn key(seed: u8) -> (SigningKey, Key) {
        let private = SigningKey::from_bytes(&[seed; 32]);
        let public = Key::ed25519(private.verifying_key().as_bytes());
        (private, public)
    }

    fn signed(by: &[u8]) -> Envelope {
        let mut envelope = Envelope::new(KIND, b"hello world".to_vec());
        for seed in by {
            let (private, public) = key(*seed);
            let signature = private.sign(&envelope.message()).to_bytes();
            envelope.add(&public, &signature);
        }
        envelope
    }

    #[test]
    fn the_message_is_that_of_the_protocols_test_vector() {
        assert_eq!(signed(&[]).message(), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world".to_vec());
    }

    #[test]
    fn opens_for_a_key_that_signed() {
        let envelope = Envelope::parse(&signed(&[1, 2]).to_bytes()).unwrap();
        let [first, second, third] = [1, 2, 3].map(|seed| key(seed).1);
        assert_eq!(envelope.open(KIND, std::slice::from_ref(&second)).unwrap(), b"hello world");
        let twice = [first.clone(), first.clone(), second.clone(), third.clone()];
        assert_eq!(envelope.signers(&twice), [&first, &second]);
        assert!(envelope.open(KIND, &[third]).unwrap_err().contains("none of its signatures"));
        assert!(envelope.open("text/plain", &[first]).unwrap_err().contains("it holds"));
    }

    #[test]
    fn neither_payload_nor_type_can_be_another() {
        let (_, public) = key(1);
        let keys = [public];
        let mut other = signed(&[1]);
        other.payload.push(b'!');
        assert!(other.signers(&keys).is_empty());
        let mut other = signed(&[1]);
        other.payload_type = "text/plain".to_owned();
        assert!(other.signers(&keys).is_empty());
    }

    #[test]
    fn both_alphabets_are_read_and_what_is_none_is_refused() {
        let text = |payload: &str, signatures: &str| {
            format!(r#"{{"payloadType":"a","payload":"{payload}","signatures":[{signatures}]}}"#)
        };
        let some = r#"{"sig":"AA=="}"#;
        let read = |payload: &str| Envelope::parse(text(payload, some).as_bytes()).unwrap().payload;
        assert_eq!(read("-_-_"), read("+/+/"));
        for (bytes, said) in [
            (text("*", some), "not in base64"),
            (text("AAAA", ""), "nobody signed"),
            ("{}".to_owned(), "not a DSSE envelope"),
        ] {
            let error = Envelope::parse(bytes.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
