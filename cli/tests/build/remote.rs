//! `osbuild build --remote` as a user types it.

use super::casd::{Casd, builder};
use super::fixture::Fixture;

/// A configuration for the cluster, with what its machines need.
fn configure(fixture: &Fixture, address: &str) {
    let text = format!(
        "[remote]\naddress = \"{address}\"\n[remote.properties]\nunixUID = \"1000\"\nunixGID = \"1000\"\n"
    );
    let directory = fixture.place.path().join(".config/osbuild");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), text).unwrap();
}

fn run(fixture: &Fixture, words: &[&str]) -> (String, String, i32) {
    fixture.run_with(words, &[("OSBUILD_REMOTE_BUILDER", builder().as_os_str())])
}

#[test]
fn a_configured_cluster_builds_and_says_so() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    configure(&fixture, &casd.config().address);
    let (low, _) = fixture.shell("low", "echo low > $out", &[]);
    let (_, file) = fixture.shell("top", "cat $input0 > $out; echo the log", &[&low]);

    let (out, err, code) = run(&fixture, &["build", "--dry-run", &file]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        out.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect::<Vec<_>>(),
        ["low", "top"]
    );

    let (out, err, code) = run(&fixture, &["build", "--no-link", &file]);
    assert_eq!(code, 0, "{err}");
    for expected in ["built remotely: low (", "built remotely: top (", "copied from a cache: top ("] {
        assert!(err.contains(expected), "{err}");
    }
    assert!(!err.contains("copied from a cache: low"), "{err}");
    let built = out.trim_end().replace("PLACE", fixture.place.path().to_str().unwrap());
    assert_eq!(std::fs::read_to_string(&built).unwrap(), "low\n");
    let (log, err, _) = fixture.run(&["log", &file]);
    assert_eq!(log, "the log\n", "{err}");
    fixture.is_sound();

    // Here it comes out the same, which building again shows.
    let (again, err, code) = fixture.run(&["build", "--no-link", "--no-remote", "--rebuild", &file]);
    assert_eq!((again, code), (out, 0), "{err}");
    assert!(err.contains("built top ("), "{err}");

    // Another store learns it from the cluster.
    let other = Fixture::new();
    configure(&other, &casd.config().address);
    let (low, _) = other.shell("low", "echo low > $out", &[]);
    let (_, file) = other.shell("top", "cat $input0 > $out; echo the log", &[&low]);
    let (out, err, code) = run(&other, &["build", "--no-link", "--json", &file]);
    assert_eq!(code, 0, "{err}");
    for expected in [r#""kind":"remote""#, r#""outcome":"found""#, r#""kind":"copy""#, r#""event":"result""#]
    {
        assert!(out.contains(expected), "{out}");
    }
}

#[test]
fn what_nobody_asked_a_cluster_for_is_forgotten_and_found_there_again() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    configure(&fixture, &casd.config().address);
    let (low, _) = fixture.shell("low", "echo low > $out", &[]);
    let (_, file) = fixture.shell("top", "cat $input0 > $out", &[&low]);
    let (_, err, code) = run(&fixture, &["build", "--no-link", &file]);
    assert_eq!(code, 0, "{err}");
    let records = |home: &std::path::Path| -> Vec<std::path::PathBuf> {
        let clusters = home.join("remote").read_dir().unwrap();
        let files = clusters.flat_map(|cluster| cluster.unwrap().path().read_dir().unwrap());
        files.map(|file| file.unwrap().path()).collect()
    };
    let home = fixture.home();
    let gc = |words: &[&str]| fixture.succeeds(&[&["store", "gc"], words].concat());
    assert_eq!(records(&home).len(), 2);
    assert_eq!(gc(&["--unused-for", "1h"]), "removed 0 objects (0 MiB) and 0 leftovers\n");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(40 * 24 * 3600);
    for record in records(&home) {
        std::fs::File::open(record).unwrap().set_modified(long_ago).unwrap();
    }
    assert_eq!(gc(&["--unused-for", "1h", "--dry-run"]), "would remove 0 objects (0 MiB) and 2 leftovers\n");
    assert_eq!(records(&home).len(), 2);
    assert!(gc(&["--unused-for", "1h"]).ends_with(" and 2 leftovers\n"));
    assert_eq!(records(&home), Vec::<std::path::PathBuf>::new());
    let (_, file) = fixture.shell("other", "cat $input0 > $out; echo other >> $out", &[&low]);
    let (_, err, code) = run(&fixture, &["build", "--no-link", &file]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("built remotely: other ("), "{err}");
    assert!(!err.contains("built remotely: low ("), "{err}");
}

#[test]
fn a_failure_there_reads_as_one_here() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    configure(&fixture, &casd.config().address);
    let (_, file) = fixture.shell("broken", "echo first; echo last >&2; exit 7", &[]);
    let there = run(&fixture, &["build", "--quiet", &file]);
    assert_eq!(there, fixture.run(&["build", "--quiet", "--no-remote", &file]));
    assert!(there.1.starts_with(
        "error: builder failed with exit code 7\n  while building: broken\n  | first\n  | last\n"
    ));
    assert_eq!(there.2, 1);
}

#[test]
fn a_source_that_was_collected_is_missed_there_as_here() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    configure(&fixture, &casd.config().address);
    let (_, file) = fixture.shell("any", "echo > $out", &[]);
    fixture.succeeds(&["store", "gc"]);
    let here = fixture.run(&["build", "--quiet", "--no-remote", &file]);
    let there = run(&fixture, &["build", "--quiet", &file]);
    assert_eq!(there, here);
    let (_, err, code) = here;
    assert!(err.starts_with("error: input "), "{err}");
    let said =
        "-root is not in the store, and no derivation makes it\n  while building: any\nhint: evaluate again";
    assert!(err.contains(said), "{err}");
    assert_eq!(code, 1);
}

#[test]
fn machines_without_namespaces_are_named_with_the_remedy() {
    let Some(casd) = Casd::start() else { return };
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("any", "echo > $out", &[]);
    let (_, err, code) = run(&fixture, &["build", "--quiet", "--remote", &casd.config().address, &file]);
    assert_eq!(code, 1, "{err}");
    for expected in ["a machine there cannot run the build: ", "while building: any", "[remote.properties]"] {
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
fn addresses_that_lead_nowhere_are_errors() {
    let fixture = Fixture::new();
    let (_, file) = fixture.shell("any", "echo > $out", &[]);
    fixture.fails(
        &["build", "--remote", "http://h.invalid:80", &file],
        2,
        &["error: 'http://h.invalid:80' is no cluster: expected grpc://HOST:PORT[/INSTANCE]"],
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("grpc://127.0.0.1:{free}");
    fixture.fails(
        &["build", "--remote", &address, &file],
        1,
        &[
            &format!("error: {address}: cannot ask what it can do: "),
            "refused",
            "hint: --no-remote builds here",
        ],
    );
    fixture.fails(&["build", "--remote", &address, "--no-remote", &file], 2, &["cannot be used with"]);
}
