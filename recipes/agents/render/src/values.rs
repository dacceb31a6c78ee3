//! Settings as templates see them.

use osbuild_schema::{Document, Kind, Schema, nest};
use serde_json::Value;

/// The settings within some groups: names with `_` for `-`, since `a.b-c` is a
/// subtraction in templates, and every setting there, `null` where it is not
/// set. Names that users chose stay as they are.
pub(crate) fn visible(schema: &Schema, effective: &Document, groups: &[String]) -> Value {
    let read = schema.iter().filter(|(key, _)| groups.iter().any(|group| key.is_within(group)));
    let values = read.map(|(key, setting)| {
        (key, effective.get(key).map_or(Value::Null, |value| renamed(&setting.kind, value)))
    });
    nest(values, |part| part.replace('-', "_"))
}

fn renamed(kind: &Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Record { fields }, Value::Object(entries)) => {
            let entry = |(name, field): (&String, &osbuild_schema::Field)| {
                let value = entries.get(name).map_or(Value::Null, |entry| renamed(&field.kind, entry));
                (name.replace('-', "_"), value)
            };
            Value::Object(fields.iter().map(entry).collect())
        }
        (Kind::Map { of, .. }, Value::Object(entries)) => {
            Value::Object(entries.iter().map(|(name, entry)| (name.clone(), renamed(of, entry))).collect())
        }
        (Kind::List { of, .. }, Value::Array(items)) => {
            Value::Array(items.iter().map(|item| renamed(of, item)).collect())
        }
        (_, value) => value.clone(),
    }
}
