//! Signals, as far as the agents need them.

#![allow(unsafe_code, reason = "signal dispositions have no safe form")]

use std::sync::atomic::{AtomicBool, Ordering};

static TERMINATED: AtomicBool = AtomicBool::new(false);

/// Children that end are reaped by the kernel; nobody waits for them.
pub fn ignore_children() {
    // SAFETY: SIG_IGN installs no handler, so no code runs in signal context.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// From now on SIGTERM is noted instead of ending the program.
pub fn note_termination() {
    extern "C" fn note(_signal: libc::c_int) {
        TERMINATED.store(true, Ordering::Relaxed);
    }
    let handler: extern "C" fn(libc::c_int) = note;
    // SAFETY: the handler does one atomic store, which is safe in signal
    // context, and lives as long as the program.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
}

/// Whether SIGTERM has come.
pub fn is_terminated() -> bool {
    TERMINATED.load(Ordering::Relaxed)
}
