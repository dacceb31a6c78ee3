//! What other programs of the node say of themselves, for the report: each
//! leaves a file, which is told whenever it says something else.

use serde_json::{Value, json};

use crate::report::Report;

/// By the name that it has in the report.
const FILES: [(&str, &str); 3] = [
    ("facts", "/run/osbuild/facts.json"),
    ("firstboot", "/run/osbuild/firstboot.json"),
    ("settings", "/run/osbuild/settings.json"),
];

/// What was told last.
#[derive(Default)]
pub struct States {
    told: [Vec<u8>; FILES.len()],
}

impl States {
    pub fn tell(&mut self, report: &mut Report) {
        for ((name, file), told) in FILES.iter().zip(&mut self.told) {
            let Ok(text) = std::fs::read(file) else { continue };
            if text == *told {
                continue;
            }
            // Such files are replaced, never written in place: what is no JSON
            // is a program's mistake, and told as one.
            let says = serde_json::from_slice(&text).unwrap_or(Value::Null);
            report.line("state", &json!({ "of": name, "says": says }));
            *told = text;
        }
    }
}
