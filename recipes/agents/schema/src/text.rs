//! Settings as people write them: TOML, with the lines of what is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml_edit::{ImDocument, Item, TableLike};

use crate::document::{Document, MergeError};
use crate::kind::below;
use crate::problem::{Problem, What};
use crate::schema::Schema;

/// A text that does not say settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextError {
    /// No TOML.
    Syntax { line: usize, reason: String },
    /// All that does not fit the schema, by line.
    Problems(Vec<Problem>),
}

/// Reads settings from TOML 1.0.
///
/// # Errors
/// See [`TextError`].
pub fn read_toml(schema: &Schema, text: &str) -> Result<Document, TextError> {
    let document = ImDocument::parse(text).map_err(|error| TextError::Syntax {
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        reason: reason(error.message()),
    })?;
    let mut reading = Reading { text, lines: BTreeMap::new(), problems: Vec::new() };
    let tree = reading.table("", document.as_table());
    let mut problems = reading.problems;
    let read = match Document::from_tree(schema, &tree) {
        Ok(read) if problems.is_empty() => return Ok(read),
        Ok(_) => Vec::new(),
        Err(MergeError(found)) => found,
    };
    problems.extend(read.into_iter().map(|problem| {
        let line = reading
            .lines
            .iter()
            .filter(|(way, _)| leads_to(way, &problem.at))
            .map(|(way, line)| (way.len(), *line));
        Problem { line: line.max().map(|(_, line)| line), ..problem }
    }));
    problems.sort_by_key(|problem| problem.line);
    Err(TextError::Problems(problems))
}

/// A parser's message on one line.
fn reason(message: &str) -> String {
    let lines: Vec<&str> = message.lines().filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "unexpected end".to_owned() } else { lines.join("; ") }
}

/// Whether `at` is `way` or lies below it.
fn leads_to(way: &str, at: &str) -> bool {
    at.strip_prefix(way).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

struct Reading<'t> {
    text: &'t str,
    /// Of each name and entry, by its way.
    lines: BTreeMap<String, usize>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn table(&mut self, way: &str, table: &dyn TableLike) -> Value {
        let mut tree = Map::new();
        for (name, item) in table.iter() {
            let way = below(way, name);
            self.note(&way, table.key(name).and_then(toml_edit::Key::span));
            let value = self.item(&way, item);
            tree.insert(name.to_owned(), value);
        }
        Value::Object(tree)
    }

    fn item(&mut self, way: &str, item: &Item) -> Value {
        if let Some(table) = item.as_table_like() {
            return self.table(way, table);
        }
        match item {
            Item::Value(value) => self.value(way, value),
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().enumerate().map(|(index, table)| {
                    let way = format!("{way}[{index}]");
                    self.note(&way, table.span());
                    self.table(&way, table)
                });
                Value::Array(tables.collect())
            }
            Item::None | Item::Table(_) => Value::Null,
        }
    }

    fn value(&mut self, way: &str, value: &toml_edit::Value) -> Value {
        match value {
            toml_edit::Value::String(text) => Value::String(text.value().clone()),
            toml_edit::Value::Integer(number) => Value::Number((*number.value()).into()),
            toml_edit::Value::Boolean(is) => Value::Bool(*is.value()),
            toml_edit::Value::Float(number) => match Number::from_f64(*number.value()) {
                Some(number) => Value::Number(number),
                None => self.refuse(way, "a finite number", &number.value().to_string()),
            },
            toml_edit::Value::Datetime(time) => {
                self.refuse(way, "no date: in quotes it is a text", &time.value().to_string())
            }
            toml_edit::Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let way = format!("{way}[{index}]");
                    self.note(&way, item.span());
                    self.value(&way, item)
                });
                Value::Array(items.collect())
            }
            toml_edit::Value::InlineTable(table) => self.table(way, table),
        }
    }

    /// What JSON has no form for.
    fn refuse(&mut self, way: &str, expected: &str, found: &str) -> Value {
        let what = What::Value { expected: expected.to_owned(), found: found.to_owned() };
        let line = self.lines.get(way).copied();
        self.problems.push(Problem { line, ..Problem::new(way, what) });
        Value::Null
    }

    fn note(&mut self, way: &str, span: Option<Range<usize>>) {
        if let Some(span) = span {
            self.lines.insert(way.to_owned(), line_of(self.text, span.start));
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, reason } => write!(f, "line {line}: no TOML: {reason}"),
            Self::Problems(problems) => MergeError(problems.clone()).fmt(f),
        }
    }
}

impl std::error::Error for TextError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::tests::schema;

    #[test]
    fn every_way_of_writing_it_is_read() {
        let expected = json!({
            "network": { "hostname": "a", "mtu": 1400 },
            "kubernetes": { "labels": { "example.com/role": "x" }, "kubelet": { "a": [1, 2.5, { "b": true }] } },
        });
        for text in [
            "network.hostname = \"a\"\nnetwork.mtu = 1_400\nkubernetes.labels.\"example.com/role\" = \"x\"\n\
             kubernetes.kubelet = { a = [1, 2.5, { b = true }] }",
            "[network]\nhostname = 'a'\nmtu = 0x578\n[kubernetes.labels]\n'example.com/role' = \"x\"\n\
             [kubernetes.kubelet]\na = [1, 2.5, { b = true }]",
        ] {
            assert_eq!(read_toml(&schema(), text).unwrap().to_tree(), expected, "{text}");
        }
        assert!(read_toml(&schema(), "# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, expected) in [
            ("a = ", "line 1: no TOML: unexpected end"),
            ("\na = x", "line 2: no TOML: invalid string; expected `\"`, `'`"),
            ("[network", "line 1: no TOML: invalid table header; expected `.`, `]`"),
            ("[network]\nmtu = 1\nmtu = 2\n", "line 3: no TOML: duplicate key `mtu` in table `network`"),
            (
                "[network]\nhostnam = \"a\"\nmtu = 70000\n\n[kubernetes]\nlabels = { \"-\" = \"a\", b = 1 }\n",
                "line 2: network.hostnam: no such setting; did you mean network.hostname?\n\
                 line 3: network.mtu: expected a whole number from 576 to 9216, found 70000\n\
                 line 6: kubernetes.labels.-: the name is not a label's name, as in example.com/role\n\
                 line 6: kubernetes.labels.b: expected a label's value of at most 63 letters, digits, -, _ and ., found 1",
            ),
            ("network = 1", "line 1: network: is a group of settings and has no value of its own"),
            (
                "[host-containers.admin]\nimage = \"UPPER\"\n[host-containers.x]\nenabled = 1979-05-27\n",
                "line 2: host-containers.admin.image: expected a container image, as in registry.example/name:tag, found \"UPPER\"\n\
                 line 4: host-containers.x.enabled: expected no date: in quotes it is a text, found 1979-05-27",
            ),
            (
                "kubernetes.kubelet.a = nan",
                "line 1: kubernetes.kubelet.a: expected a finite number, found NaN",
            ),
            ("[[network]]\nmtu = 1", "line 1: network: is a group of settings and has no value of its own"),
        ] {
            assert_eq!(read_toml(&schema(), text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn deep_nests_are_refused() {
        let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read_toml(&schema(), &deep), Err(TextError::Syntax { line: 1, .. })));
        let dotted = format!("{}a = 1", "a.".repeat(100_000));
        assert!(read_toml(&schema(), &dotted).is_err());
    }
}
