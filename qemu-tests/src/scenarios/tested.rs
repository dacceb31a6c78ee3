//! What a publisher does: a candidate is tried by `osbuild test`, and given out
//! by the record of it; one that does not hold stays where it is.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::context::{Context, read_json};
use crate::fleet::Fleet;

/// For each machine that `osbuild test` starts, on an idle host.
const TIMEOUT_S: f64 = 900.0;

pub(crate) fn by_record(context: &Context) -> Result<(), String> {
    let first = context.build(&context.variant("follows-1"))?;
    let second = context.build(&context.variant("follows-2"))?;
    let fleet = Fleet::serve(context, "tested")?;
    fleet.publish(&first, &[])?;
    let record = context.scratch("record.json");

    // Nobody goes to what is not published, and nothing is given out untested.
    let test = |image: &Path, more: &[&str]| test(context, image, &record, more);
    let (from, place) = (first.display().to_string(), fleet.repository.display().to_string());
    let update = ["--update-from", &from, "--repository", &place];
    ends(&mut test(&second, &update), 2, "is not published")?;
    publish(context, &fleet, &second, &[], Err("passed: boot and update"))?;
    publish(context, &fleet, &second, &["--channel", "candidate"], Ok("2.0.0 in candidate: published"))?;

    let said = context.run(&mut test(&second, &update))?;
    println!("  {}", said.trim_end().replace('\n', "\n  "));
    for due in ["2.0.0: boot passed", "2.0.0: update passed"] {
        if !said.contains(due) {
            return Err(format!("it does not say {due:?}: {said}"));
        }
    }
    describes(context, &record, &second, &first)?;
    let shown = ["--tested", &record.display().to_string()];
    publish(context, &fleet, &first, &shown, Err("is of another image"))?;
    publish(context, &fleet, &second, &shown, Ok("2.0.0 in stable: published: 1 files"))?;
    publish(context, &fleet, &second, &shown, Ok("is published already"))?;
    fleet.repo(&["verify"], &[])?;
    is_given_out(&fleet.repository, &record)
}

/// The twin: a release that does not hold is told apart by the same command, and
/// its record keeps it from being given out.
pub(crate) fn red(context: &Context) -> Result<(), String> {
    let image = context.build(&context.variant("broken-unhealthy"))?;
    let fleet = Fleet::serve(context, "red")?;
    let record = context.scratch("red.json");
    ends(&mut test(context, &image, &record, &[]), 1, "did not pass: boot")?;
    let predicate = read_json(&record)?["predicate"].clone();
    let seen = json!([predicate["result"], predicate["passedTests"], predicate["failedTests"]]);
    if seen != json!(["FAILED", [], ["boot"]]) {
        return Err(format!("the record does not say that it failed: {predicate}"));
    }
    let shown = ["--tested", &record.display().to_string()];
    publish(context, &fleet, &image, &shown, Err("did not pass: boot"))
}

fn test(context: &Context, image: &Path, record: &Path, more: &[&str]) -> Command {
    let slowness: f64 =
        std::env::var("OSBUILD_TEST_SLOWNESS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let mut command = context.osbuild();
    command.arg("test").arg(image).arg("--record").arg(record).args(more);
    command.args(["--timeout", &format!("{}", (TIMEOUT_S * slowness) as u64)]);
    command
}

/// Publishes by the records alone, and says this, or is refused by that.
fn publish(
    context: &Context,
    fleet: &Fleet<'_>,
    image: &Path,
    more: &[&str],
    due: Result<&str, &str>,
) -> Result<(), String> {
    let mut command = context.osbuild();
    command.args(["repo", "publish"]).arg(&fleet.repository).arg(image).args(more);
    match due {
        Ok(due) => {
            let said = context.run(&mut command)?;
            if said.contains(due) { Ok(()) } else { Err(format!("it does not say {due:?}: {said}")) }
        }
        Err(due) => ends(&mut command, 1, due),
    }
}

/// It ends with this status, and says why.
fn ends(command: &mut Command, status: i32, due: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(status) && said.contains(due) {
        return Ok(());
    }
    Err(format!("{command:?} ended with {}, expected {status} and {due:?}:\n{said}", output.status))
}

/// The record by the specification's words, read without ours.
fn describes(context: &Context, record: &Path, image: &Path, old: &Path) -> Result<(), String> {
    let (record, manifest) = (read_json(record)?, context.manifest(image)?);
    let digest = |of: &str, algorithm: &str| -> Value {
        let subjects = record["subject"].as_array().cloned().unwrap_or_default();
        subjects
            .into_iter()
            .find(|subject| subject["name"] == of)
            .map_or(Value::Null, |subject| subject["digest"][algorithm].clone())
    };
    let used = record["predicate"]["configuration"].as_array().cloned().unwrap_or_default();
    let from = used.iter().find(|used| used["name"] == "updated from").cloned().unwrap_or_default();
    let pairs = [
        (record["_type"].clone(), json!("https://in-toto.io/Statement/v1")),
        (record["predicateType"].clone(), json!("https://in-toto.io/attestation/test-result/v0.1")),
        (record["predicate"]["result"].clone(), json!("PASSED")),
        (record["predicate"]["passedTests"].clone(), json!(["boot", "update"])),
        (digest("root.squashfs", "osbuildRootHash"), manifest["root"]["root_hash"].clone()),
        (digest("root.squashfs", "sha256"), manifest["root"]["sha256"].clone()),
        (digest("boot.efi", "sha256"), manifest["uki"]["sha256"].clone()),
        (from["digest"]["osbuildRootHash"].clone(), context.manifest(old)?["root"]["root_hash"].clone()),
    ];
    match pairs.iter().find(|(found, due)| found != due || due.is_null()) {
        Some((found, due)) => Err(format!("the record has {found} where {due} is due: {record}")),
        None => Ok(()),
    }
}

/// The record is a target of the repository, byte for byte.
fn is_given_out(repository: &Path, record: &Path) -> Result<(), String> {
    let bytes = std::fs::read(record).map_err(|error| error.to_string())?;
    let entries = std::fs::read_dir(repository.join("public/targets")).map_err(|error| error.to_string())?;
    let is_it = |path: &Path| {
        path.to_string_lossy().contains(".test-result.")
            && std::fs::read(path).is_ok_and(|found| found == bytes)
    };
    if entries.flatten().any(|entry| is_it(&entry.path())) {
        Ok(())
    } else {
        Err("the record is not among the targets".to_owned())
    }
}
