//! The text and the record are an interface.

use osbuild_compare::report::json::Record;
use osbuild_compare::report::text::render;

use super::common::compared;
use super::samples::{File, gzip, tar};

#[test]
fn a_tree_for_a_terminal() {
    let archive = |mtime, contents| gzip(&tar(&[File { mtime, ..File::new("a", contents) }]), 0);
    let (left, right) = (archive(1_000_000_000, b"\0one"), archive(1_000_000_001, b"\0two"));
    let found = compared(&left, &right).unwrap();
    let expected = "\
- A
+ B
contents › a: differs inside, 4 bytes
  mtime: another value
    - 1000000000 (2001-09-09T01:46:40Z)
    + 1000000001 (2001-09-09T01:46:41Z)
    hint: timestamp: the format's own field 'mtime' differs
  contents: bytes differ, 4 bytes, first at 0x1 (3 bytes in 1 runs)
    - 00000000  00 6f 6e 65                                      .one
    + 00000000  00 74 77 6f                                      .two
";
    assert_eq!(render(&found, "A", "B"), expected);
}

#[test]
fn a_record_for_programs() {
    let found = compared(b"{\"at\": \"12:00:00\"}", b"{\"at\": \"12:00:01\"}").unwrap();
    let record = serde_json::to_value(Record::from(&found)).unwrap();
    assert_eq!(record["what"], "inside");
    assert_eq!(record["format"], "JSON");
    assert_eq!(record["excerpt"], serde_json::Value::Null);
    let child = &record["children"][0];
    assert_eq!(child["step"]["kind"], "pointer");
    assert_eq!(child["step"]["name"], "/at");
    assert_eq!(child["left"], "12:00:00");
    assert_eq!(child["hints"][0]["class"], "timestamp");
}
