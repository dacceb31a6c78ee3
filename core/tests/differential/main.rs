//! Random programs, run by the evaluator and by real Nix: both must come to the
//! same value or both fail.
//!
//! Programs are drawn from a seed (`generate`), run in batches (`twins`), and
//! those that differ are made smaller before they are shown (`shrink`). The
//! test runs for a short time. By hand, longer, and with another seed:
//!
//! ```text
//! OSBUILD_DIFFERENTIAL_SECONDS=600 OSBUILD_DIFFERENTIAL_SEED=7 \
//!     cargo test -p osbuild-core --test differential -- --nocapture
//! ```
//!
//! `OSBUILD_DIFFERENTIAL_FILE=programs.txt` compares the lines of a file
//! instead, and shows also those whose messages differ.

mod generate;
mod shrink;
mod twins;

#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

use std::time::{Duration, Instant};

use generate::Choices;
use twins::{Outcome, Twins};

const BATCH: usize = 200;
/// Beyond this many the run is stopped: they are mostly one bug.
const DIFFERENCES_MAXIMUM: usize = 12;

/// Whether releases before 2.34 are known to mean something else by it: they
/// evaluated the left side of `//` first, shortened paths otherwise, had another
/// reader of TOML, and joined literal sets of one name no deeper than once.
fn is_newer_than(judge_is_older: bool, program: &str) -> bool {
    let has = |marks: &[&str]| marks.iter().all(|mark| program.contains(mark));
    let newer = [&["dirOf", "//"][..], &["fromTOML"], &["}; a = { b ="], &["//", "tryEval"]];
    judge_is_older && newer.into_iter().any(has)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn random_programs_mean_the_same() {
    let Some(mut twins) = Twins::new() else { return };
    if let Some(file) = std::env::var_os("OSBUILD_DIFFERENTIAL_FILE") {
        return compare_file(&mut twins, std::path::Path::new(&file));
    }
    let seed = number("OSBUILD_DIFFERENTIAL_SEED", 1);
    let end = Instant::now() + Duration::from_secs(number("OSBUILD_DIFFERENTIAL_SECONDS", 20));
    let judge_is_older = judge::is_older_nix();
    let (mut programs, mut failing, mut same_words, mut unjudged, mut newer) = (0, 0, 0, 0, 0);
    let mut wrong = Vec::new();
    let mut batch = 0;
    while Instant::now() < end && wrong.len() < DIFFERENCES_MAXIMUM {
        let mut drawn = Vec::with_capacity(BATCH);
        for index in 0..BATCH as u64 {
            let mut choices = Choices::seeded(seed.wrapping_mul(1 << 20) + batch * BATCH as u64 + index);
            let program = generate::program(&mut choices);
            drawn.push((program, choices));
        }
        batch += 1;
        let texts: Vec<String> = drawn.iter().map(|(program, _)| program.clone()).collect();
        let outcomes = twins.compare(&texts);
        for ((program, choices), outcome) in drawn.into_iter().zip(outcomes) {
            programs += 1;
            match outcome {
                Outcome::Same => {}
                Outcome::Unjudged => {
                    unjudged += 1;
                    eprintln!("{program}\n  the judge ended without an answer");
                }
                Outcome::BothFail { ours, theirs } => {
                    failing += 1;
                    if ours == theirs {
                        same_words += 1;
                    } else if std::env::var_os("OSBUILD_DIFFERENTIAL_WORDS").is_some() {
                        eprintln!("{program}\n  ours:   {ours}\n  theirs: {theirs}");
                    }
                }
                Outcome::Different { .. } if is_newer_than(judge_is_older, &program) => newer += 1,
                Outcome::Different { .. } => {
                    let (program, outcome) = shrink::shrink(&mut twins, choices, program, outcome);
                    let shown = format!("{program}\n  {outcome}");
                    eprintln!("{shown}");
                    wrong.push(shown);
                }
            }
            if wrong.len() >= DIFFERENCES_MAXIMUM {
                break;
            }
        }
    }
    eprintln!(
        "{programs} programs, {failing} fail on both sides, {same_words} of them with the same words; \
         {} differ, {newer} may differ by the age of the judge, {unjudged} without an answer (seed {seed})",
        wrong.len()
    );
    assert!(newer * 2000 <= programs, "{newer} of {programs} programs differ");
    assert!(unjudged * 100 <= programs, "the judge did not answer for {unjudged} of {programs} programs");
    assert!(wrong.is_empty(), "{} programs differ\n{}", wrong.len(), wrong.join("\n"));
}

fn compare_file(twins: &mut Twins, file: &std::path::Path) {
    let text = std::fs::read_to_string(file).expect("the file of programs is readable");
    let programs: Vec<String> =
        text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("##")).map(str::to_owned).collect();
    let mut different = 0;
    for (programs, outcomes) in programs.chunks(BATCH).map(|chunk| (chunk, twins.compare(chunk))) {
        for (program, outcome) in programs.iter().zip(outcomes) {
            match outcome {
                Outcome::Same => {}
                Outcome::BothFail { ours, theirs } if ours == theirs => {}
                Outcome::BothFail { ours, theirs } => {
                    println!("WORDS {program}\n  ours:   {ours}\n  theirs: {theirs}");
                }
                Outcome::Unjudged => println!("NO ANSWER {program}"),
                outcome @ Outcome::Different { .. } => {
                    different += 1;
                    println!("DIFFERENT {program}\n  {outcome}");
                }
            }
        }
    }
    assert_eq!(different, 0, "programs differ");
}
