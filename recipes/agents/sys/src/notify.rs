//! The service manager's notification socket: sd_notify(3).

use std::os::unix::net::UnixDatagram;

/// Start-up is done.
pub fn ready() {
    send("READY=1");
}

/// Feeds the watchdog of a unit that has one.
pub fn alive() {
    send("WATCHDOG=1");
}

fn send(text: &str) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return };
    if let Ok(socket) = UnixDatagram::unbound() {
        let _ = socket.send_to(text.as_bytes(), path);
    }
}
