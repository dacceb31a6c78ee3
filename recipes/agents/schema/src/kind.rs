//! Types of settings, and whether a value is of one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::format::Format;
use crate::problem::{Problem, What, nearest};

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Kind {
    /// With braces, so that what else is said of one is an error.
    Bool {},
    /// Both bounds are allowed values.
    Integer {
        min: i64,
        max: i64,
    },
    Text {
        format: Format,
        #[serde(default = "text_bytes")]
        max_bytes: usize,
    },
    Choice {
        of: Vec<String>,
    },
    List {
        of: Box<Kind>,
        #[serde(default = "items")]
        max_items: usize,
        /// Whether no two may be equal.
        #[serde(default)]
        unique: bool,
    },
    /// Entries by names of the user's choice.
    Map {
        keys: Format,
        of: Box<Kind>,
        #[serde(default = "items")]
        max_items: usize,
    },
    /// Entries by names of ours.
    Record {
        fields: BTreeMap<String, Field>,
    },
    /// Options of another program: passed on, bounded.
    Table {
        #[serde(default = "any_bytes")]
        max_bytes: usize,
    },
    /// Whatever another program understands.
    Any {
        #[serde(default = "any_bytes")]
        max_bytes: usize,
    },
}

/// A part of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it is if nobody says; a field without one may be left out, and is
    /// not there then.
    #[serde(default)]
    pub default: Option<Value>,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub secret: bool,
    pub description: String,
}

/// One line is this long at most unless a setting says otherwise.
fn text_bytes() -> usize {
    1024
}

fn items() -> usize {
    64
}

fn any_bytes() -> usize {
    16 << 10
}

/// Levels of what is passed on.
const ANY_DEPTH: usize = 16;

impl Kind {
    /// What is expected, to follow "expected".
    pub fn expects(&self) -> String {
        match self {
            Self::Bool {} => "true or false".to_owned(),
            Self::Integer { min, max } => match (*min, *max) {
                (i64::MIN, i64::MAX) => "a whole number".to_owned(),
                (min, i64::MAX) => format!("a whole number of at least {min}"),
                (min, max) => format!("a whole number from {min} to {max}"),
            },
            Self::Text { format, .. } => format.expects().to_owned(),
            Self::Choice { of } => match of.as_slice() {
                [] => "nothing".to_owned(),
                [one] => format!("\"{one}\""),
                [rest @ .., last] => {
                    let rest: Vec<String> = rest.iter().map(|one| format!("\"{one}\"")).collect();
                    format!("{} or \"{last}\"", rest.join(", "))
                }
            },
            Self::List { of, .. } => format!("a list, each {}", of.expects()),
            Self::Map { of, .. } => format!("a table, each value {}", of.expects()),
            Self::Record { fields } => {
                let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                format!("a table of {}", names.join(", "))
            }
            Self::Table { max_bytes } => format!("a table of at most {max_bytes} bytes as JSON"),
            Self::Any { max_bytes } => format!("any value of at most {max_bytes} bytes as JSON"),
        }
    }

    /// What is wrong with `value`, which stands at `at`; all of it.
    /// `is_secret` keeps the value out of what is said.
    pub(crate) fn check(&self, value: &Value, at: &str, is_secret: bool, problems: &mut Vec<Problem>) {
        let wrong = || {
            let found = if is_secret { "something else".to_owned() } else { shown(value) };
            Problem::new(at, What::Value { expected: self.expects(), found })
        };
        match (self, value) {
            (Self::Bool {}, Value::Bool(_)) => {}
            (Self::Integer { min, max }, Value::Number(number)) => {
                if !number.as_i64().is_some_and(|number| (*min..=*max).contains(&number)) {
                    problems.push(wrong());
                }
            }
            (Self::Text { format, max_bytes }, Value::String(text)) => {
                if text.len() > *max_bytes {
                    problems.push(Problem::new(at, What::TooLong { bytes: text.len(), most: *max_bytes }));
                } else if !format.accepts(text) {
                    problems.push(wrong());
                }
            }
            (Self::Choice { of }, Value::String(text)) => {
                if !of.contains(text) {
                    problems.push(wrong());
                }
            }
            (Self::List { of, max_items, unique }, Value::Array(items)) => {
                if items.len() > *max_items {
                    problems.push(Problem::new(at, What::TooMany { count: items.len(), most: *max_items }));
                    return;
                }
                let mut seen = BTreeSet::new();
                for (index, item) in items.iter().enumerate() {
                    of.check(item, &format!("{at}[{index}]"), is_secret, problems);
                    if *unique && !seen.insert(item.to_string()) {
                        problems.push(Problem::new(&format!("{at}[{index}]"), What::Twice));
                    }
                }
            }
            (Self::Map { keys, of, max_items }, Value::Object(entries)) => {
                if entries.len() > *max_items {
                    problems.push(Problem::new(at, What::TooMany { count: entries.len(), most: *max_items }));
                    return;
                }
                for (name, entry) in entries {
                    let at = below(at, name);
                    if !keys.accepts(name) {
                        problems.push(Problem::new(&at, What::Name { expected: keys.expects() }));
                    }
                    of.check(entry, &at, is_secret, problems);
                }
            }
            (Self::Record { fields }, Value::Object(entries)) => {
                for (name, entry) in entries {
                    let at = below(at, name);
                    match fields.get(name) {
                        Some(field) => field.kind.check(entry, &at, is_secret || field.secret, problems),
                        None => {
                            let nearest = nearest(name, fields.keys().map(String::as_str));
                            problems.push(Problem::new(&at, What::Unknown { nearest }));
                        }
                    }
                }
                for (name, field) in fields {
                    if field.required && !entries.contains_key(name) {
                        problems.push(Problem::new(&below(at, name), What::Missing));
                    }
                }
            }
            (Self::Table { max_bytes }, value @ Value::Object(_)) | (Self::Any { max_bytes }, value) => {
                let bytes = value.to_string().len();
                if bytes > *max_bytes {
                    problems.push(Problem::new(at, What::TooLong { bytes, most: *max_bytes }));
                } else if depth(value) > ANY_DEPTH {
                    problems.push(Problem::new(at, What::TooDeep { most: ANY_DEPTH }));
                }
            }
            _ => problems.push(wrong()),
        }
    }

    /// What is wrong with the type itself, as a schema's author would hear it.
    pub(crate) fn flaw(&self) -> Option<String> {
        match self {
            Self::Bool {} | Self::Text { .. } | Self::Table { .. } | Self::Any { .. } => None,
            Self::Integer { min, max } => (min > max).then(|| format!("no number is from {min} to {max}")),
            Self::Choice { of } => {
                let distinct: BTreeSet<&String> = of.iter().collect();
                (of.is_empty() || distinct.len() < of.len())
                    .then(|| "a choice needs values, each of them once".to_owned())
            }
            Self::List { of, .. } => of.flaw(),
            Self::Map { keys, of, .. } => {
                (*keys == Format::Lines).then(|| "names have one line".to_owned()).or_else(|| of.flaw())
            }
            Self::Record { fields } => fields.iter().find_map(|(name, field)| {
                if !crate::key::is_part(name) {
                    return Some(format!("'{name}' is no name of a field"));
                }
                if field.required && field.default.is_some() {
                    return Some(format!("'{name}' is required and has a default"));
                }
                let mut problems = Vec::new();
                if let Some(default) = &field.default {
                    field.kind.check(default, name, false, &mut problems);
                }
                problems.first().map(ToString::to_string).or_else(|| field.kind.flaw())
            }),
        }
    }

    /// Whether values have named parts.
    pub(crate) fn has_entries(&self) -> bool {
        matches!(self, Self::Map { .. } | Self::Record { .. } | Self::Table { .. } | Self::Any { .. })
    }

    /// The kind of what lies below a value of this one, by names; `None` if
    /// there is no such part.
    pub fn below(&self, names: &[&str]) -> Option<&Self> {
        let Some((name, rest)) = names.split_first() else { return Some(self) };
        match self {
            Self::Map { of, .. } => of.below(rest),
            Self::Record { fields } => fields.get(*name)?.kind.below(rest),
            Self::Table { .. } | Self::Any { .. } => Some(&Self::Any { max_bytes: usize::MAX }),
            _ => None,
        }
    }

    /// The value with all that it leaves to defaults.
    pub(crate) fn complete(&self, value: &mut Value) {
        match (self, value) {
            (Self::List { of, .. }, Value::Array(items)) => {
                items.iter_mut().for_each(|item| of.complete(item))
            }
            (Self::Map { of, .. }, Value::Object(entries)) => {
                entries.values_mut().for_each(|entry| of.complete(entry));
            }
            (Self::Record { fields }, Value::Object(entries)) => {
                for (name, field) in fields {
                    if let (None, Some(default)) = (entries.get(name), &field.default) {
                        entries.insert(name.clone(), default.clone());
                    }
                    if let Some(entry) = entries.get_mut(name) {
                        field.kind.complete(entry);
                    }
                }
            }
            _ => {}
        }
    }

    /// The value without what is secret in it: fields that are become
    /// `{"secret": true}`.
    pub(crate) fn redact(&self, value: &mut Value) {
        match (self, value) {
            (Self::List { of, .. }, Value::Array(items)) => items.iter_mut().for_each(|item| of.redact(item)),
            (Self::Map { of, .. }, Value::Object(entries)) => {
                entries.values_mut().for_each(|entry| of.redact(entry));
            }
            (Self::Record { fields }, Value::Object(entries)) => {
                for (name, entry) in entries {
                    match fields.get(name) {
                        Some(field) if field.secret => *entry = hidden(),
                        Some(field) => field.kind.redact(entry),
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// What stands for a secret wherever settings are shown.
pub(crate) fn hidden() -> Value {
    serde_json::json!({ "secret": true })
}

/// A name below another, quoted as in TOML where it must be.
pub(crate) fn below(at: &str, name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let name = if is_bare { name.to_owned() } else { format!("{name:?}") };
    if at.is_empty() { name } else { format!("{at}.{name}") }
}

/// A value for a message: short, on one line.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Null => "nothing".to_owned(),
        value => {
            let text = value.to_string();
            if text.chars().count() <= MOST {
                return text;
            }
            let cut: String = text.chars().take(MOST).collect();
            format!("{cut}…")
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(kind: Value) -> Kind {
        serde_json::from_value(kind).unwrap()
    }

    fn said(kind: &Kind, value: &Value) -> Vec<String> {
        let mut problems = Vec::new();
        kind.check(value, "at", false, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_judged_all_at_once_and_in_place() {
        let text = json!({ "kind": "text", "format": "name", "maxBytes": 5 });
        let record = json!({ "kind": "record", "fields": {
            "image": { "type": { "kind": "text", "format": "image" }, "required": true, "description": "" },
            "on": { "type": { "kind": "bool" }, "default": true, "description": "" },
        }});
        let cases: [(Value, Value, &[&str]); 14] = [
            (json!({ "kind": "bool" }), json!("true"), &["at: expected true or false, found \"true\""]),
            (json!({ "kind": "integer", "min": 1, "max": 3 }), json!(2), &[]),
            (
                json!({ "kind": "integer", "min": 1, "max": 3 }),
                json!(2.0),
                &["at: expected a whole number from 1 to 3, found 2.0"],
            ),
            (
                json!({ "kind": "integer", "min": 1, "max": i64::MAX }),
                json!(0),
                &["at: expected a whole number of at least 1, found 0"],
            ),
            (text.clone(), json!("node"), &[]),
            (text.clone(), json!("nodes-1"), &["at: is 7 bytes long, at most 5 are allowed"]),
            (
                text.clone(),
                json!("N"),
                &["at: expected a name of at most 63 lower-case letters, digits and -, found \"N\""],
            ),
            (
                json!({ "kind": "choice", "of": ["a", "b", "c"] }),
                json!("d"),
                &["at: expected \"a\", \"b\" or \"c\", found \"d\""],
            ),
            (
                json!({ "kind": "list", "of": text, "unique": true, "maxItems": 3 }),
                json!(["a", "B", "a"]),
                &[
                    "at[1]: expected a name of at most 63 lower-case letters, digits and -, found \"B\"",
                    "at[2]: is there twice",
                ],
            ),
            (
                json!({ "kind": "list", "of": text, "maxItems": 1 }),
                json!(["a", "b"]),
                &["at: has 2 entries, at most 1 are allowed"],
            ),
            (
                json!({ "kind": "map", "keys": "label-key", "of": { "kind": "bool" } }),
                json!({ "a/b": true, "-": 1 }),
                &[
                    "at.-: the name is not a label's name, as in example.com/role",
                    "at.-: expected true or false, found 1",
                ],
            ),
            (
                record.clone(),
                json!({ "imge": "a", "on": 1 }),
                &[
                    "at.imge: no such setting; did you mean image?",
                    "at.on: expected true or false, found 1",
                    "at.image: is missing",
                ],
            ),
            (record, json!([]), &["at: expected a table of image, on, found a list"]),
            (
                json!({ "kind": "any", "maxBytes": 10 }),
                json!({ "a": [1, 2, 3, 4] }),
                &["at: is 15 bytes long, at most 10 are allowed"],
            ),
        ];
        for (of, value, expected) in cases {
            assert_eq!(said(&kind(of), &value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_passed_on_has_a_bottom() {
        let mut value = json!(1);
        for _ in 0..ANY_DEPTH {
            value = json!([value]);
        }
        let any = kind(json!({ "kind": "any" }));
        assert!(said(&any, &value).is_empty());
        assert_eq!(said(&any, &json!([value])), ["at: is nested more than 16 deep"]);
    }

    #[test]
    fn a_secret_is_in_no_message() {
        let of = kind(json!({ "kind": "map", "keys": "name", "of": { "kind": "record", "fields": {
            "token": { "type": { "kind": "text", "format": "name" }, "secret": true, "description": "" },
        }}}));
        let mut value = json!({ "a": { "token": "NOT A NAME" } });
        assert_eq!(
            said(&of, &value),
            [
                "at.a.token: expected a name of at most 63 lower-case letters, digits and -, found something else"
            ]
        );
        of.redact(&mut value);
        assert_eq!(value, json!({ "a": { "token": { "secret": true } } }));
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let of = kind(json!({ "kind": "map", "keys": "name", "of": { "kind": "record", "fields": {
            "on": { "type": { "kind": "bool" }, "default": true, "description": "" },
            "image": { "type": { "kind": "text", "format": "image" }, "description": "" },
        }}}));
        let mut value = json!({ "a": {}, "b": { "on": false } });
        of.complete(&mut value);
        assert_eq!(value, json!({ "a": { "on": true }, "b": { "on": false } }));
    }

    #[test]
    fn types_that_hold_nothing_are_flaws() {
        for (bent, flaw) in [
            (json!({ "kind": "integer", "min": 2, "max": 1 }), "no number is from 2 to 1"),
            (json!({ "kind": "choice", "of": [] }), "a choice needs values, each of them once"),
            (json!({ "kind": "choice", "of": ["a", "a"] }), "a choice needs values, each of them once"),
            (json!({ "kind": "map", "keys": "lines", "of": { "kind": "bool" } }), "names have one line"),
            (
                json!({ "kind": "list", "of": { "kind": "record", "fields": {
                    "on": { "type": { "kind": "bool" }, "default": 1, "description": "" } } } }),
                "on: expected true or false, found 1",
            ),
        ] {
            assert_eq!(kind(bent).flaw().as_deref(), Some(flaw));
        }
        let unknown = json!({ "kind": "bool", "min": 1 });
        assert!(serde_json::from_value::<Kind>(unknown).is_err());
    }
}
