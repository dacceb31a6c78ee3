//! Roles that get other keys, with every holder at hand or none.

use std::fs;

use osbuild_core::repo::RepoError;
use osbuild_core::repo::init::add_key;
use osbuild_core::repo::rotate::{Rotation, rotate};
use osbuild_core::repo::signer::{Algorithm, Location, PrivateKey, Signer};
use osbuild_core::repo::staged::{review, sign};

use crate::fixture::{Fixture, START, Silent, later, signers};
use crate::release::Made;

pub(crate) fn rotation(role: &str, add: &[&str], remove: &[&str]) -> Rotation {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Rotation { role: role.to_owned(), add: names(add), remove: names(remove), threshold: None }
}

pub(crate) fn new_key(fixture: &Fixture, name: &str) {
    let path = fixture.keys().join(format!("{name}.pem"));
    let key = PrivateKey::generate(Algorithm::Ed25519);
    key.write(&path, None).unwrap();
    let (repository, _) = fixture.open();
    add_key(&repository, name, &key.public_key(), Some(&format!("../fleet-keys/{name}.pem"))).unwrap();
}

#[test]
fn each_role_gets_another_key_and_the_old_one_can_be_lost_after() {
    for role in ["root", "targets", "snapshot", "timestamp", "rollout"] {
        let fixture = Fixture::new();
        fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
        new_key(&fixture, "new");
        let (repository, state) = fixture.open();
        let old = format!("{role}-1");
        rotate(&repository, &state, &rotation(role, &["new"], &[&old]), &signers(), START).unwrap();
        drop(repository);
        fs::remove_file(fixture.keys().join(format!("{old}.pem"))).unwrap();
        let report = fixture.verify(START);
        assert!(report.problems.is_empty(), "{role}: {report:#?}");
        fixture.publish(&Made::new("1.1.0", 2), later(1)).unwrap();
        let report = fixture.verify(later(1));
        assert!(report.problems.is_empty(), "{role}: {report:#?}");
    }
}

/// The drill for a key that is gone or stolen: the old one signs nothing any
/// more, not even the change.
#[test]
fn an_online_key_that_is_lost_is_replaced_without_it() {
    for role in ["snapshot", "timestamp", "rollout"] {
        let fixture = Fixture::new();
        fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
        new_key(&fixture, "new");
        fs::remove_file(fixture.keys().join(format!("{role}-1.pem"))).unwrap();
        let (repository, state) = fixture.open();
        rotate(&repository, &state, &rotation(role, &["new"], &[&format!("{role}-1")]), &signers(), START)
            .unwrap();
        drop(repository);
        let report = fixture.verify(START);
        assert!(report.problems.is_empty(), "{role}: {report:#?}");
    }
}

/// Two of three root keys are with people who never see the repository.
#[test]
fn a_root_is_passed_from_holder_to_holder() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    new_key(&fixture, "root-4");
    let usb = tempfile::tempdir().unwrap();
    for name in ["root-1", "root-2", "root-3"] {
        fs::rename(fixture.keys().join(format!("{name}.pem")), usb.path().join(format!("{name}.pem")))
            .unwrap();
    }
    let begin = rotation("root", &["root-4"], &["root-3"]);
    let attempt = |rotation: &Rotation| {
        let (repository, state) = fixture.open();
        rotate(&repository, &state, rotation, &signers(), later(1)).map(|committed| committed.roles)
    };
    let error = attempt(&begin).unwrap_err();
    assert!(matches!(error, RepoError::KeysMissing { have: 1, threshold: 2, .. }), "{error:?}");

    let staged = fixture.path().join("staged/root.json");
    let carried = usb.path().join("root.json");
    fs::copy(&staged, &carried).unwrap();
    let shown = review(&carried, &|id| id.clone()).unwrap();
    assert_eq!(shown.version, 2);
    let text = shown.lines.join("\n");
    assert!(text.contains("root: + ") && text.contains("root: - "), "{text}");
    let due =
        |path| review(path, &|id| id.clone()).unwrap().due.iter().map(|due| due.have).collect::<Vec<_>>();
    assert_eq!(due(&carried), [0, 1], "the new key has signed for the new root");

    let signer = |name: &str| {
        let file = Location::File(usb.path().join(format!("{name}.pem")));
        Signer::open(&file, name, usb.path(), &Silent).unwrap()
    };
    // A key of no authority signs nothing.
    let stranger = Signer::Key(PrivateKey::generate(Algorithm::Ed25519));
    assert!(matches!(sign(&carried, &stranger, None, "stranger"), Err(RepoError::Key { .. })));
    sign(&carried, &signer("root-1"), None, "root-1").unwrap();
    assert_eq!(due(&carried), [1, 2]);
    fs::copy(&carried, &staged).unwrap();
    assert!(matches!(attempt(&rotation("root", &[], &[])), Err(RepoError::KeysMissing { .. })));
    sign(&carried, &signer("root-2"), None, "root-2").unwrap();
    fs::copy(&carried, &staged).unwrap();
    let roles = attempt(&rotation("root", &[], &[])).unwrap();
    assert!(roles.contains(&("root".to_owned(), 2)), "{roles:?}");
    assert!(!staged.exists());
    let report = fixture.verify(later(1));
    assert!(report.problems.is_empty(), "{report:#?}");
}

/// Signatures that were gathered count only for what their holders saw.
#[test]
fn what_was_signed_cannot_be_changed_after() {
    let fixture = Fixture::new();
    new_key(&fixture, "new");
    fs::remove_file(fixture.keys().join("root-1.pem")).unwrap();
    fs::rename(fixture.keys().join("root-2.pem"), fixture.folder.path().join("root-2.pem")).unwrap();
    let begin = rotation("timestamp", &["new"], &["timestamp-1"]);
    let (repository, state) = fixture.open();
    rotate(&repository, &state, &begin, &signers(), START).unwrap_err();
    let staged = fixture.path().join("staged/root.json");
    let text = fs::read_to_string(&staged).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["after"]["signed"]["expires"] = "2099-01-01T00:00:00Z".into();
    fs::write(&staged, file.to_string()).unwrap();
    let due = review(&staged, &|id| id.clone()).unwrap().due;
    assert!(due.iter().all(|due| due.have == 0), "{due:?}");
    fs::write(&staged, text).unwrap();
    let due = review(&staged, &|id| id.clone()).unwrap().due;
    assert!(due.iter().all(|due| due.have == 1), "{due:?}");
}

#[test]
fn a_rotation_that_makes_no_sense_is_refused() {
    let fixture = Fixture::new();
    new_key(&fixture, "new");
    let below = Rotation { threshold: Some(1), ..rotation("root", &[], &[]) };
    for (rotation, said) in [
        (rotation("mirror", &["new"], &[]), "no role"),
        (rotation("root", &["nobody"], &[]), "no key 'nobody'"),
        (rotation("root", &["root-1"], &[]), "already"),
        (rotation("root", &[], &["new"]), "no key of root"),
        (rotation("timestamp", &[], &["timestamp-1"]), "1 of 0 keys"),
        (below, "the policy 2"),
    ] {
        let (repository, state) = fixture.open();
        let error = rotate(&repository, &state, &rotation, &signers(), START).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(fixture.verify(START).problems.is_empty());
}

/// Cut after each file that a change writes: the next command finds the change
/// done or not begun, and what is served is believed by those who knew it.
#[test]
fn a_command_that_is_killed_leaves_the_old_or_the_new() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    new_key(&fixture, "new");
    let before = snapshot(&fixture.path());
    let (repository, state) = fixture.open();
    rotate(&repository, &state, &rotation("timestamp", &["new"], &["timestamp-1"]), &signers(), START)
        .unwrap();
    drop((repository, state));
    let after = snapshot(&fixture.path());
    let new: Vec<&String> = after.keys().filter(|name| before.get(*name) != after.get(*name)).collect();
    let metadata: Vec<(String, String)> = ["2.root.json", "3.snapshot.json", "timestamp.json"]
        .into_iter()
        .filter_map(|name| {
            let bytes = after.get(&format!("public/metadata/{name}"))?;
            Some((name.to_owned(), String::from_utf8(bytes.clone()).unwrap()))
        })
        .collect();
    assert!(metadata.len() >= 2, "{new:?}");
    let pending = serde_json::to_vec(&metadata).unwrap();
    for count in 0..=metadata.len() {
        restore(&fixture.path(), &before);
        fs::write(fixture.path().join("audit.jsonl"), &after["audit.jsonl"]).unwrap();
        fs::write(fixture.path().join("pending.json"), &pending).unwrap();
        for (name, text) in &metadata[..count] {
            fs::write(fixture.path().join("public/metadata").join(name), text).unwrap();
        }
        let (_, state) = fixture.open();
        assert_eq!(state.root.common.version, 2, "{count}");
        assert!(!fixture.path().join("pending.json").exists());
        let report = fixture.verify(START);
        assert!(report.problems.is_empty(), "{count}: {report:#?}");
    }
}

fn snapshot(folder: &std::path::Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut to_visit = vec![folder.to_owned()];
    while let Some(path) = to_visit.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                to_visit.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn restore(folder: &std::path::Path, files: &std::collections::BTreeMap<String, Vec<u8>>) {
    fs::remove_dir_all(folder).unwrap();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
