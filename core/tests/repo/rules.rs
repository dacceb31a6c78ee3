//! What is not published, and why.

use std::collections::BTreeSet;
use std::fs;

use osbuild_core::repo::publish::Evidence;
use osbuild_core::repo::tested::{BOOT, UPDATE};
use osbuild_core::repo::waves::{documents, find_line};
use osbuild_tuf::time::Time;

use crate::fixture::{Fixture, START, later};
use crate::release::{Made, record, record_of};

/// Each after 1.0.0 with index 5.
#[test]
fn releases_that_no_node_could_or_should_go_to() {
    let next = Made { rollback_index: 6, ..Made::new("1.1.0", 6) };
    let cases: [(Made, &str); 6] = [
        (Made { rollback_index: 5, ..next.clone() }, "no node would go there"),
        (Made { rollback_index: 4, ..next.clone() }, "no node would go there"),
        (Made { floor: 6, ..next.clone() }, "cannot go back"),
        (Made { min_from_index: 6, ..next.clone() }, "no release of the channel has it"),
        (Made { seed: 5, ..next.clone() }, "could not tell them apart"),
        (Made { version: "1.0.0", ..next.clone() }, "published already, with another root"),
    ];
    for (made, said) in cases {
        let fixture = Fixture::new();
        fixture.publish(&Made::new("1.0.0", 5), START).unwrap();
        let error = fixture.publish(&made, later(1)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        // The same without what is wrong with it.
        fixture.publish(&next, later(1)).unwrap();
    }
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 5), START).unwrap();
    let retiring = Made { floor: 6, ..next };
    fixture.publish_with(&retiring, later(1), |request| request.retire_previous = true).unwrap();
}

#[test]
fn files_that_do_not_belong_together() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(&str, Spoil, &str); 7] = [
        ("slot/root.squashfs", |bytes| bytes[5000] ^= 1, "its SHA-256 is"),
        ("slot/root.squashfs", |bytes| bytes.truncate(4096), "4096 bytes, where the manifest says"),
        ("slot/root.verity", |bytes| bytes[0] ^= 1, "its SHA-256 is"),
        ("slot/boot.efi", |bytes| *bytes.last_mut().unwrap() ^= 1, "its SHA-256 is"),
        ("slot/manifest.json", |bytes| bytes.push(b'\n'), "canonical"),
        (
            "slot/manifest.json",
            |bytes| replace(bytes, "\"version\":\"1.0.0\"", "\"version\":\"1.0.1\""),
            "VERSION_ID=1.0.0",
        ),
        ("sbom.spdx.json", |bytes| replace(bytes, "spdx:", "spdx:0"), "does not name the root"),
    ];
    for (file, spoil, said) in cases {
        let fixture = Fixture::new();
        let error = fixture
            .publish_with(&Made::new("1.0.0", 1), START, |request| {
                let path = request.outputs[0].join(file);
                let mut bytes = fs::read(&path).unwrap();
                spoil(&mut bytes);
                fs::write(&path, bytes).unwrap();
            })
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{file}: {error}");
        assert!(fixture.verify(START).releases.is_empty());
    }
}

fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    *bytes = String::from_utf8(bytes.clone()).unwrap().replace(from, to).into_bytes();
}

#[test]
fn what_was_not_tested_is_not_published_unless_somebody_says_why() {
    let fixture = Fixture::new();
    let made = Made::new("1.0.0", 1);
    let attempt = |records| {
        fixture
            .publish_with(&made, START, |request| request.evidence = Evidence::Records(records))
            .map(|_| ())
    };
    let output = fixture.make(&made);
    let other = fixture.make(&Made::new("0.9.0", 9));
    let good = record(&output, &[BOOT, UPDATE]);
    let bent = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(&good).unwrap();
        assert!(text.contains(from), "{text}");
        let path = output.join(name);
        fs::write(&path, text.replace(from, to)).unwrap();
        path
    };
    for (records, said) in [
        (vec![], "boot and update"),
        (vec![record(&output, &[BOOT])], "passed: update"),
        (vec![record(&other, &[BOOT, UPDATE])], "boot and update"),
        (vec![good.clone(), record(&other, &[BOOT, UPDATE])], "is of another image"),
        (vec![record_of(&output, &[BOOT], &[UPDATE])], "did not pass: update"),
        // One that passed makes none of one that failed.
        (vec![good.clone(), record_of(&output, &[], &[BOOT])], "did not pass: boot"),
        (vec![bent("a.json", "\"PASSED\"", "\"WARNED\"")], "did not pass"),
        (vec![bent("b.json", "\"PASSED\"", "\"GOOD\"")], "unknown variant"),
        (
            vec![bent("c.json", "\"failedTests\": []", "\"failedTests\": [\"update\"]")],
            "that it failed: update",
        ),
        (vec![bent("d.json", "test-result/v0.1", "test-result/v0.2")], "another thing than"),
        (vec![bent("e.json", "\"configuration\"", "\"settings\"")], "missing field `configuration`"),
        (vec![bent("f.json", "Statement/v1", "Statement/v0.1")], "of version 1"),
        (vec![output.join("slot/manifest.json")], "not an in-toto statement"),
    ] {
        let error = attempt(records).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
        assert!(fixture.verify(START).releases.is_empty());
    }
    attempt(vec![record(&output, &[BOOT]), record(&output, &[UPDATE])]).unwrap();
    // A reason is kept.
    fixture.publish(&Made::new("1.1.0", 2), START).unwrap();
    let record = fs::read_to_string(fixture.path().join("audit.jsonl")).unwrap();
    assert!(record.contains("1.1.0 untested: a test"), "{record}");
}

/// The record has nothing of when and where, and is given out with its release.
#[test]
fn a_record_is_the_same_each_time_and_is_published() {
    let fixture = Fixture::new();
    let made = Made::new("1.0.0", 1);
    let output = fixture.make(&made);
    let path = record(&output, &[BOOT, UPDATE]);
    let first = fs::read(&path).unwrap();
    assert_eq!(fs::read(record(&output, &[BOOT, UPDATE])).unwrap(), first);
    let publish = |now| {
        fixture
            .publish_with(&made, now, |request| request.evidence = Evidence::Records(vec![path.clone()]))
            .unwrap()
    };
    publish(START);
    assert!(publish(START).roles.is_empty(), "the second time nothing changes");
    let targets = || {
        let entries = fs::read_dir(fixture.path().join("public/targets")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_string_lossy().contains(".test-result.")).collect::<Vec<_>>()
    };
    let published = targets();
    assert_eq!(published.len(), 1);
    assert_eq!(fs::read(&published[0]).unwrap(), first);
    assert!(fixture.verify(START).problems.is_empty());
    fs::write(&published[0], b"{}").unwrap();
    assert!(!fixture.verify(START).problems.is_empty());
}

/// What was tested from a candidate's channel is given out in the others as it
/// is: nothing of it is made or copied again.
#[test]
fn a_candidate_is_promoted_by_its_record() {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    let made = Made::new("1.1.0", 2);
    let output = fixture.make(&made);
    let publish = |channel: &str, records: Vec<_>| {
        fixture.publish_with(&made, START, |request| {
            request.channel = channel.to_owned();
            request.evidence = Evidence::Records(records);
        })
    };
    // Nobody asks there, and it is given out at once; the twin is the other channel.
    assert!(publish("stable", vec![]).is_err());
    publish("candidate", vec![]).unwrap();
    let state = fixture.open().1;
    let documents = |channel| {
        let line = find_line(&state, Some(channel)).unwrap();
        documents(&fixture.open().0, &state, &line).unwrap()
    };
    let candidate = documents("candidate/test");
    let given = candidate.rollout.releases.values().next().unwrap();
    assert_eq!(given.wave.share_at(Time(START.0 + 1)), 10_000);
    let names = || {
        let entries = fs::read_dir(fixture.path().join("public/targets")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
    };
    let before = names();
    assert!(before.iter().any(|name| name.ends_with("tree.from-1.0.0.delta")), "{before:#?}");

    // A failed record stops it although the bytes are there already.
    assert!(publish("stable", vec![record_of(&output, &[BOOT], &[UPDATE])]).is_err());
    assert_eq!(names(), before);
    let tested = record(&output, &[BOOT, UPDATE]);
    publish("stable", vec![tested.clone()]).unwrap();
    let after = names();
    let new: Vec<&String> = after.difference(&before).collect();
    assert_eq!(new.len(), 3, "a catalogue, a rollout, the record: {new:#?}");
    assert!(publish("stable", vec![tested]).unwrap().roles.is_empty(), "the second time nothing changes");
    assert!(publish("stable", vec![]).unwrap().roles.is_empty(), "nor does what is there need one");
    let report = fixture.verify(START);
    assert!(report.problems.is_empty(), "{report:#?}");
    assert_eq!(report.releases.iter().filter(|release| release.version == "1.1.0").count(), 2);

    // Other bytes under that version are nobody's.
    let other = Made { seed: 77, ..made.clone() };
    let error = fixture.publish_with(&other, START, |request| request.channel = "beta".to_owned());
    assert!(error.unwrap_err().to_string().contains("published already, with another"));
}

#[test]
fn channels_share_files_and_have_their_own_order() {
    let fixture = Fixture::new();
    let made = Made::new("1.0.0", 1);
    fixture.publish_with(&made, START, |request| request.channel = "test".to_owned()).unwrap();
    let before = fs::read_dir(fixture.path().join("public/targets")).unwrap().count();
    fixture.publish(&made, later(1)).unwrap();
    let after = fs::read_dir(fixture.path().join("public/targets")).unwrap().count();
    assert_eq!(after - before, 2, "a catalogue and a rollout");
    let error = fixture
        .publish_with(&Made::new("2.0.0", 2), later(1), |request| request.channel = "../x".to_owned())
        .unwrap_err();
    assert!(error.to_string().contains("no channel"), "{error}");
    assert!(fixture.verify(later(1)).problems.is_empty());
}
