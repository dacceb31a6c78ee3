//! Planted faults: builds that are not reproducible in the ways that builds
//! usually are not. Each has to be found, down to the place, and blamed on what
//! it comes from.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osbuild_compare::{Limits, report::text};
use osbuild_core::verify::blame::Cause;
use osbuild_core::verify::rounds::Rounds;
use osbuild_core::verify::verdict::Inquiry;
use osbuild_core::verify::{Variation, Variations};
use osbuild_store::StorePath;
use osbuild_store::store::{Ingestion, SourceSink as _, SourceTree};

use super::fixture::Fixture;
use super::samples::{File, gzip, squashfs, tar};
use super::verify::steps;

/// What is wrong with a build: what it comes from, and what is said of where.
struct Fault {
    script: &'static str,
    cause: Cause,
    said: &'static [&'static str],
}

fn only(variation: Variation) -> Cause {
    Cause::Variations(vec![[variation].into_iter().collect()])
}

/// The cause, and all that is said of the difference.
fn finding(fixture: &Fixture, derivation: &StorePath) -> (Cause, String) {
    let engine = fixture.engine();
    let scratch = fixture.store.scratch("compare").unwrap();
    let inquiry = Inquiry {
        rounds: &Rounds::new(&engine, true),
        limits: Limits::default(),
        scratch: scratch.path(),
        finds_causes: true,
    };
    let steps = steps(fixture, derivation);
    let mut verdicts = inquiry.run(&steps, &[Variations::all()], &mut |_| {}).unwrap();
    let verdict = verdicts.pop().unwrap();
    let [finding] = &verdict.findings[..] else { panic!("{verdict:?}") };
    let said = text::render(finding.difference.as_ref().unwrap(), "first", "second");
    (verdict.cause.unwrap(), said)
}

#[track_caller]
fn check(fixture: &Fixture, derivation: &StorePath, cause: &Cause, said: &[&str]) {
    let (found, text) = finding(fixture, derivation);
    assert_eq!(found, *cause, "{text}");
    for part in said {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn usual_faults_are_found_and_blamed() {
    let fixture = Fixture::new();
    let faults = [
        Fault {
            script: "mkdir $out; echo steady > $out/a; echo \"built on $(date -u +%Y-%m-%d)\" > $out/version",
            cause: only(Variation::Clock),
            said: &["version: text", "hint: timestamp"],
        },
        // The times of files are lost in a store, not in an archive; here that of the
        // day, which is the same in every run.
        Fault {
            script: "mkdir docs; echo steady > docs/a; mkdir $out
                     day=$(($(date -r docs/a +%s) / 86400 * 86400))
                     tar -c --mtime=@$day --owner=0 --group=0 --mode=0644 docs/a > $out/docs.tar",
            cause: only(Variation::Clock),
            said: &["docs.tar › docs/a", "mtime", "hint: timestamp"],
        },
        Fault {
            script: "mkdir -p $out/lib; echo \"prefix=$PWD/root\" > $out/lib/x.pc",
            cause: only(Variation::Path),
            said: &["lib › x.pc: text", "/build-elsewhere-", "hint: path"],
        },
        Fault {
            script: "mkdir d; for name in 1 2 3 4 5 6 7 8 9; do echo $name > d/$name; done
                     tar -c --mtime=@0 --owner=0 --group=0 --mode=0644 d > $out",
            cause: only(Variation::DirectoryOrder),
            said: &["order of members", "hint: order"],
        },
        Fault {
            script: "mkdir $out; echo \"id = $(cat /proc/sys/kernel/random/uuid)\" > $out/instance.toml",
            cause: Cause::Itself,
            said: &["instance.toml: text", "hint: random-id"],
        },
        // As many jobs as there are cores write into one file as they end.
        Fault {
            script: "running=0
                     for job in 5 4 3 2 1; do
                         (sleep 0.$job; echo job $job) >> log &
                         running=$((running + 1))
                         [ $((running % NIX_BUILD_CORES)) != 0 ] || wait
                     done
                     wait; cp log $out",
            cause: only(Variation::Cores),
            said: &["job 5", "hint: order"],
        },
    ];
    for (index, Fault { script, cause, said }) in faults.into_iter().enumerate() {
        let derivation = fixture.shell(&format!("fault-{index}"), script, &[]);
        check(&fixture, &derivation, &cause, said);
    }
}

/// A root image in which a compressed archive has a file with the year.
fn image(year: &str) -> Vec<u8> {
    let made = format!("made in {year}\n");
    let archive = tar(&[File::new("doc/a", b"steady\n"), File::new("doc/year", made.as_bytes())]);
    squashfs(&[("/a", b"steady\n"), ("/doc/all.tar.gz", &gzip(&archive, 0))])
}

#[test]
fn a_fault_in_an_archive_in_the_root_image_is_found_and_blamed() {
    let fixture = Fixture::new();
    let place = tempfile::tempdir().unwrap();
    let mut images = BTreeMap::new();
    for (name, year) in [("now", "2026"), ("then", "2027")] {
        let file = place.path().join(name);
        std::fs::write(&file, image(year)).unwrap();
        images.insert(name.into(), SourceTree::Regular { path: file, executable: false });
    }
    let images =
        fixture.store.add_source("images", &SourceTree::Directory(images), Ingestion::Recursive).unwrap();
    // There is no writer of such images in the sandbox: both have been made, and the clock chooses.
    let half = Duration::from_secs(200 * 24 * 60 * 60);
    let change = (SystemTime::now() + half).duration_since(UNIX_EPOCH).unwrap().as_secs();
    let script = format!(
        "mkdir $out; image=now; [ $(date +%s) -lt {change} ] || image=then
         cp $source/$image $out/root.squashfs"
    );
    let derivation = fixture.shell_of("root", &script, &images);
    let place = "root.squashfs › doc/all.tar.gz › contents › doc/year: text";
    check(&fixture, &derivation, &only(Variation::Clock), &[place, "made in 2026", "made in 2027"]);
}
