//! The guest report: JSON lines to whoever owns the machine, through the
//! virtio-serial port of that name if there is one. One-way, no secrets.
//!
//! A line: `schema, boot_id, seq, uptime_ms, event, data`; the last event of a
//! start is `verdict`.

use std::fs::{File, OpenOptions};
use std::io::Write;

use osbuild_sys::clock;
use serde_json::{Value, json};

const PORT: &str = "org.osbuild.report.0";
const PORTS: &str = "/sys/class/virtio-ports";

pub struct Report {
    port: Option<File>,
    boot_id: String,
    sequence: u64,
}

impl Report {
    pub fn open() -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { port: find_port(), boot_id: boot_id.trim().to_owned(), sequence: 0 }
    }

    /// Writes one line; without a port it is dropped.
    pub fn line(&mut self, event: &str, data: &Value) {
        let line = json!({
            "schema": 1,
            "boot_id": self.boot_id,
            "seq": self.sequence,
            "uptime_ms": clock::uptime_ms(),
            "event": event,
            "data": data,
        });
        self.sequence += 1;
        if let Some(port) = &mut self.port {
            let _ = port.write_all(format!("{line}\n").as_bytes());
        }
    }
}

fn find_port() -> Option<File> {
    for entry in std::fs::read_dir(PORTS).ok()?.flatten() {
        let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.trim() == PORT {
            let device = std::path::Path::new("/dev").join(entry.file_name());
            return OpenOptions::new().write(true).open(device).ok();
        }
    }
    None
}
