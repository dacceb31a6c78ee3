//! The API's records as people read them.

pub(crate) mod node;
mod table;
pub(crate) mod update;

use std::time::{Duration, UNIX_EPOCH};

use osbuild_schema::Schema;
use serde_json::Value;

use crate::ask::Failure;

/// A tree of settings as TOML, which can be applied again.
pub(crate) fn toml(tree: &Value) -> String {
    let mut document = toml_edit::DocumentMut::new();
    if let Value::Object(groups) = tree {
        fill(document.as_table_mut(), groups);
    }
    document.to_string().trim_start().to_owned()
}

fn fill(table: &mut toml_edit::Table, entries: &serde_json::Map<String, Value>) {
    table.set_implicit(true);
    for (name, entry) in entries {
        let item = match entry {
            Value::Object(below) => {
                let mut inner = toml_edit::Table::new();
                fill(&mut inner, below);
                // An empty table is said, too.
                inner.set_implicit(!below.is_empty());
                toml_edit::Item::Table(inner)
            }
            entry => match value(entry) {
                Some(value) => toml_edit::Item::Value(value),
                None => continue,
            },
        };
        table.insert(name, item);
    }
}

fn value(json: &Value) -> Option<toml_edit::Value> {
    Some(match json {
        Value::Null => return None,
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => toml_edit::Value::Array(items.iter().filter_map(value).collect()),
        Value::Object(entries) => {
            let entries = entries.iter().filter_map(|(name, entry)| Some((name, value(entry)?)));
            toml_edit::Value::InlineTable(entries.collect())
        }
    })
}

/// What was changed, and what followed.
pub(crate) fn changes(record: &Value) -> String {
    let mut text = String::new();
    for change in list(&record["changes"]) {
        text.push_str(&format!("{}\n", change_line(change)));
    }
    let applied = &record["applied"];
    let told = [
        ("written", "wrote"),
        ("removed", "removed"),
        ("stopped", "stopped"),
        ("restarted", "restarted"),
        ("reloaded", "reloaded"),
        ("started", "started"),
    ];
    for (key, verb) in told {
        let names: Vec<&str> = list(&applied[key]).iter().filter_map(Value::as_str).collect();
        if !names.is_empty() {
            text.push_str(&format!("{verb} {}\n", names.join(", ")));
        }
    }
    for failure in list(&applied["failures"]) {
        text.push_str(&format!("failed: {}\n", failure.as_str().unwrap_or_default()));
    }
    if !record["unconfirmed"].is_null() {
        text.push_str("goes back by itself unless you confirm it: hostctl confirm\n");
    }
    if text.is_empty() {
        text.push_str("nothing changed\n");
    }
    text
}

fn change_line(change: &Value) -> String {
    let shown = |value: &Value| match value {
        Value::Null => "not set".to_owned(),
        Value::Object(entries) if entries.get("secret") == Some(&Value::Bool(true)) => "(secret)".to_owned(),
        value => value.to_string(),
    };
    let at = change["at"].as_str().unwrap_or_default();
    format!("{at}: {} → {}", shown(&change["was"]), shown(&change["is"]))
}

/// What another version would do with the settings.
pub(crate) fn check(record: &Value) -> String {
    let lines = |what: &str, field: &str| -> String {
        let entries = record[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        entries.map(|entry| format!("{what}: {}\n", table::clean(entry))).collect()
    };
    let all = lines("would be set aside", "dropped") + &lines("would be back", "returned");
    if all.is_empty() { "that version takes all settings as they are\n".to_owned() } else { all }
}

pub(crate) fn history(record: &Value) -> String {
    let mut text = String::new();
    for one in list(&record["generations"]) {
        let message = one["message"].as_str().unwrap_or_default();
        text.push_str(&format!(
            "{:>5}  {}  {}{}{}\n",
            one["number"],
            time(&one["at"]),
            one["cause"].as_str().unwrap_or_default(),
            if message.is_empty() { "" } else { ": " },
            message
        ));
        for change in list(&one["changes"]) {
            text.push_str(&format!("       {}\n", change_line(change)));
        }
    }
    text
}

pub(crate) fn audit(record: &Value) -> String {
    let mut text = String::new();
    for one in list(&record["entries"]) {
        text.push_str(&format!(
            "{}  {}  {}  uid {}  {}\n",
            time(&one["at"]),
            one["status"],
            one["asked"].as_str().unwrap_or_default(),
            one["who"]["uid"],
            one["who"]["name"].as_str().unwrap_or_default(),
        ));
    }
    text
}

pub(crate) fn transactions(record: &Value) -> String {
    let mut text = String::new();
    for one in list(&record["transactions"]) {
        text.push_str(&format!("{}\n", one["name"].as_str().unwrap_or_default()));
    }
    if text.is_empty() {
        text.push_str("nothing is pending\n");
    }
    text
}

/// What may be set: a line each with its type and default, and why.
pub(crate) fn schema(record: &Value, way: Option<&str>) -> Result<String, Failure> {
    let schema = Schema::parse(record.to_string().as_bytes())
        .map_err(|error| Failure { status: 1, lines: vec![error.to_string()] })?;
    let mut text = String::new();
    for (key, setting) in schema.iter().filter(|(key, _)| way.is_none_or(|way| key.is_within(way))) {
        text.push_str(&format!("{key}: {}", setting.kind.expects()));
        if let Some(default) = &setting.default {
            text.push_str(&format!(" (default: {default})"));
        }
        if setting.secret {
            text.push_str(" (secret)");
        }
        text.push_str(&format!("\n    {}\n", setting.description));
    }
    if text.is_empty() {
        return Err(Failure {
            status: 1,
            lines: vec![format!("{}: no such setting", way.unwrap_or_default())],
        });
    }
    Ok(text)
}

pub(crate) fn status(record: &Value) -> String {
    let mut text = format!("settings: generation {}\n", record["generation"]);
    if let Some(seconds) = record["unconfirmedSecondsLeft"].as_u64() {
        text.push_str(&format!("go back in {seconds} s unless you confirm them: hostctl confirm\n"));
    }
    let lines = [
        ("notApplied", "does not hold"),
        ("dropped", "set aside, since this version does not take it"),
        ("spoiled", "cannot be read"),
    ];
    for (key, what) in lines {
        for line in list(&record[key]) {
            text.push_str(&format!("{what}: {}\n", line.as_str().unwrap_or_default()));
        }
    }
    if record["lost"] == Value::Bool(true) {
        text.push_str("all earlier settings are lost: the factory's hold\n");
    }
    if let Some(number) = record["notConfirmedBeforeRestart"].as_u64() {
        text.push_str(&format!("generation {number} was not confirmed before the restart\n"));
    }
    let user_data = &record["userData"];
    if let (Some(source), Some(state)) = (user_data["source"].as_str(), user_data["state"].as_str()) {
        text.push_str(&format!("user data from {source}: {state}\n"));
        for line in user_data["problem"].as_str().unwrap_or_default().lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// 9999-12-31, in seconds since 1970: later has no such form.
const LAST: u64 = 253_402_300_799;

/// `2026-11-27T05:35:54Z`.
fn time(at: &Value) -> String {
    let seconds = at.as_u64().unwrap_or(0).min(LAST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn another_version_says_what_it_would_do() {
        let none = json!({ "dropped": [], "returned": [] });
        assert_eq!(check(&none), "that version takes all settings as they are\n");
        let some = json!({ "dropped": ["a.b: no such setting"], "returned": ["c"] });
        assert_eq!(check(&some), "would be set aside: a.b: no such setting\nwould be back: c\n");
    }

    #[test]
    fn settings_are_shown_as_they_are_written() {
        let tree = json!({
            "network": { "mtu": 1400, "dns": ["1.1.1.1"], "x": null },
            "labels": { "example.com/a": "b \"c\"" }, "empty": {},
            "token": { "secret": true },
        });
        assert_eq!(
            toml(&tree),
            "[empty]\n\n[labels]\n\"example.com/a\" = 'b \"c\"'\n\n[network]\ndns = [\"1.1.1.1\"]\nmtu = 1400\n\n[token]\nsecret = true\n"
        );
        assert_eq!(toml(&json!({})), "");
    }

    #[test]
    fn changes_are_told_with_what_followed() {
        let record = json!({
            "changes": [{ "at": "network.mtu", "was": null, "is": 1400 }, { "at": "token", "was": { "secret": true }, "is": null }],
            "applied": { "written": ["a", "b"], "removed": [], "restarted": ["c.service"], "reloaded": [] },
            "unconfirmed": { "number": 1 },
        });
        assert_eq!(
            changes(&record),
            "network.mtu: not set → 1400\ntoken: (secret) → not set\nwrote a, b\nrestarted c.service\n\
             goes back by itself unless you confirm it: hostctl confirm\n"
        );
        assert_eq!(changes(&json!({ "generation": 1 })), "nothing changed\n");
    }
}
