//! A machine while it runs.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use osbuild_core::build::sandbox::{Child, HostRun, Streams, catch_interrupts};

use super::{Machine, QEMU, SCRATCH, cannot};
use crate::error::Failure;

/// How often anything is looked at.
const POLL: Duration = Duration::from_millis(20);
/// For QEMU to end before it is killed.
const SWITCHING_OFF: Duration = Duration::from_secs(5);

/// See the module. It ends with the thread that started it.
pub(crate) struct Running {
    child: Child,
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
    Ok(Running { child: tool.start(&Streams::default())?, _scratch: scratch })
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
        Ok(self.child.try_wait()?.map(|ended| ended.status))
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
