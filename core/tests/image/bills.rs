//! Bills of materials: what they say of an image, by the word of others' tools.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::fixture::{Fixture, logical};
use super::judge::{machine_judge, passes};
use super::slot::built;

/// A package that was unpacked, and a program that was built and links a crate.
fn components() -> Value {
    let deb = json!({
        "file": "zlib1g_1.3.dfsg+really1.3.1-1+b1_amd64.deb", "package": "zlib1g",
        "version": "1:1.3.dfsg+really1.3.1-1+b1", "suite": "trixie", "arch": "amd64", "sha256": "1".repeat(64),
        "urls": ["mirror://debian/pool/main/z/zlib/zlib1g_1.3.dfsg+really1.3.1-1+b1_amd64.deb"],
    });
    let source = json!({
        "file": "h_2.orig.tar.xz", "package": "h", "version": "2-1", "suite": "trixie", "arch": "source",
        "sha256": "2".repeat(64), "urls": ["mirror://debian/pool/main/h/h/h_2.orig.tar.xz", "mirror://old/h_2.orig.tar.xz"],
    });
    let serde = json!({ "name": "serde", "version": "1.0.200", "checksum": "3".repeat(64) });
    json!([
        { "pname": "zlib", "version": "1.3.1", "license": "LicenseRef-plain AND Zlib", "licenseText": "Do as you like.",
          "description": "Compression", "homepage": "https://zlib.net", "cpe": "cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*",
          "sources": [deb] },
        { "pname": "health", "version": "2", "license": "MIT OR Apache-2.0", "description": "Says how it is",
          "homepage": null, "cpe": null, "runsWith": ["zlib"], "sources": [source], "crates": [serde] },
    ])
}

/// Both documents.
fn documents(fixture: &Fixture) -> [Value; 2] {
    built(fixture);
    let parameters =
        json!({ "manifest": logical("root-out"), "slot": logical("slot-out"), "components": components() });
    let built = fixture.build("sbom", "sbom", &["spdx", "cdx", "size"], parameters).unwrap();
    ["spdx", "cdx"].map(|name| serde_json::from_slice(&built.read(name)).unwrap())
}

#[test]
fn the_formats_own_tools_take_both_documents() {
    let fixture = Fixture::new();
    documents(&fixture);
    let Some(python) = machine_judge("python-with-spdx-tools", "OSBUILD_PYTHON_ATTESTATIONS") else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("bills.py");
    fs::write(&script, include_str!("bills.py")).unwrap();
    let files = [("sbom-spdx", "a.spdx.json"), ("sbom-cdx", "a.cdx.json")].map(|(object, name)| {
        let file = folder.path().join(name);
        fs::copy(fixture.physical(&logical(object)), &file).unwrap();
        file
    });
    let judge = || {
        let mut command = Command::new(&python);
        command.arg(&script).args(&files);
        command
    };
    passes(&mut judge());

    // Each of them without something that it needs.
    for (file, part) in files.iter().zip(["\"extractedText\":", "\"bomFormat\":"]) {
        let whole = fs::read_to_string(file).unwrap();
        let bent = whole.replace(part, "\"other\":");
        assert_ne!(bent, whole);
        let mode = fs::metadata(file).unwrap().permissions();
        fs::remove_file(file).unwrap();
        fs::write(file, bent).unwrap();
        assert!(!judge().output().unwrap().status.success(), "without {part}");
        fs::write(file, whole).unwrap();
        fs::set_permissions(file, mode).unwrap();
    }
}

#[test]
fn what_a_package_is_made_from_is_in_both() {
    let fixture = Fixture::new();
    let [spdx, cdx] = documents(&fixture);
    let relations: Vec<String> = spdx["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let part = |name: &str| row[name].as_str().unwrap().replace("SPDXRef-", "");
            [part("spdxElementId"), part("relationshipType"), part("relatedSpdxElement")].join(" ")
        })
        .collect();
    for expected in [
        "DOCUMENT DESCRIBES Image",
        "Image CONTAINS Package-health-2",
        "Package-health-2 DEPENDS_ON Package-zlib-1.3.1",
        "Package-health-2 GENERATED_FROM Source-h-2.orig.tar.xz-22222222",
        "Package-health-2 STATIC_LINK Crate-serde-1.0.200",
    ] {
        assert!(relations.iter().any(|relation| relation == expected), "{expected}: {relations:#?}");
    }
    let licenses = json!([{ "licenseId": "LicenseRef-plain", "extractedText": "Do as you like." }]);
    assert_eq!(spdx["hasExtractedLicensingInfos"], licenses);

    let component = |name: &str| {
        let mut found = cdx["components"].as_array().unwrap().iter().filter(|row| row["name"] == name);
        found.next().unwrap().clone()
    };
    let purl = "pkg:deb/debian/zlib1g@1:1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=amd64&distro=trixie";
    assert_eq!(component("zlib")["purl"], purl, "of what was only unpacked, the distribution's");
    assert_eq!(component("health")["purl"], "pkg:generic/health@2");
    assert_eq!(
        component("health")["pedigree"]["ancestors"][0]["purl"],
        "pkg:deb/debian/h@2-1?arch=source&distro=trixie"
    );
    assert_eq!(component("serde")["purl"], "pkg:cargo/serde@1.0.200");
    let dependencies = cdx["dependencies"].as_array().unwrap();
    let of_health = dependencies.iter().find(|row| row["ref"] == "health@2").unwrap();
    assert_eq!(of_health["dependsOn"], json!(["pkg:cargo/serde@1.0.200", "zlib@1.3.1"]));
}
