//! Releases that others made again: how many of them have to agree, and what of
//! it clients see.

use std::fs;
use std::path::{Path, PathBuf};

use osbuild_core::repo::RepoError;
use osbuild_core::repo::gc;
use osbuild_core::repo::release::Slot;
use osbuild_core::repo::signer::{Algorithm, PrivateKey, Signer, public_pem};
use osbuild_core::repo::verdict::give;
use serde_json::Value;

use crate::fixture::{Fixture, START, later, signers};
use crate::release::Made;

/// A repository that wants two of three rebuilders, and their keys.
fn fixture() -> (Fixture, [PrivateKey; 3]) {
    let fixture = Fixture::new();
    let keys = [(); 3].map(|()| PrivateKey::generate(Algorithm::Ed25519));
    let path = fixture.path().join("policy.toml");
    let mut policy = fs::read_to_string(&path).unwrap();
    policy += "\n[rebuilt]\nthreshold = 2\nby = [\"a\", \"b\", \"c\"]\n";
    for (name, key) in ["a", "b", "c"].iter().zip(&keys) {
        let public = public_pem(&key.public_key()).unwrap();
        policy += &format!("\n[keys.{name}]\npublic = \"\"\"\n{public}\"\"\"\n");
    }
    fs::write(path, policy).unwrap();
    (fixture, keys)
}

/// The verdict of a key on what was built, as a file beside it.
fn verdict(output: &Path, key: PrivateKey) -> PathBuf {
    let public = key.public_key();
    let bytes = give(&Slot::read(output).unwrap(), &Signer::Key(key), &public, "test").unwrap();
    let path = output.join(format!("{}.verdict.json", public.id()));
    fs::write(&path, bytes).unwrap();
    path
}

fn publish(fixture: &Fixture, made: &Made, channel: &str, verdicts: Vec<PathBuf>) -> Result<(), RepoError> {
    let committed = fixture.publish_with(made, START, |request| {
        request.verdicts = verdicts;
        channel.clone_into(&mut request.channel);
    });
    committed.map(|_| ())
}

fn refusal(outcome: Result<(), RepoError>) -> String {
    match outcome.unwrap_err() {
        RepoError::Rule(what) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn so_many_rebuilders_have_to_agree() {
    let (fixture, [a, b, c]) = fixture();
    let made = Made::new("1.0.0", 1);
    let output = fixture.make(&made);
    let [a, b] = [verdict(&output, a), verdict(&output, b)];
    let stranger = verdict(&output, PrivateKey::generate(Algorithm::Ed25519));
    let other = verdict(&fixture.make(&Made::new("1.1.0", 2)), c);

    let few = "1.0.0 was made again by";
    for (verdicts, said) in [
        (vec![], format!("{few} 0 of the 2")),
        (vec![a.clone()], format!("{few} 1 of the 2")),
        (vec![a.clone(), a.clone()], format!("{few} 1 of the 2")),
        (vec![a.clone(), stranger], format!("{few} 1 of the 2")),
        (vec![a.clone(), other.clone()], format!("{few} 1 of the 2")),
        (vec![a.clone(), b.clone(), other], "is of another image".to_owned()),
    ] {
        let error = refusal(publish(&fixture, &made, "stable", verdicts));
        assert!(error.contains(&said), "{error}");
    }
    // There the rebuilders find it.
    publish(&fixture, &made, "candidate", Vec::new()).unwrap();
    publish(&fixture, &made, "stable", vec![a, b]).unwrap();

    let report = fixture.verify(START);
    assert!(report.problems.is_empty(), "{report:#?}");
    let role = report.roles.iter().find(|role| role.role == "rebuilt.test.x86_64.1.0.0").unwrap();
    assert_eq!((role.version, role.signatures, role.threshold, role.keys), (1, 2, 2, 3));
}

/// It stays, whoever publishes what next, until its release goes.
#[test]
fn what_was_agreed_on_stays_with_the_release() {
    let (fixture, [a, b, c]) = fixture();
    let made = Made::new("1.0.0", 1);
    let output = fixture.make(&made);
    let [a, b, c] = [a, b, c].map(|key| verdict(&output, key));
    publish(&fixture, &made, "stable", vec![a.clone(), b.clone()]).unwrap();
    let role = fixture.path().join("public/metadata/1.rebuilt.test.x86_64.1.0.0.json");
    let before = fs::read(&role).unwrap();
    // A third one comes too late to change a file that clients have.
    publish(&fixture, &made, "stable", vec![a, b, c]).unwrap();
    publish(&fixture, &Made::new("1.1.0", 2), "candidate", Vec::new()).unwrap();
    assert_eq!(fs::read(&role).unwrap(), before);
    let has = |name: &str| {
        let (_, state) = fixture.open();
        let snapshot: Value = serde_json::from_slice(state.kept.snapshot.as_ref().unwrap()).unwrap();
        snapshot["signed"]["meta"].get(name).is_some()
    };
    assert!(has("rebuilt.test.x86_64.1.0.0.json"));
    assert!(fixture.verify(START).problems.is_empty());

    for (version, index) in [("1.2.0", 3), ("1.3.0", 4)] {
        publish(&fixture, &Made::new(version, index), "candidate", Vec::new()).unwrap();
    }
    let (repository, state) = fixture.open();
    gc::gc(&repository, &state, 1, false, &signers(), later(1)).unwrap();
    drop(repository);
    assert!(has("rebuilt.test.x86_64.1.0.0.json"), "it is the newest of its channel");
}

#[test]
fn a_policy_without_rebuilders_takes_no_verdicts() {
    let fixture = Fixture::new();
    let made = Made::new("1.0.0", 1);
    let verdict = verdict(&fixture.make(&made), PrivateKey::generate(Algorithm::EcdsaP256));
    let error = refusal(publish(&fixture, &made, "stable", vec![verdict]));
    assert!(error.contains("names no rebuilders"), "{error}");
}
