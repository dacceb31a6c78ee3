//! Lines of the journal, by `journalctl`.

use std::time::Duration;

use osbuild_sys::command::{self, Output};
use serde_json::{Value, json};

use crate::question::Logs;

const JOURNALCTL: &str = "/usr/bin/journalctl";
const LIMIT: Duration = Duration::from_secs(40);
/// Of what `journalctl` says: some 600 bytes a line with what surrounds it.
const OUTPUT_BYTES: u64 = 16 << 20;
/// Of all messages of an answer.
const MESSAGES_BYTES: usize = 3 << 20;
/// Of one message; who says more in one breath is cut off.
const MESSAGE_BYTES: usize = 8 << 10;
const FIELDS: &str = "--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER,_PID,_TRANSPORT";

/// What was found, oldest first.
pub struct Lines {
    lines: Vec<Value>,
    /// There are others that fit, and were left out.
    has_more: bool,
}

impl Lines {
    pub fn to_json(&self) -> Value {
        json!({ "schema": 1, "lines": self.lines, "hasMore": self.has_more })
    }

    pub fn into_lines(self) -> Vec<Value> {
        self.lines
    }
}

/// # Errors
/// The journal cannot be read.
pub fn read(wanted: &Logs) -> Result<Lines, String> {
    let words = words(wanted);
    let call: Vec<&str> = std::iter::once(JOURNALCTL).chain(words.iter().map(String::as_str)).collect();
    let Output { status, stdout, stderr } = command::run_with_room(&call, LIMIT, OUTPUT_BYTES)?;
    // Without a line that fits it ends with 1 and says nothing.
    if status != 0 && !stderr.trim().is_empty() {
        return Err(format!("{JOURNALCTL} ended with {status}: {}", stderr.trim()));
    }
    Ok(found(wanted, &stdout))
}

fn words(wanted: &Logs) -> Vec<String> {
    let mut words: Vec<String> =
        ["--quiet", "--no-pager", "--all", "--boot", "--output=json", FIELDS].map(str::to_owned).to_vec();
    // One more than wanted tells whether there are more.
    let first = if wanted.from_boot { "+" } else { "" };
    words.push(format!("--lines={first}{}", wanted.lines.saturating_add(1)));
    words.extend(wanted.unit.as_ref().map(|unit| format!("--unit={unit}")));
    words.extend(wanted.since.map(|seconds| format!("--since=@{seconds}")));
    words.extend(wanted.priority.map(|priority| format!("--priority={priority}")));
    words.extend(wanted.kernel.then(|| "--dmesg".to_owned()));
    words
}

/// The lines of an output that may have been cut off at its end.
fn found(wanted: &Logs, output: &str) -> Lines {
    let mut lines: Vec<Value> = output.lines().filter_map(line).collect();
    let is_cut_off = !output.is_empty() && !output.ends_with('\n');
    // What was asked for comes first.
    if !wanted.from_boot {
        lines.reverse();
    }
    let mut bytes = 0;
    let fits = |line: &&Value| {
        bytes += line["message"].as_str().map_or(0, str::len);
        bytes <= MESSAGES_BYTES
    };
    let count = lines.iter().take(wanted.lines as usize).take_while(fits).count();
    let has_more = is_cut_off || count < lines.len();
    lines.truncate(count);
    if !wanted.from_boot {
        lines.reverse();
    }
    Lines { lines, has_more }
}

/// One entry (systemd.journal-fields(7)); `None` if it is none, as when it was
/// cut off.
fn line(text: &str) -> Option<Value> {
    let entry: Value = serde_json::from_str(text).ok()?;
    let at_us: u64 = entry["__REALTIME_TIMESTAMP"].as_str()?.parse().ok()?;
    let field = |name: &str| entry.get(name).and_then(in_words);
    let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
    let mut message = field("MESSAGE").unwrap_or_default();
    if message.len() > MESSAGE_BYTES {
        let end = (0..=MESSAGE_BYTES).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    Some(json!({
        "atUs": at_us,
        // What the service manager says of a unit names it in a field of its own.
        "unit": field("UNIT").or_else(|| field("_SYSTEMD_UNIT")),
        "identifier": field("SYSLOG_IDENTIFIER"),
        "pid": number("_PID"),
        "priority": number("PRIORITY"),
        "isKernel": entry["_TRANSPORT"] == "kernel",
        "message": message,
    }))
}

/// A field's value: bytes that are no text come as numbers, and one that is
/// there several times as a list.
fn in_words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            let bytes = items.iter().filter_map(Value::as_u64).filter_map(|byte| u8::try_from(byte).ok());
            Some(String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned())
        }
        Value::Array(items) => items.first().and_then(in_words),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::question::Question;

    fn wanted(query: Value) -> Logs {
        let asked = json!({ "subject": "logs", "query": query }).to_string();
        match Question::parse(asked.as_bytes(), UNIX_EPOCH) {
            Ok(Question::Logs(logs)) => logs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wish_is_one_word() {
        let said = |query| words(&wanted(query))[6..].join(" ");
        assert_eq!(said(json!({})), "--lines=201");
        let all = json!({ "unit": "--help", "since": "1970-01-01T00:01:00Z", "from": "boot", "lines": "5",
            "priority": "warning", "source": "kernel" });
        assert_eq!(said(all), "--lines=+6 --unit=--help.service --since=@60 --priority=4 --dmesg");
    }

    fn entry(message: Value) -> String {
        format!(
            "{}\n",
            json!({ "__REALTIME_TIMESTAMP": "1700000000123456", "MESSAGE": message, "PRIORITY": "6" })
        )
    }

    fn messages(query: Value, output: &str) -> (Vec<String>, bool) {
        let Lines { lines, has_more } = found(&wanted(query), output);
        (lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect(), has_more)
    }

    #[test]
    fn an_entry_becomes_a_line() {
        let text = json!({
            "__REALTIME_TIMESTAMP": "1700000000123456", "__CURSOR": "x", "MESSAGE": "Started a.service.",
            "PRIORITY": "6", "_SYSTEMD_UNIT": "init.scope", "UNIT": "a.service", "SYSLOG_IDENTIFIER": "systemd",
            "_PID": "1", "_TRANSPORT": "journal",
        });
        assert_eq!(
            line(&text.to_string()).unwrap(),
            json!({
                "atUs": 1_700_000_000_123_456u64, "unit": "a.service", "identifier": "systemd", "pid": 1,
                "priority": 6, "isKernel": false, "message": "Started a.service.",
            })
        );
    }

    #[test]
    fn messages_are_text_whatever_they_were() {
        for (message, expected) in [
            (json!("plain"), "plain"),
            (json!([97, 27, 255]), "a\u{1b}\u{fffd}"),
            (json!(["one", "two"]), "one"),
            (json!(null), ""),
            (json!([300, -1]), ""),
            (json!({ "a": 1 }), ""),
        ] {
            assert_eq!(messages(json!({}), &entry(message)).0, [expected]);
        }
        let long = messages(json!({}), &entry(json!("ä".repeat(9000)))).0.concat();
        assert!(long.len() <= MESSAGE_BYTES + 3 && long.ends_with('…'));
    }

    #[test]
    fn the_end_that_was_asked_for_is_kept() {
        let three: String = ["1", "2", "3"].iter().map(|text| entry(json!(text))).collect();
        let kept = |query| messages(query, &three);
        assert_eq!(kept(json!({ "lines": "2" })), (vec!["2".to_owned(), "3".to_owned()], true));
        let first = kept(json!({ "lines": "2", "from": "boot" }));
        assert_eq!(first, (vec!["1".to_owned(), "2".to_owned()], true));
        assert!(!kept(json!({ "lines": "3" })).1);
        // Cut off in the middle of an entry.
        assert_eq!(
            messages(json!({}), &three[..three.len() - 9]),
            (vec!["1".to_owned(), "2".to_owned()], true)
        );
        assert_eq!(messages(json!({}), ""), (vec![], false));
    }

    #[test]
    fn an_answer_has_a_size() {
        let long: String =
            (0..500).map(|number| entry(json!(format!("{number} {}", "x".repeat(8000))))).collect();
        for (query, first) in
            [(json!({ "lines": "500" }), false), (json!({ "lines": "500", "from": "boot" }), true)]
        {
            let (lines, has_more) = messages(query, &long);
            assert!(has_more && lines.iter().map(String::len).sum::<usize>() <= MESSAGES_BYTES);
            assert_eq!(lines[0].starts_with("0 "), first);
            assert_eq!(lines[lines.len() - 1].starts_with("499 "), !first);
        }
    }
}
