//! SPDX 2.3.
//!
//! The format wants a time and an identity; here they follow from the content,
//! so that equal images have equal documents.

use serde_json::{Value, json};

use super::CREATED;
use super::bill::{Bill, Component, Crate, Source};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
/// Licenses that SPDX's list does not have begin so.
const OWN_LICENSE: &str = "LicenseRef-";

/// The document.
pub(super) fn spdx(bill: &Bill<'_>) -> Value {
    let subject = &bill.subject;
    let mut packages = vec![package(IMAGE, &subject.name, &subject.version, "NOASSERTION")];
    packages[0]["primaryPackagePurpose"] = json!("OPERATING-SYSTEM");
    let mut relations = vec![relation(DOCUMENT, "DESCRIBES", IMAGE)];
    for component in bill.components {
        let id = id(component);
        packages.push(of_component(component, bill.digests.get(component.pname.as_str())));
        relations.push(relation(IMAGE, "CONTAINS", &id));
        for other in &component.runs_with {
            let other = bill.components.iter().find(|candidate| candidate.pname == *other);
            relations.extend(other.map(|other| relation(&id, "DEPENDS_ON", &self::id(other))));
        }
        relations.extend(
            component.sources.iter().map(|source| relation(&id, "GENERATED_FROM", &id_of_source(source))),
        );
        relations.extend(component.crates.iter().map(|one| relation(&id, "STATIC_LINK", &id_of_crate(one))));
    }
    packages.extend(bill.sources().into_iter().map(of_source));
    packages.extend(bill.crates().into_iter().map(of_crate));
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": format!("{}-{}", subject.name, subject.version),
        "documentNamespace": format!("urn:osbuild:spdx:{}", subject.digest),
        "creationInfo": { "created": CREATED, "creators": ["Tool: osbuild"] },
        "packages": packages,
        "relationships": relations,
        "hasExtractedLicensingInfos": own_licenses(bill.components),
    })
}

fn of_component(component: &Component, digest: Option<&String>) -> Value {
    let mut row = package(&id(component), &component.pname, &component.version, &component.license);
    row["summary"] = json!(component.description);
    if let Some(homepage) = &component.homepage {
        row["homepage"] = json!(homepage);
    }
    if let Some(digest) = digest {
        row["checksums"] = checksum(digest);
    }
    let mut references = vec![reference("PACKAGE-MANAGER", "purl", &component.purl())];
    references.extend(component.cpe.iter().map(|cpe| reference("SECURITY", "cpe23Type", cpe)));
    row["externalRefs"] = json!(references);
    row
}

fn of_source(source: &Source) -> Value {
    let mut row = package(&id_of_source(source), &source.package, &source.version, "NOASSERTION");
    row["packageFileName"] = json!(source.file);
    row["primaryPackagePurpose"] = json!(if source.arch == "source" { "SOURCE" } else { "ARCHIVE" });
    row["checksums"] = checksum(&source.sha256);
    row["externalRefs"] = json!([reference("PACKAGE-MANAGER", "purl", &source.purl())]);
    row
}

fn of_crate(one: &Crate) -> Value {
    let mut row = package(&id_of_crate(one), &one.name, &one.version, "NOASSERTION");
    row["checksums"] = checksum(&one.checksum);
    row["externalRefs"] = json!([reference("PACKAGE-MANAGER", "purl", &one.purl())]);
    row
}

fn package(id: &str, name: &str, version: &str, license: &str) -> Value {
    json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": license,
        "copyrightText": "NOASSERTION",
    })
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn reference(category: &str, kind: &str, locator: &str) -> Value {
    json!({ "referenceCategory": category, "referenceType": kind, "referenceLocator": locator })
}

fn checksum(sha256: &str) -> Value {
    json!([{ "algorithm": "SHA256", "checksumValue": sha256 }])
}

fn own_licenses(components: &[Component]) -> Vec<Value> {
    let mut texts: Vec<(&str, &str)> = Vec::new();
    for component in components {
        let words = component.license.split([' ', '(', ')']).filter(|word| word.starts_with(OWN_LICENSE));
        for word in words {
            let text = component.license_text.as_deref().unwrap_or("NOASSERTION");
            if !texts.iter().any(|(known, _)| *known == word) {
                texts.push((word, text));
            }
        }
    }
    texts.sort_unstable();
    texts.into_iter().map(|(id, text)| json!({ "licenseId": id, "extractedText": text })).collect()
}

fn id(component: &Component) -> String {
    format!("SPDXRef-Package-{}", plain(&format!("{}-{}", component.pname, component.version)))
}

fn id_of_source(source: &Source) -> String {
    // Two suites may have files of one name.
    format!("SPDXRef-Source-{}-{}", plain(&source.file), &source.sha256[..source.sha256.len().min(8)])
}

fn id_of_crate(one: &Crate) -> String {
    format!("SPDXRef-Crate-{}", plain(&format!("{}-{}", one.name, one.version)))
}

/// What an identifier may hold.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}
