//! A terminal inside the user's terminal, for a program that must not get hold
//! of the latter: it could type into it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::error::{Exit, Failure};

/// How often the size is compared, and the end looked for.
const EVERY: Duration = Duration::from_millis(100);

/// Its two ends.
pub(crate) struct Terminal {
    outside: OwnedFd,
    inside: OwnedFd,
}

impl Terminal {
    /// As large as the user's.
    pub(crate) fn open() -> Result<Self, Failure> {
        let open = || -> io::Result<Self> {
            let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
            grantpt(&outside)?;
            unlockpt(&outside)?;
            let name = ptsname(&outside, Vec::new())?;
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let inside = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
            Ok(Self { outside, inside })
        };
        open().map_err(|error| Failure::new(Exit::Failed, &format!("cannot open a terminal: {error}")))
    }

    /// Runs a program that has the inner end, and carries what is typed and
    /// shown between the two until it ended.
    pub(crate) fn carry<T: Send>(
        &self,
        program: impl FnOnce(&OwnedFd) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let _raw = Raw::enter();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| program(&self.inside));
            let mut size = None;
            loop {
                self.follow_size(&mut size);
                // What was shown last is still to be carried once it ended.
                let is_over = running.is_finished();
                let carried = self.carry_some();
                if is_over && !carried {
                    break;
                }
            }
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn follow_size(&self, last: &mut Option<(u16, u16)>) {
        let Ok(size) = tcgetwinsize(io::stdin()) else { return };
        let Winsize { ws_row, ws_col, .. } = size;
        if *last != Some((ws_row, ws_col)) {
            *last = Some((ws_row, ws_col));
            // A program that does not learn of it draws badly, no more.
            let _ = tcsetwinsize(&self.outside, size);
        }
    }

    /// Waits a moment for something to carry; whether there was something.
    fn carry_some(&self) -> bool {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut ends = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.outside, PollFlags::IN)];
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(EVERY.subsec_nanos()) };
        if !matches!(poll(&mut ends, Some(&wait)), Ok(ready) if ready > 0) {
            return false;
        }
        let ready = ends.map(|end| end.revents().contains(PollFlags::IN));
        if ready[0] {
            copy(stdin.as_fd(), self.outside.as_fd());
        }
        if ready[1] {
            copy(self.outside.as_fd(), stdout.as_fd());
        }
        ready[1]
    }
}

/// Copies what is there; what one end refuses is lost, as on any terminal.
fn copy(from: impl AsFd, to: impl AsFd) {
    let mut buffer = [0; 4096];
    let Ok(got) = rustix::io::read(from, &mut buffer) else { return };
    let mut rest = &buffer[..got];
    while !rest.is_empty() {
        match rustix::io::write(&to, rest) {
            Ok(written) => rest = &rest[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// The user's terminal hands over each key as it is typed, Ctrl-C too.
struct Raw {
    before: Option<Termios>,
}

impl Raw {
    fn enter() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &raw);
        }
        Self { before }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
        }
    }
}
