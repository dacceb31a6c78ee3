//! What a booted system must show, each by evidence that its own agents cannot
//! make up: the kernel's verity table against the manifest of the build, an
//! answer to a challenge computed inside a container.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::gpt::{Bits, GOOD};
use crate::report::Report;

/// All assertions on one start; the names of those that failed, with why.
pub(crate) fn judge(report: &Report, manifest: &Value, nonce: &str, with_pod: bool) -> Vec<String> {
    let mut failures = Vec::new();
    let mut assert = |name: &str, outcome: Result<(), String>| {
        if let Err(why) = outcome {
            failures.push(format!("{name}: {why}"));
        }
    };
    let started = report.event("started").cloned().unwrap_or(Value::Null);
    assert("verdict is healthy", equal(report.verdict().unwrap_or("none"), "healthy"));
    assert("verity is active", verity(&started, manifest));
    assert("root is read-only", read_only(&started));
    assert(
        "version is the built one",
        equal_values(&started["os_release"]["IMAGE_VERSION"], &manifest["version"]),
    );
    assert("the kernel is locked down", locked_down(&started));
    assert("no module can be loaded", equal_values(&started["takes_modules"], &json!(false)));
    assert("the kernel took its parameters", equal_values(&started["sysctls"], &json!({})));
    assert("no unit has failed", present(report.check("no unit has failed")));
    assert("containerd is up", present(report.check("containerd answers")));
    assert("a container ran", answered(report.check("a container runs"), nonce, "container"));
    if with_pod {
        assert("the static pod answered", answered(report.check("the static pod answered"), nonce, "pod"));
    }
    failures
}

/// What the bits of the slot that ran must show: before the start, when the
/// report began, after the verdict.
pub(crate) fn judge_bits(before: Bits, at_start: Bits, after: Bits, is_well: bool) -> Vec<String> {
    let mut failures = Vec::new();
    // L1: spent before the image is read, so whatever runs sees one less.
    if at_start != (Bits { tries: before.tries - 1, ..before }) {
        failures.push(format!("a start spends a try: {before:?} became {at_start:?}"));
    }
    // O1, and O2's "no bit changes".
    let expected = if is_well { GOOD } else { at_start };
    if after != expected {
        failures.push(format!("only a start that holds is committed: {after:?}, expected {expected:?}"));
    }
    failures
}

/// The device mapper's table names exactly the root hash that was built, and
/// the root is mounted from that device.
fn verity(started: &Value, manifest: &Value) -> Result<(), String> {
    let table =
        started["verity_table"].as_str().ok_or_else(|| format!("no table: {}", started["verity_table"]))?;
    let fields: Vec<&str> = table.split_whitespace().collect();
    // start length verity version data hash block block blocks start algorithm digest salt …
    let expect = |index: usize, value: &str| match fields.get(index) {
        Some(field) if *field == value => Ok(()),
        other => Err(format!("field {index} of the table is {other:?}, expected {value}: {table}")),
    };
    expect(2, "verity")?;
    expect(10, "sha256")?;
    expect(11, manifest["root"]["root_hash"].as_str().unwrap_or("missing"))?;
    if !fields.contains(&"panic_on_corruption") {
        return Err(format!("corruption would not panic: {table}"));
    }
    // The verified device is what the root is mounted from.
    equal_values(&started["root_device"], &started["verity_device"])
}

fn read_only(started: &Value) -> Result<(), String> {
    if started["root_writable"] != false {
        return Err("a file could be written below /usr".to_owned());
    }
    let mount = started["root_mount"].as_str().unwrap_or("");
    let options = mount.split(' ').nth(3).unwrap_or("");
    if mount.split(' ').nth(2) != Some("squashfs") || !options.split(',').any(|option| option == "ro") {
        return Err(format!("the root is mounted as {mount}"));
    }
    Ok(())
}

/// The kernel marks the level that holds (kernel_lockdown(7)).
fn locked_down(started: &Value) -> Result<(), String> {
    let levels = started["lockdown"].as_str().unwrap_or_default();
    let holds = ["[integrity]", "[confidentiality]"].iter().any(|level| levels.contains(level));
    if holds { Ok(()) } else { Err(format!("its levels are {}", started["lockdown"])) }
}

fn answered(detail: Option<&Value>, nonce: &str, name: &str) -> Result<(), String> {
    let stdout = detail.and_then(|detail| detail["stdout"].as_str()).ok_or("no answer")?;
    let digest = Sha256::new().chain_update(nonce.as_bytes()).chain_update(name.as_bytes()).finalize();
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    equal(stdout, &expected)
}

fn present(detail: Option<&Value>) -> Result<(), String> {
    detail.map(|_| ()).ok_or_else(|| "the check did not pass".to_owned())
}

fn equal(actual: &str, expected: &str) -> Result<(), String> {
    if actual == expected { Ok(()) } else { Err(format!("{actual:?}, expected {expected:?}")) }
}

fn equal_values(actual: &Value, expected: &Value) -> Result<(), String> {
    if actual == expected && !actual.is_null() {
        Ok(())
    } else {
        Err(format!("{actual}, expected {expected}"))
    }
}
