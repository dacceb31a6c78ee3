//! A disk that is really full: a small tmpfs in namespaces of its own.

use serde_json::{Value, json};

use super::fixture::{Fixture, in_order};

const DISK_KIB: u32 = 24_000;

/// Runs `script` where `PLACE/small` is a file system with this much room, all
/// of it once `small/filler` is removed; `$osbuild` is the command, and its
/// store is there. What was printed.
fn on_small_disk(fixture: &Fixture, room_kib: u32, script: &str) -> String {
    let small = fixture.place.path().join("small");
    std::fs::create_dir_all(&small).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={DISK_KIB}k small {0}
         head -c {1}k /dev/zero > small/filler
         {script}",
        small.display(),
        DISK_KIB - room_kib
    );
    fixture.with_mounts(&small.join("home"), &script)
}

/// About 5 MiB in sixteen files.
fn large(fixture: &Fixture) -> String {
    let file = |index: usize| (format!("f{index}"), json!({ "text": format!("{index:>8}").repeat(40_000) }));
    let files: serde_json::Map<String, Value> = (0..16).map(file).collect();
    fixture.tree("large", files.into()).1
}

/// At whatever moment the disk is full, the message says so and names the
/// place, the store is sound, and with more room the same command succeeds.
#[test]
fn a_full_disk_is_named_at_whatever_moment() {
    let fixture = Fixture::new();
    let file = large(&fixture);
    let source = fixture.place.path().join("source");
    std::fs::write(&source, "x".repeat(5 << 20)).unwrap();
    let url = format!("file://{}", source.display());
    let fetched = fixture.fetch("source", json!({ "urls": [url] }), "x".repeat(5 << 20).as_bytes());
    for target in [&file, &fetched] {
        // From a database that cannot be begun to an output that is not whole.
        for room_kib in [16, 60, 150, 500, 1500, 2500, 4000] {
            let script = format!(
                "code=0; $osbuild build --no-link --quiet {target} 2>&1 || code=$?; echo \"code $code\"
                 rm small/filler
                 $osbuild store verify; $osbuild build --no-link --quiet {target}; $osbuild store verify",
            );
            let text = on_small_disk(&fixture, room_kib, &script);
            let hint = "hint: the disk of PLACE/small/home is full: `osbuild store gc` frees space, then run the command again";
            in_order(
                &text,
                &["error: ", hint, "code 1\n", "0 problems", "PLACE/small/home/store/", "0 problems"],
            );
        }
    }
}

/// The remedy works where there is not one free byte.
#[test]
fn garbage_is_collected_on_a_full_disk() {
    let fixture = Fixture::new();
    let file = large(&fixture);
    let script = format!(
        "$osbuild build --no-link --quiet {file}
         if cat /dev/zero >> small/filler 2> /dev/null; then echo 'the disk never filled'; exit 1; fi
         if echo x > small/one-more 2> /dev/null; then echo 'the disk has room left'; exit 1; fi
         rm -f small/one-more
         $osbuild store gc
         rm small/filler
         $osbuild build --no-link --quiet {file}; $osbuild store verify"
    );
    let text = on_small_disk(&fixture, 16_000, &script);
    in_order(&text, &["-large\n", "removed 2 objects (9 MiB)", "-large\n", "2 objects, 0 problems"]);
}

/// A builder tells of it in its log; the remedy is the same.
#[test]
fn a_builder_that_fills_the_disk_is_understood() {
    let fixture = Fixture::new();
    // It makes room again before it says what happened, or there would be no
    // place for the log either.
    let script =
        "message=$(while cat /bin/sh; do :; done 2>&1 > $out); rm $out; echo \"$message\" >&2; exit 1";
    let (_, file) = fixture.shell("filler", script, &[]);
    // The package root of this build comes along.
    let script = format!(
        "cp -a home small/home
         $osbuild build --no-link --quiet {file} 2>&1 || echo \"code $?\"
         $osbuild store verify"
    );
    let text = on_small_disk(&fixture, DISK_KIB, &script);
    in_order(
        &text,
        &[
            "error: builder failed with exit code 1\n  while building: filler",
            "No space left on device",
            "whole log: PLACE/small/home/log/",
            "hint: the disk of PLACE/small/home is full",
            "code 1\n",
            "0 problems",
        ],
    );
}
