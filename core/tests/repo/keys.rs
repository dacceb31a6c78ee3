//! Keys in files, behind commands, and where they must not be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use osbuild_core::repo::RepoError;
use osbuild_core::repo::init::{Init, add_key, init, must_be_outside};
use osbuild_core::repo::refresh::refresh;
use osbuild_core::repo::rotate::{Rotation, rotate};
use osbuild_core::repo::signer::{Algorithm, Passphrases, PrivateKey};
use osbuild_core::repo::tree::Repository;

use crate::fixture::{Fixture, START, Silent, signers, signers_with};
use crate::release::Made;

struct Wrong;

impl Passphrases for Wrong {
    fn passphrase(&self, _: &str) -> Option<String> {
        Some("wrong".to_owned())
    }
}

struct Nobody;

impl Passphrases for Nobody {
    fn passphrase(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn a_key_at_rest_opens_with_its_passphrase_alone() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP256] {
        let path = folder.path().join(format!("{algorithm:?}.pem"));
        let key = PrivateKey::generate(algorithm);
        key.write(&path, Some("open sesame")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let read = PrivateKey::read(&path, "k", &Silent).unwrap();
        assert_eq!(read.public_key(), key.public_key());
        for (passphrases, said) in
            [(&Wrong as &dyn Passphrases, "does not open it"), (&Nobody, "nobody gives")]
        {
            let error = PrivateKey::read(&path, "k", passphrases).err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(
            matches!(key.write(&path, None), Err(RepoError::Exists { .. })),
            "a key is never written over"
        );
    }
}

#[test]
fn repositories_of_either_algorithm_encrypted_or_not() {
    for (algorithm, passphrase) in [(Algorithm::Ed25519, Some("open sesame")), (Algorithm::EcdsaP256, None)] {
        let fixture = Fixture::with(algorithm, passphrase);
        fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
        let report = fixture.verify(START);
        assert!(report.problems.is_empty(), "{report:#?}");
    }
}

#[test]
fn keys_inside_of_a_repository_are_refused() {
    let fixture = Fixture::new();
    let inside = fixture.path().join("public/../keys/deep");
    assert!(matches!(must_be_outside(&inside, &fixture.path()), Err(RepoError::KeyInside { .. })));
    must_be_outside(&fixture.keys(), &fixture.path()).unwrap();
    // By way of a link, too.
    let link = fixture.folder.path().join("link");
    std::os::unix::fs::symlink(fixture.path(), &link).unwrap();
    assert!(must_be_outside(&link.join("keys"), &fixture.path()).is_err());
    let folder = tempfile::tempdir().unwrap();
    let request = Init {
        repository: folder.path().join("r"),
        keys: folder.path().join("r/keys"),
        root_keys: 1,
        root_threshold: 1,
        algorithm: Algorithm::Ed25519,
    };
    assert!(matches!(init(&request, None, &signers(), START), Err(RepoError::KeyInside { .. })));
}

/// A script in place of a key service.
#[test]
fn a_command_signs_and_is_not_believed_blindly() {
    let fixture = Fixture::new();
    let (repository, _) = fixture.open();
    let pem = fixture.folder.path().join("service.pem");
    let key = PrivateKey::generate(Algorithm::EcdsaP256);
    key.write(&pem, None).unwrap();
    let script = fixture.folder.path().join("sign");
    let log = fixture.folder.path().join("log");
    let text = format!(
        "#!/bin/sh\necho \"$OSBUILD_SIGN_ROLE $OSBUILD_SIGN_KEYID\" >> {}\nexec openssl dgst -sha256 -sign {} -binary\n",
        log.display(),
        pem.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    add_key(&repository, "service", &key.public_key(), Some(&format!("exec:{}", script.display()))).unwrap();
    drop(repository);
    let (repository, state) = fixture.open();
    let rotation = Rotation {
        role: "timestamp".to_owned(),
        add: vec!["service".to_owned()],
        remove: vec!["timestamp-1".to_owned()],
        threshold: None,
    };
    rotate(&repository, &state, &rotation, &signers(), START).unwrap();
    drop(repository);
    assert!(fixture.verify(START).problems.is_empty());
    let asked = fs::read_to_string(&log).unwrap();
    assert!(asked.contains(&format!("timestamp {}", key.public_key().id())), "{asked}");

    // What it gives is looked at: another key's signature, or none.
    for (text, said) in [
        ("#!/bin/sh\ncat >/dev/null\necho nonsense\n", "what signed is not the key"),
        ("#!/bin/sh\ncat >/dev/null\nexit 3\n", "failed: exit status: 3"),
    ] {
        fs::write(&script, text).unwrap();
        let (repository, state) = fixture.open();
        let error = refresh(&repository, &state, &[], &signers(), START).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.keys().join("targets-1.pem")).unwrap();
    let error = fixture.publish(&Made::new("1.0.0", 1), START).unwrap_err().to_string();
    assert!(error.contains("targets needs 1 signatures") && error.contains("targets-1.pem"), "{error}");
    assert!(fixture.verify(START).problems.is_empty(), "nothing was changed");
    let waiting = fixture.path().join("staged/targets.json");
    assert!(waiting.exists());

    // A key that is elsewhere.
    let (fixture, elsewhere) = (Fixture::new(), tempfile::tempdir().unwrap());
    let moved = elsewhere.path().join("usb.pem");
    fs::rename(fixture.keys().join("targets-1.pem"), &moved).unwrap();
    let (repository, state) = fixture.open();
    let given: [(&str, &Path); 1] = [("targets-1", &moved)];
    refresh(&repository, &state, &["targets".to_owned()], &signers_with(&given), START).unwrap();
}

#[test]
fn names_of_keys_are_taken_once() {
    let fixture = Fixture::new();
    let repository = Repository::open(&fixture.path()).unwrap();
    let key = PrivateKey::generate(Algorithm::Ed25519).public_key();
    add_key(&repository, "spare", &key, None).unwrap();
    drop(repository);
    let repository = Repository::open(&fixture.path()).unwrap();
    for (name, key) in [
        ("spare", PrivateKey::generate(Algorithm::Ed25519).public_key()),
        ("other", key),
        ("a.b", PrivateKey::generate(Algorithm::Ed25519).public_key()),
    ] {
        assert!(matches!(add_key(&repository, name, &key, None), Err(RepoError::Argument(_))), "{name}");
    }
}
