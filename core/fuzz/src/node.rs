//! What a node reads that others wrote: user data, requests to its API, the
//! files of a disk that went bad, templates.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use osbuild_firstboot::text;
use osbuild_render::Template;
use osbuild_schema::{Document, Schema, TextError, read_toml};
use osbuild_settings::answer::Request;
use osbuild_settings::audit::Audit;
use osbuild_settings::files::Files;
use osbuild_settings::generation::{Generation, Who};
use osbuild_settings::node::{Applier, Node};
use osbuild_settings::store::{Moment, Store};
use serde_json::{Value, json};

/// It is set before anybody asks; no answer may hold it.
const SECRET: &str = "s3cr3t-t0ken";
/// Between requests of one input.
const NEXT: u8 = 0;
/// Requests of one input; more find nothing new.
const REQUESTS: usize = 24;

/// One setting of each kind, and of the formats that are worth a search.
fn schema() -> Schema {
    let text = |format: &str| json!({ "kind": "text", "format": format });
    let setting = |kind: Value| json!({ "type": kind, "description": "" });
    let with_default =
        |kind: Value, default: Value| json!({ "type": kind, "default": default, "description": "" });
    let file = json!({ "schema": 1, "settings": {
        "network.hostname": with_default(text("hostname"), json!("localhost")),
        "network.dns": with_default(json!({ "kind": "list", "of": text("ip") }), json!([])),
        "network.mtu": setting(json!({ "kind": "integer", "min": 576, "max": 9216 })),
        "network.proxy": setting(text("url")),
        "network.interfaces": with_default(
            json!({ "kind": "map", "keys": "interface", "of": { "kind": "record", "fields": {
                "dhcp": { "type": { "kind": "choice", "of": ["yes", "no"] }, "default": "yes", "description": "" },
                "addresses": { "type": { "kind": "list", "of": text("cidr") }, "default": [], "description": "" },
                "gateway": { "type": text("ip"), "description": "" },
            } } }),
            json!({}),
        ),
        "token": { "type": text("line"), "secret": true, "description": "" },
        "labels": with_default(
            json!({ "kind": "map", "keys": "label-key", "of": text("label-value") }),
            json!({}),
        ),
        "certificate": setting(json!({ "kind": "text", "format": "pem", "maxBytes": 4096 })),
        "options": with_default(json!({ "kind": "table" }), json!({})),
        "on": with_default(json!({ "kind": "bool" }), json!(true)),
    }});
    Schema::parse(file.to_string().as_bytes()).expect("the schema of this file is one")
}

/// User data, plain or packed: what is taken is written and read as the same,
/// and what is refused is refused with a line, or says why it has none.
pub fn user_data(bytes: &[u8]) {
    let Ok(text) = text::decode(bytes) else { return };
    let schema = schema();
    match read_toml(&schema, &text) {
        Ok(document) => {
            assert!(document.check(&schema).is_empty(), "what is taken holds");
            let again = Document::from_tree(&schema, &document.to_tree());
            assert_eq!(again.ok(), Some(document), "a document is what its tree says");
        }
        Err(TextError::Syntax { line, reason }) => {
            assert!(line > 0 && !reason.is_empty(), "an error says where and what");
        }
        Err(TextError::Problems(problems)) => assert!(!problems.is_empty(), "a refusal has a reason"),
    }
}

/// Requests one after the other: `METHOD PATH?QUERY`, a line feed, a body. All
/// of them get an answer, none of which holds the secret, and each generation
/// is read as it was written.
pub fn settings_api(bytes: &[u8]) {
    let now = Moment { at: 1_800_000_000, uptime_ms: 1000, boot_id: "boot".to_owned() };
    let who = Who { name: "fuzz".to_owned(), uid: 0 };
    let (store, opened) = Store::open(Memory::default(), schema(), &now).expect("an empty directory opens");
    let audit = Audit::open(Memory::default()).expect("an empty directory opens");
    let mut node = Node::start(store, opened, audit, Willing);
    let none = BTreeMap::new();
    let mut ask = |method: &str, path: &str, query: &BTreeMap<String, String>, body: &[u8]| {
        let answer = node.answer(&Request { method, path, query, body, who: who.clone() }, &now);
        assert!((200..=599).contains(&answer.status), "a status of HTTP");
        assert!(answer.status != 500, "nothing that is asked is a fault of ours: {}", answer.body);
        let said = answer.body.to_string();
        assert!(!said.contains(SECRET), "a secret is not shown: {said}");
        node.store().current().clone()
    };
    ask("PATCH", "/v1/settings", &none, json!({ "token": SECRET }).to_string().as_bytes());
    for request in bytes.split(|byte| *byte == NEXT).take(REQUESTS) {
        let line = request.iter().position(|byte| *byte == b'\n').unwrap_or(request.len());
        let (head, body) = request.split_at(line);
        let Ok(head) = std::str::from_utf8(head) else { continue };
        let (method, address) = head.split_once(' ').unwrap_or(("GET", head));
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let current = ask(method, path, &query, body.get(1..).unwrap_or_default());
        let again = Generation::decode(&current.encode());
        assert_eq!(again.as_ref(), Ok(&current), "a generation is read as it was written");
    }
}

/// The files of a directory of settings, as a disk may have left them: each
/// opens, and says what it holds.
pub fn settings_files(bytes: &[u8]) {
    let now = Moment { at: 1_800_000_000, uptime_ms: 1000, boot_id: "boot".to_owned() };
    let mut files = Memory::default();
    for (number, text) in (1..).zip(bytes.split(|byte| *byte == NEXT).take(8)) {
        // A digest that fits, or nothing but that would be tried.
        let whole = Generation::decode(text).map(|generation| generation.encode());
        let contents = whole.unwrap_or_else(|_| [digest(text).as_bytes(), b"\n", text, b"\n"].concat());
        files.files.insert(Generation::file_name(number), contents);
    }
    files.files.insert("audit".to_owned(), bytes.to_owned());
    if let Ok((store, _)) = Store::open(files.clone(), schema(), &now) {
        assert!(store.current().document.check(store.schema()).is_empty(), "what counts holds");
        let _ = store.history().map(|history| history.len());
    }
    let _ = Audit::open(files);
}

/// A template: what it is rendered to with the defaults is within its form, or
/// an error that names it.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let schema = schema();
    let defaults = Document::default().effective(&schema);
    match Template::parse("template", text, &schema) {
        Ok(template) => {
            if let Err(error) = template.render(&schema, &defaults, &json!({})) {
                assert!(error.name == "template" && !error.reason.is_empty(), "an error says something");
            }
        }
        Err(error) => assert!(!error.reason.is_empty(), "an error says something"),
    }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Applies whatever it is told.
struct Willing;

impl Applier for Willing {
    fn try_out(&mut self, _: &Document) -> Result<(), Vec<String>> {
        Ok(())
    }

    fn apply(&mut self, _: &Document) -> Result<Value, Vec<String>> {
        Ok(json!({}))
    }
}

/// A directory that never fails.
#[derive(Clone, Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
}

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.files.get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.files.insert(name.to_owned(), bytes.to_owned());
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.files.entry(name.to_owned()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let bytes = self.files.remove(from).ok_or(ErrorKind::NotFound)?;
        self.files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.remove(name);
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fuzzer that begins with what is refused at once finds little.
    #[test]
    fn seeds_get_as_far_as_they_should() {
        let schema = schema();
        let document = read_toml(&schema, include_str!("../seeds/user-data/all")).expect("it is taken");
        assert_eq!(document.iter().count(), 10);
        let effective = document.effective(&schema);
        for text in [include_str!("../seeds/template/each"), include_str!("../seeds/template/plain")] {
            let template = Template::parse("seed", text, &schema).expect("it is a template");
            let output = template.render(&schema, &effective, &json!({})).expect("it gives a file");
            assert!(output.files.iter().all(|file| file.contents.is_some()));
        }
        let generation = include_bytes!("../seeds/settings-files/one");
        let whole = [digest(generation).as_bytes(), b"\n", generation, b"\n"].concat();
        assert_eq!(Generation::decode(&whole).expect("it is a generation").number, 1);
    }
}
