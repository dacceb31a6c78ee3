//! CycloneDX 1.6.

use osbuild_format::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::CREATED;
use super::bill::{Bill, Component, Crate, Source};

const IMAGE: &str = "image";

/// The document.
pub(super) fn cyclonedx(bill: &Bill<'_>) -> Value {
    let subject = &bill.subject;
    let crates = bill.crates();
    let components: Vec<Value> = bill
        .components
        .iter()
        .map(|component| of_component(component, bill.digests.get(component.pname.as_str())))
        .chain(crates.iter().map(|one| of_crate(one)))
        .collect();
    let mut dependencies = vec![depends(IMAGE, bill.components.iter().map(reference).collect())];
    for component in bill.components {
        let others = component.runs_with.iter().filter_map(|other| {
            bill.components.iter().find(|candidate| candidate.pname == *other).map(reference)
        });
        let others = others.chain(component.crates.iter().map(Crate::purl)).collect();
        dependencies.push(depends(&reference(component), others));
    }
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(&subject.digest)),
        "version": 1,
        "metadata": {
            "timestamp": CREATED,
            "component": {
                "type": "operating-system",
                "bom-ref": IMAGE,
                "name": subject.name,
                "version": subject.version,
                "hashes": hashes(&subject.digest),
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// Two packages may be cut out of one of the distribution's, so that its address
/// is no name.
fn reference(component: &Component) -> String {
    format!("{}@{}", component.pname, component.version)
}

fn depends(from: &str, mut on: Vec<String>) -> Value {
    on.sort_unstable();
    on.dedup();
    json!({ "ref": from, "dependsOn": on })
}

fn of_component(component: &Component, digest: Option<&String>) -> Value {
    let mut row = json!({
        "type": "library",
        "bom-ref": reference(component),
        "name": component.pname,
        "version": component.version,
        "description": component.description,
        "purl": component.purl(),
        "licenses": [{ "expression": component.license }],
    });
    if let Some(digest) = digest {
        row["hashes"] = hashes(digest);
    }
    if let Some(cpe) = &component.cpe {
        row["cpe"] = json!(cpe);
    }
    if let Some(homepage) = &component.homepage {
        row["externalReferences"] = json!([{ "type": "website", "url": homepage }]);
    }
    if !component.sources.is_empty() {
        let ancestors: Vec<Value> = component.sources.iter().map(of_source).collect();
        row["pedigree"] = json!({ "ancestors": ancestors });
    }
    row
}

fn of_source(source: &Source) -> Value {
    let places: Vec<Value> = source
        .urls
        .iter()
        .map(|url| json!({ "type": "source-distribution", "url": url, "hashes": hashes(&source.sha256) }))
        .collect();
    json!({
        "type": "file",
        "name": source.file,
        "version": source.version,
        "purl": source.purl(),
        "hashes": hashes(&source.sha256),
        "externalReferences": places,
    })
}

fn of_crate(one: &Crate) -> Value {
    json!({
        "type": "library",
        "bom-ref": one.purl(),
        "name": one.name,
        "version": one.version,
        "purl": one.purl(),
        "hashes": hashes(&one.checksum),
    })
}

fn hashes(sha256: &str) -> Value {
    json!([{ "alg": "SHA-256", "content": sha256 }])
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
