//! One line for whoever watches the console.

use std::fs::OpenOptions;
use std::io::Write;

/// Writes a line to the kernel's log, which the console shows and journald
/// keeps. `level` is the kernel's: 3 error, 4 warning, 5 notice.
pub fn say(who: &str, level: u8, text: &str) {
    let line = format!("<{level}>{who}: {text}\n");
    let target = OpenOptions::new().write(true).open("/dev/kmsg");
    if target.and_then(|mut log| log.write_all(line.as_bytes())).is_err() {
        eprintln!("{who}: {text}");
    }
}
