//! What `verify` finds: each fault by name, and nothing where there is none.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::{Fixture, START, later};
use crate::release::Made;

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.publish(&Made::new("1.0.0", 1), START).unwrap();
    fixture
}

fn target(fixture: &Fixture, ending: &str) -> PathBuf {
    let folder = fixture.path().join("public/targets");
    let mut names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names.find(|path| path.to_string_lossy().ends_with(ending)).unwrap()
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn each_fault_is_named() {
    type Spoil = fn(&Fixture);
    let cases: [(&str, Spoil, &str); 9] = [
        (
            "a byte of the root",
            |f| edit(&target(f, "root.squashfs"), |bytes| bytes[100] ^= 1),
            "test.x86_64.1.0.0.root.squashfs: ",
        ),
        (
            "a target cut short",
            |f| edit(&target(f, "boot.efi"), |bytes| bytes.truncate(bytes.len() - 1)),
            "boot.efi: ",
        ),
        ("a target too long", |f| edit(&target(f, "loader.efi"), |bytes| bytes.push(0)), "more than"),
        ("a target gone", |f| fs::remove_file(target(f, "root.verity")).unwrap(), "its bytes are missing"),
        (
            "a forged snapshot",
            |f| edit(&f.path().join("public/metadata/2.snapshot.json"), |bytes| bytes[40] ^= 1),
            "snapshot",
        ),
        (
            "no timestamp",
            |f| fs::remove_file(f.path().join("public/metadata/timestamp.json")).unwrap(),
            "timestamp.json",
        ),
        (
            "a line of the record",
            |f| edit(&f.path().join("audit.jsonl"), |bytes| bytes[90] ^= 1),
            "audit.jsonl",
        ),
        (
            "a record that is too short",
            |f| edit(&f.path().join("audit.jsonl"), |bytes| bytes.clear()),
            "has no word of it",
        ),
        (
            "a policy that asks for more",
            |f| {
                let path = f.path().join("policy.toml");
                let text = fs::read_to_string(&path).unwrap().replace("\nroot = 2", "\nroot = 3");
                fs::write(path, text).unwrap();
            },
            "the policy asks for 3",
        ),
    ];
    let whole = fixture().verify(START);
    assert!(whole.problems.is_empty(), "{whole:#?}");
    for (what, spoil, said) in cases {
        let fixture = fixture();
        spoil(&fixture);
        let report = fixture.verify(START);
        assert!(report.problems.iter().any(|problem| problem.contains(said)), "{what}: {report:#?}");
    }
}

#[test]
fn what_will_end_is_a_problem_then_and_a_warning_before() {
    let fixture = fixture();
    assert!(fixture.verify(START).warnings.is_empty());
    let report = fixture.verify(osbuild_tuf::time::Time(START.0 + 80_000));
    assert!(report.problems.is_empty());
    assert!(
        report.warnings.iter().any(|warning| warning.starts_with("timestamp expires soon")),
        "{report:#?}"
    );
    let report = fixture.verify(later(2));
    assert!(report.problems.iter().any(|problem| problem.starts_with("timestamp: expired")), "{report:#?}");
}

#[test]
fn files_that_nothing_names_are_listed() {
    let fixture = fixture();
    let stray = fixture.path().join("public/targets/stray");
    fs::write(&stray, "x").unwrap();
    let report = fixture.verify(START);
    assert!(
        report.problems.is_empty() && report.orphans.contains(&"targets/stray".to_owned()),
        "{report:#?}"
    );
}
