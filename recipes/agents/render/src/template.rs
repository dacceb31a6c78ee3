//! One template: its head, and what it gives.

use std::fmt;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use osbuild_schema::{Document, Key, Kind, Schema};
use serde::Deserialize;
use serde_json::Value;

use crate::form::Form;
use crate::functions;
use crate::values::visible;

/// What stands above and below the head.
const FENCE: &str = "+++";

/// What a template says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Head {
    /// The file, below `/etc`. With `each`, `@` in its last part stands for an
    /// entry's name.
    path: String,
    /// A setting that is a table: a file for each of its entries, in which
    /// `item.name` and `item.value` are the entry. Files of entries that are
    /// gone go, too.
    each: Option<Key>,
    form: Form,
    /// Octal.
    #[serde(default = "mode")]
    mode: String,
    /// Settings and groups of them; what it may read.
    settings: Vec<String>,
    /// Facts that it reads, by name.
    #[serde(default)]
    facts: Vec<String>,
    /// Units that start anew when the file changes, and those that read it
    /// again.
    #[serde(default)]
    restart: Vec<String>,
    #[serde(default)]
    reload: Vec<String>,
    /// Units that run exactly while the file is there, and start anew when it
    /// changes. With `each`, instances: `a@.service` becomes `a@NAME.service`.
    #[serde(default)]
    run: Vec<String>,
    /// An expression; the file is there only while it is true.
    when: Option<String>,
}

fn mode() -> String {
    "0644".to_owned()
}

/// A template that can be used.
pub struct Template {
    /// For messages: the name of its file.
    pub name: String,
    head: Head,
    mode: u32,
    body: String,
    /// The body's first line in its file.
    first_line: usize,
}

/// What came of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub path: String,
    pub mode: u32,
    /// `None`: there is to be no such file.
    pub contents: Option<String>,
    pub restart: Vec<String>,
    pub reload: Vec<String>,
    pub run: Vec<String>,
}

/// What came of a template in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub files: Vec<Rendered>,
    /// Files that go unless they are among these.
    pub family: Option<Family>,
}

/// Files of one directory whose names begin and end alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    pub directory: String,
    pub prefix: String,
    pub suffix: String,
    pub restart: Vec<String>,
    pub reload: Vec<String>,
    /// Patterns of instances.
    pub run: Vec<String>,
}

/// Units of one entry; systemd's escaping for what else a name may hold
/// (systemd-escape(1)).
pub(crate) fn instances(patterns: &[String], name: &str) -> Vec<String> {
    let mut escaped = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b":_.".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("\\x{byte:02x}"));
        }
    }
    patterns.iter().map(|unit| unit.replacen("@.", &format!("@{escaped}."), 1)).collect()
}

/// A template that gives no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    pub name: String,
    pub line: Option<usize>,
    pub reason: String,
}

impl Template {
    /// # Errors
    /// The head or the body is malformed.
    pub fn parse(name: &str, text: &str, schema: &Schema) -> Result<Self, TemplateError> {
        let fail =
            |line: Option<usize>, reason: String| TemplateError { name: name.to_owned(), line, reason };
        let rest = text.strip_prefix(FENCE).and_then(|rest| rest.strip_prefix('\n'));
        let rest = rest.ok_or_else(|| fail(Some(1), format!("a template begins with {FENCE}")))?;
        let closed = format!("\n{FENCE}\n");
        let (head, body) = rest
            .split_once(&closed)
            .ok_or_else(|| fail(None, format!("the head does not end with {FENCE}")))?;
        let first_line = 3 + head.lines().count();
        let head: Head = toml::from_str(head).map_err(|error| {
            let line = error.span().map(|span| 2 + head[..span.start.min(head.len())].matches('\n').count());
            fail(line, error.message().lines().next().unwrap_or("malformed").to_owned())
        })?;
        let mode = u32::from_str_radix(&head.mode, 8).ok().filter(|mode| *mode <= 0o777);
        let mode = mode.ok_or_else(|| fail(None, format!("'{}' is no mode", head.mode)))?;
        let is_below = !head.path.is_empty()
            && head.path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        if !is_below {
            return Err(fail(None, format!("'{}' is no path below /etc", head.path)));
        }
        if let Some(group) =
            head.settings.iter().find(|group| !schema.iter().any(|(key, _)| key.is_within(group)))
        {
            return Err(fail(None, format!("there are no settings {group}")));
        }
        let last = head.path.rsplit('/').next().unwrap_or_default();
        if head.run.iter().any(|unit| unit.contains("@.") != head.each.is_some()) {
            return Err(fail(None, "units run by instance (a@.service) exactly with `each`".to_owned()));
        }
        if let Some(key) = &head.each {
            let is_table = schema.get(key).is_some_and(|setting| matches!(setting.kind, Kind::Map { .. }));
            if !is_table || !head.settings.iter().any(|group| key.is_within(group)) {
                return Err(fail(None, format!("{key} is no table among the settings that it reads")));
            }
        }
        if (head.path.matches('@').count(), last.matches('@').count())
            != if head.each.is_some() { (1, 1) } else { (0, 0) }
        {
            return Err(fail(None, "a path has one @, in its last part, exactly with `each`".to_owned()));
        }
        let template = Self { name: name.to_owned(), head, mode, body: body.to_owned(), first_line };
        template.environment()?;
        Ok(template)
    }

    /// Settings and groups that it reads.
    pub fn settings(&self) -> &[String] {
        &self.head.settings
    }

    /// Units that its file concerns; of instances, their template (a@.service).
    pub fn units(&self) -> impl Iterator<Item = &str> {
        [&self.head.restart, &self.head.reload, &self.head.run].into_iter().flatten().map(String::as_str)
    }

    /// Facts that it reads.
    pub fn facts(&self) -> &[String] {
        &self.head.facts
    }

    /// Renders it. `facts` are whatever was found out about the node.
    ///
    /// # Errors
    /// It reads what there is not, writes what its form cannot hold, or gives
    /// up by itself.
    pub fn render(
        &self,
        schema: &Schema,
        effective: &Document,
        facts: &Value,
    ) -> Result<Output, TemplateError> {
        let environment = self.environment()?;
        let mine: serde_json::Map<String, Value> = self
            .head
            .facts
            .iter()
            .filter_map(|name| Some((name.clone(), facts.get(name)?.clone())))
            .collect();
        let context = serde_json::json!({
            "settings": visible(schema, effective, &self.head.settings),
            "facts": mine,
        });
        let Some(key) = &self.head.each else {
            return Ok(Output {
                files: vec![self.file(&environment, &context, &self.head.path)?],
                family: None,
            });
        };
        let parts = key.parts().map(|part| part.replace('-', "_"));
        let table = parts.fold(&context["settings"], |group, part| &group[part]);
        let mut files = Vec::new();
        for (name, value) in table.as_object().into_iter().flatten() {
            if name.is_empty() || name.contains('/') || name.starts_with('.') {
                let reason = format!("an entry called {name:?} can have no file");
                return Err(TemplateError { name: self.name.clone(), line: None, reason });
            }
            let mut context = context.clone();
            context["item"] = serde_json::json!({ "name": name, "value": value });
            let mut file = self.file(&environment, &context, &self.head.path.replace('@', name))?;
            file.run = instances(&self.head.run, name);
            files.push(file);
        }
        let (directory, last) = self.head.path.rsplit_once('/').unwrap_or(("", &self.head.path));
        let (prefix, suffix) = last.split_once('@').unwrap_or((last, ""));
        let family = Family {
            directory: directory.to_owned(),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            restart: self.head.restart.clone(),
            reload: self.head.reload.clone(),
            run: self.head.run.clone(),
        };
        Ok(Output { files, family: Some(family) })
    }

    fn file(
        &self,
        environment: &Environment<'_>,
        context: &Value,
        path: &str,
    ) -> Result<Rendered, TemplateError> {
        let is_wanted = match &self.head.when {
            None => true,
            Some(when) => {
                let expression =
                    environment.compile_expression(when).map_err(|error| self.failed(&error, 0))?;
                expression.eval(context).map_err(|error| self.failed(&error, 0))?.is_true()
            }
        };
        let contents = if is_wanted {
            let template =
                environment.get_template(&self.name).map_err(|error| self.failed(&error, self.first_line))?;
            let contents = template.render(context).map_err(|error| self.failed(&error, self.first_line))?;
            let wrong = |reason| TemplateError { name: self.name.clone(), line: None, reason };
            self.head.form.check(&contents).map_err(wrong)?;
            Some(contents)
        } else {
            None
        };
        Ok(Rendered {
            path: path.to_owned(),
            mode: self.mode,
            contents,
            restart: self.head.restart.clone(),
            reload: self.head.reload.clone(),
            run: self.head.run.clone(),
        })
    }

    fn environment(&self) -> Result<Environment<'_>, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_keep_trailing_newline(true);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("form"));
        let form = self.head.form;
        environment.set_formatter(move |out, _, value| {
            if value.is_safe() {
                return out.write_str(value.as_str().unwrap_or_default()).map_err(Into::into);
            }
            if value.is_undefined() {
                return Err(minijinja::Error::new(
                    ErrorKind::UndefinedError,
                    "there is no such setting or fact",
                ));
            }
            let json = serde_json::to_value(value)
                .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            let text = form
                .write(&json)
                .map_err(|reason| minijinja::Error::new(ErrorKind::InvalidOperation, reason))?;
            out.write_str(&text).map_err(Into::into)
        });
        functions::add(&mut environment);
        environment
            .add_template(&self.name, &self.body)
            .map_err(|error| self.failed(&error, self.first_line))?;
        if let Some(when) = &self.head.when {
            // The library panics where the end of a `{{ … }}` comes before the
            // end of an expression that has no beginning of one.
            if when.contains("}}") {
                let reason = "when: `}}` would end it; put a space between".to_owned();
                return Err(TemplateError { name: self.name.clone(), line: None, reason });
            }
            environment.compile_expression(when).map_err(|error| self.failed(&error, 0))?;
        }
        Ok(environment)
    }

    fn failed(&self, error: &minijinja::Error, first_line: usize) -> TemplateError {
        // Its lines are those of the body; those of an expression mean nothing.
        let line = error.line().filter(|line| first_line > 0 && *line > 0).map(|line| line - 1 + first_line);
        let reason = match error.detail() {
            Some(detail) => detail.to_owned(),
            None => error.kind().to_string(),
        };
        TemplateError { name: self.name.clone(), line, reason }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for TemplateError {}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn schema() -> Schema {
        let file = json!({ "schema": 1, "settings": {
            "network.hostname": { "type": { "kind": "text", "format": "hostname" }, "default": "localhost", "description": "" },
            "network.dns-servers": { "type": { "kind": "list", "of": { "kind": "text", "format": "ip" }, "maxItems": 3 }, "default": [], "description": "" },
            "network.mtu": { "type": { "kind": "integer", "min": 576, "max": 9216 }, "description": "" },
            "motd": { "type": { "kind": "text", "format": "line" }, "default": "", "description": "" },
            "labels": { "type": { "kind": "map", "keys": "label-key", "of": { "kind": "text", "format": "label-value" } }, "default": {}, "description": "" },
        }});
        Schema::parse(file.to_string().as_bytes()).unwrap()
    }

    pub(crate) fn template(head: &str, body: &str) -> Result<Template, TemplateError> {
        Template::parse("t", &format!("+++\n{head}\n+++\n{body}"), &schema())
    }

    fn rendered(head: &str, body: &str, settings: Value) -> Result<Rendered, String> {
        let mut output = output(head, body, settings)?;
        assert!(output.family.is_none());
        Ok(output.files.remove(0))
    }

    fn output(head: &str, body: &str, settings: Value) -> Result<Output, String> {
        let document = Document::from_tree(&schema(), &settings).unwrap().effective(&schema());
        let facts = json!({ "node_ip": "10.0.0.9", "secret": "x" });
        template(head, body)
            .and_then(|template| template.render(&schema(), &document, &facts))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_gives_a_file() {
        let head = "path = \"hostname\"\nform = \"text\"\nmode = \"0600\"\nsettings = [\"network\"]\nrestart = [\"a.service\"]";
        let found =
            rendered(head, "{{ settings.network.hostname }}\n", json!({ "network": { "hostname": "node" } }))
                .unwrap();
        assert_eq!(
            found,
            Rendered {
                path: "hostname".to_owned(),
                mode: 0o600,
                contents: Some("node\n".to_owned()),
                restart: vec!["a.service".to_owned()],
                reload: Vec::new(),
                run: Vec::new(),
            }
        );
    }

    #[test]
    fn values_are_written_in_the_files_form() {
        let awkward = json!({ "motd": "a \"b\" \\ %i" });
        for (form, body, expected) in [
            (
                "json",
                "{\"motd\": {{ settings.motd }}, \"dns\": {{ settings.network.dns_servers }}}",
                r#"{"motd": "a \"b\" \\ %i", "dns": []}"#,
            ),
            (
                "toml",
                "motd = {{ settings.motd }}\nlabels = {{ settings.labels }}\n",
                "motd = 'a \"b\" \\ %i'\nlabels = {}\n",
            ),
            ("systemd", "[A]\nMotd={{ settings.motd }}\n", "[A]\nMotd=a \"b\" \\ %%i\n"),
            ("text", "{% if settings.network.mtu %}\nno\n{% endif %}\n{{ facts.node_ip }}\n", "10.0.0.9\n"),
        ] {
            let head = format!(
                "path = \"a\"\nform = \"{form}\"\nsettings = [\"motd\", \"labels\", \"network\"]\nfacts = [\"node_ip\"]"
            );
            assert_eq!(rendered(&head, body, awkward.clone()).unwrap().contents.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_file_may_be_there_only_now_and_then() {
        let head = "path = \"a\"\nform = \"text\"\nsettings = [\"network\"]\nwhen = \"settings.network.mtu\"";
        assert_eq!(rendered(head, "x", json!({})).unwrap().contents, None);
        assert_eq!(
            rendered(head, "x", json!({ "network": { "mtu": 1400 } })).unwrap().contents.as_deref(),
            Some("x")
        );
        // The library would panic.
        let error = rendered(&head.replace("network.mtu", "netw}}]ork"), "x", json!({})).unwrap_err();
        assert!(error.contains("put a space between"), "{error:?}");
    }

    #[test]
    fn a_table_may_have_a_file_for_each_entry() {
        let head = "path = \"a/10-@.conf\"\nform = \"text\"\nsettings = [\"labels\"]\neach = \"labels\"\nreload = [\"a.service\"]";
        let body = "{{ item.name }}={{ item.value }}";
        let with_units = format!("{head}\nrun = [\"a@.service\"]\nwhen = \"item.value == '1'\"");
        let found = output(&with_units, body, json!({ "labels": { "x-1": "1", "y": "2" } })).unwrap();
        let files: Vec<(bool, &[String])> =
            found.files.iter().map(|file| (file.contents.is_some(), file.run.as_slice())).collect();
        let (one, two) = (["a@x\\x2d1.service".to_owned()], ["a@y.service".to_owned()]);
        assert_eq!(files, [(true, one.as_slice()), (false, two.as_slice())]);
        let found = output(head, body, json!({ "labels": { "x": "1", "y": "2" } })).unwrap();
        let files: Vec<(&str, Option<&str>)> =
            found.files.iter().map(|file| (file.path.as_str(), file.contents.as_deref())).collect();
        assert_eq!(files, [("a/10-x.conf", Some("x=1")), ("a/10-y.conf", Some("y=2"))]);
        let family = found.family.unwrap();
        assert_eq!(
            (family.directory.as_str(), family.prefix.as_str(), family.suffix.as_str()),
            ("a", "10-", ".conf")
        );
        assert_eq!(output(head, body, json!({})).unwrap().files, []);
        let error = output(head, body, json!({ "labels": { "a/b": "1" } })).unwrap_err();
        assert_eq!(error, "t: an entry called \"a/b\" can have no file");
        for (bent, expected) in [
            (format!("{head}\nrun = [\"a.service\"]"), "t: units run by instance"),
            (head.replace("@", ""), "t: a path has one @"),
            (head.replace("10-@", "@-@"), "t: a path has one @"),
            (head.replace("a/10-@", "@/10"), "t: a path has one @"),
            (head.replace("each = \"labels\"\n", ""), "t: a path has one @"),
            (head.replace("each = \"labels\"", "each = \"network.mtu\""), "t: network.mtu is no table"),
        ] {
            assert!(output(&bent, body, json!({})).unwrap_err().starts_with(expected), "{bent}");
        }
    }

    #[test]
    fn what_is_passed_on_may_be_a_whole_file() {
        let head = "path = \"a\"\nform = \"toml\"\nsettings = [\"labels\"]";
        let settings = json!({ "labels": { "a": "1", "b.c": "2" } });
        let found =
            rendered(head, "version = 2\n{{ document({'x': settings.labels, 'y': [{'z': 1}]}) }}", settings)
                .unwrap();
        assert_eq!(
            found.contents.as_deref(),
            Some("version = 2\ny = [{ z = 1 }]\n\n[x]\na = \"1\"\n\"b.c\" = \"2\"\n")
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let head = |settings: &str| format!("path = \"a/b\"\nform = \"text\"\nsettings = [{settings}]");
        for (head, body, expected) in [
            ("path = 1".to_owned(), "", "t:2: invalid type: integer `1`, expected a string"),
            ("form = \"text\"\npth = \"a\"".to_owned(), "", "t:3: unknown field `pth`"),
            (
                "path = \"../a\"\nform = \"text\"\nsettings = []".to_owned(),
                "",
                "t: '../a' is no path below /etc",
            ),
            (
                "path = \"a\"\nform = \"text\"\nsettings = []\nmode = \"999\"".to_owned(),
                "",
                "t: '999' is no mode",
            ),
            (head("\"netwrk\""), "", "t: there are no settings netwrk"),
            (head("\"network\""), "one\n{% if %}", "t:7: unexpected"),
            (head("\"network\""), "one\n{{ settings.motd }}", "t:7: "),
            (
                head("\"network\""),
                "{{ settings.network.mtu }}",
                "t:6: a setting that is not set cannot be written",
            ),
            (head("\"network\""), "\n\n{{ fail('no network') }}", "t:8: no network"),
            (head(""), "{{ facts.secret }}", "t:6: "),
            (head("\"motd\"").replace("text", "json"), "{ {{ settings.motd }} }", "t: the file is no JSON"),
        ] {
            let found = rendered(&head, body, json!({})).unwrap_err();
            assert!(found.starts_with(expected), "{found:?}, expected {expected:?}");
        }
        for (text, expected) in [
            ("x", "t:1: a template begins with +++"),
            ("+++\npath = 1\n", "t: the head does not end with +++"),
        ] {
            assert_eq!(Template::parse("t", text, &schema()).err().unwrap().to_string(), expected);
        }
    }
}
