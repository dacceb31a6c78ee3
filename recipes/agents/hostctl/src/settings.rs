//! Settings, asked for and told.

use std::io::Read;

use osbuild_schema::{Key, Schema, read_toml};
use serde_json::{Map, Value, json};

use crate::How;
use crate::ask::{Failure, ask, encoded, query};

pub(crate) fn get(key: Option<&str>, only_set: bool) -> Result<Value, Failure> {
    let view = only_set.then(|| "set".to_owned());
    let query = query(&[("within", key.map(str::to_owned)), ("view", view)]);
    ask("GET", &format!("/v1/settings{query}"), None)
}

pub(crate) fn set(settings: &[String], how: &How) -> Result<Value, Failure> {
    let schema = schema()?;
    let mut patch = json!({});
    for setting in settings {
        let Some((way, text)) = setting.split_once('=') else {
            return Err(Failure::usage(format!("'{setting}' is no KEY=VALUE")));
        };
        place(&mut patch, way, |parts| value(&schema, parts, text))?;
    }
    change(&patch, how)
}

pub(crate) fn unset(keys: &[String], how: &How) -> Result<Value, Failure> {
    let mut patch = json!({});
    for way in keys {
        place(&mut patch, way, |_| Value::Null)?;
    }
    change(&patch, how)
}

/// The text of a file, or of standard input.
fn text_of(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| text = read)
    };
    read.map_err(|error| Failure::usage(format!("{file}: {error}")))?;
    Ok(text)
}

pub(crate) fn check(file: &str) -> Result<Value, Failure> {
    let other = serde_json::from_str(&text_of(file)?);
    let other: Value = other.map_err(|error| Failure::usage(format!("{file}: no schema: {error}")))?;
    ask("POST", "/v1/check", Some(&other))
}

pub(crate) fn apply(file: &str, how: &How) -> Result<Value, Failure> {
    let text = text_of(file)?;
    let said = read_toml(&schema()?, &text).map_err(|error| {
        let lines = error.to_string().lines().map(|line| format!("{file}: {line}")).collect();
        Failure { status: 1, lines }
    })?;
    change(&said.to_tree(), how)
}

pub(crate) fn commit(name: &str, message: Option<&str>, confirm: Option<u32>) -> Result<Value, Failure> {
    let query = query(&[
        ("message", message.map(str::to_owned)),
        ("confirm", confirm.map(|seconds| seconds.to_string())),
    ]);
    ask("POST", &format!("/v1/transactions/{}/commit{query}", encoded(name)), None)
}

fn change(patch: &Value, how: &How) -> Result<Value, Failure> {
    if let Some(name) = &how.transaction {
        return ask("PATCH", &format!("/v1/transactions/{}", encoded(name)), Some(patch));
    }
    let confirm = how.confirm.map(|seconds| seconds.to_string());
    let query = query(&[("message", how.message.clone()), ("confirm", confirm)]);
    ask("PATCH", &format!("/v1/settings{query}"), Some(patch))
}

fn schema() -> Result<Schema, Failure> {
    let record = ask("GET", "/v1/schema", None)?;
    Schema::parse(record.to_string().as_bytes())
        .map_err(|error| Failure { status: 1, lines: vec![error.to_string()] })
}

/// Puts a value into a tree; a part may be quoted, as in TOML.
fn place(patch: &mut Value, way: &str, value: impl FnOnce(&[String]) -> Value) -> Result<(), Failure> {
    let parts = toml_edit::Key::parse(way).map_err(|_| Failure::usage(format!("'{way}' is no setting")))?;
    let parts: Vec<String> = parts.iter().map(|part| part.get().to_owned()).collect();
    let (last, groups) = parts.split_last().ok_or_else(|| Failure::usage("a setting has a name"))?;
    let mut group = patch;
    for part in groups {
        let entries = group.as_object_mut().ok_or_else(|| Failure::usage(format!("'{way}' is set twice")))?;
        group = entries.entry(part.clone()).or_insert_with(|| Value::Object(Map::new()));
    }
    let entries = group.as_object_mut().ok_or_else(|| Failure::usage(format!("'{way}' is set twice")))?;
    if entries.insert(last.clone(), value(&parts)).is_some() {
        return Err(Failure::usage(format!("'{way}' is set twice")));
    }
    Ok(())
}

/// What a text means at a way: there may be entries of a table at its end.
fn value(schema: &Schema, parts: &[String], text: &str) -> Value {
    for length in (1..=parts.len()).rev() {
        let setting = Key::parse(&parts[..length].join(".")).ok().and_then(|key| schema.get(&key));
        if let Some(setting) = setting {
            let below: Vec<&str> = parts[length..].iter().map(String::as_str).collect();
            return setting.kind.below(&below).map_or_else(|| json!(text), |kind| kind.read(text));
        }
    }
    // The node says that there is no such setting.
    json!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let file = json!({ "schema": 1, "settings": {
            "network.mtu": { "type": { "kind": "integer", "min": 576, "max": 9216 }, "description": "" },
            "labels": { "type": { "kind": "map", "keys": "label-key", "of": { "kind": "text", "format": "label-value" } }, "description": "" },
            "containers": { "type": { "kind": "map", "keys": "name", "of": { "kind": "record", "fields": {
                "enabled": { "type": { "kind": "bool" }, "description": "" } } } }, "description": "" },
        }});
        Schema::parse(file.to_string().as_bytes()).unwrap()
    }

    fn tree(settings: &[(&str, &str)]) -> Result<Value, String> {
        let mut patch = json!({});
        for (way, text) in settings {
            place(&mut patch, way, |parts| value(&schema(), parts, text))
                .map_err(|failure| failure.lines.concat())?;
        }
        Ok(patch)
    }

    #[test]
    fn what_is_typed_becomes_a_tree() {
        let typed = [
            ("network.mtu", "1400"),
            ("labels.\"example.com/role\"", "7"),
            ("labels.zone", "a"),
            ("containers.admin.enabled", "true"),
            ("nothing.of.the.kind", "1"),
        ];
        let expected = json!({
            "network": { "mtu": 1400 },
            "labels": { "example.com/role": "7", "zone": "a" },
            "containers": { "admin": { "enabled": true } },
            "nothing": { "of": { "the": { "kind": "1" } } },
        });
        assert_eq!(tree(&typed), Ok(expected));
    }

    #[test]
    fn what_makes_no_tree_is_refused() {
        for (typed, expected) in [
            (&[("a", "1"), ("a", "2")][..], "'a' is set twice"),
            (&[("a", "1"), ("a.b", "2")], "'a.b' is set twice"),
            (&[("", "1")], "'' is no setting"),
            (&[("a..b", "1")], "'a..b' is no setting"),
            (&[("a b", "1")], "'a b' is no setting"),
        ] {
            assert_eq!(tree(typed), Err(expected.to_owned()));
        }
    }
}
