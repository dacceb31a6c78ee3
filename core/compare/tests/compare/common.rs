//! One way to compare and to say what is expected.

use std::fs;
use std::path::Path;

use osbuild_compare::{Difference, Limits, What, compare};

/// Compares two files with the given contents.
pub(crate) fn compared(left: &[u8], right: &[u8]) -> Option<Difference> {
    compared_within(left, right, &Limits::default())
}

pub(crate) fn compared_within(left: &[u8], right: &[u8], limits: &Limits) -> Option<Difference> {
    let place = tempfile::tempdir().unwrap();
    let (a, b) = (place.path().join("a"), place.path().join("b"));
    fs::write(&a, left).unwrap();
    fs::write(&b, right).unwrap();
    compare(&a, &b, limits, place.path()).unwrap()
}

/// Compares what a function makes in two directories.
pub(crate) fn compared_trees(make: impl Fn(&Path, bool)) -> Option<Difference> {
    let place = tempfile::tempdir().unwrap();
    let (a, b) = (place.path().join("a"), place.path().join("b"));
    for (path, is_right) in [(&a, false), (&b, true)] {
        fs::create_dir(path).unwrap();
        make(path, is_right);
    }
    compare(&a, &b, &Limits::default(), place.path()).unwrap()
}

/// Every leaf in one line: the steps, how it differs, and the hints.
pub(crate) fn leaves(difference: &Difference) -> Vec<String> {
    let mut lines = Vec::new();
    difference.for_each_leaf(&mut |steps, leaf| {
        let steps: Vec<String> = steps.iter().skip(1).map(ToString::to_string).collect();
        let what = match &leaf.what {
            What::OnlyLeft => "only left".to_owned(),
            What::OnlyRight => "only right".to_owned(),
            What::Kind(kinds) => format!("{} | {}", kinds.left, kinds.right),
            What::Value(_) => "value".to_owned(),
            What::Bytes => "bytes".to_owned(),
            What::Text => "text".to_owned(),
            What::Order => "order".to_owned(),
            What::Encoding => "encoding".to_owned(),
            What::Inside => "inside".to_owned(),
        };
        let mut hints: Vec<&str> = leaf.hints.iter().map(|hint| hint.class.word()).collect();
        hints.sort_unstable();
        lines.push(format!("{}: {what} [{}]", steps.join(" › "), hints.join(" ")));
    });
    lines
}

/// Both files differ in exactly the expected leaves.
#[track_caller]
pub(crate) fn check(left: &[u8], right: &[u8], expected: &[&str]) {
    let found = compared(left, right).map(|difference| leaves(&difference)).unwrap_or_default();
    assert_eq!(found, expected);
    assert_eq!(compared(left, left), None);
    assert_eq!(compared(right, right), None);
}
