//! Settings under another version's schema, there and back without loss.
//!
//! What the other schema has no place for is set aside with its value, and
//! comes back as soon as a schema has one: a setting that a newer version
//! brought survives a stay in the older. Nothing is written by hand for it;
//! what changes its meaning gets a new name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::document::Document;
use crate::key::Key;
use crate::problem::{Problem, What};
use crate::schema::Schema;

/// What became of settings under a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// What the schema takes.
    pub document: Document,
    /// What it does not, for another.
    pub aside: BTreeMap<Key, Value>,
    /// What was set aside now, each for the first thing that is wrong with it.
    pub dropped: Vec<Problem>,
    /// What was aside and is back.
    pub returned: Vec<Key>,
}

/// Holds settings, and those that are aside, against a schema. A setting goes
/// or stays as a whole. What somebody set since goes before what was aside.
pub fn carry(schema: &Schema, document: &Document, aside: &BTreeMap<Key, Value>) -> Carried {
    let mut carried = Carried::default();
    for (key, value) in document.iter() {
        match first_problem(schema, key, value) {
            None => carried.document.insert(key.clone(), value.clone()),
            Some(problem) => {
                carried.aside.insert(key.clone(), value.clone());
                carried.dropped.push(problem);
            }
        }
    }
    for (key, value) in aside {
        if carried.document.get(key).is_some() || carried.aside.contains_key(key) {
            continue;
        }
        if first_problem(schema, key, value).is_none() {
            carried.document.insert(key.clone(), value.clone());
            carried.returned.push(key.clone());
        } else {
            carried.aside.insert(key.clone(), value.clone());
        }
    }
    carried
}

fn first_problem(schema: &Schema, key: &Key, value: &Value) -> Option<Problem> {
    let Some(setting) = schema.get(key) else {
        return Some(Problem::new(key.as_str(), What::Unknown { nearest: None }));
    };
    let mut problems = Vec::new();
    setting.check(key, value, &mut problems);
    problems.into_iter().next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(settings: Value) -> Schema {
        Schema::parse(json!({ "schema": 1, "settings": settings }).to_string().as_bytes()).unwrap()
    }

    fn numbers(max: i64) -> Value {
        json!({ "type": { "kind": "integer", "min": 0, "max": max }, "description": "" })
    }

    #[test]
    fn a_stay_in_another_version_loses_nothing() {
        let older = schema(json!({ "a": numbers(10), "gone": numbers(9) }));
        let newer = schema(json!({ "a": numbers(5), "new": numbers(9) }));
        for tree in [json!({}), json!({ "a": 3 }), json!({ "a": 9 }), json!({ "a": 9, "gone": 1 })] {
            let document = Document::from_tree(&older, &tree).unwrap();
            let there = carry(&newer, &document, &BTreeMap::new());
            assert!(there.document.check(&newer).is_empty());
            assert_eq!(there.dropped.len(), there.aside.len());
            let back = carry(&older, &there.document, &there.aside);
            assert_eq!((&back.document, &back.aside), (&document, &BTreeMap::new()), "{tree}");
            assert_eq!(back.returned.len(), there.aside.len());
        }
        let document = Document::from_tree(&older, &json!({ "a": 9, "gone": 1 })).unwrap();
        let there = carry(&newer, &document, &BTreeMap::new());
        let said: Vec<String> = there.dropped.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["a: expected a whole number from 0 to 5, found 9", "gone: no such setting"]);
    }

    #[test]
    fn what_was_set_since_goes_first() {
        let older = schema(json!({ "a": numbers(10) }));
        let newer = schema(json!({ "a": numbers(5) }));
        let there =
            carry(&newer, &Document::from_tree(&older, &json!({ "a": 9 })).unwrap(), &BTreeMap::new());
        let mut document = there.document.clone();
        document.merge(&newer, &json!({ "a": 2 })).unwrap();
        let back = carry(&older, &document, &there.aside);
        assert_eq!(back.document.to_tree(), json!({ "a": 2 }));
        assert!(back.aside.is_empty() && back.returned.is_empty());
    }
}
