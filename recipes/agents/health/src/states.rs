//! What other programs of the node say of themselves, for the report: each
//! leaves a file, which is told whenever it says something else.

use serde_json::{Value, json};

use crate::report::Report;

/// By the name that it has in the report.
const FILES: [(&str, &str); 4] = [
    ("facts", "/run/osbuild/nodeconfig/facts.json"),
    ("firstboot", "/run/osbuild/firstboot.json"),
    ("hostname", "/proc/sys/kernel/hostname"),
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
            let says = serde_json::from_slice(&text)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&text).trim_end().to_owned()));
            report.line("state", &json!({ "of": name, "says": says }));
            *told = text;
        }
    }
}
