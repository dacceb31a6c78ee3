//! Types as JSON Schema (draft 2020-12, which OpenAPI 3.1 speaks), for editors
//! and other people's programs. What it cannot say is in the descriptions; what
//! counts is what [`Kind`] says.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::kind::{Field, Kind};
use crate::schema::Schema;

impl Schema {
    /// All settings as one tree of groups.
    pub fn to_json_schema(&self) -> Value {
        let mut root = Group::default();
        for (key, setting) in self.iter() {
            let mut group = &mut root;
            let mut parts = key.parts().peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    let mut described = setting.kind.to_json_schema();
                    describe(&mut described, &setting.description, setting.default.as_ref(), setting.secret);
                    group.settings.insert(part.to_owned(), described);
                    break;
                }
                group = group.groups.entry(part.to_owned()).or_default();
            }
        }
        root.to_json_schema()
    }
}

#[derive(Default)]
struct Group {
    settings: BTreeMap<String, Value>,
    groups: BTreeMap<String, Group>,
}

impl Group {
    fn to_json_schema(&self) -> Value {
        let mut properties: Map<String, Value> =
            self.settings.iter().map(|(name, setting)| (name.clone(), setting.clone())).collect();
        properties.extend(self.groups.iter().map(|(name, group)| (name.clone(), group.to_json_schema())));
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }
}

impl Kind {
    fn to_json_schema(&self) -> Value {
        match self {
            Self::Bool {} => json!({ "type": "boolean" }),
            Self::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Self::Text { format, max_bytes } => {
                json!({ "type": "string", "maxLength": max_bytes, "description": format.expects() })
            }
            Self::Choice { of } => json!({ "enum": of }),
            Self::List { of, max_items, unique } => {
                json!({ "type": "array", "items": of.to_json_schema(), "maxItems": max_items, "uniqueItems": unique })
            }
            Self::Map { keys, of, max_items } => json!({
                "type": "object", "additionalProperties": of.to_json_schema(), "maxProperties": max_items,
                "propertyNames": { "description": keys.expects() },
            }),
            Self::Record { fields } => {
                let required: Vec<&String> =
                    fields.iter().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
                let properties: Map<String, Value> =
                    fields.iter().map(|(name, field)| (name.clone(), field.to_json_schema())).collect();
                json!({
                    "type": "object", "properties": properties, "required": required, "additionalProperties": false,
                })
            }
            Self::Table { .. } => json!({ "type": "object" }),
            Self::Any { .. } => json!({}),
        }
    }
}

impl Field {
    fn to_json_schema(&self) -> Value {
        let mut described = self.kind.to_json_schema();
        describe(&mut described, &self.description, self.default.as_ref(), self.secret);
        described
    }
}

fn describe(schema: &mut Value, description: &str, default: Option<&Value>, is_secret: bool) {
    let form = schema["description"].as_str().map(str::to_owned);
    schema["description"] = match form {
        Some(form) => json!(format!("{description} Form: {form}.")),
        None => json!(description),
    };
    if let Some(default) = default {
        schema["default"] = default.clone();
    }
    if is_secret {
        schema["writeOnly"] = json!(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::schema;

    #[test]
    fn settings_are_a_tree_of_objects() {
        let found = schema().to_json_schema();
        let properties =
            |value: &Value| value["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(properties(&found), ["host-containers", "kubernetes", "network"]);
        let mtu = &found["properties"]["network"]["properties"]["mtu"];
        assert_eq!((&mtu["minimum"], &mtu["maximum"]), (&json!(576), &json!(9216)));
        let token = &found["properties"]["kubernetes"]["properties"]["token"];
        assert_eq!(token["writeOnly"], json!(true));
        let container = &found["properties"]["host-containers"]["additionalProperties"];
        assert_eq!(properties(container), ["enabled", "image", "user-data"]);
        assert_eq!(container["properties"]["user-data"]["writeOnly"], json!(true));
    }
}
