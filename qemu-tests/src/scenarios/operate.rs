//! A node looked at without a shell, by whoever may use the control container.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::context::{Context, read_json};
use crate::node::expect_in_time;
use crate::ssh::Client;

/// What nobody promised of a test machine: its firmware starts anything, no
/// time server is reached, and its processor (see [`PROCESSOR`]).
const MAY_FAIL: [&str; 3] = ["kernel.processor", "node.secure-boot", "node.time"];
/// All that an emulated processor has no remedy for: it lacks SSBD.
const PROCESSOR: &str = "spec_store_bypass: Vulnerable";
const CHECKS: usize = 28;

/// The system's units, journal, start, slots and report, as `hostctl` tells
/// them; the admin container brings about what they must show.
pub(crate) fn a_node(context: &Context, client: &Client, control: u16, admin: u16) -> Result<(), String> {
    services(client, control)?;
    logs(client, control, admin)?;
    let root_hash = boot(client, control)?;
    slots(client, control, &root_hash)?;
    report(client, control, &MAY_FAIL)?;
    report_turns_red(client, control, admin)?;
    bundle(context, client, control).map(drop)
}

/// What is secret is in no answer and no bundle, even if a program wrote it to
/// the log; and kubelet is as the report says.
pub(crate) fn with_a_secret(
    context: &Context,
    client: &Client,
    (control, admin): (u16, u16),
    secret: &str,
) -> Result<(), String> {
    let kubelet = report(client, control, &MAY_FAIL)?;
    let of_kubelet = |check: &&Value| check["id"].as_str().is_some_and(|id| id.starts_with("kubelet."));
    let count = kubelet.iter().filter(of_kubelet).count();
    if count != 6 {
        return Err(format!("the report has {count} checks of kubelet: {kubelet:?}"));
    }
    client.says(admin, &format!("echo '<3>leaked {secret}' > /dev/kmsg"), 0, "")?;
    client.says(control, "logs --kernel", 0, "leaked (secret)")?;
    let files = bundle(context, client, control)?;
    let leaked = Command::new("grep").arg("-rlF").args([secret, "."]).current_dir(&files).output();
    let leaked = leaked.map_err(|error| format!("cannot run grep: {error}"))?;
    match leaked.status.code() {
        Some(1) => Ok(()),
        _ => Err(format!("the secret is in {}", String::from_utf8_lossy(&leaked.stdout))),
    }
}

fn services(client: &Client, control: u16) -> Result<(), String> {
    let record = asked(client, control, "services")?;
    let services = record["services"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(containerd) = services.iter().find(|service| service["name"] == "containerd.service") else {
        return Err(format!("containerd is no service: {record}"));
    };
    let is_known = |name: &str| containerd[name].as_u64().is_some_and(|number| number > 0);
    if containerd["state"] != "active"
        || !["since", "memoryBytes", "mainPid"].iter().all(|name| is_known(name))
        || !containerd["failure"].is_null()
    {
        return Err(format!("containerd is not as it should be: {containerd}"));
    }
    if services.iter().any(|service| service["state"] == "failed") {
        return Err(format!("a service has failed: {record}"));
    }
    client.says(control, "services containerd", 0, "active (running)")?;
    client.says(control, "services containerd", 0, "its last lines:")?;
    client.says(control, "services nonesuch", 1, "there is no unit nonesuch.service")?;
    // Patterns and options are names of nothing.
    client.says(control, "services '*'", 1, "name: expected the name of a unit")?;
    client.says(control, "services -- --version", 1, "there is no unit --version.service")
}

fn logs(client: &Client, control: u16, admin: u16) -> Result<(), String> {
    client.says(control, "logs --unit containerd --boot", 0, "Started containerd.service")?;
    client.says(control, "logs --kernel --boot --lines 5", 0, "Linux version 6.")?;
    let record = asked(client, control, "logs --lines 3")?;
    if record["lines"].as_array().map(Vec::len) != Some(3) || record["hasMore"] != true {
        return Err(format!("three lines were asked for: {record}"));
    }
    client.says(control, "logs --lines 10001", 1, "lines: expected a number from 1 to 10000")?;
    client.says(control, "logs --since yesterday", 1, "since: expected a time")?;
    client.says(control, "logs --unit '*'", 1, "unit: expected the name of a unit")?;
    // What is logged is shown and not obeyed.
    client.says(admin, r"printf '<3>here \033[2J\n' > /dev/kmsg", 0, "")?;
    client.says(control, "logs --kernel --priority err --since 10m", 0, "kernel: error: here ")?;
    let (_, said) = client.run(control, "logs --kernel --priority err")?;
    if said.contains('\u{1b}') {
        return Err(format!("an escape sequence came through: {said:?}"));
    }
    Ok(())
}

/// The root hash on the command line.
fn boot(client: &Client, control: u16) -> Result<String, String> {
    let record = asked(client, control, "boot")?;
    let ms = |part: &str| {
        let parts = record["durations"].as_array()?;
        parts.iter().find(|one| one["part"] == part)?["ms"].as_u64()
    };
    let is_well = record["early"]["slot"] == "A"
        && record["early"]["private"] == "fresh"
        && record["health"]["verdict"] == "healthy"
        && record["health"]["well"] == true
        && record["watchdog"]["coversBeforeFirstProgram"] == true
        && ["kernel", "early", "units", "verdict"].iter().all(|part| ms(part).is_some());
    let command_line = record["kernel"]["commandLine"].as_str().unwrap_or_default();
    let root_hash = command_line.split(" sha256 ").nth(1).and_then(|rest| rest.split(' ').next());
    match root_hash {
        Some(root_hash) if is_well => Ok(root_hash.to_owned()),
        _ => Err(format!("the start is not told as it was: {record}")),
    }
}

fn slots(client: &Client, control: u16, root_hash: &str) -> Result<(), String> {
    let record = asked(client, control, "slots")?;
    let (a, b) = (&record["slots"][0], &record["slots"][1]);
    let is_told = a["name"] == "A"
        && a["state"] == "GOOD"
        && a["runs"] == true
        && a["version"] == "0.1.0"
        && a["rootHash"] == root_hash
        && b["state"] == "EMPTY"
        && b["runs"] == false
        && b["rootHash"].is_null()
        && record["table"]["needsRepair"] == false;
    if is_told { Ok(()) } else { Err(format!("the slots are not told as they are: {record}")) }
}

/// The checks, if none fails but those that may.
fn report(client: &Client, control: u16, may_fail: &[&str]) -> Result<Vec<Value>, String> {
    let record = asked(client, control, "report")?;
    let checks = record["checks"].as_array().cloned().unwrap_or_default();
    let holds = |check: &&Value| check["status"] == "holds";
    let processor = checks.iter().find(|check| check["id"] == "kernel.processor" && !holds(check));
    if let Some(check) = processor.filter(|check| check["why"] != PROCESSOR) {
        return Err(format!("the kernel leaves more unmitigated than it must: {check}"));
    }
    let unexpected: Vec<&Value> = checks
        .iter()
        .filter(|check| !holds(check) && !may_fail.contains(&check["id"].as_str().unwrap_or_default()))
        .collect();
    if !unexpected.is_empty() || checks.iter().filter(holds).count() < CHECKS - may_fail.len() {
        return Err(format!("the report says {}: {unexpected:?}", record["holds"]));
    }
    Ok(checks)
}

/// A report that cannot go red says nothing.
fn report_turns_red(client: &Client, control: u16, admin: u16) -> Result<(), String> {
    const PARAMETER: &str = "/proc/sys/kernel/kptr_restrict";
    client.says(admin, &format!("echo 0 > {PARAMETER}"), 0, "")?;
    let failing = || -> Result<Vec<String>, String> {
        let record = asked(client, control, "report")?;
        let checks = record["checks"].as_array().cloned().unwrap_or_default();
        let failing = checks.iter().filter(|check| check["status"] == "fails");
        Ok(failing.filter_map(|check| check["id"].as_str().map(str::to_owned)).collect())
    };
    let found = failing()?;
    for id in ["kernel.parameters", "kernel.restrictions"] {
        if !found.contains(&id.to_owned()) {
            return Err(format!("{id} holds with {PARAMETER} at 0: {found:?}"));
        }
    }
    client.says(admin, &format!("echo 2 > {PARAMETER}"), 0, "")?;
    expect_in_time("the report as before", || Ok(failing()?.iter().all(|id| MAY_FAIL.contains(&id.as_str()))))
}

/// Where the bundle's files are, if all of it is there.
fn bundle(context: &Context, client: &Client, control: u16) -> Result<PathBuf, String> {
    let archive = client.output(control, "bundle")?;
    let place = context.scratch("bundle");
    std::fs::create_dir_all(&place).map_err(|error| error.to_string())?;
    unpack(&archive, &place)?;
    let files = place.join("node");
    let about = read_json(&files.join("bundle.json"))?;
    if about["problems"] != serde_json::json!({}) {
        return Err(format!("the bundle lacks something: {}", about["problems"]));
    }
    for (file, part) in [
        ("report.txt", "root.verified"),
        ("services.txt", "containerd.service"),
        ("boot.txt", "watchdog"),
        ("slots.txt", "GOOD"),
        ("settings.txt", "hostname"),
        ("audit.txt", "POST /v1/user-data"),
        ("journal-start.txt", "Linux version"),
        ("kernel.json", "Linux version"),
        ("history.txt", "user data from"),
    ] {
        let text = std::fs::read_to_string(files.join(file)).map_err(|error| format!("{file}: {error}"))?;
        if !text.contains(part) {
            return Err(format!("{file} of the bundle does not say {part:?}: {text:.2000}"));
        }
    }
    Ok(files)
}

fn unpack(archive: &[u8], place: &Path) -> Result<(), String> {
    let mut tar = Command::new("tar")
        .args(["--extract", "--gzip", "--file=-", "--directory"])
        .arg(place)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run tar: {error}"))?;
    let given = tar.stdin.take().map(|mut stdin| stdin.write_all(archive));
    let status = tar.wait().map_err(|error| error.to_string())?;
    match given {
        Some(Ok(())) if status.success() => Ok(()),
        other => Err(format!("the bundle of {} bytes does not unpack: {status}, {other:?}", archive.len())),
    }
}

/// What `hostctl` answers a program.
fn asked(client: &Client, control: u16, command: &str) -> Result<Value, String> {
    let said = client.output(control, &format!("{command} --json"))?;
    let record: Value = serde_json::from_slice(&said).map_err(|error| {
        format!("`{command}` is no record: {error}: {:?}", String::from_utf8_lossy(&said))
    })?;
    if record["schema"] == 1 {
        Ok(record)
    } else {
        Err(format!("`{command}` is of another schema: {record}"))
    }
}
