//! Values of settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::Key;
use crate::kind::{Kind, below, hidden};
use crate::problem::{Problem, What};
use crate::schema::{At, Schema};

/// What somebody set, by setting. What nobody set is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document {
    values: BTreeMap<Key, Value>,
}

/// What differs between two documents: a setting, or an entry of one that is a
/// table in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The setting.
    pub key: Key,
    /// Where: the setting, or the way to the entry.
    pub at: String,
    /// `None` where it is not set.
    pub was: Option<Value>,
    pub is: Option<Value>,
}

/// Settings that cannot be: everything that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeError(pub Vec<Problem>);

impl Document {
    /// Reads a tree of groups, as TOML and JSON have it.
    ///
    /// # Errors
    /// All that does not fit the schema.
    pub fn from_tree(schema: &Schema, tree: &Value) -> Result<Self, MergeError> {
        let mut document = Self::default();
        document.merge(schema, tree)?;
        Ok(document)
    }

    /// Sets what a tree names, and leaves the rest: `null` unsets, a table is
    /// merged into the one that is there (RFC 7396), anything else replaces.
    ///
    /// # Errors
    /// All that does not fit the schema; nothing is changed then.
    pub fn merge(&mut self, schema: &Schema, tree: &Value) -> Result<(), MergeError> {
        let mut merging = Merging { schema, values: self.values.clone(), problems: Vec::new() };
        merging.walk("", tree);
        if merging.problems.is_empty() {
            self.values = merging.values;
            Ok(())
        } else {
            Err(MergeError(merging.problems))
        }
    }

    /// What is wrong with it, all of it.
    pub fn check(&self, schema: &Schema) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, value) in &self.values {
            match schema.get(key) {
                Some(setting) => setting.check(key, value, &mut problems),
                None => {
                    let nearest = schema.nearest(key.as_str());
                    problems.push(Problem::new(key.as_str(), What::Unknown { nearest }));
                }
            }
        }
        problems
    }

    /// With the schema's defaults where nobody said anything.
    #[must_use]
    pub fn effective(&self, schema: &Schema) -> Self {
        let mut values = BTreeMap::new();
        for (key, setting) in schema.iter() {
            let value = overlaid(&setting.kind, setting.default.as_ref(), self.values.get(key));
            if let Some(mut value) = value {
                setting.kind.complete(&mut value);
                values.insert(key.clone(), value);
            }
        }
        Self { values }
    }

    /// Without what is secret: `{"secret": true}` stands for it.
    #[must_use]
    pub fn redacted(&self, schema: &Schema) -> Self {
        let values = self.values.iter().map(|(key, value)| (key.clone(), redacted(schema, key, value)));
        Self { values: values.collect() }
    }

    /// What is different in effect in `newer`, secrets told only as different.
    pub fn changes(&self, newer: &Self, schema: &Schema) -> Vec<Change> {
        self.effective(schema).differences(&newer.effective(schema), schema)
    }

    fn differences(&self, newer: &Self, schema: &Schema) -> Vec<Change> {
        let keys = self.values.keys().chain(newer.values.keys());
        let mut keys: Vec<&Key> = keys.filter(|key| self.values.get(key) != newer.values.get(key)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut changes = Vec::new();
        for key in keys {
            let kind = schema.get(key).map(|setting| &setting.kind);
            let is_secret = schema.get(key).is_none_or(|setting| setting.secret);
            let (was, is) = (self.values.get(key), newer.values.get(key));
            Comparing { key, changes: &mut changes }.compare(kind, is_secret, key.to_string(), was, is);
        }
        changes
    }

    /// As a tree of groups.
    pub fn to_tree(&self) -> Value {
        nest(self.values.iter().map(|(key, value)| (key, value.clone())), str::to_owned)
    }

    /// Those within a setting or group.
    #[must_use]
    pub fn within(&self, way: &str) -> Self {
        let values = self.values.iter().filter(|(key, _)| way.is_empty() || key.is_within(way));
        Self { values: values.map(|(key, value)| (key.clone(), value.clone())).collect() }
    }

    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.values.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.values.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn insert(&mut self, key: Key, value: Value) {
        self.values.insert(key, value);
    }
}

/// A tree of groups; `name` says what a part of a key is called there.
pub fn nest<'k>(values: impl IntoIterator<Item = (&'k Key, Value)>, name: impl Fn(&str) -> String) -> Value {
    let mut tree = Map::new();
    for (key, value) in values {
        let mut group = &mut tree;
        let mut parts = key.parts().map(&name).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                group.insert(part, value);
                break;
            }
            let next = group.entry(part).or_insert_with(|| Value::Object(Map::new()));
            group = next.as_object_mut().expect("no setting lies below another");
        }
    }
    Value::Object(tree)
}

struct Comparing<'c> {
    key: &'c Key,
    changes: &'c mut Vec<Change>,
}

impl Comparing<'_> {
    /// Notes what differs, entry by entry where both have entries.
    fn compare(
        &mut self,
        kind: Option<&Kind>,
        is_secret: bool,
        at: String,
        was: Option<&Value>,
        is: Option<&Value>,
    ) {
        if was == is {
            return;
        }
        if let (false, Some(Value::Object(before)), Some(Value::Object(after))) = (is_secret, was, is) {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let (kind, is_secret) = match kind {
                    Some(Kind::Record { fields }) => {
                        let field = fields.get(name);
                        (field.map(|field| &field.kind), field.is_none_or(|field| field.secret))
                    }
                    kind => (kind.and_then(|kind| kind.below(&[name])), false),
                };
                self.compare(kind, is_secret, below(&at, name), before.get(name), after.get(name));
            }
            return;
        }
        let shown = |value: Option<&Value>| {
            let mut value = value?.clone();
            if is_secret {
                return Some(hidden());
            }
            if let Some(kind) = kind {
                kind.redact(&mut value);
            }
            Some(value)
        };
        let change = Change { key: self.key.clone(), at, was: shown(was), is: shown(is) };
        self.changes.push(change);
    }
}

fn redacted(schema: &Schema, key: &Key, value: &Value) -> Value {
    let mut value = value.clone();
    match schema.get(key) {
        Some(setting) if setting.secret => hidden(),
        Some(setting) => {
            setting.kind.redact(&mut value);
            value
        }
        // Nobody says any more whether it was secret.
        None => hidden(),
    }
}

struct Merging<'s> {
    schema: &'s Schema,
    values: BTreeMap<Key, Value>,
    problems: Vec<Problem>,
}

impl Merging<'_> {
    fn walk(&mut self, way: &str, tree: &Value) {
        match (self.schema.at(way), tree) {
            (At::Setting(key, setting), tree) => {
                if tree.is_null() {
                    self.values.remove(key);
                    return;
                }
                let value = merged(&setting.kind, setting.default.as_ref(), self.values.get(key), tree);
                setting.check(key, &value, &mut self.problems);
                self.values.insert(key.clone(), value);
            }
            (At::Group, Value::Object(entries)) => {
                for (name, entry) in entries {
                    self.walk(&below(way, name), entry);
                }
            }
            (At::Group, Value::Null) => self.values.retain(|key, _| !key.is_within(way)),
            (At::Group, _) => self.problems.push(Problem::new(way, What::Group)),
            (At::Nothing, _) => {
                let nearest = self.schema.nearest(way);
                self.problems.push(Problem::new(way, What::Unknown { nearest }));
            }
        }
    }
}

/// RFC 7396 for what has entries; what is passed on is merged, too, since
/// whoever sets one option of another program means that one. What is kept is
/// what was said and not what follows: a default that changes with the next
/// version changes with it. A `null` is kept where it takes away a default.
fn merged(kind: &Kind, default: Option<&Value>, now: Option<&Value>, patch: &Value) -> Value {
    match patch {
        Value::Object(entries) if kind.has_entries() => {
            let mut value = now.and_then(Value::as_object).cloned().unwrap_or_default();
            for (name, entry) in entries {
                let default = default.and_then(|default| default.get(name));
                if entry.is_null() && default.is_none() {
                    value.remove(name);
                    continue;
                }
                let entry = match kind.below(&[name]) {
                    Some(kind) => merged(kind, default, value.get(name), entry),
                    None => entry.clone(),
                };
                value.insert(name.clone(), entry);
            }
            Value::Object(value)
        }
        _ => patch.clone(),
    }
}

/// What holds where this was said over that default.
pub(crate) fn overlaid(kind: &Kind, default: Option<&Value>, said: Option<&Value>) -> Option<Value> {
    match (default, said) {
        (default, None) => default.cloned(),
        (_, Some(Value::Null)) => None,
        (default, Some(Value::Object(said))) if kind.has_entries() => {
            let none = Map::new();
            let default = default.and_then(Value::as_object).unwrap_or(&none);
            let names: BTreeSet<&String> = default.keys().chain(said.keys()).collect();
            let entry = |name: &String| {
                let (default, said) = (default.get(name), said.get(name));
                let value = match kind.below(&[name]) {
                    Some(kind) => overlaid(kind, default, said),
                    None => said.cloned(),
                };
                Some((name.clone(), value?))
            };
            Some(Value::Object(names.into_iter().filter_map(entry).collect()))
        }
        (_, said) => said.cloned(),
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MergeError {}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn schema() -> Schema {
        let file = json!({ "schema": 1, "settings": {
            "network.hostname": { "type": { "kind": "text", "format": "hostname" }, "default": "localhost", "description": "" },
            "network.mtu": { "type": { "kind": "integer", "min": 576, "max": 9216 }, "description": "" },
            "kubernetes.labels": {
                "type": { "kind": "map", "keys": "label-key", "of": { "kind": "text", "format": "label-value" } },
                "default": { "os": "ours" }, "description": ""
            },
            "kubernetes.token": { "type": { "kind": "text", "format": "line" }, "secret": true, "description": "" },
            "kubernetes.kubelet": { "type": { "kind": "any" }, "description": "" },
            "host-containers": {
                "type": { "kind": "map", "keys": "name", "of": { "kind": "record", "fields": {
                    "enabled": { "type": { "kind": "bool" }, "default": false, "description": "" },
                    "image": { "type": { "kind": "text", "format": "image" }, "description": "" },
                    "user-data": { "type": { "kind": "text", "format": "lines" }, "secret": true, "description": "" },
                }}},
                "default": { "admin": {} }, "description": ""
            },
        }});
        Schema::parse(file.to_string().as_bytes()).unwrap()
    }

    fn document(tree: Value) -> Document {
        Document::from_tree(&schema(), &tree).unwrap()
    }

    #[test]
    fn a_tree_becomes_settings_and_a_tree_again() {
        let tree = json!({ "network": { "mtu": 1400 }, "kubernetes": { "labels": { "a/b": "c" } } });
        let read = document(tree.clone());
        assert_eq!(read.to_tree(), tree);
        assert_eq!(read.within("network").to_tree(), json!({ "network": { "mtu": 1400 } }));
        assert_eq!(read.within("net").to_tree(), json!({}));
    }

    #[test]
    fn patches_set_merge_and_unset() {
        let start = json!({
            "network": { "mtu": 1400, "hostname": "a" }, "kubernetes": { "labels": { "x": "1", "y": "2" } },
        });
        for (patch, expected) in [
            (json!({}), start.clone()),
            (
                json!({ "network": { "mtu": null }, "kubernetes": { "labels": { "x": null, "z": "3" } } }),
                json!({ "network": { "hostname": "a" }, "kubernetes": { "labels": { "y": "2", "z": "3" } } }),
            ),
            (json!({ "network": null }), json!({ "kubernetes": { "labels": { "x": "1", "y": "2" } } })),
            (json!({ "kubernetes": null }), json!({ "network": { "mtu": 1400, "hostname": "a" } })),
        ] {
            let mut read = document(start.clone());
            read.merge(&schema(), &patch).unwrap();
            assert_eq!(read.to_tree(), expected, "{patch}");
        }
        let mut kubelet = document(json!({ "kubernetes": { "kubelet": { "a": { "b": 1, "c": 2 } } } }));
        kubelet
            .merge(&schema(), &json!({ "kubernetes": { "kubelet": { "a": { "b": null }, "d": [1] } } }))
            .unwrap();
        assert_eq!(kubelet.to_tree(), json!({ "kubernetes": { "kubelet": { "a": { "c": 2 }, "d": [1] } } }));
    }

    #[test]
    fn what_was_said_lies_over_the_default_and_pins_nothing_else() {
        let labels = |tree: Value| {
            let read = document(json!({ "kubernetes": { "labels": tree } }));
            assert!(read.check(&schema()).is_empty());
            read.effective(&schema()).to_tree()["kubernetes"]["labels"].clone()
        };
        assert_eq!(labels(json!({ "a": "b" })), json!({ "a": "b", "os": "ours" }));
        assert_eq!(labels(json!({ "os": "mine" })), json!({ "os": "mine" }));
        assert_eq!(labels(json!({ "os": null, "a": "b" })), json!({ "a": "b" }));
        let containers = document(json!({ "host-containers": { "admin": { "enabled": true } } }));
        assert_eq!(containers.to_tree(), json!({ "host-containers": { "admin": { "enabled": true } } }));
        // Gone, and back with what the default says of it.
        let mut read = document(json!({ "host-containers": { "admin": null } }));
        assert_eq!(read.effective(&schema()).to_tree()["host-containers"], json!({}));
        read.merge(&schema(), &json!({ "host-containers": { "admin": { "image": "a" } } })).unwrap();
        assert_eq!(
            read.effective(&schema()).to_tree()["host-containers"],
            json!({ "admin": { "enabled": false, "image": "a" } })
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_and_nothing_is_changed() {
        let mut read = document(json!({ "network": { "mtu": 1400 } }));
        let before = read.clone();
        let patch = json!({
            "network": { "mtu": 70000, "hostnam": "x" },
            "kubernetes": 1,
            "host-containers": { "admin": { "enabled": "yes" } },
            "network.hostname": "dotted",
        });
        let MergeError(problems) = read.merge(&schema(), &patch).unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "host-containers.admin.enabled: expected true or false, found \"yes\"",
                "kubernetes: is a group of settings and has no value of its own",
                "network.hostnam: no such setting; did you mean network.hostname?",
                "network.mtu: expected a whole number from 576 to 9216, found 70000",
                "\"network.hostname\": no such setting; did you mean network.hostname?",
            ]
        );
        assert_eq!(read, before);
    }

    #[test]
    fn defaults_stand_where_nobody_said_anything() {
        let effective = document(json!({ "network": { "mtu": 1400 } })).effective(&schema());
        assert_eq!(
            effective.to_tree(),
            json!({
                "network": { "hostname": "localhost", "mtu": 1400 },
                "kubernetes": { "labels": { "os": "ours" } },
                "host-containers": { "admin": { "enabled": false } },
            })
        );
    }

    #[test]
    fn what_differs_is_told_entry_by_entry() {
        let one = document(json!({
            "host-containers": { "a": { "enabled": true, "user-data": "SECRET-1" }, "b": {} },
            "kubernetes": { "kubelet": { "x": { "y": 1, "z": [1] } } },
        }));
        let other = document(json!({
            "host-containers": { "a": { "enabled": false, "user-data": "SECRET-2" }, "c": { "user-data": "SECRET-3" } },
            "kubernetes": { "kubelet": { "x": { "y": 2, "z": [1] } }, "labels": { "example.com/a": "b" } },
        }));
        let told: Vec<String> = one
            .changes(&other, &schema())
            .iter()
            .map(|change| format!("{}: {} → {}", change.at, json!(change.was), json!(change.is)))
            .collect();
        assert_eq!(
            told,
            [
                "host-containers.a.enabled: true → false",
                "host-containers.a.user-data: {\"secret\":true} → {\"secret\":true}",
                "host-containers.b: {\"enabled\":false} → null",
                "host-containers.c: null → {\"enabled\":false,\"user-data\":{\"secret\":true}}",
                "kubernetes.kubelet.x.y: 1 → 2",
                "kubernetes.labels.\"example.com/a\": null → \"b\"",
            ]
        );
    }

    #[test]
    fn secrets_show_in_nothing() {
        let one = document(
            json!({ "kubernetes": { "token": "SECRET-1" }, "host-containers": { "a": { "user-data": "SECRET-2" } } }),
        );
        let other = document(json!({ "kubernetes": { "token": "SECRET-3" }, "network": { "mtu": 1400 } }));
        let changes = one.changes(&other, &schema());
        let ways: Vec<&str> = changes.iter().map(|change| change.at.as_str()).collect();
        assert_eq!(ways, ["host-containers.a", "kubernetes.token", "network.mtu"]);
        for text in [
            serde_json::to_string(&one.redacted(&schema())).unwrap(),
            serde_json::to_string(&changes).unwrap(),
        ] {
            assert!(!text.contains("SECRET"), "{text}");
        }
        let MergeError(problems) = document(json!({}))
            .merge(&schema(), &json!({ "kubernetes": { "token": "SECRET\n" } }))
            .unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "kubernetes.token: expected one line of text, found something else"
        );
        // What a schema does not know may have been one.
        let none = Schema::new(BTreeMap::new()).unwrap();
        assert!(!serde_json::to_string(&one.redacted(&none)).unwrap().contains("SECRET"));
    }
}
