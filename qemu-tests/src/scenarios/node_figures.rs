//! What a node is made of and what it costs: sizes, times, memory. Figures,
//! not a test.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::context::Context;
use crate::machine::{Machine, Start};
use crate::node::Node;
use crate::report::Report;
use crate::scenarios::contents::{changes_identity, listing};
use crate::scenarios::figures::{REFERENCE, RUNS, Reference, print_load, spread};
use crate::scenarios::nonce;

const TARGET: &str = "aws-k8s";
/// What is waited for, and the unit that is it.
const UNITS: [(&str, &str); 3] =
    [("the API", "osbuild-settings"), ("containerd", "containerd"), ("kubelet", "kubelet")];

pub(crate) fn node(context: &Context) -> Result<(), String> {
    print_load();
    sizes(context)?;
    let reference = Reference::new(context, TARGET)?;
    let mut references = Vec::new();
    let mut times = vec![Vec::new(); UNITS.len() + 1];
    for run in 0..RUNS {
        references.push(reference.time(context)?);
        let node = Node::of(context, TARGET, &format!("node-figures-{run}"))?;
        let nonce = nonce();
        let start = Instant::now();
        let mut machine = Machine::start(context, &Start { target: TARGET, ..node.start(&nonce) })?;
        let report = machine.wait_for("the static pod's answer", |report| answer(report).is_some())?;
        let whole = start.elapsed().as_secs_f64();
        let kernel_began = whole - answer(&report).ok_or("the report lost the static pod's answer")?;
        machine.verdict()?;
        node.client.wait(node.admin)?;
        let names: Vec<&str> = UNITS.iter().map(|(_, unit)| *unit).collect();
        let ask = format!(
            "chroot /.osbuild/host /usr/bin/systemctl show --value -p ActiveEnterTimestampMonotonic {}",
            names.join(" ")
        );
        let (_, said) = node.client.run(node.admin, &ask)?;
        let since: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse::<f64>().ok()).collect();
        if since.len() != UNITS.len() {
            return Err(machine.failure(&format!("systemctl said {said:?}")));
        }
        for (index, microseconds) in since.iter().enumerate() {
            times[index].push(kernel_began + microseconds / 1e6);
        }
        times[UNITS.len()].push(whole);
        if run + 1 == RUNS {
            let asked = "free -m | head -2; echo processes: $(ls -d /proc/[0-9]* | wc -l), \
                         of which kernel threads: $(pgrep -P 2 | wc -l); ss -Hltun | awk '{print $1, $5}' 2>/dev/null || ss -Hltun";
            let (_, said) = node.client.run(node.admin, asked)?;
            said.lines().for_each(|line| println!("  {line}"));
        }
        machine.power_off();
        let _ = fs::remove_file(&node.disk);
    }
    println!("  {REFERENCE}: {}", spread(&references));
    for (index, (what, _)) in UNITS.iter().enumerate() {
        println!("  power-on to {what:<11} {}", spread(&times[index]));
    }
    println!("  power-on to a static pod's answer {}", spread(&times[UNITS.len()]));
    instructions(context)
}

/// Runs of which the times must be near each other.
const COUNTED: usize = 3;
/// Between the least and the greatest, of the least.
const NEAR: f64 = 0.005;

/// From the kernel's first instruction on a processor that takes a nanosecond
/// for each: what the node does and what it waits for, whatever the machine is
/// that emulates it.
fn instructions(context: &Context) -> Result<(), String> {
    let mut ends: [(&str, Vec<f64>); 2] =
        ["containerd", "a static pod's answer"].map(|what| (what, Vec::new()));
    for run in 0..COUNTED {
        let node = Node::of(context, TARGET, &format!("node-instructions-{run}"))?;
        let nonce = nonce();
        let start = Start { target: TARGET, instruction_clock: true, ..node.start(&nonce) };
        let mut machine = Machine::start(context, &start)?;
        let report = machine.wait_for("the static pod's answer", |report| answer(report).is_some())?;
        machine.power_off();
        let _ = fs::remove_file(&node.disk);
        let since = report.check("containerd is up").and_then(|detail| detail["since_ms"].as_f64());
        let since = since.ok_or("the report does not say since when containerd is up")?;
        let answered = answer(&report).ok_or("the report lost the static pod's answer")? * 1000.0;
        let seen = [since, answered];
        for ((_, times), ms) in ends.iter_mut().zip(seen) {
            times.push(ms / 1000.0);
        }
    }
    for (what, times) in &ends {
        let fold = |pick: fn(f64, f64) -> f64, first| times.iter().copied().fold(first, pick);
        let (least, most) = (fold(f64::min, f64::INFINITY), fold(f64::max, 0.0));
        let worth = if most - least <= least * NEAR { "" } else { ": too far apart to be quoted" };
        println!("  kernel to {what} at 10⁹ instructions a second: {least:.2} to {most:.2} s{worth}");
    }
    Ok(())
}

/// When the static pod was seen to have answered, in seconds of the guest.
fn answer(report: &Report) -> Option<f64> {
    let is_answer =
        |line: &&Value| line["data"]["name"] == "the static pod answered" && line["data"]["passed"] == true;
    let line = report.lines.iter().find(is_answer)?;
    line["uptime_ms"].as_f64().map(|ms| ms / 1000.0)
}

fn sizes(context: &Context) -> Result<(), String> {
    let image = context.build(TARGET)?;
    for file in ["slot/root.squashfs", "slot/boot.efi"] {
        let bytes = fs::metadata(image.join(file)).map_err(|error| format!("{file}: {error}"))?.len();
        println!("  {file}: {:.1} MiB", bytes as f64 / f64::from(1 << 20));
    }
    let lines = listing(context, TARGET)?;
    let files = lines.iter().filter(|line| line.starts_with('-')).count();
    let setuid = lines.iter().filter(|line| changes_identity(line)).count();
    println!("  files in the root: {files}, of which setuid or setgid: {setuid}");
    let root = image.join("slot/root.squashfs");
    let text = context.run(context.judge("unsquashfs")?.args(["-lln"]).arg(&root))?;
    for line in text.lines().filter(|line| line.starts_with('-')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let path = words.last().copied().unwrap_or_default().trim_start_matches("squashfs-root/");
        if path.starts_with("usr/lib/osbuild/") {
            let bytes: f64 = words.get(2).and_then(|word| word.parse().ok()).unwrap_or_default();
            println!("  {path}: {:.2} MiB", bytes / f64::from(1 << 20));
        }
    }
    Ok(())
}
