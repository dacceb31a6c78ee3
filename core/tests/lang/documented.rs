//! Every built-in function and constant has its paragraph, and no paragraph is
//! about nothing.

use osbuild_core::lang::builtins::documentation::{DOCUMENTATION, documentation};

#[test]
fn every_builtin_is_documented() {
    // The names that real Nix has, as the corpus records them.
    let listed = include_str!("eval-okay-builtins-names.exp");
    let names: Vec<&str> = listed.split('"').skip(1).step_by(2).collect();
    let documented: Vec<&str> = DOCUMENTATION.iter().map(|entry| entry.name).collect();
    assert_eq!(documented, names);
    for entry in DOCUMENTATION {
        assert!(entry.text.ends_with(['.', '`']) && entry.text.len() > 20, "{}", entry.name);
    }
    assert!(documentation("builtins.map").is_some() && documentation("__add").is_some());
}
