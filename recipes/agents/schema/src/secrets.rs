//! What is secret in a document, for whoever keeps it out of what others say.

use serde_json::Value;

use crate::document::Document;
use crate::schema::Schema;

impl Document {
    /// Every secret text in it: what the redacted document does not show.
    pub fn secrets(&self, schema: &Schema) -> Vec<&str> {
        let mut secrets = Vec::new();
        let redacted = self.redacted(schema);
        for ((_, value), (_, shown)) in self.iter().zip(redacted.iter()) {
            add_hidden(value, shown, &mut secrets);
        }
        secrets
    }
}

/// Adds the texts of a value that its redacted form does not show.
fn add_hidden<'v>(value: &'v Value, shown: &Value, secrets: &mut Vec<&'v str>) {
    match (value, shown) {
        (value, shown) if value == shown => {}
        (Value::Array(items), Value::Array(shown)) => {
            items.iter().zip(shown).for_each(|(item, shown)| add_hidden(item, shown, secrets));
        }
        (Value::Object(entries), Value::Object(shown)) if entries.keys().eq(shown.keys()) => {
            entries.values().zip(shown.values()).for_each(|(entry, shown)| add_hidden(entry, shown, secrets));
        }
        (value, _) => add_texts(value, secrets),
    }
}

fn add_texts<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, texts)),
        Value::Object(entries) => entries.values().for_each(|entry| add_texts(entry, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::tests::schema;

    #[test]
    fn secrets_are_found_wherever_they_are() {
        let tree = json!({
            "network": { "hostname": "open" },
            "kubernetes": { "token": "one" },
            "host-containers": { "a": { "image": "r/open:1", "user-data": "two\nthree" } },
        });
        let document = Document::from_tree(&schema(), &tree).unwrap();
        assert_eq!(document.secrets(&schema()), ["two\nthree", "one"]);
        assert_eq!(Document::default().secrets(&schema()), [""; 0]);
    }
}
