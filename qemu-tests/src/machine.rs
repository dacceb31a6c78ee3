//! One machine: started by `osbuild boot`, watched by its report and console,
//! ended when it has said what was waited for.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::report::Report;

/// No line of the report for so long: something hangs.
const SILENCE: Duration = Duration::from_secs(120);
/// No machine may take longer for what it was started for.
const LIMIT: Duration = Duration::from_secs(900);
/// How much slower a machine may be whose clock counts instructions: what is
/// meant above are its own seconds, and each of them is a thousand million
/// instructions, one after the other.
const INSTRUCTION_CLOCK: f64 = 10.0;
const POLL: Duration = Duration::from_millis(20);

/// How a machine is started.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// What to boot: a target of `osbuild build`.
    pub(crate) target: &'a str,
    /// The disk that is kept between starts; made from the target if missing.
    pub(crate) disk: &'a Path,
    /// Handed in through firmware, answered by containers.
    pub(crate) nonce: &'a str,
    /// Firmware variables with keys enrolled: Secure Boot is enforced.
    pub(crate) variables: Option<&'a Path>,
    pub(crate) user_data: Option<&'a Path>,
    /// From ports of this host's to the guest's, as `osbuild boot --forward`
    /// takes them; without any, the guest's network leads nowhere.
    pub(crate) forward: &'a [String],
    /// Who made the machine, as its firmware says.
    pub(crate) manufacturer: Option<&'a str>,
    /// What its clock says at first.
    pub(crate) clock: Option<&'a str>,
    /// Where somebody listens who has power over the machine.
    pub(crate) qmp: Option<&'a Path>,
    /// A second disk.
    pub(crate) extra_disk: Option<&'a Path>,
    /// Where every write to the disk is recorded.
    pub(crate) log_writes: Option<&'a Path>,
    /// Whether its clock counts instructions.
    pub(crate) instruction_clock: bool,
    /// How large its disk is made, in MiB, if that is more than the image.
    pub(crate) disk_mib: Option<u32>,
}

impl<'a> Start<'a> {
    pub(crate) fn new(target: &'a str, disk: &'a Path, nonce: &'a str) -> Self {
        Self {
            target,
            disk,
            nonce,
            variables: None,
            user_data: None,
            forward: &[],
            manufacturer: None,
            clock: None,
            qmp: None,
            extra_disk: None,
            log_writes: None,
            instruction_clock: false,
            disk_mib: None,
        }
    }
}

/// How many times as slow as an idle machine this one is said to be: whatever is
/// waited for here is waited for so much longer.
pub(crate) fn slowness() -> f64 {
    std::env::var("OSBUILD_TEST_SLOWNESS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

pub(crate) struct Machine {
    child: Child,
    report: PathBuf,
    console: PathBuf,
    started: Instant,
    /// How many times the patience above it gets: the machines of shared hosts
    /// are slower than idle ones.
    factor: f64,
}

impl Machine {
    pub(crate) fn start(context: &Context, start: &Start<'_>) -> Result<Self, String> {
        let name = start.disk.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let report = context.scratch(&format!("{name}.report"));
        let console = context.scratch(&format!("{name}.console"));
        for file in [&report, &console] {
            let _ = std::fs::remove_file(file);
        }
        let mut command = context.osbuild();
        command
            .args(["boot", start.target, "--challenge", start.nonce])
            .arg("--disk")
            .arg(start.disk)
            .arg("--report")
            .arg(&report)
            .arg("--serial")
            .arg(&console);
        if start.forward.is_empty() {
            command.args(["--network", "isolated"]);
        }
        for forward in start.forward {
            command.arg("--forward").arg(forward);
        }
        if let Some(name) = start.manufacturer {
            command.arg("--manufacturer").arg(name);
        }
        for (option, file) in [
            ("--secure-boot", start.variables),
            ("--user-data", start.user_data),
            ("--qmp", start.qmp),
            ("--log-writes", start.log_writes),
            ("--extra-disk", start.extra_disk),
        ] {
            if let Some(file) = file {
                command.arg(option).arg(file);
            }
        }
        if let Some(clock) = start.clock {
            command.args(["--clock", clock]);
        }
        if start.instruction_clock {
            command.arg("--instruction-clock");
        }
        if let Some(size) = start.disk_mib {
            command.args(["--disk-size", &size.to_string()]);
        }
        let log =
            std::fs::File::create(context.scratch(&format!("{name}.log"))).map_err(|e| e.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        let slowness = slowness();
        let factor = if start.instruction_clock { slowness * INSTRUCTION_CLOCK } else { slowness };
        Ok(Self { child, report, console, started: Instant::now(), factor })
    }

    /// Waited for so many times as long as others.
    pub(crate) fn patient(mut self, times: f64) -> Self {
        self.factor *= times;
        self
    }

    /// Since it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What has arrived of its report.
    pub(crate) fn report(&self) -> Result<Report, String> {
        Report::read(&self.report).map_err(|error| self.failure(&error))
    }

    /// Waits until the report satisfies, then returns it; the machine runs on.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        satisfied: impl Fn(&Report) -> bool,
    ) -> Result<Report, String> {
        let (mut lines, mut last_line) = (0, Instant::now());
        loop {
            let report = self.report()?;
            if satisfied(&report) {
                return Ok(report);
            }
            if report.lines.len() > lines {
                (lines, last_line) = (report.lines.len(), Instant::now());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                // Read once more: the last line may have come just before.
                let report = Report::read(&self.report)?;
                if satisfied(&report) {
                    return Ok(report);
                }
                return Err(self.failure(&format!("the machine ended ({status}) before {what}")));
            }
            let (silence, limit) = (SILENCE.mul_f64(self.factor), LIMIT.mul_f64(self.factor));
            if last_line.elapsed() > silence {
                let seconds = silence.as_secs();
                return Err(self.failure(&format!("no report line for {seconds} s while waiting for {what}")));
            }
            if self.started.elapsed() > limit {
                return Err(self.failure(&format!("not {what} within {} s", limit.as_secs())));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the verdict of this start.
    pub(crate) fn verdict(&mut self) -> Result<Report, String> {
        self.wait_for("a verdict", |report| report.verdict().is_some())
    }

    /// Waits until the console shows a text.
    pub(crate) fn wait_for_console(&mut self, text: &str) -> Result<(), String> {
        let since = Instant::now();
        while !self.console().contains(text) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failure(&format!("the machine ended ({status}) before {text:?}")));
            }
            let silence = SILENCE.mul_f64(self.factor);
            if since.elapsed() > silence {
                let seconds = silence.as_secs();
                return Err(self.failure(&format!("no {text:?} on the console within {seconds} s")));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Pulls the plug.
    pub(crate) fn power_off(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // SIGTERM ends QEMU at once, without asking the guest.
        if let Ok(None) = self.child.try_wait() {
            let _ = std::process::Command::new("kill").arg(self.child.id().to_string()).status();
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline {
                if let Ok(Some(_)) = self.child.try_wait() {
                    return;
                }
                std::thread::sleep(POLL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    pub(crate) fn console(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// What a person would want to see of a failure.
    pub(crate) fn failure(&self, what: &str) -> String {
        let tail = |text: &str, count: usize| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(count)..].join("\n")
        };
        let report = std::fs::read_to_string(&self.report).unwrap_or_default();
        let log = std::fs::read_to_string(self.report.with_extension("log")).unwrap_or_default();
        format!(
            "{what}\n--- console ---\n{}\n--- report ---\n{}\n--- osbuild ---\n{}",
            tail(&self.console(), 60),
            tail(&report, 20),
            tail(&log, 10)
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}
