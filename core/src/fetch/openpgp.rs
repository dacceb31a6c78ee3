//! Checks the one kind of OpenPGP message that package archives use: a
//! clear-signed text, by keys in a keyring file of the host's.
//!
//! Source: RFC 4880 §4–7, and RFC 9580 §9.2 for EdDSA; version 4 keys and
//! signatures, RSA and Ed25519, SHA-2. What it does not do: the web of trust,
//! expiry and revocation. The keyring is a file that only the host's
//! administrator writes, and every key in it is one they trust now.

use ring::signature::{
    ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Text that is not what a trusted key signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenPgpError {
    /// Keyring or message break the format.
    #[error("malformed OpenPGP data: {0}")]
    Malformed(&'static str),
    /// None of the signatures is by a key in the keyring.
    #[error("signed by {}, none of which is in the keyring", signers.join(", "))]
    UnknownKeys { signers: Vec<String> },
    /// A signature by a known key does not match the text.
    #[error("the signature by key {key} does not match the text")]
    BadSignature { key: String },
}

enum KeyMaterial {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ed25519([u8; 32]),
}

/// Public keys by key id.
pub struct Keyring {
    keys: Vec<(u64, KeyMaterial)>,
}

impl Keyring {
    /// Reads a keyring, binary or armoured. Keys of other kinds are left out.
    ///
    /// # Errors
    /// [`OpenPgpError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, OpenPgpError> {
        let dearmoured;
        let bytes = if bytes.starts_with(b"-----BEGIN") {
            let text =
                std::str::from_utf8(bytes).map_err(|_| OpenPgpError::Malformed("armour is not text"))?;
            dearmoured = dearmour(text)?;
            &dearmoured
        } else {
            bytes
        };
        let mut keys = Vec::new();
        for (tag, body) in packets(bytes)? {
            // Primary keys and subkeys.
            if tag == 6 || tag == 14 {
                keys.extend(parse_key(body));
            }
        }
        Ok(Self { keys })
    }

    /// Checks a clear-signed message; returns the signed text and nothing
    /// else, so that lines around it are never believed.
    ///
    /// # Errors
    /// See [`OpenPgpError`]. One good signature by a known key suffices, and
    /// one bad one by a known key spoils the message.
    pub fn verify_clearsigned(&self, message: &str) -> Result<String, OpenPgpError> {
        let (text, armour) = split_clearsigned(message)?;
        let signed = text.join("\r\n");
        let mut unknown = Vec::new();
        let mut good = false;
        for (tag, body) in packets(&dearmour(armour)?)? {
            if tag != 2 {
                continue;
            }
            let signature = Signature::parse(body)?;
            let name = format!("{:016X}", signature.issuer);
            match self.keys.iter().find(|(id, _)| *id == signature.issuer) {
                None => unknown.push(name),
                Some((_, key)) if signature.matches(key, signed.as_bytes()) => good = true,
                Some(_) => return Err(OpenPgpError::BadSignature { key: name }),
            }
        }
        if !good {
            return Err(OpenPgpError::UnknownKeys { signers: unknown });
        }
        Ok(text.join("\n") + "\n")
    }
}

struct Signature<'b> {
    hash_algorithm: u8,
    key_algorithm: u8,
    issuer: u64,
    /// Everything that is hashed after the text (RFC 4880 §5.2.4).
    trailer: Vec<u8>,
    numbers: Vec<&'b [u8]>,
}

impl<'b> Signature<'b> {
    fn parse(body: &'b [u8]) -> Result<Self, OpenPgpError> {
        let short = OpenPgpError::Malformed("a signature ends too early");
        let [version, kind, key_algorithm, hash_algorithm, rest @ ..] = body else { return Err(short) };
        if *version != 4 || *kind > 1 {
            return Err(OpenPgpError::Malformed("not a version 4 signature of a text"));
        }
        let (hashed, after) = take_counted(rest).ok_or(short.clone())?;
        let (unhashed, after) = take_counted(after).ok_or(short.clone())?;
        let hashed_length = 6 + hashed.len();
        let mut trailer = body[..hashed_length].to_vec();
        trailer.extend_from_slice(&[4, 0xff]);
        trailer.extend_from_slice(&u32::try_from(hashed_length).map_err(|_| short.clone())?.to_be_bytes());
        let issuer = issuer_of(hashed).or_else(|| issuer_of(unhashed));
        let issuer = issuer.ok_or(OpenPgpError::Malformed("a signature names no key"))?;
        // Two bytes of the digest come before the numbers.
        let mut rest = after.get(2..).ok_or(short.clone())?;
        let mut numbers = Vec::new();
        while !rest.is_empty() {
            let (number, after) = take_number(rest).ok_or(short.clone())?;
            numbers.push(number);
            rest = after;
        }
        Ok(Self { hash_algorithm: *hash_algorithm, key_algorithm: *key_algorithm, issuer, trailer, numbers })
    }

    fn matches(&self, key: &KeyMaterial, text: &[u8]) -> bool {
        let message = [text, &self.trailer].concat();
        match (key, self.key_algorithm, self.numbers.as_slice()) {
            (KeyMaterial::Rsa { n, e }, 1 | 3, [number]) => {
                let parameters = match self.hash_algorithm {
                    8 => &RSA_PKCS1_2048_8192_SHA256,
                    9 => &RSA_PKCS1_2048_8192_SHA384,
                    10 => &RSA_PKCS1_2048_8192_SHA512,
                    _ => return false,
                };
                // The format drops leading zeros, the check wants them.
                let mut padded = vec![0; n.len().saturating_sub(number.len())];
                padded.extend_from_slice(number);
                RsaPublicKeyComponents { n, e }.verify(parameters, &message, &padded).is_ok()
            }
            (KeyMaterial::Ed25519(point), 22, [r, s]) => {
                let algorithm = match self.hash_algorithm {
                    8 => &ring::digest::SHA256,
                    9 => &ring::digest::SHA384,
                    10 => &ring::digest::SHA512,
                    _ => return false,
                };
                let digest = ring::digest::digest(algorithm, &message);
                let mut signature = [0; 64];
                if r.len() > 32 || s.len() > 32 {
                    return false;
                }
                signature[32 - r.len()..32].copy_from_slice(r);
                signature[64 - s.len()..].copy_from_slice(s);
                UnparsedPublicKey::new(&ED25519, point).verify(digest.as_ref(), &signature).is_ok()
            }
            _ => false,
        }
    }
}

/// The issuer's key id, from subpacket 33 (fingerprint) or 16 (key id).
fn issuer_of(mut area: &[u8]) -> Option<u64> {
    let mut issuer = None;
    while let Some(first) = area.first() {
        let (length, start): (usize, usize) = match *first {
            length @ 0..=191 => (usize::from(length), 1),
            high @ 192..=254 => (((usize::from(high) - 192) << 8) + usize::from(*area.get(1)?) + 192, 2),
            255 => (u32::from_be_bytes(area.get(1..5)?.try_into().ok()?) as usize, 5),
        };
        let subpacket = area.get(start..start.checked_add(length)?)?;
        area = &area[start + length..];
        match subpacket {
            [kind, 4, fingerprint @ ..] if kind & 0x7f == 33 && fingerprint.len() == 20 => {
                return Some(u64::from_be_bytes(fingerprint[12..].try_into().ok()?));
            }
            [kind, id @ ..] if kind & 0x7f == 16 => issuer = Some(u64::from_be_bytes(id.try_into().ok()?)),
            _ => {}
        }
    }
    issuer
}

/// A version 4 public key (§5.5.2), with its key id (§12.2).
fn parse_key(body: &[u8]) -> Option<(u64, KeyMaterial)> {
    let [4, _, _, _, _, algorithm, rest @ ..] = body else { return None };
    let material = match algorithm {
        1 | 3 => {
            let (n, rest) = take_number(rest)?;
            let (e, _) = take_number(rest)?;
            KeyMaterial::Rsa { n: n.to_vec(), e: e.to_vec() }
        }
        22 => {
            let (length, rest) = rest.split_first()?;
            let (curve, rest) = rest.split_at_checked(usize::from(*length))?;
            if curve != ED25519_OID {
                return None;
            }
            let (point, _) = take_number(rest)?;
            KeyMaterial::Ed25519(point.strip_prefix(&[0x40])?.try_into().ok()?)
        }
        _ => return None,
    };
    let mut hashed = vec![0x99];
    hashed.extend_from_slice(&u16::try_from(body.len()).ok()?.to_be_bytes());
    hashed.extend_from_slice(body);
    let fingerprint = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed);
    let id = u64::from_be_bytes(fingerprint.as_ref()[12..].try_into().ok()?);
    Some((id, material))
}

const ED25519_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// A multiprecision integer: bits as two bytes, then the bytes (§3.2).
fn take_number(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*bits)).div_ceil(8))
}

fn take_counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Splits a stream into packets: tag and body (§4.2).
fn packets(mut bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, OpenPgpError> {
    let mut packets = Vec::new();
    while let Some(first) = bytes.first().copied() {
        let (tag, body, rest) =
            packet(first, &bytes[1..]).ok_or(OpenPgpError::Malformed("a packet ends too early"))?;
        packets.push((tag, body));
        bytes = rest;
    }
    Ok(packets)
}

fn packet(first: u8, rest: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    if first & 0x80 == 0 {
        return None;
    }
    let (tag, length, start) = if first & 0x40 != 0 {
        let (length, start) = match *rest.first()? {
            length @ 0..=191 => (usize::from(length), 1),
            high @ 192..=223 => (((usize::from(high) - 192) << 8) + usize::from(*rest.get(1)?) + 192, 2),
            255 => (u32::from_be_bytes(rest.get(1..5)?.try_into().ok()?) as usize, 5),
            // Partial lengths are for literal data only.
            _ => return None,
        };
        (first & 0x3f, length, start)
    } else {
        let (length, start) = match first & 3 {
            0 => (usize::from(*rest.first()?), 1),
            1 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), 2),
            2 => (u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize, 4),
            _ => return None,
        };
        ((first & 0x3c) >> 2, length, start)
    };
    let (body, after) = rest.get(start..)?.split_at_checked(length)?;
    Some((tag, body, after))
}

/// Base 64 between the header's blank line and the checksum (§6.2). The
/// checksum guards against transport, not against people, and is not checked.
fn dearmour(text: &str) -> Result<Vec<u8>, OpenPgpError> {
    let mut lines = text.lines().map(str::trim_end);
    lines.next();
    let mut body = String::new();
    for line in lines.skip_while(|line| !line.is_empty()) {
        if line.starts_with("-----END") || line.starts_with('=') {
            break;
        }
        body.push_str(line);
    }
    data_encoding::BASE64
        .decode(body.as_bytes())
        .map_err(|_| OpenPgpError::Malformed("armour is not base 64"))
}

/// The text's lines, dash escapes undone and trailing blanks dropped as the
/// signature has them (§7.1), and the armoured signature.
fn split_clearsigned(message: &str) -> Result<(Vec<String>, &str), OpenPgpError> {
    const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
    const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
    if !message.starts_with(BEGIN) {
        return Err(OpenPgpError::Malformed("not a clear-signed message"));
    }
    let end =
        message.find(&format!("\n{SIGNATURE}")).ok_or(OpenPgpError::Malformed("no signature follows"))?;
    let mut lines = message[..end].lines().skip(1);
    for header in lines.by_ref() {
        if header.trim_end().is_empty() {
            break;
        }
        if !header.starts_with("Hash:") {
            return Err(OpenPgpError::Malformed("unknown header before a signed text"));
        }
    }
    let text = lines
        .map(|line| line.strip_prefix("- ").unwrap_or(line).trim_end_matches([' ', '\t', '\r']).to_owned())
        .collect();
    Ok((text, &message[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_gpg_signed_and_nothing_else() {
        // gpg --quick-gen-key test@example ed25519 sign; gpg --clearsign
        let keyring = Keyring::parse(include_bytes!("testdata/keyring.asc")).unwrap();
        let message = include_str!("testdata/message.asc");
        let text = keyring.verify_clearsigned(message).unwrap();
        assert_eq!(text, "Origin: Test\n- dashed\ntrailing\n");

        let changed = message.replace("Origin: Test", "Origin: Evil");
        assert!(matches!(keyring.verify_clearsigned(&changed), Err(OpenPgpError::BadSignature { .. })));
        let prefixed = format!("Origin: Evil\n{message}");
        assert!(matches!(keyring.verify_clearsigned(&prefixed), Err(OpenPgpError::Malformed(_))));
        let stranger = Keyring { keys: Vec::new() };
        assert!(matches!(stranger.verify_clearsigned(message), Err(OpenPgpError::UnknownKeys { .. })));
    }

    #[test]
    fn rsa_signatures_are_checked_too() {
        let keyring = Keyring::parse(include_bytes!("testdata/keyring-rsa.asc")).unwrap();
        let message = include_str!("testdata/message-rsa.asc");
        assert_eq!(keyring.verify_clearsigned(message).unwrap(), "Origin: Test\n");
        let changed = message.replace("Origin: Test", "Origin: Text");
        assert!(matches!(keyring.verify_clearsigned(&changed), Err(OpenPgpError::BadSignature { .. })));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let keyring = include_bytes!("testdata/keyring.asc");
        for end in 0..keyring.len() {
            let _ = Keyring::parse(&keyring[..end]);
        }
        for tag in 0..=255u8 {
            for length in 0..=255u8 {
                let _ = Keyring::parse(&[tag, length, 4, 0, 0, 0, 0, 22, 255, 1]);
            }
        }
    }
}
