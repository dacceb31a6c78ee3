//! How long a start takes, and where the time goes. Figures, not a test: they
//! fail only where a start does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use crate::command_line::edited_disk;
use crate::context::Context;
use crate::machine::{Machine, Start};
use crate::report::Report;
use crate::scenarios::nonce;

pub(crate) const RUNS: usize = 5;
/// Above it, the figures say more of the neighbours than of the system.
const IDLE_LOAD: f64 = 0.5;

/// Ends of the stretches of a start, in the order in which they come.
const STRETCHES: [&str; 7] = ["firmware", "loader", "kernel", "early", "systemd", "containerd", "container"];

pub(crate) fn boot(context: &Context) -> Result<(), String> {
    let target = "qemu-dev";
    context.build(target)?;
    print_load();
    let reference = Reference::new(context, target)?;
    let (mut references, mut runs) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        references.push(reference.time(context)?);
        let disk = context.scratch(&format!("figure-{run}.raw"));
        runs.push(measured(context, target, &disk)?);
        let _ = fs::remove_file(&disk);
    }
    println!("  {REFERENCE}: {}", spread(&references));
    for (index, name) in STRETCHES.iter().enumerate() {
        let lengths: Vec<f64> =
            runs.iter().map(|ends| ends[index] - index.checked_sub(1).map_or(0.0, |i| ends[i])).collect();
        println!("  {name:<11} {}", spread(&lengths));
    }
    let whole: Vec<f64> = runs.iter().map(|ends| ends[STRETCHES.len() - 1]).collect();
    println!("  power-on to the container having run: {}", spread(&whole));
    Ok(())
}

pub(crate) const REFERENCE: &str = "firmware, loader and kernel alone, to its panic";

/// What every start takes on this machine now: times of other starts mean
/// little without it. The same disk with no first program: the kernel ends when
/// it is ready.
pub(crate) struct Reference<'a> {
    target: &'a str,
    disk: PathBuf,
}

impl<'a> Reference<'a> {
    pub(crate) fn new(context: &Context, target: &'a str) -> Result<Self, String> {
        let disk = context.scratch("reference.raw");
        edited_disk(context, target, &disk, "init=/usr/lib/osbuild/early", "early", |_| {
            "init=/none".to_owned()
        })?;
        Ok(Self { target, disk })
    }

    /// Seconds to the panic.
    pub(crate) fn time(&self, context: &Context) -> Result<f64, String> {
        // It spends tries, so each run gets the disk as it was.
        let disk = context.scratch("reference-run.raw");
        context.copy_image(&self.disk, &disk)?;
        let nonce = nonce();
        let start = Instant::now();
        let mut machine = Machine::start(context, &Start::new(self.target, &disk, &nonce))?;
        machine.wait_for_console("Kernel panic")?;
        let seconds = start.elapsed().as_secs_f64();
        machine.power_off();
        let _ = fs::remove_file(&disk);
        Ok(seconds)
    }
}

/// Seconds from power-on to the end of each stretch.
fn measured(context: &Context, target: &str, disk: &Path) -> Result<[f64; 7], String> {
    let nonce = nonce();
    let start = Instant::now();
    let mut machine = Machine::start(context, &Start::new(target, disk, &nonce))?;
    machine.wait_for_console("osbuild: slot A")?;
    let firmware = start.elapsed().as_secs_f64();
    machine.wait_for("a container having run", |report| report.check("a container runs").is_some())?;
    let whole = start.elapsed().as_secs_f64();
    let report = machine.verdict()?;
    machine.power_off();

    let uptime = |line: &Value| line["uptime_ms"].as_f64().unwrap_or_default() / 1000.0;
    let line = |what: &str, found: &dyn Fn(&Value) -> bool| {
        report.lines.iter().find(|line| found(line)).map(uptime).ok_or(format!("the report lacks {what}"))
    };
    let early = |field: &str| early_seconds(&report, field);
    let health = line("the beginning", &|line| line["event"] == "started")?;
    let container = line("the container", &|line| {
        line["data"]["name"] == "a container runs" && line["data"]["passed"] == true
    })?;
    let since = report.check("containerd is up").and_then(|detail| detail["since_ms"].as_f64());
    let containerd = since.ok_or("the report does not say since when containerd is up")? / 1000.0;
    // The guest's clock began with its kernel.
    let kernel_began = whole - container;
    Ok([
        firmware,
        kernel_began,
        kernel_began + early("began_ms")?,
        kernel_began + early("ended_ms")?,
        kernel_began + health,
        kernel_began + containerd,
        whole,
    ])
}

fn early_seconds(report: &Report, field: &str) -> Result<f64, String> {
    let started = report.event("started").ok_or("the report has no beginning")?;
    let ms = started["early"][field].as_f64().ok_or_else(|| format!("early does not say {field}"))?;
    Ok(ms / 1000.0)
}

/// Median, least and greatest.
pub(crate) fn spread(seconds: &[f64]) -> String {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{:.1} s ({least:.1} to {most:.1}, {} runs)", sorted[sorted.len() / 2], sorted.len())
}

/// How busy this machine is with other things.
pub(crate) fn print_load() {
    let load = load_average();
    let idle = if load < IDLE_LOAD { "" } else { ": not idle, not to be quoted" };
    println!("  load before: {load:.2}{idle}");
}

fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(f64::INFINITY)
}
