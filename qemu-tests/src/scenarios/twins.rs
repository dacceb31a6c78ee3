//! Systems in which one asserted property is false. The same assertion must
//! fail on them; one that cannot fail proves nothing.

use std::path::Path;

use serde_json::json;

use crate::command_line::edited_disk;
use crate::context::Context;
use crate::evidence::{judge, judge_bits};
use crate::gpt::{self, FACTORY};
use crate::scenarios::contents::no_shell;
use crate::scenarios::scrub;
use crate::scenarios::security;
use crate::scenarios::{Booted, boot_once, nonce};

/// Assertion, variant in which it is false.
const TWINS: &[(&str, &str)] = &[
    ("no unit has failed", "twin-failed-unit"),
    ("containerd is up", "twin-no-containerd"),
    ("a container ran", "twin-foreign-probe"),
    ("root is read-only", "twin-writable-root"),
    ("a start spends a try", "twin-no-decrement"),
    ("only a start that holds is committed", "twin-commits-anyway"),
    ("the static pod answered", "twin-no-pod"),
    ("the kernel took its parameters", "twin-unknown-sysctl"),
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
    let open = without_lockdown(context)?;
    expect_red("no lockdown", "the kernel is locked down", &open)?;
    match no_shell(context, &context.variant("twin-shell")) {
        Err(why) if why.contains("the root holds") => println!("  twin-shell: {why}"),
        other => return Err(format!("twin-shell: 'no shell' did not go red: {other:?}")),
    }
    wrong_template(context)?;
    // It is healthy as often as it starts, and so it is never left.
    let trusts = scrub::with(context, "twin-trusts-cuts").err().unwrap_or_default();
    expect_red("twin-trusts-cuts", "verity is active", &[trusts])?;
    let doctored = doctored_evidence(context)?;
    let confined = security::goes_red(context)?;
    println!("  {} went red", TWINS.len() + 5 + doctored + confined);
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

/// A template that fails only on a node makes no image.
fn wrong_template(context: &Context) -> Result<(), String> {
    let reasons = [
        "99-wrong: the image has no unit nobody.service",
        "99-wrong:7: a setting that is not set cannot be written",
    ];
    match context.build(&context.variant("twin-wrong-template")) {
        Err(why) if reasons.iter().all(|reason| why.contains(reason)) => {
            reasons.iter().for_each(|reason| println!("  twin-wrong-template: {reason}"));
            Ok(())
        }
        other => Err(format!("twin-wrong-template: the image was not refused as it should: {other:?}")),
    }
}

/// The factory disk with the mapping's kind changed in the kernel's command
/// line, everything else in its place: what verity would refuse, it reads.
fn unverified_root(context: &Context) -> Result<Vec<String>, String> {
    let target = "qemu-dev";
    let disk = context.scratch("twin-linear.raw");
    edited_disk(context, target, &disk, " verity 1 ", "panic_on_corruption\"", |mapping| {
        let root = mapping.split(' ').nth(3).unwrap_or_default();
        format!(" linear {root} 0\"")
    })?;
    failures_of(context, target, &disk)
}

/// The same disk, and a kernel that is not told to lock itself down.
fn without_lockdown(context: &Context) -> Result<Vec<String>, String> {
    let target = "qemu-dev";
    let disk = context.scratch("twin-lockdown.raw");
    edited_disk(context, target, &disk, " lockdown=", "integrity", |_| String::new())?;
    failures_of(context, target, &disk)
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
    let mut with_modules = report.clone();
    for line in with_modules.lines.iter_mut().filter(|line| line["event"] == "started") {
        line["data"]["takes_modules"] = json!(true);
    }
    let cases = [
        ("no module can be loaded", judge(&with_modules, &manifest, &nonce, false)),
        ("verity is active", judge(&report, &other_hash, &nonce, false)),
        ("version is the built one", judge(&report, &other_version, &nonce, false)),
        ("a container ran", judge(&report, &manifest, "another nonce", false)),
    ];
    for (assertion, failures) in &cases {
        expect_red("doctored evidence", assertion, failures)?;
    }
    Ok(cases.len())
}
