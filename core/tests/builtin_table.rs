//! The recipes' table of built-in builders and the program's must agree.

use std::collections::BTreeMap;
use std::path::Path;

use osbuild_core::build::builtin::versions;

#[test]
fn recipes_and_program_name_the_same_builders() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/lib/builtins.nix");
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let (name, value) = line.trim().strip_suffix("\";")?.split_once(" = \"")?;
        Some((name.to_owned(), value.to_owned()))
    };
    let recipes: BTreeMap<String, String> = text.lines().filter_map(row).collect();
    let program: BTreeMap<String, String> =
        versions().into_iter().map(|(name, version)| (name.to_owned(), version.to_string())).collect();
    assert_eq!(recipes, program);
}
