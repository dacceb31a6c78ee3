//! Updates as people read of them.

use serde_json::Value;

use super::table::{clean, table};

/// What is going on, then every release with why it is installed or not (yet).
pub(crate) fn status(record: &Value) -> String {
    let text = |name: &str| record[name].as_str();
    let mut shown = String::new();
    let mut line = |name: &str, value: &str| shown.push_str(&format!("{name:<10}{value}\n"));
    match (text("off"), text("state")) {
        (Some(why), _) => line("updates", &format!("off: {why}")),
        (None, Some("activated")) => {
            let version = text("installing").unwrap_or("a release");
            line("updates", &format!("{version} is installed; the next start tries it"));
        }
        (None, Some("installing")) => {
            line("updates", &format!("installing {}", text("installing").unwrap_or("")))
        }
        (None, state) => line("updates", state.unwrap_or("unknown")),
    }
    if text("off").is_none() {
        line("checked", text("checked").unwrap_or("not since the node started"));
    }
    for (name, field) in [("problem", "problem"), ("next", "chosen"), ("loader", "loader")] {
        if let Some(value) = text(field) {
            line(name, value);
        }
    }
    let imported = &record["imported"];
    match (imported["problem"].as_str(), imported["bytes"].as_u64()) {
        (Some(problem), _) => line("imported", &clean(problem)),
        (None, Some(bytes)) => {
            let expires = imported["expires"].as_str().unwrap_or("unknown");
            line("imported", &format!("{} MiB, to be installed before {}", bytes >> 20, clean(expires)));
        }
        (None, None) => {}
    }
    if record["scrub"]["reads"] == true {
        line("scrub", "reading both slots");
    }
    for (name, slot) in [("scrubbed", "running"), ("fallback", "other")] {
        if let Some(found) = scrubbed(&record["scrub"][slot]) {
            line(name, &found);
        }
    }
    let rows: Vec<Vec<String>> = record["releases"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        shown.push_str(&table(&["VERSION", "INDEX", "IS", "WHY"], &rows));
    }
    shown
}

/// When a slot was read through last, and what was found.
fn scrubbed(slot: &Value) -> Option<String> {
    let at = slot["scrubbed"].as_str()?;
    Some(match slot["problem"].as_str() {
        Some(problem) => format!("DAMAGED: {} (found {at})", clean(problem)),
        None => format!("whole ({} MiB read {at})", slot["bytes"].as_u64().unwrap_or(0) >> 20),
    })
}

fn row(release: &Value) -> Vec<String> {
    let text = |name: &str| clean(release[name].as_str().unwrap_or_default());
    vec![text("version"), release["rollbackIndex"].to_string(), text("standing"), text("why")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_release_says_why_not() {
        let record = json!({
            "state": "idle", "off": null, "checked": "2026-11-28T09:00:00Z", "problem": null, "chosen": null,
            "loader": null, "installing": null,
            "imported": { "bytes": 150 << 20, "expires": "2026-12-01T00:00:00Z", "problem": null },
            "releases": [
                { "version": "2.0.0", "rollbackIndex": 2, "standing": "paused", "why": "held by its publisher" },
                { "version": "1.0.0", "rollbackIndex": 1, "standing": "running", "why": "it runs" },
            ],
        });
        assert_eq!(
            status(&record),
            "updates   idle\nchecked   2026-11-28T09:00:00Z\n\
             imported  150 MiB, to be installed before 2026-12-01T00:00:00Z\n\
             VERSION  INDEX  IS       WHY\n\
             2.0.0    2      paused   held by its publisher\n\
             1.0.0    1      running  it runs\n"
        );
        let at = "2026-11-28T09:00:00Z";
        let off = json!({
            "state": "idle", "off": "no repository", "releases": [],
            "scrub": {
                "running": { "scrubbed": at, "bytes": 120 << 20, "problem": null },
                "other": { "scrubbed": at, "bytes": 0, "problem": "block 7 of its root is damaged" },
            },
        });
        assert_eq!(
            status(&off),
            "updates   off: no repository\n\
             scrubbed  whole (120 MiB read 2026-11-28T09:00:00Z)\n\
             fallback  DAMAGED: block 7 of its root is damaged (found 2026-11-28T09:00:00Z)\n"
        );
    }
}
