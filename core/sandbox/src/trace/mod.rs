//! Tells programs another time, another order of directories, another kernel
//! and another size of memory than the machine's, to find out what reaches
//! outputs.
//!
//! A thread of ours traces the builder and all that it starts. A filter stops
//! the calls of [`calls::filter`] alone, so whatever else they do runs at full
//! speed. The kernel answers each such call, and the answer is changed before
//! the program sees it. Clocks that are read without a call (the vDSO) are
//! taken from programs when they start: they make calls then.
//!
//! What it does not do: change times in archives that came in, timers that
//! end at a wall-clock time (`timer_settime`, `timerfd_settime`), processor
//! features. A builder that traces processes itself cannot be traced.
//!
//! Sources: ptrace(2), seccomp(2), vdso(7), getauxval(3).

mod calls;
mod tracee;

pub(crate) use calls::filter;

use std::collections::HashMap;
use std::io;
use std::sync::mpsc;
use std::thread;

use crate::spawn::Ended;
use calls::{AtExit, Teller};
use tracee::{Stop, Tracee};

/// What programs are told otherwise than the kernel tells. The default is the
/// truth, which needs no tracing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Added to every wall clock, and to the times of files that are made.
    pub clock_offset_seconds: i64,
    /// Directories are listed from their end, as far as one call lists them.
    pub reverses_directories: bool,
    /// What `uname` calls the kernel's release.
    pub kernel_release: Option<String>,
    /// What `sysinfo` says of the machine's memory.
    pub memory_bytes: Option<u64>,
}

impl Told {
    pub(crate) fn is_the_truth(&self) -> bool {
        *self == Self::default()
    }
}

/// The end of a traced process, told once by the thread that traces it.
pub(crate) type EndOfTraced = mpsc::Receiver<io::Result<Ended>>;

/// Traces the process, which waits to be started, and all that come of it.
///
/// # Errors
/// The process cannot be traced: the host forbids it, or somebody else does.
pub(crate) fn trace(pid: i32, told: &Told) -> io::Result<EndOfTraced> {
    let (tell_attached, attached) = mpsc::channel();
    let (tell_end, end) = mpsc::channel();
    let teller = Teller::new(told.clone());
    thread::Builder::new().name("tracer".to_owned()).spawn(move || {
        // Tracing belongs to a thread: this one attaches, and this one waits.
        let result = Tracee(pid).seize();
        let is_attached = result.is_ok();
        if tell_attached.send(result).is_ok() && is_attached {
            let _ = tell_end.send(follow(pid, &teller));
        }
    })?;
    attached.recv().map_err(|_| io::Error::other("the tracing thread ended"))??;
    Ok(end)
}

/// Until the first process and, with it, all of its namespace have ended.
fn follow(first: i32, teller: &Teller) -> io::Result<Ended> {
    let mut at_exit: HashMap<i32, AtExit> = HashMap::new();
    let mut end = None;
    loop {
        let Some((tracee, stop)) = tracee::wait()? else {
            return end.ok_or_else(|| io::Error::other("the traced process ended unseen"));
        };
        match stop {
            Stop::Ended(ended) => {
                at_exit.remove(&tracee.0);
                if tracee.0 == first {
                    end = Some(ended);
                }
            }
            Stop::Entered => match tracee.call().and_then(|call| teller.entered(&call, tracee)) {
                Some(then) => {
                    at_exit.insert(tracee.0, then);
                    tracee.resume_to_exit();
                }
                None => tracee.resume(0),
            },
            Stop::Left => {
                if let (Some(then), Some(result)) = (at_exit.remove(&tracee.0), tracee.result()) {
                    teller.left(then, result, tracee);
                }
                tracee.resume(0);
            }
            Stop::Executed => {
                // Of a process with threads, one is left, under the first's id.
                at_exit.remove(&tracee.0);
                tracee.hide_vdso();
                tracee.resume(0);
            }
            Stop::Started => tracee.resume(0),
            Stop::Paused => tracee.listen(),
            Stop::Signal(signal) => tracee.resume(signal),
        }
    }
}
