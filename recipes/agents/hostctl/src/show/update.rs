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
    let rows: Vec<Vec<String>> = record["releases"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        shown.push_str(&table(&["VERSION", "INDEX", "IS", "WHY"], &rows));
    }
    shown
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
            "releases": [
                { "version": "2.0.0", "rollbackIndex": 2, "standing": "paused", "why": "held by its publisher" },
                { "version": "1.0.0", "rollbackIndex": 1, "standing": "running", "why": "it runs" },
            ],
        });
        assert_eq!(
            status(&record),
            "updates   idle\nchecked   2026-11-28T09:00:00Z\n\
             VERSION  INDEX  IS       WHY\n\
             2.0.0    2      paused   held by its publisher\n\
             1.0.0    1      running  it runs\n"
        );
        let off = json!({ "state": "idle", "off": "no repository", "releases": [] });
        assert_eq!(status(&off), "updates   off: no repository\n");
    }
}
