//! The forms of files, and how a value is written in each.

use serde::Deserialize;
use serde_json::Value;

/// What a file is, for whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One value a line, or parts of lines: values are lines without quotes.
    Text,
    /// A text as it is, with all its lines: certificates, files of users.
    Lines,
    Json,
    Toml,
    /// Units and other files of systemd, where `%` begins a specifier and a
    /// backslash at the end of a line goes on with the next.
    Systemd,
}

impl Form {
    /// A value as it stands in such a file.
    ///
    /// # Errors
    /// The form has no way to write it; in words.
    pub(crate) fn write(self, value: &Value) -> Result<String, String> {
        match self {
            Self::Json => Ok(value.to_string()),
            Self::Toml => Ok(toml(value)?.to_string().trim().to_owned()),
            Self::Text => plain(value),
            Self::Lines => match value {
                Value::String(text) => Ok(text.clone()),
                value => plain(value),
            },
            Self::Systemd => {
                let text = plain(value)?;
                if text.ends_with('\\') {
                    return Err(format!("{text:?} would go on in the next line"));
                }
                Ok(text.replace('%', "%%"))
            }
        }
    }

    /// Whether a whole file can be read by whom it is for.
    ///
    /// # Errors
    /// It cannot; in words.
    pub(crate) fn check(self, contents: &str) -> Result<(), String> {
        match self {
            Self::Text | Self::Lines => Ok(()),
            Self::Json => match serde_json::from_str::<serde::de::IgnoredAny>(contents) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("the file is no JSON: {error}")),
            },
            Self::Toml => match contents.parse::<toml_edit::DocumentMut>() {
                Ok(_) => Ok(()),
                Err(error) => Err(format!(
                    "the file is no TOML: {}",
                    error.message().lines().next().unwrap_or("malformed")
                )),
            },
            Self::Systemd => systemd(contents),
        }
    }
}

fn plain(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Null => return Err("a setting that is not set cannot be written".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            return Err("a list or table has to be written entry by entry".to_owned());
        }
    };
    if text.chars().any(char::is_control) {
        return Err(format!("{text:?} has more than one line"));
    }
    Ok(text)
}

/// A table as a document of TOML: values first, then a section for each table.
///
/// # Errors
/// It is no table, or holds what TOML cannot write; in words.
pub(crate) fn toml_document(value: &Value) -> Result<String, String> {
    let Value::Object(entries) = value else { return Err("a document is made of a table".to_owned()) };
    let mut document = toml_edit::DocumentMut::new();
    fill(document.as_table_mut(), entries)?;
    Ok(document.to_string())
}

fn fill(table: &mut toml_edit::Table, entries: &serde_json::Map<String, Value>) -> Result<(), String> {
    for (name, entry) in entries.iter().filter(|(_, entry)| !entry.is_null()) {
        let item = match entry {
            Value::Object(below) => {
                let mut inner = toml_edit::Table::new();
                inner.set_implicit(below.values().all(Value::is_object) && !below.is_empty());
                fill(&mut inner, below)?;
                toml_edit::Item::Table(inner)
            }
            entry => toml_edit::Item::Value(toml(entry)?),
        };
        table.insert(name, item);
    }
    Ok(())
}

fn toml(value: &Value) -> Result<toml_edit::Value, String> {
    Ok(match value {
        Value::Null => return Err("a setting that is not set cannot be written".to_owned()),
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => return Err(format!("TOML has no number {number}")),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => {
            toml_edit::Value::Array(items.iter().map(toml).collect::<Result<toml_edit::Array, _>>()?)
        }
        Value::Object(entries) => {
            let mut table = toml_edit::InlineTable::new();
            // TOML has no null: what is not set is not there.
            for (name, entry) in entries.iter().filter(|(_, entry)| !entry.is_null()) {
                table.insert(name, toml(entry)?);
            }
            toml_edit::Value::InlineTable(table)
        }
    })
}

/// systemd.syntax(7): sections, assignments, comments.
fn systemd(contents: &str) -> Result<(), String> {
    let mut is_in_section = false;
    let mut continues = false;
    for (index, line) in contents.lines().enumerate() {
        let went_on = std::mem::replace(&mut continues, line.ends_with('\\'));
        let trimmed = line.trim();
        if went_on || trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let is_section = trimmed.starts_with('[') && trimmed.ends_with(']') && trimmed.len() > 2;
        let is_assignment = trimmed.split_once('=').is_some_and(|(name, _)| {
            !name.trim().is_empty()
                && name.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        });
        if is_section {
            is_in_section = true;
        } else if !is_assignment || !is_in_section {
            return Err(format!(
                "line {} of the file is no section and no assignment: {trimmed:?}",
                index + 1
            ));
        }
    }
    if continues { Err("the file ends within a line".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_stay_within_their_bounds() {
        let awkward = json!("a\"b\\c%d");
        for (form, value, expected) in [
            (Form::Json, awkward.clone(), Ok(r#""a\"b\\c%d""#)),
            (Form::Json, json!({ "a": [1, null] }), Ok(r#"{"a":[1,null]}"#)),
            (Form::Toml, json!("a\"b"), Ok("'a\"b'")),
            (
                Form::Toml,
                json!({ "a": [1, 2.5, true], "b": null, "c d": "x\ny" }),
                Ok("{ a = [1, 2.5, true], \"c d\" = \"\"\"\nx\ny\"\"\" }"),
            ),
            (Form::Toml, json!(null), Err("a setting that is not set cannot be written")),
            (Form::Text, awkward.clone(), Ok(r#"a"b\c%d"#)),
            (Form::Text, json!(7), Ok("7")),
            (Form::Lines, json!("a\nb"), Ok("a\nb")),
            (Form::Lines, json!([1]), Err("a list or table has to be written entry by entry")),
            (Form::Text, json!("a\nb"), Err("\"a\\nb\" has more than one line")),
            (Form::Text, json!([1]), Err("a list or table has to be written entry by entry")),
            (Form::Text, json!(null), Err("a setting that is not set cannot be written")),
            (Form::Systemd, awkward, Ok(r#"a"b\c%%d"#)),
            (Form::Systemd, json!("a\\"), Err("\"a\\\\\" would go on in the next line")),
        ] {
            assert_eq!(
                form.write(&value),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{form:?} {value}"
            );
        }
    }

    #[test]
    fn files_are_read_as_by_whom_they_are_for() {
        for (form, contents, expected) in [
            (Form::Json, "{}", None),
            (Form::Json, "{,}", Some("the file is no JSON: ")),
            (Form::Toml, "a = 1\n[b]\n", None),
            (Form::Toml, "a = \n", Some("the file is no TOML: ")),
            (Form::Systemd, "# x\n[A]\nB=c \\\n  d\n\nE=\n", None),
            (Form::Systemd, "A=b\n", Some("line 1 of the file is no section")),
            (Form::Systemd, "[A]\nb\n", Some("line 2 of the file is no section")),
            (Form::Systemd, "[A]\nb=c\\\n", Some("the file ends within a line")),
        ] {
            let found = form.check(contents).err();
            let fits = match (expected, &found) {
                (None, None) => true,
                (Some(expected), Some(found)) => found.starts_with(expected),
                _ => false,
            };
            assert!(fits, "{contents:?}: {found:?}");
        }
    }
}
