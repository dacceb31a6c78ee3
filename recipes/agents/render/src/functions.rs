//! What templates can call besides what the language has.

use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::Value as Json;

use crate::form::toml_document;
use crate::template::instances;

/// `document(table)`: a whole TOML document. `merged(table, other)`: the first
/// with what the second says, table by table; where both say something, the
/// second counts. `instance(unit, name)`: the unit for a name, as `run` starts
/// it. `fail(reason)`: there is no file.
pub(crate) fn add(environment: &mut Environment<'_>) {
    environment.add_function("document", |table: Value| -> Result<Value, Error> {
        let text = toml_document(&json(&table)?).map_err(invalid)?;
        Ok(Value::from_safe_string(text))
    });
    environment.add_function("merged", |table: Value, other: Value| -> Result<Value, Error> {
        let mut table = json(&table)?;
        merge(&mut table, json(&other)?);
        Ok(Value::from_serialize(table))
    });
    environment.add_function("instance", |unit: String, name: String| -> String {
        instances(&[unit], &name).remove(0)
    });
    environment.add_function("fail", |reason: String| -> Result<String, Error> { Err(invalid(reason)) });
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

fn json(value: &Value) -> Result<Json, Error> {
    serde_json::to_value(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn merge(table: &mut Json, other: Json) {
    match (table, other) {
        (Json::Object(entries), Json::Object(others)) => {
            for (name, other) in others {
                merge(entries.entry(name).or_insert(Json::Null), other);
            }
        }
        // What is not set says nothing.
        (_, Json::Null) => {}
        (table, other) => *table = other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_are_merged_and_all_else_replaced() {
        let mut table = json!({ "a": { "b": 1, "c": [1, 2] }, "d": 1, "e": 1 });
        merge(&mut table, json!({ "a": { "c": [3], "x": { "y": null } }, "d": { "z": 1 }, "e": null }));
        assert_eq!(table, json!({ "a": { "b": 1, "c": [3], "x": { "y": null } }, "d": { "z": 1 }, "e": 1 }));
    }
}
