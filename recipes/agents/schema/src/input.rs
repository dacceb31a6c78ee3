//! Values as people type them on a command line.

use serde_json::{Map, Value};

use crate::kind::Kind;

impl Kind {
    /// What a text means where a value of this kind is expected: `true`, `12`,
    /// `a,b` for a list of texts, JSON for what has parts. Whether the value is
    /// allowed is for [`crate::Document::merge`] to say: what is no value of
    /// the kind stays a text, which it names.
    pub fn read(&self, text: &str) -> Value {
        let as_typed = || Value::String(text.to_owned());
        let json = || serde_json::from_str::<Value>(text).ok();
        match self {
            Self::Text { .. } | Self::Choice { .. } => as_typed(),
            Self::Bool {} | Self::Integer { .. } => {
                json().filter(|value| value.is_boolean() || value.is_number()).unwrap_or_else(as_typed)
            }
            Self::List { of, .. } => match json() {
                Some(list @ Value::Array(_)) => list,
                _ if text.is_empty() => Value::Array(Vec::new()),
                _ => Value::Array(text.split(',').map(|item| of.read(item.trim())).collect()),
            },
            Self::Map { of, .. } => match json() {
                Some(table @ Value::Object(_)) => table,
                _ => entries(text, of).unwrap_or_else(as_typed),
            },
            Self::Record { .. } | Self::Table { .. } => {
                json().filter(Value::is_object).unwrap_or_else(as_typed)
            }
            Self::Any { .. } => json().unwrap_or_else(as_typed),
        }
    }
}

/// `a=1,b=2`.
fn entries(text: &str, of: &Kind) -> Option<Value> {
    let mut entries = Map::new();
    for entry in text.split(',').filter(|entry| !entry.is_empty()) {
        let (name, value) = entry.split_once('=')?;
        entries.insert(name.trim().to_owned(), of.read(value.trim()));
    }
    Some(Value::Object(entries))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_mean_what_their_kind_says() {
        let bool = json!({ "kind": "bool" });
        let number = json!({ "kind": "integer", "min": 0, "max": 9 });
        let text = json!({ "kind": "text", "format": "line" });
        let list = |of: &Value| json!({ "kind": "list", "of": of });
        let map = |of: &Value| json!({ "kind": "map", "keys": "name", "of": of });
        for (kind, typed, expected) in [
            (bool.clone(), "true", json!(true)),
            (bool.clone(), "yes", json!("yes")),
            (number.clone(), "7", json!(7)),
            (number.clone(), "seven", json!("seven")),
            (text.clone(), "7", json!("7")),
            (text.clone(), "a,b", json!("a,b")),
            (list(&text), "", json!([])),
            (list(&text), "a, b", json!(["a", "b"])),
            (list(&text), r#"["a,b"]"#, json!(["a,b"])),
            (list(&number), "1,2", json!([1, 2])),
            (map(&bool), "a=true,b=no", json!({ "a": true, "b": "no" })),
            (map(&text), r#"{"a":"b=c"}"#, json!({ "a": "b=c" })),
            (map(&text), "a", json!("a")),
            (json!({ "kind": "any" }), "[1]", json!([1])),
            (json!({ "kind": "any" }), "x", json!("x")),
        ] {
            let kind: Kind = serde_json::from_value(kind).unwrap();
            assert_eq!(kind.read(typed), expected, "{typed}");
        }
    }
}
