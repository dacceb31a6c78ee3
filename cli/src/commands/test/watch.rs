//! A machine that is watched by its report.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::report::{self, Start};

use super::stories::Stage;
use crate::error::{Exit, Failure};
use crate::machine::{Machine, Running, start};

const POLL: Duration = Duration::from_millis(100);
/// What is shown of the console of a machine that failed.
const CONSOLE_LINES: usize = 20;

pub(super) struct Watched {
    running: Running,
    test: &'static str,
    report: PathBuf,
    console: PathBuf,
    started: Instant,
    timeout: Duration,
    quiet: bool,
    /// How much of the report was told of.
    told: (usize, usize),
    /// On a terminal: the last thing that was heard.
    line: ProgressBar,
}

impl Watched {
    pub(super) fn start(stage: &Stage<'_>, test: &'static str, machine: &Machine) -> Result<Self, Failure> {
        let quiet = stage.common.quiet || stage.common.json;
        if !quiet {
            eprintln!("{test}: a machine starts ({})", machine.how());
        }
        let line = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        line.enable_steady_tick(POLL);
        let channel = |file: &Option<PathBuf>| file.clone().expect("what is watched has its channels");
        Ok(Self {
            running: start(machine, stage.qemu)?,
            test,
            report: channel(&machine.report),
            console: channel(&machine.serial),
            started: Instant::now(),
            timeout: stage.timeout,
            quiet,
            told: (0, 0),
            line,
        })
    }

    /// Waits for the verdict of its start of that number; or why there is none.
    pub(super) fn start_with_verdict(&mut self, number: usize) -> Result<Result<Start, String>, Failure> {
        let interrupted = catch_interrupts();
        loop {
            // Before the report is read: its last lines come before the end.
            let ended = self.running.has_ended()?;
            let starts = match report::parse(&std::fs::read(&self.report).unwrap_or_default()) {
                Ok(starts) => starts,
                Err(what) => return self.failed(format!("the report cannot be read: {what}")),
            };
            self.tell(&starts);
            if let Some(start) = starts.get(number).filter(|start| start.verdict().is_some()) {
                return Ok(Ok(start.clone()));
            }
            if ended.is_some() {
                return self.failed("the machine ended or restarted before it gave a verdict".to_owned());
            }
            if self.started.elapsed() > self.timeout {
                let waiting = match starts.len().checked_sub(number + 1) {
                    Some(_) => "a verdict",
                    None if number == 0 => "any word of the node",
                    None => "the node to go to the release",
                };
                let seconds = self.timeout.as_secs();
                return self.failed(format!("waited {seconds} s (--timeout) in vain for {waiting}"));
            }
            if interrupted.load(Ordering::Relaxed) {
                self.running.switch_off()?;
                return Err(Failure::new(Exit::Interrupted, "interrupted"));
            }
            std::thread::sleep(POLL);
        }
    }

    pub(super) fn switch_off(&mut self) -> Result<(), Failure> {
        self.line.finish_and_clear();
        self.running.switch_off().map(|_| ())
    }

    /// Says once what is new: each start and its verdict for good.
    fn tell(&mut self, starts: &[Start]) {
        for (number, start) in starts.iter().enumerate().skip(self.told.0) {
            let events: Vec<_> = start.events().collect();
            let from = if number == self.told.0 { self.told.1 } else { 0 };
            for (event, data) in &events[from.min(events.len())..] {
                let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
                match *event {
                    "started" => {
                        let release = &data["os_release"];
                        let field = |name: &str| release[name].as_str().unwrap_or("?").to_owned();
                        let slot = data["slot"]["running"].as_str().unwrap_or("?").to_owned();
                        let (variant, version) = (field("VARIANT_ID"), field("VERSION_ID"));
                        self.say(&format!("{variant} {version} runs from slot {slot}"));
                    }
                    "verdict" => self.say(&format!("its verdict is {}", text("verdict"))),
                    "check" if data["passed"] == true => self.line.set_message(format!("{} ✓", text("name"))),
                    "waiting" => self.line.set_message(format!("waiting for {}", data["for"])),
                    _ => {}
                }
            }
            self.told = (number, events.len());
        }
    }

    fn say(&self, what: &str) {
        if !self.quiet {
            let seconds = self.started.elapsed().as_secs();
            self.line.suspend(|| eprintln!("{}: {what} ({seconds} s)", self.test));
        }
    }

    /// Ends it, and shows what it said last.
    fn failed<T>(&mut self, why: String) -> Result<Result<T, String>, Failure> {
        self.switch_off()?;
        if !self.quiet {
            let console = std::fs::read(&self.console).unwrap_or_default();
            let console = String::from_utf8_lossy(&console);
            let lines: Vec<&str> = console.lines().collect();
            for line in &lines[lines.len().saturating_sub(CONSOLE_LINES)..] {
                eprintln!("{}: console: {}", self.test, line.trim_end());
            }
        }
        Ok(Err(why))
    }
}
