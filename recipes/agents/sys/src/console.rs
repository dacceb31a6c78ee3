//! Lines for whoever watches the console.

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

/// Writes a line to the console itself as well: for what its watcher waits
/// for, which the kernel's log level would keep off it.
pub fn announce(who: &str, text: &str) {
    say(who, 5, text);
    if let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") {
        // Status lines of the service manager may have left the cursor anywhere.
        let _ = console.write_all(format!("\r\n{who}: {text}\r\n").as_bytes());
    }
}
