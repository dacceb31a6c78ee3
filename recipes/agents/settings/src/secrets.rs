//! The texts that are kept out of what other programs say of the node.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// A shorter text is in too many words to be left out.
const LEAST_BYTES: usize = 6;

/// All secrets that this node has had since the program began: one that was
/// set anew is in the journal still. It is never waited for while settings are
/// applied.
#[derive(Default)]
pub struct Secrets {
    /// Lines, since journals have lines.
    lines: Mutex<BTreeSet<String>>,
}

impl Secrets {
    pub fn add(&self, secrets: &[&str]) {
        let lines = secrets.iter().flat_map(|secret| secret.lines()).map(str::trim);
        let lines = lines.filter(|line| line.len() >= LEAST_BYTES).map(str::to_owned);
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }

    /// Takes them out of a record, as when a program wrote one to the journal.
    pub fn hide(&self, record: &mut Value) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut lines: Vec<String> = lines.into_iter().collect();
        // One may be in another.
        lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
        if !lines.is_empty() {
            hide(record, &lines);
        }
    }
}

fn hide(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => {
            for secret in secrets {
                if text.contains(secret) {
                    *text = text.replace(secret, "(secret)");
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(entries) => entries.values_mut().for_each(|entry| hide(entry, secrets)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_left_out_line_by_line() {
        let mut record = json!({
            "lines": [{ "message": "token abcdef.0123456789abcdef refused" }, { "message": "key-line-2!" }],
            "count": 7, "short": "abc",
        });
        let secrets = Secrets::default();
        secrets.add(&["0123456789", "abc", ""]);
        secrets.add(&["abcdef.0123456789abcdef", "key-line-1\n  key-line-2"]);
        secrets.hide(&mut record);
        assert_eq!(
            record,
            json!({
                "lines": [{ "message": "token (secret) refused" }, { "message": "(secret)!" }],
                "count": 7, "short": "abc",
            })
        );
    }
}
