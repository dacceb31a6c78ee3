//! Bills of materials: SPDX 2.3 and CycloneDX 1.5, from one list.
//!
//! Both formats want a time and an identity; here they follow from the
//! content, so that equal images have equal documents.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hex;

/// The time in every document: see [`crate::squashfs::TIME`].
const CREATED: &str = "1980-01-01T00:00:00Z";

/// A package of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    pub name: String,
    pub version: String,
    /// An SPDX expression, if known.
    pub license: Option<String>,
    pub cpe: Option<String>,
    /// SHA-256 over the paths and digests of its files in the image.
    pub digest: String,
}

/// What the documents are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub name: String,
    pub version: String,
    /// The root hash, which names the image.
    pub digest: String,
}

fn purl(component: &Component) -> String {
    let escaped =
        |text: &str| text.replace('%', "%25").replace('+', "%2B").replace('~', "%7E").replace(':', "%3A");
    format!("pkg:generic/{}@{}", escaped(&component.name), escaped(&component.version))
}

/// An SPDX 2.3 document.
pub fn spdx(subject: &Subject, components: &[Component]) -> Value {
    let known = |license: &Option<String>| license.clone().unwrap_or_else(|| "NOASSERTION".to_owned());
    let identifier = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
    };
    let id = |c: &Component| format!("SPDXRef-Package-{}-{}", identifier(&c.name), identifier(&c.version));
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Image",
        "name": subject.name,
        "versionInfo": subject.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-Image",
    })];
    for component in components {
        let mut references = vec![json!({
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl(component),
        })];
        if let Some(cpe) = &component.cpe {
            references.push(json!({
                "referenceCategory": "SECURITY",
                "referenceType": "cpe23Type",
                "referenceLocator": cpe,
            }));
        }
        packages.push(json!({
            "SPDXID": id(component),
            "name": component.name,
            "versionInfo": component.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": known(&component.license),
            "copyrightText": "NOASSERTION",
            "checksums": [{ "algorithm": "SHA256", "checksumValue": component.digest }],
            "externalRefs": references,
        }));
        relationships.push(json!({
            "spdxElementId": "SPDXRef-Image",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id(component),
        }));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{}-{}", subject.name, subject.version),
        "documentNamespace": format!("urn:osbuild:spdx:{}", subject.digest),
        "creationInfo": { "created": CREATED, "creators": ["Tool: osbuild"] },
        "packages": packages,
        "relationships": relationships,
    })
}

/// A CycloneDX 1.5 document.
pub fn cyclonedx(subject: &Subject, components: &[Component]) -> Value {
    let rows: Vec<Value> = components
        .iter()
        .map(|component| {
            let mut row = json!({
                "type": "library",
                "bom-ref": purl(component),
                "name": component.name,
                "version": component.version,
                "purl": purl(component),
                "hashes": [{ "alg": "SHA-256", "content": component.digest }],
            });
            if let Some(license) = &component.license {
                row["licenses"] = json!([{ "expression": license }]);
            }
            if let Some(cpe) = &component.cpe {
                row["cpe"] = json!(cpe);
            }
            row
        })
        .collect();
    let references: Vec<String> = components.iter().map(purl).collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{}", uuid(&subject.digest)),
        "version": 1,
        "metadata": {
            "timestamp": CREATED,
            "component": {
                "type": "operating-system",
                "bom-ref": "image",
                "name": subject.name,
                "version": subject.version,
                "hashes": [{ "alg": "SHA-256", "content": subject.digest }],
            },
        },
        "components": rows,
        "dependencies": [{ "ref": "image", "dependsOn": references }],
    })
}

/// A version 8 UUID (RFC 9562, "custom"), since it is made from a digest.
fn uuid(text: &str) -> String {
    let digest = Sha256::digest(text);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let h = hex::encode(&bytes);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}
