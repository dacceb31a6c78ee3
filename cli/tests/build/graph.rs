//! `osbuild graph`: what it prints, what Graphviz and a browser make of it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use osbuild_core::derivation;
use osbuild_store::local::Usage;
use osbuild_store::{HashAlgorithm, LocalStore, NixHash, StoreDir, StorePath};
use serde_json::{Value, json};

use super::browser::Browser;
use super::fixture::{Fixture, floating, in_order};
use super::judge::{machine_judge, passes};

/// `top` needs `slow`, `quick` and what a strange builder makes; all of them
/// need `base`, which unpacks three downloads. `base` took 2 s, `slow` a
/// minute, `quick` 300 ms.
fn project() -> (Fixture, String) {
    let fixture = Fixture::new();
    // Names as long and as wide as real ones.
    let names = ["mount_2.41.5-0+deb13u1_amd64.deb", "libcap2_2.75-10+deb13u1_amd64.deb", "gcc_14_amd64.deb"];
    let downloads: Vec<StorePath> = names
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
    for (name, wall_ms) in [("base", 2_000), ("slow", 60_000), ("quick", 300)] {
        store.note_usage(name, &Usage { wall_ms, processes: None }, b"").unwrap();
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

fn page(fixture: &Fixture, top: &str, name: &str, words: &[&str]) -> PathBuf {
    fixture.succeeds(&[&["graph", top, "-o", name][..], words].concat());
    fixture.place.path().join(name)
}

#[test]
fn a_browser_shows_and_answers() {
    let (fixture, top) = project();
    let file = page(&fixture, &top, "g.html", &[]);
    let Some(browser) = Browser::start() else { return };
    browser.open(&file);
    assert_eq!(browser.script("return document.title"), "Build graph of top");
    let count =
        |selector: &str| browser.script(&format!("return document.querySelectorAll('{selector}').length"));
    assert_eq!((count(".node"), count(".lines path.critical")), (json!(7), json!(3)));
    browser.is_content();

    critical_path(&browser);
    zoom_and_pan(&browser);
    search(&browser);
    details(&browser);
    keyboard(&browser);
    table(&browser);
    browser.is_content();
    foreign_scripts_do_not_run(&browser);
}

fn critical_path(browser: &Browser) {
    assert_eq!(browser.text("#critical-total"), "1 min 8 s (2 of 4 steps assumed)");
    let list = browser.text("#critical ol");
    in_order(&list, &[".deb", "1.0 s assumed", "base", "2.0 s", "slow", "1 min", "top", "5.0 s assumed"]);
    browser.click("#critical li:nth-child(3) button");
    assert_eq!(browser.text("#details h2"), "slow");
    assert_eq!(browser.text("#details [data-fact='Critical path']"), "number 3 of 4");
    browser.click("#close");
}

fn zoom_and_pan(browser: &Browser) {
    let level = || -> i64 {
        let text = browser.text("#zoom-level");
        text.trim_end_matches(" %").parse().unwrap_or_else(|_| panic!("{text}"))
    };
    let place = || browser.script("return document.getElementById('view').getAttribute('transform')");
    browser.click("#zoom-fit");
    let fitted = (level(), place());
    browser.click("#zoom-in");
    assert!(level() > fitted.0);
    browser.click("#zoom-out");
    browser.click("#zoom-out");
    assert!(level() < fitted.0);
    browser.press("0");
    assert_eq!((level(), place()), fitted);
    browser.press("+");
    let nearer = level();
    assert!(nearer > fitted.0);
    browser.press("-");
    assert_eq!(level(), fitted.0);
    browser.wheel((400, 400), -300);
    assert!(level() > nearer);
    browser.wheel((400, 400), 300);
    assert_eq!(level(), fitted.0);

    // What lies under the pointer stays there, and a drag chooses nothing.
    let (x, y) = (60, 840);
    let before = place();
    browser.drag((x, y - 400), (x + 120, y - 350));
    assert_ne!(place(), before);
    assert_eq!(browser.script("return document.getElementById('details').hidden"), true);
    browser.click("#zoom-fit");
    assert_eq!(place(), fitted.1);
}

fn search(browser: &Browser) {
    let hits =
        || browser.script("return [...document.querySelectorAll('.node.hit')].map((e) => e.textContent)");
    // A path finds, too, and what is folded is found in its node.
    browser.press("/");
    browser.type_into("#query", ".deb");
    assert_eq!(browser.text("#hit-count"), "3 found");
    assert_eq!(hits().as_array().map(Vec::len), Some(2));
    browser.press("\u{e007}");
    assert_eq!(browser.text("#hit-count"), "1 of 3");
    let first = browser.text("#details h2");
    browser.press("\u{e007}");
    assert_eq!(browser.text("#hit-count"), "2 of 3");
    let second = browser.text("#details h2");
    assert!(first.ends_with(".deb") && second.ends_with(".deb") && first != second, "{first} {second}");
    browser.press("\u{e00c}");
    assert_eq!((browser.text("#hit-count"), hits()), (String::new(), json!([])));
    browser.type_into("#query", "no such step");
    assert_eq!(browser.text("#hit-count"), "0 found");
    browser.press("\u{e00c}");
    browser.press("\u{e00c}");
}

fn details(browser: &Browser) {
    choose(browser, "slow");
    assert_eq!(browser.text("#details h2"), "slow");
    let fact = |name: &str| browser.text(&format!("#details [data-fact='{name}']"));
    assert!(fact("Derivation").ends_with("-slow.drv"));
    assert_eq!(
        (fact("Kind"), fact("State"), fact("Usual time")),
        ("build".into(), "maybe".into(), "1 min".into())
    );
    assert_eq!(fact("Size"), "not in the store");
    assert!(fact("Builder").starts_with("/bin/sh on "));
    let neighbours = browser.text("#details");
    in_order(&neighbours, &["Needs (1)", "base", "Needed by (1)", "top"]);
    // From neighbour to neighbour.
    browser.click("#details ul:last-of-type button");
    assert_eq!(browser.text("#details h2"), "top");
    assert_eq!(browser.script("return document.querySelector('.node.chosen .name').textContent"), "top");
    in_order(&browser.text("#details"), &["Needs (3)", "Needed by: none"]);
    // Several downloads list themselves.
    choose(browser, "2 downloads");
    in_order(
        &browser.text("#details"),
        &["2 downloads", "Downloads (2)", ".deb", ".deb", "Needed by (1)", "base"],
    );
    // The strange builder is shown as it is called.
    choose(browser, "strange");
    assert!(browser.text("#details [data-fact='Builder']").contains(STRANGE));
    assert_eq!(browser.script("return document.querySelectorAll('#details img').length"), 0);
}

/// Clicks a node, with all of them in sight.
fn choose(browser: &Browser, label: &str) {
    browser.click("#zoom-fit");
    browser.click(&node(label));
}

/// The node whose label this is, as a selector.
fn node(label: &str) -> String {
    format!(".node[aria-label^='{label},']")
}

fn keyboard(browser: &Browser) {
    choose(browser, "slow");
    browser.script(&format!("document.querySelector(\"{}\").focus()", node("slow")));
    let at = || browser.script("return document.activeElement.getAttribute('aria-label')");
    let is_at =
        |label: &str| assert!(at().as_str().unwrap_or("").starts_with(label), "{} is not {label}", at());
    for (key, label) in [("\u{e014}", "base"), ("\u{e012}", ""), ("\u{e012}", "top"), ("\u{e014}", "")] {
        browser.press(key);
        is_at(label);
    }
    browser.press("\u{e00c}");
    assert_eq!(browser.script("return document.getElementById('details').hidden"), true);
    browser.press("\u{e007}");
    assert_eq!(browser.script("return document.getElementById('details').hidden"), false);
    assert_eq!(
        browser.spoken(&node("slow")),
        ("button".into(), "slow, maybe · 1 min, number 3 of the critical path".into())
    );
    assert_eq!(browser.spoken("#zoom-in"), ("button".into(), "Zoom in".into()));
    assert_eq!(browser.spoken("#query"), ("searchbox".into(), "Find".into()));
    // One stop of the Tab key for all nodes.
    assert_eq!(browser.script("return document.querySelectorAll('.node[tabindex=\"0\"]').length"), 1);
}

fn table(browser: &Browser) {
    browser.click("#tab-table");
    let names = || {
        let rows = browser
            .script("return [...document.querySelectorAll('tbody td button')].map((e) => e.textContent)");
        rows.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    let sort = |column: usize| browser.click(&format!("th:nth-child({column}) button"));
    let sorted = |column: usize| {
        browser.script(&format!("return document.querySelector('th:nth-child({column})').ariaSort"))
    };
    // The slowest first; what never ran is last either way.
    assert_eq!(
        (names()[..3].to_vec(), sorted(4)),
        (vec!["slow".into(), "base".into(), "quick".into()], json!("descending"))
    );
    sort(4);
    assert_eq!(
        (names()[..3].to_vec(), sorted(4)),
        (vec!["quick".into(), "base".into(), "slow".into()], json!("ascending"))
    );
    sort(1);
    let by_name = names();
    assert!(by_name.is_sorted() && by_name.len() == 8, "{by_name:?}");
    assert_eq!((sorted(1), sorted(4)), (json!("ascending"), json!("none")));
    sort(6);
    // Of equal ones the one that was found first.
    assert_eq!(names()[..2], ["top", "base"]);
    browser.click("tbody tr:nth-child(1) button");
    assert_eq!(browser.text("#details h2"), names()[0]);
    // What is looked for is what the table holds.
    browser.type_into("#query", "quick");
    assert_eq!(names(), ["quick"]);
    browser.press("\u{e00c}");
    assert_eq!(names().len(), 8);
    // What was chosen meanwhile is in sight.
    browser.click("tbody tr:nth-child(2) button");
    browser.click("#tab-picture");
    let middle = browser.script(
        "const [node, panel] = ['.node.chosen', '#picture'].map((s) => document.querySelector(s).getBoundingClientRect()); \
         return Math.abs(node.x + node.width / 2 - panel.x - panel.width / 2) < 30",
    );
    assert_eq!(middle, true);
}

/// The page's own policy, rather than its escaping, has the last word.
fn foreign_scripts_do_not_run(browser: &Browser) {
    assert_eq!(browser.script("return window.escaped === undefined"), true);
    assert_eq!(browser.script("return performance.getEntriesByType('resource').length"), 0);
    browser.script(
        "const script = document.createElement('script'); \
         script.textContent = 'window.escaped = 2'; document.body.append(script)",
    );
    assert_eq!(browser.script("return window.escaped === undefined"), true);
    let refusal = browser.console().join("\n");
    assert!(refusal.contains("Content Security Policy"), "{refusal}");
}

#[test]
fn a_browser_reads_the_drawing_alone() {
    let (fixture, top) = project();
    let file = page(&fixture, &top, "g.svg", &["--all"]);
    let Some(browser) = Browser::start() else { return };
    browser.open(&file);
    let root = browser.script("return document.documentElement.nodeName");
    let wrong = browser.script("return document.getElementsByTagName('parsererror').length");
    let count =
        |class: &str| browser.script(&format!("return document.getElementsByClassName('{class}').length"));
    // Folded, two of the downloads are in one frame.
    assert_eq!((root, wrong, count("node"), count("member")), (json!("svg"), json!(0), json!(7), json!(2)));
    // Every label lies within its box, in the font that this machine has.
    let wide = browser.script(
        "return [...document.querySelectorAll('.node, .member')].filter((node) => [...node.querySelectorAll(':scope > text')]\
         .some((text) => text.getBBox().width + 20 > node.querySelector(':scope > .box').getBBox().width))\
         .map((node) => node.textContent)",
    );
    assert_eq!(wide, json!([]));
    browser.is_content();
}
