//! A machine while it runs.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use osbuild_core::build::sandbox::{Child, HostRun, Streams, catch_interrupts};
use rustix::pipe::PipeFlags;

use super::{Machine, QEMU, SCRATCH, cannot};
use crate::error::Failure;

/// How often anything is looked at.
const POLL: Duration = Duration::from_millis(20);
/// For QEMU to end before it is killed.
const SWITCHING_OFF: Duration = Duration::from_secs(5);

/// See the module. It ends with the thread that started it.
pub(crate) struct Running {
    child: Child,
    /// Passes on what it says of itself.
    words: Option<JoinHandle<()>>,
    /// Its variables, for as long as it runs.
    _scratch: tempfile::TempDir,
}

/// Starts a machine with the QEMU and the firmware of that root.
pub(crate) fn start(machine: &Machine, qemu: &Path) -> Result<Running, Failure> {
    let scratch =
        tempfile::tempdir().map_err(|e| cannot("make a directory in", &std::env::temp_dir(), &e))?;
    copy_writable(&machine.variables(qemu), &scratch.path().join("variables.fd"))?;
    let mut tool = HostRun::new(qemu, QEMU);
    tool.bind(scratch.path(), SCRATCH, true).environment("TMPDIR", SCRATCH);
    machine.describe(&mut tool)?;
    let (ours, its) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let streams = Streams { error: Some(its), ..Streams::default() };
    let child = tool.start(&streams)?;
    let words = Some(std::thread::spawn(move || pass_on(File::from(ours), std::io::stderr())));
    Ok(Running { child, words, _scratch: scratch })
}

/// All of it but that it was switched off: we did that, or whoever looks.
fn pass_on(words: impl Read, mut to: impl Write) {
    for line in BufReader::new(words).split(b'\n').map_while(Result::ok) {
        if !String::from_utf8_lossy(&line).contains(": terminating on signal ") {
            let _ = to.write_all(&[&line[..], b"\n"].concat());
        }
    }
}

impl Running {
    /// Until the machine ends, or until we are asked to: then it is switched off.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Failure> {
        let interrupted = catch_interrupts();
        loop {
            if let Some(status) = self.has_ended()? {
                return Ok(status);
            }
            if interrupted.load(Ordering::Relaxed) {
                return self.switch_off();
            }
            std::thread::sleep(POLL);
        }
    }

    /// How it ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        let status = self.child.try_wait()?.map(|ended| ended.status);
        if status.is_some()
            && let Some(words) = self.words.take()
        {
            // What it said last is often why.
            let _ = words.join();
        }
        Ok(status)
    }

    /// Pulls the plug.
    pub(crate) fn switch_off(&mut self) -> Result<ExitStatus, Failure> {
        let mut patience = SWITCHING_OFF.as_millis() / POLL.as_millis();
        loop {
            if let Some(status) = self.has_ended()? {
                return Ok(status);
            }
            match patience {
                0 => self.child.kill(),
                _ => self.child.terminate(),
            }
            patience = patience.saturating_sub(1);
            std::thread::sleep(POLL);
        }
    }
}

fn copy_writable(from: &Path, to: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(from).map_err(|error| cannot("read", from, &error))?;
    std::fs::write(to, bytes).map_err(|error| cannot("write", to, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qemu_says_is_passed_on_but_for_its_end() {
        let said = "qemu: no such disk\nqemu: terminating on signal 15 from pid 7 (osbuild)\nlast";
        let mut shown = Vec::new();
        pass_on(said.as_bytes(), &mut shown);
        assert_eq!(String::from_utf8(shown).unwrap(), "qemu: no such disk\nlast\n");
    }
}
