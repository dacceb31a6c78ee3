//! Units of the service manager, by `systemctl`.

use std::collections::BTreeMap;
use std::time::Duration;

use osbuild_sys::command::{self, Output};
use serde_json::{Value, json};

use crate::logs;
use crate::question::{Logs, UnitName};

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const LIMIT: Duration = Duration::from_secs(30);
const OUTPUT_BYTES: u64 = 4 << 20;
const PROPERTIES: &str = "--property=Id,Description,LoadState,ActiveState,SubState,Result,MainPID,NRestarts,\
     MemoryCurrent,StateChangeTimestamp,ExecMainCode,ExecMainStatus,ConditionResult";
/// Kinds that can fail; of all but services only those that did are shown.
const PATTERNS: [&str; 5] = ["*.service", "*.socket", "*.mount", "*.swap", "*.timer"];
/// What a unit said last is of use when it failed.
const LAST_LINES: u32 = 10;

/// Properties by name, as `systemctl show` prints them.
pub type Properties = BTreeMap<String, String>;

/// Every service that there is, and whatever else failed; what failed first.
///
/// # Errors
/// The service manager does not answer.
pub fn all() -> Result<Value, String> {
    let call = [&["--all", PROPERTIES, "--"], &PATTERNS[..]].concat();
    let mut units: Vec<Properties> = show(&call)?.into_iter().filter(is_shown).collect();
    units.sort_by_key(|unit| (rank(text(unit, "ActiveState")), text(unit, "Id").to_owned()));
    let services: Vec<Value> = units.iter().map(record).collect();
    Ok(json!({ "schema": 1, "services": services }))
}

/// One of any type with its last lines; `None` if there is none.
///
/// # Errors
/// The service manager does not answer, or the journal cannot be read.
pub fn one(name: &UnitName) -> Result<Option<Value>, String> {
    let units = show(&[PROPERTIES, "--", name.as_str()])?;
    let Some(unit) = units.first().filter(|unit| text(unit, "LoadState") != "not-found") else {
        return Ok(None);
    };
    let mut service = record(unit);
    service["lastLines"] = logs::read(&Logs::last_of(name, LAST_LINES))?.into_lines().into();
    Ok(Some(json!({ "schema": 1, "services": [service] })))
}

/// Names of the units that have failed.
///
/// # Errors
/// The service manager does not answer.
pub fn failed() -> Result<Vec<String>, String> {
    let call = ["--state=failed", "--property=Id,ActiveState", "--", "*"];
    let failed = show(&call)?.into_iter().filter(|unit| text(unit, "ActiveState") == "failed");
    Ok(failed.map(|unit| text(&unit, "Id").to_owned()).collect())
}

/// What the service manager says of units, or of itself if none is named.
///
/// # Errors
/// It does not answer.
pub fn show(words: &[&str]) -> Result<Vec<Properties>, String> {
    let call = [&[SYSTEMCTL, "show", "--no-pager", "--timestamp=unix"], words].concat();
    let Output { status, stdout, stderr } = command::run_with_room(&call, LIMIT, OUTPUT_BYTES)?;
    if status != 0 {
        return Err(format!("{SYSTEMCTL} ended with {status}: {}", stderr.trim()));
    }
    Ok(parse(&stdout))
}

/// `NAME=VALUE` lines, with an empty line between units.
fn parse(output: &str) -> Vec<Properties> {
    let owned = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let units = output.split("\n\n").map(|unit| unit.lines().filter_map(owned).collect());
    units.filter(|unit: &Properties| !unit.is_empty()).collect()
}

pub fn text<'p>(unit: &'p Properties, name: &str) -> &'p str {
    unit.get(name).map_or("", String::as_str)
}

/// A number, where the service manager knows one.
pub fn number(unit: &Properties, name: &str) -> Option<u64> {
    // With `--timestamp=unix`, times begin with an at sign.
    text(unit, name).trim_start_matches('@').parse().ok().filter(|number| *number != u64::MAX)
}

fn is_shown(unit: &Properties) -> bool {
    if text(unit, "ActiveState") == "failed" {
        return true;
    }
    let name = text(unit, "Id");
    // Whoever looks sees itself.
    name.ends_with(".service") && text(unit, "LoadState") == "loaded" && !name.starts_with("osbuild-inspect@")
}

fn rank(state: &str) -> usize {
    const ORDER: [&str; 5] = ["failed", "activating", "reloading", "deactivating", "active"];
    ORDER.iter().position(|one| *one == state).unwrap_or(ORDER.len())
}

fn record(unit: &Properties) -> Value {
    let above_zero = |name: &str| number(unit, name).filter(|number| *number > 0);
    json!({
        "name": text(unit, "Id"),
        "description": text(unit, "Description"),
        "state": text(unit, "ActiveState"),
        "subState": text(unit, "SubState"),
        // Since it is so; in seconds since 1970.
        "since": above_zero("StateChangeTimestamp"),
        "restarts": number(unit, "NRestarts"),
        "memoryBytes": number(unit, "MemoryCurrent"),
        "mainPid": above_zero("MainPID"),
        "failure": failure(unit),
    })
}

/// Why it ended as it should not have, in words (systemd.exec(5), `Result`).
fn failure(unit: &Properties) -> Option<String> {
    let status = text(unit, "ExecMainStatus");
    Some(match text(unit, "Result") {
        "" | "success" => return None,
        "exit-code" => format!("its program ended with {status}"),
        "signal" => format!("signal {status} ended its program"),
        "core-dump" => format!("its program crashed by signal {status}"),
        "timeout" => "it took longer than it may".to_owned(),
        "watchdog" => "it gave no sign of life for longer than it may".to_owned(),
        "oom-kill" => "there was not enough memory".to_owned(),
        "start-limit-hit" => "it was started too often in too short a time".to_owned(),
        "protocol" => "it did not say that it was ready".to_owned(),
        "resources" => "the service manager could not start it".to_owned(),
        "exec-condition" => "a condition of its own did not hold".to_owned(),
        other => other.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "\
Id=b.service
Description=B
LoadState=loaded
ActiveState=failed
SubState=failed
Result=exit-code
MainPID=0
NRestarts=4
MemoryCurrent=[not set]
StateChangeTimestamp=@1700000000
ExecMainCode=1
ExecMainStatus=203

Id=a.service
Description=A = a
LoadState=loaded
ActiveState=active
SubState=running
Result=success
MainPID=41
NRestarts=0
MemoryCurrent=4096
StateChangeTimestamp=
ExecMainStatus=0

Id=c.mount
LoadState=loaded
ActiveState=active
";

    #[test]
    fn properties_become_a_record() {
        let units = parse(SHOWN);
        assert_eq!(
            record(&units[0]),
            json!({
                "name": "b.service", "description": "B", "state": "failed", "subState": "failed",
                "since": 1_700_000_000, "restarts": 4, "memoryBytes": null, "mainPid": null,
                "failure": "its program ended with 203",
            })
        );
        assert_eq!(
            record(&units[1]),
            json!({
                "name": "a.service", "description": "A = a", "state": "active", "subState": "running",
                "since": null, "restarts": 0, "memoryBytes": 4096, "mainPid": 41, "failure": null,
            })
        );
    }

    #[test]
    fn services_are_shown_and_what_failed() {
        let unit = |name: &str, load: &str, state: &str| -> Properties {
            let pairs = [("Id", name), ("LoadState", load), ("ActiveState", state)];
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        };
        for (name, load, state, expected) in [
            ("a.service", "loaded", "inactive", true),
            ("a.service", "not-found", "inactive", false),
            ("a.service", "bad-setting", "failed", true),
            ("a.mount", "loaded", "active", false),
            ("a.mount", "loaded", "failed", true),
            ("osbuild-inspect@1.service", "loaded", "active", false),
        ] {
            assert_eq!(is_shown(&unit(name, load, state)), expected, "{name} {load} {state}");
        }
        assert!(rank("failed") < rank("activating") && rank("active") < rank("inactive"));
    }

    #[test]
    fn an_output_that_makes_no_sense_is_no_unit() {
        for output in ["", "\n\n\n", "nonsense\n\nmore"] {
            assert_eq!(parse(output), Vec::<Properties>::new());
        }
    }
}
