//! `osbuild graph`: what it prints, what Graphviz makes of it.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use osbuild_core::derivation;
use osbuild_store::{HashAlgorithm, LocalStore, NixHash, StoreDir, StorePath};
use serde_json::{Value, json};

use super::fixture::{Fixture, floating};
use super::judge::{machine_judge, passes};

/// `top` needs `slow`, `quick` and what a strange builder makes; all of them
/// need `base`, which unpacks three downloads. `base` took 2 s, `slow` a
/// minute, `quick` 300 ms.
fn project() -> (Fixture, String) {
    let fixture = Fixture::new();
    let downloads: Vec<StorePath> = ["one.deb", "two.deb", "three.deb"]
        .into_iter()
        .map(|name| {
            let hash = NixHash::of(HashAlgorithm::Sha256, name.as_bytes());
            let path =
                StoreDir::default().fixed_path(name, false, &hash, &Default::default(), false).unwrap();
            let output = derivation::Output::Fixed { path, recursive: false, hash };
            fixture.derivation("fetchurl", name, json!({ "urls": ["mirror://none/x"] }), output, &[]).0
        })
        .collect();
    let downloads: Vec<&StorePath> = downloads.iter().collect();
    let base = fixture.shell("base", "echo > $out", &downloads).0;
    let slow = fixture.shell("slow", "cat $input0 > $out; echo slow >> $out", &[&base]).0;
    let quick = fixture.shell("quick", "cat $input0 > $out; echo quick >> $out", &[&base]).0;
    let strange = fixture.derivation(STRANGE, "strange", json!({}), floating(), &[&base]).0;
    let (_, top) = fixture.shell("top", "echo > $out", &[&slow, &quick, &strange]);
    let store = LocalStore::open(&fixture.home()).unwrap();
    for (name, ms) in [("base", 2_000), ("slow", 60_000), ("quick", 300)] {
        store.note_duration(name, ms).unwrap();
    }
    (fixture, top)
}

/// The one text that a derivation may fill with anything.
const STRANGE: &str =
    "</script><script>window.escaped = 1</script><!--\"><img src=x onerror='window.escaped = 1'>";

#[test]
fn the_format_follows_the_name_of_the_file() {
    let (fixture, top) = project();
    let check = |words: &[&str], file: &str, expected: &str| {
        let (out, err, code) = fixture.run(&[&["graph", &top][..], words].concat());
        let whole =
            "8 steps: 3 to download, 1 to build, 4 maybe; critical path 1 min 8 s (2 of 4 steps assumed)\n";
        let said = if file.is_empty() { String::new() } else { format!("{file}: {whole}") };
        assert_eq!((err, code), (said, 0));
        let text = if file.is_empty() {
            out
        } else {
            assert_eq!(out, "");
            let path = fixture.place.path().join(file);
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o400, 0o400);
            std::fs::read_to_string(path).unwrap()
        };
        assert!(text.starts_with(expected), "{text}");
    };
    check(&[], "", "digraph build {\n");
    check(&["--format", "svg"], "", "<svg xmlns=");
    check(&["-o", "g.html"], "g.html", "<!DOCTYPE html>\n");
    check(&["-o", "g.svg"], "g.svg", "<svg xmlns=");
    check(&["-o", "g.dot"], "g.dot", "digraph");
    check(&["-o", "g.gv"], "g.gv", "digraph");
    check(&["-o", "g.txt", "--format", "dot"], "g.txt", "digraph");
    check(&["-o", "g.dot", "--format", "html"], "g.dot", "<!DOCTYPE html>\n");
    check(&["-o", "g.json", "--json"], "g.json", "{\"criticalMs\":68000,");
    check(&["-o", "/dev/stdout", "--format", "dot", "--quiet"], "", "digraph");
}

#[test]
fn wrong_words_say_what_is_right() {
    let (fixture, top) = project();
    let check = |words: &[&str], code: i32, expected: &[&str]| {
        fixture.fails(&[&["graph"][..], words].concat(), code, expected);
    };
    check(&[], 2, &["required arguments were not provided"]);
    check(
        &[&top, "-o", "g.txt"],
        2,
        &["error: the name of 'g.txt' says no format", "hint: ", ".html", "--format"],
    );
    check(&[&top, "--format", "png"], 2, &["invalid value 'png'", "dot", "svg", "html"]);
    check(
        &[&top, "--format", "svg", "--json"],
        2,
        &["error: --json and --format exclude each other", "hint: "],
    );
    check(
        &[&top, "-o", "none/g.svg"],
        1,
        &["error: cannot write none/g.svg: ", "hint: the folder has to exist"],
    );
    check(&["none.drv"], 2, &["error: 'none.drv' is not a derivation"]);
}

#[test]
fn a_record_follows_what_was_built() {
    let (fixture, top) = project();
    let record = || -> Value { serde_json::from_str(&fixture.succeeds(&["graph", &top, "--json"])).unwrap() };
    let first = record();
    let of = |record: &Value, name: &str| -> Value {
        let nodes = record["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["name"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    assert_eq!((&first["schema"], &first["criticalMs"]), (&json!(1), &json!(68_000)));
    assert_eq!((first["nodes"].as_array().unwrap().len(), first["edges"].as_array().unwrap().len()), (8, 9));
    let names = |record: &Value, member: &str| -> Vec<String> {
        let drvs = record[member].as_array().unwrap().iter().map(|drv| drv.as_str().unwrap());
        drvs.map(|drv| drv.split_once('-').unwrap().1.to_owned()).collect()
    };
    assert_eq!(names(&first, "targets"), ["top.drv"]);
    let chain = names(&first, "criticalPath");
    assert_eq!(chain[1..], ["base.drv", "slow.drv", "top.drv"]);
    assert!(chain[0].ends_with(".deb.drv"), "{chain:?}");
    assert_eq!(of(&first, "strange")["builder"], format!("builtin:{STRANGE}"));

    // A step that was built is present and has a size.
    let (_, tree) = fixture.tree("tree", json!({ "a": { "text": "A" } }));
    let state = |json: &str| {
        let record: Value = serde_json::from_str(json).unwrap();
        let node = of(&record, "tree");
        (node["state"].clone(), node["sizeBytes"].is_u64(), node["usualMs"].is_u64())
    };
    assert_eq!(state(&fixture.succeeds(&["graph", &tree, "--json"])), (json!("build"), false, false));
    fixture.succeeds(&["build", &tree]);
    assert_eq!(state(&fixture.succeeds(&["graph", &tree, "--json"])), (json!("present"), true, true));
}

#[test]
fn graphviz_reads_what_is_written_for_it() {
    let (fixture, top) = project();
    let Some(dot) = machine_judge("dot", "OSBUILD_DOT") else { return };
    let check = |words: &[&str], nodes: usize, edges: usize| {
        let file = fixture.place.path().join("g.dot");
        fixture.succeeds(&[&["graph", &top, "-o", "g.dot"][..], words].concat());
        let plain = passes(Command::new(&dot).args(["-Tplain"]).arg(&file));
        let plain = String::from_utf8(plain.stdout).unwrap();
        let count = |word: &str| plain.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!((count("node "), count("edge ")), (nodes, edges), "{plain}");
    };
    // Two of the downloads are one node, the third is on the critical path.
    check(&[], 7, 8);
    check(&["--all"], 8, 9);
}
