//! Ctrl-C as a flag that long work looks at, so that children are killed and
//! scratch is removed before the command ends.

#![allow(unsafe_code, reason = "there is no safe way to install a signal handler")]

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Makes the first interrupt, hang-up or termination request set the returned
/// flag; a second one ends the process at once.
pub fn catch_interrupts() -> &'static AtomicBool {
    // SAFETY: all zeros is a valid sigaction with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = note as extern "C" fn(libc::c_int) as usize;
    action.sa_flags = libc::SA_RESETHAND;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the structure lives across the call, and the handler only
        // stores to an atomic, which is async-signal-safe.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
    &INTERRUPTED
}
