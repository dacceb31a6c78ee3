//! The compressor is part of every image's bytes: the toolkit and the node
//! must have one and the same.

use std::path::Path;

/// Versions of a crate in a lock file.
fn versions(lock: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line == format!("name = \"{name}\"") {
            let version = lines.next().and_then(|line| line.strip_prefix("version = "));
            found.push(version.expect("a version follows the name").trim_matches('"').to_owned());
        }
    }
    found
}

#[test]
fn one_libzstd_on_the_host_and_on_the_node() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let host = versions(&root.join("Cargo.lock"), "zstd-sys");
    assert_eq!(host, ["2.0.16+zstd.1.5.7"], "raise the numbers of the image builders with it");
    let node = versions(&root.join("recipes/agents/Cargo.lock"), "zstd-sys");
    // An agent that compresses nothing brings none.
    assert!(
        node.is_empty() || node == host,
        "the agents' lock has zstd-sys {node:?}, the toolkit's {host:?}"
    );
}
