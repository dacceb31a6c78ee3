//! What is said of a release, read by the tools of those who made the formats.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use osbuild_core::attest::envelope::Envelope;
use osbuild_core::attest::link::Link;
use osbuild_core::attest::provenance::{self, BUILDER, Parameters};
use osbuild_core::attest::statement::{MEDIA_TYPE, Resource, Statement};
use osbuild_core::attest::summary;
use osbuild_core::repo::release::Slot;
use osbuild_core::repo::signer::{Algorithm, PrivateKey, Signer, public_pem};

use crate::fixture::START;
use crate::judge::machine_judge;
use crate::release::Made;

fn provenance(slot: &Slot) -> Statement<provenance::Provenance> {
    let parameters = Parameters { target: "test".to_owned(), derivation: "/nix/store/a.drv".to_owned() };
    let fetched = Resource {
        uri: "mirror://debian/pool/main/a/a_1.tar.xz".to_owned(),
        ..Resource::of_bytes("a_1.tar.xz", &slot.manifest_sha256)
    };
    provenance::statement(slot.resources(), parameters, vec![fetched], BUILDER)
}

/// All that can be said of a release, signed, as files of a folder.
fn write(slot: &Slot, key: PrivateKey, folder: &Path) -> Vec<PathBuf> {
    let public = key.public_key();
    let signer = Signer::Key(key);
    let sign = |message: &[u8]| signer.sign("test", &public, "attestation", message).unwrap();
    let enveloped = |payload: Vec<u8>| {
        let mut envelope = Envelope::new(MEDIA_TYPE, payload);
        let signature = sign(&envelope.message());
        envelope.add(&public, &signature);
        assert_eq!(Envelope::parse(&envelope.to_bytes()).unwrap(), envelope);
        envelope.to_bytes()
    };
    let input = Resource::of_bytes("", &slot.manifest_sha256);
    let inputs = vec![Resource { uri: "urn:test:provenance".to_owned(), ..input }];
    let uri = "pkg:generic/test@1.0.0";
    let summary = summary::statement(slot.resources(), uri, "urn:test:verifier", true, inputs, START);
    let mut link = Link::new(&slot.resources(), &slot.resources());
    let signature = sign(&link.message());
    link.add(&public, &signature);

    let files = [
        ("public.pem", public_pem(&public).unwrap().into_bytes()),
        ("provenance.intoto.jsonl", enveloped(provenance(slot).to_bytes())),
        ("summary.intoto.jsonl", enveloped(summary.to_bytes())),
        ("rebuild.link", link.to_bytes()),
    ];
    let put = |(name, bytes): (&str, Vec<u8>)| {
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    files.into_iter().map(put).collect()
}

#[test]
fn in_totos_own_tools_read_what_is_said_of_a_release() {
    let Some(python) = machine_judge("python-with-in-toto", "OSBUILD_PYTHON_ATTESTATIONS") else { return };
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        let folder = tempfile::tempdir().unwrap();
        let slot = Slot::read(&Made::new("1.0.0", 1).write(folder.path())).unwrap();
        let files = write(&slot, PrivateKey::generate(algorithm), folder.path());
        let script = folder.path().join("attestations.py");
        fs::write(&script, include_str!("attestations.py")).unwrap();
        let judge = |files: &[PathBuf]| {
            let output = Command::new(&python).arg(&script).args(files).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() {
                Ok(said)
            } else {
                Err(String::from_utf8_lossy(&output.stderr).into_owned())
            }
        };
        let names = "boot.efi manifest.json root.squashfs";
        let expected = format!(
            "https://slsa.dev/provenance/v1 {names}\nhttps://slsa.dev/verification_summary/v1 {names}\nlink rebuild {names}\n"
        );
        assert_eq!(judge(&files).unwrap(), expected);

        // Each of them, once with another byte in it.
        for file in &files[1..] {
            let text = fs::read_to_string(file).unwrap();
            // Of a payload, or of a digest: a field that it does not know in-toto passes over.
            let digest = "\"sha256\":\"";
            let at = text.find(digest).map_or(text.len() / 3, |at| at + digest.len());
            let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
            let bent = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            fs::write(file, bent).unwrap();
            let error = judge(&[files[0].clone(), file.clone()]).unwrap_err();
            assert!(error.contains("Error"), "{}: {error}", file.display());
            fs::write(file, text).unwrap();
        }
    }
}

/// Whoever builds the same says the same.
#[test]
fn provenance_is_the_same_bytes_in_any_order_and_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let slot = Slot::read(&Made::new("1.0.0", 1).write(folder.path())).unwrap();
    let parameters = || Parameters { target: "test".to_owned(), derivation: "/nix/store/a.drv".to_owned() };
    let [a, b] = ["a", "b"].map(|name| Resource::of_bytes(name, &slot.manifest_sha256));
    let say = |dependencies| {
        provenance::statement(slot.resources(), parameters(), dependencies, BUILDER).to_bytes()
    };
    let text = say(vec![a.clone(), b.clone()]);
    assert_eq!(text, say(vec![b, a]));
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains("Time") && !text.contains("On\""), "{text}");
}
