//! Systems in which one asserted property is false. The same assertion must
//! fail on them; one that cannot fail proves nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::json;

use crate::contents::no_shell;
use crate::context::Context;
use crate::evidence::{judge, judge_bits};
use crate::gpt::{self, FACTORY};
use crate::scenarios::{Booted, boot_once, nonce};

/// Assertion, variant in which it is false.
const TWINS: &[(&str, &str)] = &[
    ("no unit has failed", "twin-failed-unit"),
    ("containerd is up", "twin-no-containerd"),
    ("a container ran", "twin-foreign-probe"),
    ("root is read-only", "twin-writable-root"),
    ("a start spends a try", "twin-no-decrement"),
    ("only a start that holds is committed", "twin-commits-anyway"),
    ("the static pod runs", "twin-no-pod"),
];

pub(crate) fn all_go_red(context: &Context) -> Result<(), String> {
    for (assertion, variant) in TWINS {
        let target = context.variant(variant);
        let disk = context.scratch(&format!("{variant}.raw"));
        let failures = failures_of(context, &target, &disk)?;
        expect_red(variant, assertion, &failures)?;
    }
    let unverified = unverified_root(context)?;
    expect_red("a linear mapping", "verity is active", &unverified)?;
    match no_shell(context, &context.variant("twin-shell")) {
        Err(why) if why.contains("the root holds") => println!("  twin-shell: {why}"),
        other => return Err(format!("twin-shell: 'no shell' did not go red: {other:?}")),
    }
    let doctored = doctored_evidence(context)?;
    println!("  {} went red", TWINS.len() + 2 + doctored);
    Ok(())
}

fn expect_red(twin: &str, assertion: &str, failures: &[String]) -> Result<(), String> {
    match failures.iter().find(|failure| failure.starts_with(assertion)) {
        Some(failure) => {
            println!("  {twin}: {failure}");
            Ok(())
        }
        None => Err(format!("{twin}: '{assertion}' did not go red: {failures:?}")),
    }
}

/// All that fails on the first start of a disk.
fn failures_of(context: &Context, target: &str, disk: &Path) -> Result<Vec<String>, String> {
    let manifest = context.manifest(&context.build(target)?)?;
    let nonce = nonce();
    let Booted { report, at_start, .. } = boot_once(context, target, disk, &nonce)?;
    let with_pod = manifest["variant"] == "aws-k8s";
    let mut failures = judge(&report, &manifest, &nonce, with_pod);
    let (after, _) = gpt::slots(disk)?;
    failures.extend(judge_bits(FACTORY, at_start.0, after, failures.is_empty()));
    Ok(failures)
}

/// The factory disk with the mapping's kind changed in the kernel's command
/// line, everything else in its place: what verity would refuse, it reads.
fn unverified_root(context: &Context) -> Result<Vec<String>, String> {
    let target = "qemu-dev";
    let image = context.build(target)?;
    let disk = context.scratch("twin-linear.raw");
    let factory = image.join("disk.raw");
    context.run(
        std::process::Command::new("cp")
            .args(["--sparse=always", "--no-preserve=mode"])
            .arg(&factory)
            .arg(&disk),
    )?;
    let (start, length) = gpt::extent(&disk, 2)?;
    let file = OpenOptions::new().read(true).write(true).open(&disk).map_err(|error| error.to_string())?;
    let mut boot = vec![0; length as usize];
    file.read_exact_at(&mut boot, start).map_err(|error| error.to_string())?;
    let (from, to) = (find(&boot, b" verity 1 ", 0)?, b"panic_on_corruption\"");
    let end = find(&boot, to, from)? + to.len();
    let old = String::from_utf8_lossy(&boot[from..end]).into_owned();
    let root = old.split(' ').nth(3).unwrap_or_default();
    let new = format!(" linear {root} 0\"");
    let padded = format!("{new:<width$}", width = end - from);
    file.write_all_at(padded.as_bytes(), start + from as u64).map_err(|error| error.to_string())?;
    failures_of(context, target, &disk)
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Result<usize, String> {
    bytes[from..]
        .windows(wanted.len())
        .position(|window| window == wanted)
        .map(|at| from + at)
        .ok_or_else(|| format!("the kernel image has no {:?}", String::from_utf8_lossy(wanted)))
}

/// The same judge on a true report that is held against another truth.
fn doctored_evidence(context: &Context) -> Result<usize, String> {
    let target = "qemu-dev";
    let manifest = context.manifest(&context.build(target)?)?;
    let disk = context.scratch("doctored.raw");
    let nonce = nonce();
    let report = boot_once(context, target, &disk, &nonce)?.report;
    let mut other_hash = manifest.clone();
    other_hash["root"]["root_hash"] = json!("00".repeat(32));
    let mut other_version = manifest.clone();
    other_version["version"] = json!("9.9.9");
    let cases = [
        ("verity is active", judge(&report, &other_hash, &nonce, false)),
        ("version is the built one", judge(&report, &other_version, &nonce, false)),
        ("a container ran", judge(&report, &manifest, "another nonce", false)),
    ];
    for (assertion, failures) in &cases {
        expect_red("doctored evidence", assertion, failures)?;
    }
    Ok(cases.len())
}
