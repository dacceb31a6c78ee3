//! in-toto links, as rebuilders of packages give them out: the materials are the
//! files that somebody published, the products those that came out here.
//!
//! Sources: in-toto specification 1.0, section 4.4 (links) and 4.2 (file formats:
//! canonical JSON, signatures in hexadecimal).

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use osbuild_tuf::canonical;
use osbuild_tuf::key::Key;
use serde::Serialize;
use serde_json::json;

use super::statement::Resource;

/// The name of the step, which layouts of rebuilders expect.
const STEP: &str = "rebuild";

/// A link and who signed it.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    signatures: Vec<Signature>,
    signed: serde_json::Value,
}

#[derive(Clone, Debug, Serialize)]
struct Signature {
    keyid: String,
    sig: String,
}

impl Link {
    /// Of the files that were published and those that came out; both by name and
    /// SHA-256.
    pub fn new(published: &[Resource], rebuilt: &[Resource]) -> Self {
        let artifacts = |files: &[Resource]| -> BTreeMap<String, serde_json::Value> {
            let hashes = |file: &Resource| json!({ "sha256": file.digest.get("sha256") });
            files.iter().map(|file| (file.name.clone(), hashes(file))).collect()
        };
        let signed = json!({
            "_type": "link",
            "name": STEP,
            "command": [],
            "materials": artifacts(published),
            "products": artifacts(rebuilt),
            "byproducts": {},
            "environment": {},
        });
        Self { signatures: Vec::new(), signed }
    }

    /// What is signed.
    pub fn message(&self) -> Vec<u8> {
        canonical::to_bytes(&self.signed).expect("it holds text alone")
    }

    pub fn add(&mut self, key: &Key, signature: &[u8]) {
        self.signatures.push(Signature { keyid: key.id(), sig: HEXLOWER.encode(signature) });
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("it is plain data");
        bytes.push(b'\n');
        bytes
    }
}
