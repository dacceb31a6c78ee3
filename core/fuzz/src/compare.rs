//! What a fuzzer asserts about the comparison of two files.

use std::fs;
use std::path::Path;

use osbuild_compare::report::{json, text};
use osbuild_compare::{Difference, Limits, compare};

/// Two files: the length of the first (two bytes, little endian), the first, the
/// second. What is in them is anybody's.
pub fn differing(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let at = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (left, right) = rest.split_at(at);
    let place = tempfile::tempdir().expect("there is a place for files");
    let [one, other] = ["one", "other"].map(|name| place.path().join(name));
    fs::write(&one, left).expect("and room");
    fs::write(&other, right).expect("and room");

    assert!(compared(&one, &one, place.path()).is_none(), "a file is equal to itself");
    let there = compared(&one, &other, place.path());
    let back = compared(&other, &one, place.path());
    assert_eq!(there.is_none(), left == right, "equal is equal, and nothing else");
    assert_eq!(there.is_none(), back.is_none(), "in both directions");
    if let Some(difference) = there {
        assert!(!text::render(&difference, "one", "other").is_empty(), "it is said");
        let record = serde_json::to_string(&json::Record::from(&difference)).expect("and written");
        assert!(record.starts_with('{'));
        let mut leaves = 0;
        difference.for_each_leaf(&mut |_, _| leaves += 1);
        assert!(leaves > 0, "something differs at the bottom");
    }
}

fn compared(left: &Path, right: &Path, scratch: &Path) -> Option<Difference> {
    compare(left, right, &Limits::default(), scratch).expect("damage is no error")
}
