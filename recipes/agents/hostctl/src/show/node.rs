//! How the node is, as people read it.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::table::{clean, size, table};
use super::{LAST, list, time};

pub(crate) fn services(record: &Value) -> String {
    let services = list(&record["services"]);
    let rows: Vec<Vec<String>> = services
        .iter()
        .map(|service| {
            vec![
                text(&service["name"]),
                format!("{} ({})", text(&service["state"]), text(&service["subState"])),
                service["since"].as_u64().map(|_| time(&service["since"])).unwrap_or_default(),
                number(&service["restarts"]),
                service["memoryBytes"].as_u64().map(size).unwrap_or_default(),
                number(&service["mainPid"]),
                text(&service["failure"]),
            ]
        })
        .collect();
    let mut shown = table(&["UNIT", "STATE", "SINCE", "RESTARTS", "MEMORY", "PID", "WHY"], &rows);
    for service in services {
        let lines = list(&service["lastLines"]);
        if !lines.is_empty() {
            shown.push_str(&format!("\nits last lines:\n{}", lines_of(lines)));
        }
    }
    shown
}

pub(crate) fn logs(record: &Value) -> String {
    lines_of(list(&record["lines"]))
}

fn lines_of(lines: &[Value]) -> String {
    let line = |line: &Value| {
        let at_us = line["atUs"].as_u64().unwrap_or(0).min(LAST * 1_000_000);
        let at = UNIX_EPOCH + Duration::from_micros(at_us);
        let who = match (&line["identifier"], &line["unit"]) {
            (Value::String(identifier), _) => clean(identifier),
            _ if line["isKernel"] == Value::Bool(true) => "kernel".to_owned(),
            (_, unit) => text(unit),
        };
        let process = line["pid"].as_u64().map(|pid| format!("[{pid}]")).unwrap_or_default();
        let mark = match line["priority"].as_u64() {
            Some(0..=3) => "error: ",
            Some(4) => "warning: ",
            _ => "",
        };
        let at = humantime::format_rfc3339_millis(at);
        format!("{at} {who}{process}: {mark}{}\n", text(&line["message"]))
    };
    lines.iter().map(line).collect()
}

pub(crate) fn boot(record: &Value) -> String {
    let mut shown = String::new();
    let mut line = |what: &str, said: String| shown.push_str(&format!("{what:14}{said}\n"));
    let (os, kernel) = (&record["os"], &record["kernel"]);
    line(
        "system",
        format!("{} {} (build {})", text(&os["VARIANT_ID"]), text(&os["VERSION_ID"]), text(&os["BUILD_ID"])),
    );
    line("kernel", format!("{} {}", text(&kernel["release"]), text(&kernel["version"])));
    line("command line", text(&kernel["commandLine"]));
    let started = record["startedAt"].as_u64().map_or("not known".to_owned(), |_| time(&record["startedAt"]));
    line("started", format!("{started}, {} ago", seconds(&record["uptimeMs"])));
    line("boot id", text(&record["bootId"]));
    let part = |part: &Value| format!("{} {}", text(&part["part"]), seconds(&part["ms"]));
    line("took", list(&record["durations"]).iter().map(part).collect::<Vec<_>>().join(", "));
    line("watchdog", text(&record["watchdog"]["why"]));
    let early = &record["early"];
    if early.is_object() {
        let failures: Vec<String> = list(&early["failures"]).iter().map(text).collect();
        let failures = if failures.is_empty() { "nothing failed".to_owned() } else { failures.join(", ") };
        let (disk, slot) = (text(&early["disk"]), text(&early["slot"]));
        line("early", format!("disk {disk}, slot {slot}, PRIVATE {}, {failures}", text(&early["private"])));
    } else {
        line("early", "left no word".to_owned());
    }
    let health = &record["health"];
    if health.is_object() {
        let failing: Vec<String> = list(&health["failing"]).iter().map(text).collect();
        let now =
            if failing.is_empty() { "well".to_owned() } else { format!("fails: {}", failing.join(", ")) };
        line(
            "health",
            format!("{} after {}, now {now}", text(&health["verdict"]), seconds(&health["verdict_ms"])),
        );
    } else {
        line("health", "not judged yet".to_owned());
    }
    if !record["problem"].is_null() {
        line("problem", text(&record["problem"]));
    }
    shown
}

pub(crate) fn slots(record: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&record["slots"])
        .iter()
        .map(|slot| {
            vec![
                text(&slot["name"]),
                text(&slot["state"]),
                if slot["runs"] == Value::Bool(true) { "runs".to_owned() } else { String::new() },
                text(&slot["version"]),
                number(&slot["rollbackIndex"]),
                number(&slot["priority"]),
                number(&slot["tries"]),
                match &slot["problem"] {
                    Value::Null => text(&slot["rootHash"]),
                    problem => text(problem),
                },
            ]
        })
        .collect();
    let headings = ["SLOT", "STATE", "", "VERSION", "INDEX", "PRIORITY", "TRIES", "ROOT HASH"];
    let mut shown = table(&headings, &rows);
    if record["table"]["needsRepair"] == Value::Bool(true) {
        let copy = text(&record["table"]["from"]);
        shown.push_str(&format!("one copy of the partition table is torn: the {copy} one counts\n"));
    }
    let remembered = &record["remembered"];
    if remembered["floor"].as_u64().is_some_and(|floor| floor > 0) {
        shown.push_str(&format!("nothing older than index {} is installed\n", remembered["floor"]));
    }
    if !remembered["trial"].is_null() {
        shown.push_str(&format!("on trial: {}\n", text(&remembered["trial"]["version"])));
    }
    for refused in list(&remembered["refused"]) {
        let (version, verdict) = (text(&refused["version"]), text(&refused["verdict"]));
        shown.push_str(&format!("refused: {version} ({verdict}) {}\n", text(&refused["rootHash"])));
    }
    shown
}

pub(crate) fn report(record: &Value) -> String {
    let mut checks: Vec<&Value> = list(&record["checks"]).iter().collect();
    let rank = |check: &Value| {
        ["fails", "unknown"].iter().position(|status| check["status"] == *status).unwrap_or(2)
    };
    checks.sort_by_key(|check| rank(check));
    let mut shown = String::new();
    for check in checks {
        let references: Vec<String> = list(&check["references"]).iter().map(text).collect();
        let references =
            if references.is_empty() { String::new() } else { format!(" [{}]", references.join(", ")) };
        shown.push_str(&format!(
            "{:8} {}: {}{references}\n         {}\n",
            text(&check["status"]),
            text(&check["id"]),
            text(&check["title"]),
            text(&check["why"])
        ));
    }
    let count = |status: &str| record[status].as_u64().unwrap_or(0);
    let (holds, fails, unknown) = (count("holds"), count("fails"), count("unknown"));
    shown.push_str(&format!("\n{holds} hold, {fails} fail, {unknown} cannot be seen\n"));
    shown
}

fn text(value: &Value) -> String {
    value.as_str().map(clean).unwrap_or_default()
}

fn number(value: &Value) -> String {
    value.as_u64().map(|number| number.to_string()).unwrap_or_default()
}

fn seconds(ms: &Value) -> String {
    match ms.as_u64() {
        Some(ms) => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        None => "not known".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn units_are_a_table_with_what_one_said_last() {
        let record = json!({ "services": [{
            "name": "a.service", "state": "failed", "subState": "failed", "since": 1_700_000_000, "restarts": 4,
            "memoryBytes": null, "mainPid": null, "failure": "its program ended with 1",
            "lastLines": [{ "atUs": 1_700_000_000_500_000u64, "identifier": "a", "pid": 7, "priority": 3, "message": "no\u{1b}" }],
        }]});
        assert_eq!(
            services(&record),
            "UNIT       STATE            SINCE                 RESTARTS  MEMORY  PID  WHY\n\
             a.service  failed (failed)  2023-11-14T22:13:20Z  4                      its program ended with 1\n\n\
             its last lines:\n2023-11-14T22:13:20.500Z a[7]: error: no\\u{1b}\n"
        );
    }

    #[test]
    fn lines_say_who_wrote_them() {
        let record = json!({ "lines": [
            { "atUs": u64::MAX, "identifier": null, "unit": null, "isKernel": true, "priority": 4, "message": "m" },
            { "atUs": 0, "identifier": null, "unit": "a.service", "message": "m\n" },
            {},
        ]});
        assert_eq!(
            logs(&record),
            "9999-12-31T23:59:59.000Z kernel: warning: m\n1970-01-01T00:00:00.000Z a.service: m ⏎ \n\
             1970-01-01T00:00:00.000Z : \n"
        );
    }

    #[test]
    fn slots_are_told_with_what_is_remembered() {
        let record = json!({
            "slots": [{ "name": "A", "state": "GOOD", "runs": true, "version": "1.2.3", "rollbackIndex": 4,
                "priority": 2, "tries": 3, "rootHash": "abcd", "problem": null }],
            "table": { "from": "backup", "needsRepair": true },
            "remembered": { "floor": 3, "trial": null, "verdict": null,
                "refused": [{ "version": "1.2.4", "verdict": "silent", "rootHash": "ef" }] },
        });
        assert_eq!(
            slots(&record),
            "SLOT  STATE        VERSION  INDEX  PRIORITY  TRIES  ROOT HASH\n\
             A     GOOD   runs  1.2.3    4      2         3      abcd\n\
             one copy of the partition table is torn: the backup one counts\n\
             nothing older than index 3 is installed\nrefused: 1.2.4 (silent) ef\n"
        );
    }

    #[test]
    fn what_fails_comes_first() {
        let check = |id: &str, status: &str| json!({ "id": id, "title": "T", "status": status, "why": "W", "references": [id] });
        let record = json!({ "holds": 1, "fails": 1, "unknown": 1,
            "checks": [check("a", "holds"), check("b", "unknown"), check("c", "fails")] });
        assert_eq!(
            report(&record),
            "fails    c: T [c]\n         W\nunknown  b: T [b]\n         W\nholds    a: T [a]\n         W\n\n\
             1 hold, 1 fail, 1 cannot be seen\n"
        );
    }

    #[test]
    fn a_start_is_told_as_far_as_it_is_known() {
        let record = json!({
            "os": { "VARIANT_ID": "v", "VERSION_ID": "1", "BUILD_ID": "b" }, "kernel": { "release": "6" },
            "uptimeMs": 61_250, "durations": [{ "part": "firmware", "ms": null }, { "part": "kernel", "ms": 1200 }],
            "watchdog": { "why": "none" }, "early": null,
            "health": { "verdict": "healthy", "verdict_ms": 9000, "well": false, "failing": ["x"] },
        });
        let shown = boot(&record);
        for line in [
            "system        v 1 (build b)\n",
            "started       not known, 61.2 s ago\n",
            "took          firmware not known, kernel 1.2 s\n",
            "early         left no word\n",
            "health        healthy after 9.0 s, now fails: x\n",
        ] {
            assert!(shown.contains(line), "{line}{shown}");
        }
    }
}
