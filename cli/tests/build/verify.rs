//! `osbuild verify`: what is the same, what is not and why, in words, records
//! and a page.

use std::ffi::OsStr;

use serde_json::{Value, json};

use super::browser::Browser;
use super::fixture::{Fixture, in_order};
use super::judge::machine_judge;

/// A step that is always the same, one whose archive holds the year, and one
/// made of both.
fn project() -> (Fixture, String) {
    let fixture = Fixture::new();
    let (base, _) = fixture.shell("base-1.0", "mkdir $out; echo base > $out/file", &[]);
    let stamped = "mkdir -p $out/share made; date '+<b>%Y' > made/year; \
                   tar -c --sort=name --mtime=@0 --owner=0 --group=0 --mode=0755 made > $out/share/docs.tar";
    let (stamp, _) = fixture.shell("stamp-2.0", stamped, &[&base]);
    let (_, top) = fixture.shell("top", "cat $input0/file $input1/share/docs.tar > $out", &[&base, &stamp]);
    (fixture, top)
}

fn last(records: &str) -> Value {
    serde_json::from_str(records.lines().last().unwrap()).unwrap()
}

#[test]
fn what_is_the_same_is_said_to_be_and_remembered() {
    let (fixture, top) = project();
    let words = ["verify", &top, "--only", "base", "--only", "top"];
    let out = fixture.succeeds(&words);
    in_order(&out, &["2 steps are the same, bit for bit", "round 1: zone, ", "round 2: clock, "]);
    let record = |extra: &[&str]| {
        let out = fixture.succeeds(&[&words, extra].concat());
        let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_base = records.iter().filter(|record| record["step"]["name"] == "base-1.0");
        of_base.map(|record| record["step"]["rounds"][0].clone()).collect::<Vec<_>>()
    };
    for round in record(&["--json"]) {
        // As the probe of the run that is remembered found it.
        assert_eq!((&round["ending"], &round["idle"]), (&json!("known"), &json!([])));
        assert_ne!(round["acted"], json!([]));
    }
    let asked_for = record(&["--json", "--rounds", "3"]);
    assert_eq!(asked_for.len(), 3);
    assert!(asked_for.iter().all(|round| round["ending"] == "same"), "{asked_for:?}");
    let fresh = record(&["--json", "--fresh"]);
    let acted: Vec<&Value> = fresh.iter().flat_map(|round| round["acted"].as_array().unwrap()).collect();
    assert_eq!((fresh.len(), acted.len()), (2, 14), "{fresh:?}");
    assert!(fresh.iter().all(|round| round["ending"] == "same" && round["idle"] == json!([])), "{fresh:?}");
}

#[test]
fn what_differs_is_named_with_its_cause() {
    let (fixture, top) = project();
    let report = fixture.place.path().join("report");
    let (out, err, code) = fixture.run(&["verify", &top, "--report", "report"]);
    assert_eq!(code, 3, "{out}{err}");
    in_order(
        &out,
        &[
            "stamp-2.0 is not reproducible",
            "cause: it differs with clock varied and nothing else",
            "share › docs.tar",
            "made/year",
        ],
    );
    assert!(!out.contains("top"), "what is made of it is not at fault: {out}");
    in_order(&err, &["error: 1 of 3 steps are not reproducible, first of all stamp-2.0"]);

    let record: Value = serde_json::from_slice(&std::fs::read(report.join("report.json")).unwrap()).unwrap();
    assert_eq!((&record["schema"], &record["isReproducible"]), (&json!(1), &json!(false)));
    let stamp = record["steps"].as_array().unwrap().iter().find(|step| step["name"] == "stamp-2.0").unwrap();
    let (first, second) = (&stamp["rounds"][0], &stamp["rounds"][1]);
    assert_eq!((&first["ending"], &second["ending"]), (&json!("same"), &json!("differs")));
    assert_eq!(second["cause"]["variations"], json!([["clock"]]));

    let junit = std::fs::read_to_string(report.join("junit.xml")).unwrap();
    in_order(&junit, &["name=\"round 2: clock,", "failures=\"1\"", "name=\"stamp-2.0\"", "<failure "]);
    let table = std::fs::read_to_string(report.join("table.md")).unwrap();
    let columns = |line: &str| line.split(" | ").count();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(rows.iter().all(|row| columns(row) == columns(rows[0])), "{table}");
    in_order(&table, &["verify ", "Round 1: zone", "Round 2: clock", "stamp-2.0", "differs", "▲"]);

    let Some(browser) = Browser::start() else { return };
    browser.open(&report.join("report.html"));
    let count =
        |selector: &str| browser.script(&format!("return document.querySelectorAll('{selector}').length"));
    assert_eq!(browser.text("#verdict"), "1 of 3 steps are not reproducible, first of all stamp-2.0");
    assert_eq!(
        (count("#steps tbody tr"), count("#rounds tbody tr"), count("article")),
        (json!(3), json!(2), json!(1))
    );
    assert_eq!((count("#steps th.variation"), count("#steps td.blamed")), (json!(14), json!(1)));
    let article = browser.text("article");
    in_order(
        &article,
        &["stamp-2.0, round 2", "Cause: it differs with clock", "share › docs.tar", "made/year"],
    );
    // Foreign text stays text, and a tree folds without a script.
    in_order(&article, &["<b>"]);
    let shown = || browser.script("return document.querySelector('article details pre').checkVisibility()");
    assert_eq!(shown(), true);
    browser.click("article summary");
    assert_eq!(shown(), false);
    browser.is_content();
}

#[test]
fn what_does_not_build_so_is_said_with_its_cause_and_last_words() {
    let fixture = Fixture::new();
    let (_, top) =
        fixture.shell("fixed-1.0", "mkdir $out; echo begins; cd /build; echo made > $out/file", &[]);
    let (out, err, code) = fixture.run(&["verify", &top, "--report", "report"]);
    assert_eq!(code, 1, "{out}{err}");
    in_order(
        &out,
        &[
            "fixed-1.0 does not build with zone,",
            "cause: it fails with path varied and nothing else, and with nothing varied it does not\n",
            "  | begins",
            "  | ",
            "/build",
        ],
    );
    in_order(&err, &["error: 1 of 1 steps do not build so: fixed-1.0"]);
    let read = |name: &str| std::fs::read_to_string(fixture.place.path().join("report").join(name)).unwrap();
    let record: Value = serde_json::from_str(&read("report.json")).unwrap();
    let round = &record["steps"][0]["rounds"][0];
    assert_eq!(
        (&round["cause"]["variations"], &round["lastLines"][0]),
        (&json!([["path"]]), &json!("begins"))
    );
    in_order(&read("junit.xml"), &["errors=\"1\"", "<error ", "begins"]);
    in_order(&read("report.html"), &["It does not build so", "begins", "Cause: it fails with path"]);
    in_order(&read("table.md"), &["| fixed-1.0 |  | does not build |", "▲"]);
}

#[test]
fn diffoscope_says_it_at_length_where_it_is() {
    let Some(program) = machine_judge("diffoscope", "OSBUILD_DIFFOSCOPE") else { return };
    let (fixture, top) = project();
    let words = ["verify", &top, "--only", "stamp", "--vary", "clock", "--no-blame", "--report", "report"];
    // With what it opens archives by.
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let (out, err, code) = fixture.run_with(&words, &[("PATH", OsStr::new(&path))]);
    assert_eq!(code, 3, "{out}{err}");
    let report = fixture.place.path().join("report");
    let read = |name: &str| std::fs::read_to_string(report.join(name)).unwrap();
    let record: Value = serde_json::from_str(&read("report.json")).unwrap();
    let long = record["steps"][0]["rounds"][0]["outputs"][0]["longForm"].as_str().unwrap();
    in_order(&read(long), &["share/docs.tar", "made/year"]);
    in_order(&read("report.html"), &[&format!("<a href=\"{long}\">"), "diffoscope"]);
}

#[test]
fn variations_are_chosen_by_name() {
    let (fixture, top) = project();
    let out = fixture.succeeds(&["verify", &top, "--vary", "zone,umask", "--json"]);
    assert_eq!((&last(&out)["isReproducible"], &last(&out)["steps"]), (&json!(true), &json!(3)));
    fixture.fails(&["verify", &top, "--vary", "moon"], 2, &["there is no variation 'moon'", "clock"]);
    fixture.fails(
        &["verify", &top, "--only", "bass"],
        2,
        &["error: no step below is called 'bass'", "hint: there are base-1.0, stamp-2.0, top"],
    );
    let out = fixture.succeeds(&["verify", &top, "--vary", "clock", "--except", "stamp", "--json"]);
    assert_eq!(last(&out)["steps"], 2);
    fixture.fails(&["verify", &top, "--except", "bass"], 2, &["no step below is called 'bass'"]);
    let (_, err, code) = fixture.run(&["verify", &top, "--vary", "clock", "--no-blame"]);
    assert_eq!((code, err.contains("stamp-2.0")), (3, true), "{err}");
}
