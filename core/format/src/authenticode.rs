//! Authenticode: the PKCS #7 signature that firmware checks.
//!
//! Source: "Windows Authenticode Portable Executable Signature Format", 1.0;
//! RFC 2315. SHA-256 and RSA (PKCS #1 v1.5) only, which all firmware knows, and
//! no signing time: equal inputs give equal files. The private key is not seen
//! here; whoever holds it signs [`Request::to_be_signed`].

use sha2::{Digest, Sha256};

use crate::pe::{PeError, authenticode_parts};

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticodeError {
    #[error(transparent)]
    Pe(#[from] PeError),
    /// Not a DER-encoded X.509 certificate.
    #[error("the certificate is not DER-encoded X.509")]
    Certificate,
}

/// A signature in the making.
pub struct Request<'c> {
    certificate: &'c [u8],
    /// `SpcIndirectDataContent`.
    content: Vec<u8>,
    /// The authenticated attributes, without their tag.
    attributes: Vec<u8>,
    /// Issuer and serial number of the certificate.
    signer: Vec<u8>,
}

/// Prepares the signature of an image whose length is a multiple of eight.
///
/// # Errors
/// The image is no PE image or signed already; the certificate is none.
pub fn request<'c>(image: &[u8], certificate: &'c [u8]) -> Result<Request<'c>, AuthenticodeError> {
    let mut hasher = Sha256::new();
    for part in authenticode_parts(image)? {
        hasher.update(part);
    }
    // SpcPeImageData: no flags, and a file name that nothing reads any more.
    let obsolete: Vec<u8> = "<<<Obsolete>>>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let file = tagged(0xa0, &[&tagged(0xa2, &[&tagged(0x80, &[&obsolete])])]);
    let data = sequence(&[OID_PE_IMAGE_DATA, &sequence(&[&[0x03, 0x01, 0x00], &file])]);
    let digest = sequence(&[&sha256_algorithm(), &tagged(OCTETS, &[&hasher.finalize()])]);
    let content_body = [data, digest].concat();
    let content = tagged(SEQUENCE, &[&content_body]);
    let message_digest = tagged(OCTETS, &[&Sha256::digest(&content_body)]);
    let attributes = [
        sequence(&[OID_CONTENT_TYPE, &tagged(SET, &[OID_INDIRECT_DATA])]),
        sequence(&[OID_MESSAGE_DIGEST, &tagged(SET, &[&message_digest])]),
    ]
    .concat();
    let signer = issuer_and_serial(certificate).ok_or(AuthenticodeError::Certificate)?;
    Ok(Request { certificate, content, attributes, signer })
}

impl Request<'_> {
    /// What the key signs (RSA with SHA-256 over these bytes).
    pub fn to_be_signed(&self) -> Vec<u8> {
        tagged(SET, &[&self.attributes])
    }

    /// The whole signature, for [`crate::pe::append_signature`].
    pub fn finish(&self, signature: &[u8]) -> Vec<u8> {
        let signer = sequence(&[
            VERSION_1,
            &self.signer,
            &sha256_algorithm(),
            &tagged(0xa0, &[&self.attributes]),
            &sequence(&[OID_RSA, NULL]),
            &tagged(OCTETS, &[signature]),
        ]);
        let signed = sequence(&[
            VERSION_1,
            &tagged(SET, &[&sha256_algorithm()]),
            &sequence(&[OID_INDIRECT_DATA, &tagged(0xa0, &[&self.content])]),
            &tagged(0xa0, &[self.certificate]),
            &tagged(SET, &[&signer]),
        ]);
        sequence(&[OID_SIGNED_DATA, &tagged(0xa0, &[&signed])])
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const VERSION_1: &[u8] = &[0x02, 0x01, 0x01];
const NULL: &[u8] = &[0x05, 0x00];
/// 1.2.840.113549.1.7.2
const OID_SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.3
const OID_CONTENT_TYPE: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// 1.2.840.113549.1.9.4
const OID_MESSAGE_DIGEST: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.1.1
const OID_RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 2.16.840.1.101.3.4.2.1
const OID_SHA256: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.3.6.1.4.1.311.2.1.4
const OID_INDIRECT_DATA: &[u8] = &[0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x04];
/// 1.3.6.1.4.1.311.2.1.15
const OID_PE_IMAGE_DATA: &[u8] = &[0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x01, 0x0f];

fn sha256_algorithm() -> Vec<u8> {
    sequence(&[OID_SHA256, NULL])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, parts)
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    let length = body.len().to_be_bytes();
    let significant = &length[length.iter().position(|b| *b != 0).unwrap_or(length.len() - 1)..];
    if body.len() >= 0x80 {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
    out.extend(body);
    out
}

/// `IssuerAndSerialNumber` of a certificate.
fn issuer_and_serial(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate_body, rest) = element(certificate)?;
    let (_, mut tbs, _) = element(certificate_body)?;
    if !rest.is_empty() {
        return None;
    }
    if tbs.first() == Some(&0xa0) {
        tbs = element(tbs)?.2;
    }
    let (serial, _, after) = element(tbs)?;
    let (_, _, after) = element(after)?;
    let (issuer, _, _) = element(after)?;
    (serial[0] == INTEGER && issuer[0] == SEQUENCE).then(|| sequence(&[issuer, serial]))
}

/// One DER element: all of it, its body, what follows.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let first = *bytes.get(1)?;
    let (header, length) = if first < 0x80 {
        (2, usize::from(first))
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let digits = bytes.get(2..2 + count)?;
        (2 + count, digits.iter().fold(0usize, |value, digit| value << 8 | usize::from(*digit)))
    };
    let end = header.checked_add(length)?;
    Some((bytes.get(..end)?, &bytes[header..end], &bytes[end..]))
}
