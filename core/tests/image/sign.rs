//! Signatures, judged by sbverify.

use std::fs;
use std::path::Path;

use osbuild_boot::uki;
use osbuild_core::image::sign::{Signer, sign_as, sign_output};
use osbuild_format::hex;
use osbuild_format::release::Release;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::fixture::{Fixture, logical};
use super::judge::{judge, passes};
use super::slot::built_with_loader;
use super::stub::stub;

/// A key that signs nothing but this test's images.
fn key() -> String {
    format!("{}/tests/image/throw-away-key.pem", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_signed_image_differs_by_its_signatures_only() {
    let fixture = Fixture::new();
    let (slot, disk, _) = built_with_loader(&fixture, &stub());
    let result = fixture.path().join("result");
    fs::create_dir(&result).unwrap();
    std::os::unix::fs::symlink(&slot, result.join("slot")).unwrap();
    std::os::unix::fs::symlink(&disk, result.join("disk.raw")).unwrap();
    let disks = json!([{ "format": "raw", "file": logical("disk-out") }]);
    let outer = json!({ "slot": logical("slot-out"), "disks": disks, "packages": [] });
    let outer = fixture.build("image-manifest", "outer", &["out"], outer).unwrap().outputs["out"].clone();
    std::os::unix::fs::symlink(outer, result.join("manifest.json")).unwrap();

    let signer = Signer::parse(&key(), None).unwrap();
    let signed = fixture.path().join("signed");
    sign_output(&result, &signed, &signer).unwrap();
    let again = fixture.path().join("again");
    sign_output(&result, &again, &signer).unwrap();

    let read = |root: &Path, name: &str| fs::read(root.join(name)).unwrap();
    let manifest = |root: &Path| Release::parse(&read(root, "slot/manifest.json")).unwrap();
    let (before, after) = (manifest(&result), manifest(&signed));
    let uki = read(&signed, "slot/boot.efi");
    assert_eq!(after.uki.sha256, hex::encode(&Sha256::digest(&uki)));
    assert_eq!(after.uki.unsigned_sha256, before.uki.sha256);
    assert_eq!(uki::image_length(&uki[..4096], 64 << 20), Ok(uki.len() as u64));
    assert_eq!((&after.root, &after.hash), (&before.root, &before.hash));
    assert_eq!(after.loader.size, 1 << 20, "a signed loader fills its run");
    assert_eq!(read(&signed, "slot/boot.efi"), read(&again, "slot/boot.efi"));
    assert_eq!(read(&signed, "manifest.json"), read(&again, "manifest.json"));

    // Without the key, from the same and its signatures; and from what is not.
    let rebuilt = fixture.path().join("rebuilt");
    sign_as(&result, &rebuilt, &signed).unwrap();
    for name in ["slot/boot.efi", "slot/loader.efi", "slot/manifest.json", "manifest.json"] {
        assert!(read(&rebuilt, name) == read(&signed, name), "{name}");
    }
    let error = sign_as(&result, &fixture.path().join("none"), &result).unwrap_err().to_string();
    assert!(error.contains("it is not signed"), "{error}");

    let error = sign_output(&signed, &fixture.path().join("twice"), &signer).unwrap_err().to_string();
    assert!(error.contains("signed already"), "{error}");
    assert!(!fixture.path().join("twice").exists());

    let Some(mut sbverify) = judge("sbverify") else { return };
    let certificate = fixture.path().join("certificate.pem");
    let text = fs::read_to_string(key()).unwrap();
    fs::write(&certificate, &text[text.find("-----BEGIN CERTIFICATE").unwrap()..]).unwrap();
    passes(sbverify.arg("--cert").arg(&certificate).arg(signed.join("slot/boot.efi")));
    passes(judge("sbverify").unwrap().arg("--cert").arg(&certificate).arg(signed.join("slot/loader.efi")));
    let mut changed = uki;
    let at = changed.len() / 2;
    changed[at] ^= 1;
    fs::write(signed.join("changed.efi"), changed).unwrap();
    let refused =
        judge("sbverify").unwrap().arg("--cert").arg(&certificate).arg(signed.join("changed.efi")).output();
    assert!(!refused.unwrap().status.success(), "a changed image must not verify");
}

#[test]
fn wrong_keys_say_what_is_wrong() {
    let fixture = Fixture::new();
    let file = fixture.path().join("key");
    let text = fs::read_to_string(key()).unwrap();
    let cases = [
        ("nothing".to_owned(), "no private key in it"),
        (text.replace("CERTIFICATE", "SOMETHING"), "no certificate in it"),
        (text.replace("PRIVATE", "ENCRYPTED PRIVATE"), "the key is encrypted"),
    ];
    for (contents, expected) in cases {
        fs::write(&file, contents).unwrap();
        let error = Signer::parse(file.to_str().unwrap(), None).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = Signer::parse("exec:true", None).err().unwrap().to_string();
    assert!(error.contains("--certificate"), "{error}");
    let failing = Signer::parse("exec:false", Some(Path::new(&key()))).unwrap();
    assert!(failing.sign_image(&stub()).unwrap_err().to_string().contains("`false`: failed"));
}
