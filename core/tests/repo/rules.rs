//! What is not published, and why.

use std::fs;

use osbuild_core::repo::publish::Evidence;

use crate::fixture::{Fixture, START, later};
use crate::release::{Made, record};

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
    for (records, said) in [
        (vec![], "boot and update"),
        (vec![record(&output, &["boot"])], "passed: update"),
        (vec![record(&other, &["boot", "update"])], "boot and update"),
        (vec![output.join("slot/manifest.json")], "in-toto"),
    ] {
        let error = attempt(records).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    attempt(vec![record(&output, &["boot", "update"])]).unwrap();
    // A reason is kept.
    fixture.publish(&Made::new("1.1.0", 2), START).unwrap();
    let record = fs::read_to_string(fixture.path().join("audit.jsonl")).unwrap();
    assert!(record.contains("1.1.0 untested: a test"), "{record}");
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
