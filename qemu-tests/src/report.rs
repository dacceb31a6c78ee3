//! The guest report, as it arrives: JSON lines on a virtio-serial port.

use std::path::Path;

use serde_json::Value;

/// The lines of one start, or of several of one machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) lines: Vec<Value>,
}

impl Report {
    /// Reads what has arrived; an incomplete last line is left for later.
    ///
    /// # Errors
    /// A line is no JSON, has another schema, or its number is out of order.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8(text).map_err(|_| "the report is not UTF-8".to_owned())?;
        let mut lines: Vec<Value> = Vec::new();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let value: Value = serde_json::from_str(line)
                .map_err(|error| format!("malformed report line {line:?}: {error}"))?;
            if value["schema"] != 1 {
                return Err(format!("report line of another schema: {line}"));
            }
            let is_new_boot = lines.last().is_none_or(|last| last["boot_id"] != value["boot_id"]);
            let expected = if is_new_boot {
                0
            } else {
                lines.last().map_or(0, |last| last["seq"].as_u64().unwrap_or(0) + 1)
            };
            if value["seq"] != expected {
                return Err(format!("report line {} where {expected} was due", value["seq"]));
            }
            lines.push(value);
        }
        Ok(Self { lines })
    }

    /// The data of the last event of that name.
    pub(crate) fn event(&self, name: &str) -> Option<&Value> {
        self.lines.iter().rev().find(|line| line["event"] == name).map(|line| &line["data"])
    }

    /// What a program of the node says of itself, by its last word.
    pub(crate) fn state(&self, of: &str) -> Option<&Value> {
        let is_it = |line: &&Value| line["event"] == "state" && line["data"]["of"] == of;
        self.lines.iter().rev().find(is_it).map(|line| &line["data"]["says"])
    }

    /// The detail of a check that passed.
    pub(crate) fn check(&self, name: &str) -> Option<&Value> {
        let is_it = |line: &&Value| {
            line["event"] == "check" && line["data"]["name"] == name && line["data"]["passed"] == true
        };
        self.lines.iter().rev().find(is_it).map(|line| &line["data"]["detail"])
    }

    /// The lines of the last of several starts.
    pub(crate) fn last_start(&self) -> Self {
        let boot_id = self.boot_id();
        let is_its = |line: &&Value| line["boot_id"].as_str() == boot_id.as_deref();
        Self { lines: self.lines.iter().filter(is_its).cloned().collect() }
    }

    /// Of its last line.
    pub(crate) fn boot_id(&self) -> Option<String> {
        self.lines.last()?["boot_id"].as_str().map(str::to_owned)
    }

    pub(crate) fn verdict(&self) -> Option<&str> {
        self.event("verdict").and_then(|data| data["verdict"].as_str())
    }
}
