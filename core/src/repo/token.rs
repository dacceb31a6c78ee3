//! Keys in a token that speaks PKCS #11: a smart card, an HSM.
//!
//! A key is named by a URI (RFC 7512): `pkcs11:token=T;object=O` or `;id=%01`,
//! with `?module-path=FILE`, the token's library, and `&pin-source=FILE`. Both
//! the private key and its public half must be in the token, as tools leave
//! them there.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use osbuild_tuf::key::Key;
use percent_encoding::percent_decode_str;
use pkcs8::{EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256};

use super::error::RepoError;
use super::signer::Passphrases;

/// What a URI names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Address {
    token: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module: Option<String>,
    pin_source: Option<String>,
}

impl Address {
    fn parse(uri: &str) -> Result<Self, String> {
        let rest = uri.strip_prefix("pkcs11:").ok_or("it does not begin with pkcs11:")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut address = Self::default();
        for part in path.split(';').chain(query.split('&')).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("'{part}' has no value"))?;
            let bytes: Vec<u8> = percent_decode_str(value).collect();
            let text = || String::from_utf8(bytes.clone()).map_err(|_| format!("{name} is no text"));
            match name {
                "token" => address.token = Some(text()?),
                "object" => address.object = Some(text()?),
                "id" => address.id = Some(bytes),
                "module-path" => address.module = Some(text()?),
                "pin-source" => address.pin_source = Some(text()?),
                "type" => {}
                other => {
                    return Err(format!(
                        "'{other}' is not used here (token, object, id, module-path, pin-source)"
                    ));
                }
            }
        }
        if address.object.is_none() && address.id.is_none() {
            return Err("it names no object and no id".to_owned());
        }
        Ok(address)
    }
}

/// A key in a token, for as long as the session is open.
pub struct Token {
    session: Session,
    private: ObjectHandle,
    kind: Kind,
    key: Key,
}

#[derive(Clone, Copy)]
enum Kind {
    Ed25519,
    EcdsaP256,
}

impl Token {
    /// # Errors
    /// [`RepoError::Key`]: no such token or object, another kind of key, a wrong
    /// PIN.
    pub fn open(uri: &str, name: &str, passphrases: &dyn Passphrases) -> Result<Self, RepoError> {
        let bad = |what: String| RepoError::Key { key: name.to_owned(), what: format!("{uri}: {what}") };
        let address = Address::parse(uri).map_err(bad)?;
        let failed = |action: &'static str| {
            move |error: cryptoki::error::Error| bad(format!("cannot {action}: {error}"))
        };
        let module = address
            .module
            .as_ref()
            .ok_or_else(|| bad("it has no module-path, the token's library".to_owned()))?;
        let library = Pkcs11::new(module).map_err(failed("load the library"))?;
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another key of the same library.
            Ok(()) => {}
            Err(cryptoki::error::Error::Pkcs11(cryptoki::error::RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed("start the library")(error)),
        }
        let slots = library.get_slots_with_token().map_err(failed("list the tokens"))?;
        let is_meant = |slot: &cryptoki::slot::Slot| {
            let info = library.get_token_info(*slot);
            address.token.as_ref().is_none_or(|token| info.is_ok_and(|info| info.label().trim_end() == token))
        };
        let slot =
            slots.into_iter().find(is_meant).ok_or_else(|| bad("there is no such token".to_owned()))?;
        let session = library.open_ro_session(slot).map_err(failed("open a session"))?;
        let pin = match &address.pin_source {
            Some(file) => {
                let file = file.strip_prefix("file:").unwrap_or(file);
                let text = std::fs::read_to_string(file)
                    .map_err(|error| bad(format!("cannot read {file}: {error}")))?;
                text.trim_end().to_owned()
            }
            None => passphrases.passphrase(name).ok_or_else(|| bad("nobody gives its PIN".to_owned()))?,
        };
        match session.login(UserType::User, Some(&AuthPin::new(pin.into()))) {
            Ok(()) => {}
            // By another session with the same token.
            Err(cryptoki::error::Error::Pkcs11(cryptoki::error::RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(failed("log in")(error)),
        }
        let find = |class: ObjectClass| -> Result<ObjectHandle, RepoError> {
            let mut template = vec![Attribute::Class(class)];
            template.extend(address.object.iter().map(|label| Attribute::Label(label.clone().into_bytes())));
            template.extend(address.id.iter().map(|id| Attribute::Id(id.clone())));
            let found = session.find_objects(&template).map_err(failed("look for the key"))?;
            match found[..] {
                [object] => Ok(object),
                [] => Err(bad(format!("there is no such {class}"))),
                _ => Err(bad(format!("that could be {} objects ({class})", found.len()))),
            }
        };
        let private = find(ObjectClass::PRIVATE_KEY)?;
        let public = find(ObjectClass::PUBLIC_KEY)?;
        let wanted = [AttributeType::KeyType, AttributeType::EcPoint];
        let attributes = session.get_attributes(public, &wanted).map_err(failed("read the public key"))?;
        let mut found = (None, None);
        for attribute in attributes {
            match attribute {
                Attribute::KeyType(kind) => found.0 = Some(kind),
                Attribute::EcPoint(point) => found.1 = Some(point),
                _ => {}
            }
        }
        let unknown = || bad("neither an Ed25519 nor a P-256 key".to_owned());
        let (kind, point) = (found.0.ok_or_else(unknown)?, found.1.ok_or_else(unknown)?);
        let (kind, key) = public_key(kind, &point).ok_or_else(unknown)?;
        Ok(Self { session, private, kind, key })
    }

    pub fn public_key(&self) -> &Key {
        &self.key
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let failed = |error: cryptoki::error::Error| format!("the token does not sign: {error}");
        match self.kind {
            Kind::Ed25519 => {
                let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
                self.session.sign(&mechanism, self.private, message).map_err(failed)
            }
            Kind::EcdsaP256 => {
                // Most tokens sign digests only.
                let digest = Sha256::digest(message);
                let raw = self.session.sign(&Mechanism::Ecdsa, self.private, &digest).map_err(failed)?;
                let signature =
                    p256::ecdsa::Signature::from_slice(&raw).map_err(|error| error.to_string())?;
                Ok(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

/// `CKA_EC_POINT` is the point in a DER octet string; some tokens leave out the
/// latter for Edwards curves.
fn public_key(kind: KeyType, point: &[u8]) -> Option<(Kind, Key)> {
    let inner = match point {
        [4, length, rest @ ..] if rest.len() == usize::from(*length) => rest,
        bare => bare,
    };
    match kind {
        KeyType::EC_EDWARDS => Some((Kind::Ed25519, Key::ed25519(inner.try_into().ok()?))),
        KeyType::EC => {
            let key = p256::PublicKey::from_sec1_bytes(inner).ok()?;
            let pem = key.to_public_key_pem(LineEnding::LF).ok()?;
            Some((Kind::EcdsaP256, Key::ecdsa_p256(&pem)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_name_an_object() {
        let address =
            Address::parse("pkcs11:token=My%20Token;id=%01%ff?module-path=/usr/lib/x.so&pin-source=file:/p");
        let expected = Address {
            token: Some("My Token".to_owned()),
            object: None,
            id: Some(vec![1, 0xff]),
            module: Some("/usr/lib/x.so".to_owned()),
            pin_source: Some("file:/p".to_owned()),
        };
        assert_eq!(address, Ok(expected));
        for wrong in ["token=x", "pkcs11:token=x", "pkcs11:object", "pkcs11:object=a;pin-value=1"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
