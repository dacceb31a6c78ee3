//! All settings of a system.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document::overlaid;
use crate::key::Key;
use crate::kind::Kind;
use crate::problem::{Problem, nearest};

/// What is said of one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Setting {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it is if nobody says; without one it is not set then.
    #[serde(default)]
    pub default: Option<Value>,
    /// Whether its value is kept out of everything that is shown.
    #[serde(default)]
    pub secret: bool,
    pub description: String,
}

impl Setting {
    /// What is wrong with what was said of it, as it holds over the default.
    pub(crate) fn check(&self, key: &Key, said: &Value, problems: &mut Vec<Problem>) {
        if let Some(value) = overlaid(&self.kind, self.default.as_ref(), Some(said)) {
            self.kind.check(&value, key.as_str(), self.secret, problems);
        }
    }
}

/// The settings by name.
///
/// # Invariants
/// No name is a part of another's way (`a.b` and `a.b.c`); every default is
/// of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    settings: BTreeMap<Key, Setting>,
}

/// The file's own form, of this version.
const SCHEMA: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    settings: BTreeMap<Key, Setting>,
}

/// A schema that cannot be used.
#[derive(Debug)]
pub enum SchemaError {
    /// Not JSON, or of another form.
    Form(serde_json::Error),
    /// A form that this program does not know.
    Version(u32),
    /// A setting contradicts itself or another.
    Setting { key: Key, flaw: String },
}

impl Schema {
    /// # Errors
    /// See [`SchemaError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SchemaError> {
        /// All that is read of a newer form.
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let Version { schema } = serde_json::from_slice(bytes).map_err(SchemaError::Form)?;
        if schema != SCHEMA {
            return Err(SchemaError::Version(schema));
        }
        let file: File = serde_json::from_slice(bytes).map_err(SchemaError::Form)?;
        Self::new(file.settings)
    }

    /// # Errors
    /// [`SchemaError::Setting`].
    pub fn new(settings: BTreeMap<Key, Setting>) -> Result<Self, SchemaError> {
        for (key, setting) in &settings {
            let fail = |flaw: String| Err(SchemaError::Setting { key: key.clone(), flaw });
            if let Some(flaw) = setting.kind.flaw() {
                return fail(flaw);
            }
            let mut problems = Vec::new();
            if let Some(default) = &setting.default {
                setting.kind.check(default, key.as_str(), false, &mut problems);
            }
            if let Some(problem) = problems.first() {
                return fail(format!("its default is not of its type: {problem}"));
            }
            let mut above = key.as_str();
            while let Some((shorter, _)) = above.rsplit_once('.') {
                if settings.keys().any(|other| other.as_str() == shorter) {
                    return fail(format!("it lies below {shorter}, which is a setting itself"));
                }
                above = shorter;
            }
        }
        Ok(Self { settings })
    }

    pub fn get(&self, key: &Key) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// All settings, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Setting)> {
        self.settings.iter()
    }

    /// The setting at a way, or whether it is a group of some.
    pub(crate) fn at(&self, way: &str) -> At<'_> {
        let parsed = Key::parse(way).ok();
        if let Some((key, setting)) = parsed.and_then(|key| self.settings.get_key_value(&key)) {
            return At::Setting(key, setting);
        }
        if way.is_empty() || self.settings.keys().any(|key| key.is_within(way)) {
            At::Group
        } else {
            At::Nothing
        }
    }

    /// The name of a setting or group that was meant by one that there is not.
    pub(crate) fn nearest(&self, way: &str) -> Option<String> {
        let mut names: Vec<&str> = Vec::new();
        for key in self.settings.keys() {
            let mut name = key.as_str();
            names.push(name);
            while let Some((shorter, _)) = name.rsplit_once('.') {
                names.push(shorter);
                name = shorter;
            }
        }
        // The group that it lies in was not meant: it was named.
        let is_above = |name: &&str| way.strip_prefix(*name).is_some_and(|rest| rest.starts_with('.'));
        nearest(way, names.into_iter().filter(|name| !is_above(name)))
    }

    /// As [`Schema::parse`] reads it.
    pub fn to_json(&self) -> Vec<u8> {
        let file = File { schema: SCHEMA, settings: self.settings.clone() };
        serde_json::to_vec(&file).expect("a schema serialises")
    }
}

/// What a schema has at a way.
pub(crate) enum At<'s> {
    Setting(&'s Key, &'s Setting),
    Group,
    Nothing,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(error) => write!(f, "the schema of settings cannot be read: {error}"),
            Self::Version(version) => {
                write!(f, "the schema of settings has form {version}, this program knows {SCHEMA}")
            }
            Self::Setting { key, flaw } => write!(f, "the schema's setting {key} is wrong: {flaw}"),
        }
    }
}

impl std::error::Error for SchemaError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(settings: Value) -> Result<Schema, String> {
        let file = json!({ "schema": 1, "settings": settings });
        Schema::parse(file.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn bool_setting() -> Value {
        json!({ "type": { "kind": "bool" }, "description": "" })
    }

    #[test]
    fn a_schema_is_read_and_written() {
        let schema = parse(json!({
            "network.mtu": {
                "type": { "kind": "integer", "min": 576, "max": 9216 }, "default": 1500, "description": "Of eth0."
            },
            "a": bool_setting(),
        }))
        .unwrap();
        assert_eq!(Schema::parse(&schema.to_json()).unwrap(), schema);
        assert!(matches!(schema.at("network"), At::Group));
        assert!(matches!(schema.at("network.mtu"), At::Setting(_, _)));
        assert!(matches!(schema.at("network.mtu.x"), At::Nothing));
        assert!(matches!(schema.at("net"), At::Nothing));
        assert_eq!(schema.nearest("network.mut").as_deref(), Some("network.mtu"));
        assert_eq!(schema.nearest("netwrk").as_deref(), Some("network"));
        assert_eq!(schema.nearest("zzz"), None);
        assert_eq!(schema.nearest("network.x"), None);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (settings, expected) in [
            (
                json!({ "a": { "type": { "kind": "bool" }, "default": 1, "description": "" } }),
                "the schema's setting a is wrong: its default is not of its type: a: expected true or false, found 1",
            ),
            (
                json!({ "a.b": bool_setting(), "a.b.c.d": bool_setting() }),
                "the schema's setting a.b.c.d is wrong: it lies below a.b, which is a setting itself",
            ),
            (
                json!({ "a": { "type": { "kind": "integer", "min": 1, "max": 0 }, "description": "" } }),
                "the schema's setting a is wrong: no number is from 1 to 0",
            ),
        ] {
            assert_eq!(parse(settings).unwrap_err(), expected);
        }
        for (bent, expected) in [
            ("{}", "missing field `schema`"),
            ("[", "EOF"),
            (r#"{"schema":2,"new":1}"#, "has form 2, this program knows 1"),
            (r#"{"schema":1,"settings":{"A":{}}}"#, "no name of a setting"),
            (r#"{"schema":1,"settings":{},"more":1}"#, "unknown field `more`"),
        ] {
            let error = Schema::parse(bent.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
