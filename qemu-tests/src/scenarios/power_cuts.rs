//! Power cuts while settings are committed: every write of the disk is
//! recorded, and what a cut may leave of them is judged. Nothing that was
//! acknowledged is lost, and nothing is there by half.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::gpt;
use crate::machine::{Machine, Start};
use crate::node::{Node, healthy};
use crate::scenarios::nonce;
use crate::write_log::{Chance, WriteLog};

const PRIVATE: usize = 8;
const COMMITS: u64 = 30;
/// Cuts that are judged by what is on the disk.
const JUDGED: usize = 500;
/// Cuts after which the node is started.
const STARTED: usize = 4;

/// A change was acknowledged when the log had so many writes.
struct Acknowledged {
    writes: usize,
    number: u64,
}

pub(crate) fn during_commits(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "power-cuts")?;
    let base = context.scratch("power-cuts-before.raw");
    let log_file = context.scratch("power-cuts.log-writes");
    let first = nonce();
    let mut machine = Machine::start(context, &node.start(&first))?;
    healthy(&machine.verdict()?)?;
    node.client.wait(node.admin)?;
    node.client.says(node.admin, "hostctl set network.hostname=node-0", 0, "node-0")?;
    // Nobody saw to it that the container's image, unpacked just now, is on the
    // disk; it is wanted again below.
    machine.power_off();
    context.copy_image(&node.disk, &base)?;

    let second = nonce();
    let mut machine = Machine::start(context, &Start { log_writes: Some(&log_file), ..node.start(&second) })?;
    healthy(&machine.verdict()?)?;
    node.client.wait(node.admin)?;
    let mut lengths = Vec::new();
    let commits = format!(
        "for i in $(seq 1 {COMMITS}); do hostctl set network.hostname=node-$i >/dev/null && echo $i; done"
    );
    node.client.lines(node.admin, &commits, |line| {
        let length = std::fs::metadata(&log_file).map(|about| about.len()).unwrap_or_default();
        lengths.push((length, line.to_owned()));
    })?;
    machine.power_off();

    let log = WriteLog::read(&log_file)?;
    let mut acknowledged = vec![Acknowledged { writes: 0, number: 0 }];
    for (length, line) in lengths {
        let number = line.parse().map_err(|_| format!("the node said {line:?} of a commit"))?;
        acknowledged.push(Acknowledged { writes: log.at_length(length), number });
    }
    if acknowledged.last().is_none_or(|last| last.number != COMMITS) {
        return Err(format!("{} of {COMMITS} commits were acknowledged", acknowledged.len() - 1));
    }
    judge_cuts(context, &base, &log, &acknowledged)?;
    start_after_cuts(context, &node, &base, &log, &acknowledged)
}

/// Cuts all over the time in which there were commits.
fn cuts(log: &WriteLog, acknowledged: &[Acknowledged], count: usize) -> impl Iterator<Item = usize> {
    let first = acknowledged[1].writes / 2;
    let span = log.len() - first;
    (1..=count).map(move |number| first + span * number / count)
}

fn judge_cuts(
    context: &Context,
    base: &Path,
    log: &WriteLog,
    acknowledged: &[Acknowledged],
) -> Result<(), String> {
    let range = gpt::extent(base, PRIVATE)?;
    let before = context.scratch("private-before.img");
    copy_range(base, range, &before)?;
    let (mut seen, mut lost_something) = (Vec::new(), 0);
    let mut chance = Chance(0x5eed);
    for cut in cuts(log, acknowledged, JUDGED) {
        let image = context.scratch("private-after.img");
        context.copy_image(&before, &image)?;
        let file = OpenOptions::new().write(true).open(&image).map_err(|error| error.to_string())?;
        let mut dropped = false;
        log.replay(&file, 0, cut, range, || {
            let kept = chance.next() & 1 == 0;
            dropped |= !kept;
            kept
        })?;
        lost_something += usize::from(dropped);
        let found = newest(context, &image).map_err(|error| format!("a cut before write {cut}: {error}"))?;
        expect_between(cut, found, acknowledged)?;
        seen.push(found);
    }
    seen.dedup();
    // The judge must be able to say no.
    let last = acknowledged.last().map_or(0, |last| last.number);
    if expect_between(log.len(), last - 1, acknowledged).is_ok() {
        return Err("a lost commit passes for a kept one".to_owned());
    }
    println!(
        "  {JUDGED} cuts among {} writes, {lost_something} with writes lost: {} states of the settings, none torn",
        log.len(),
        seen.len()
    );
    Ok(())
}

/// At least what was acknowledged before the cut, at most what was begun.
fn expect_between(cut: usize, found: u64, acknowledged: &[Acknowledged]) -> Result<(), String> {
    let least = acknowledged.iter().filter(|one| one.writes <= cut).map(|one| one.number).max().unwrap_or(0);
    if (least..=least + 1).contains(&found) {
        return Ok(());
    }
    Err(format!("after a cut before write {cut} commit {found} counts, and {least} was acknowledged"))
}

/// The commit that counts on a PRIVATE after its file system was repaired as a
/// start does, by a second reading of the settings' files.
fn newest(context: &Context, image: &Path) -> Result<u64, String> {
    let mut check = context.judge("e2fsck")?;
    let status = check.arg("-p").arg(image).output().map_err(|error| error.to_string())?.status;
    // 1: errors were corrected.
    if !matches!(status.code(), Some(0 | 1)) {
        return Err(format!("e2fsck -p ended with {status}"));
    }
    let place = context.scratch("private-files");
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir(&place).map_err(|error| error.to_string())?;
    let mut dump = context.judge("debugfs")?;
    context.run(dump.arg("-R").arg(format!("rdump /settings {}", place.display())).arg(image))?;
    let folder = place.join("settings");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    let is_generation = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("generation-"))
    };
    let newest = files.iter().rev().filter(is_generation).find_map(|path| generation(path));
    let name = newest.ok_or("no generation of the settings can be read")?;
    name.strip_prefix("node-")
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("the node is called {name:?}"))
}

/// The host name of a generation whose bytes are those that were written.
fn generation(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let (sum, json) = text.strip_suffix('\n')?.split_once('\n')?;
    let digest: String = Sha256::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != sum {
        return None;
    }
    let generation: Value = serde_json::from_str(json).ok()?;
    generation["document"]["network.hostname"].as_str().map(str::to_owned)
}

/// The node itself, started on what a few cuts leave of its whole disk.
fn start_after_cuts(
    context: &Context,
    node: &Node,
    base: &Path,
    log: &WriteLog,
    acknowledged: &[Acknowledged],
) -> Result<(), String> {
    let mut chance = Chance(0xc0ffee);
    for cut in cuts(log, acknowledged, STARTED) {
        std::fs::remove_file(&node.disk).map_err(|error| error.to_string())?;
        context.copy_image(base, &node.disk)?;
        let file = OpenOptions::new().write(true).open(&node.disk).map_err(|error| error.to_string())?;
        log.replay(&file, 0, cut, (0, u64::MAX), || chance.next() & 1 == 0)?;
        let nonce = nonce();
        let mut machine =
            Machine::start(context, &Start { forward: &[], user_data: None, ..node.start(&nonce) })?;
        let verdict = healthy(&machine.verdict()?);
        verdict.map_err(|failure| machine.failure(&format!("after a cut before write {cut}: {failure}")))?;
        let report = machine.wait_for("its name", |report| report.state("hostname").is_some())?;
        let name = report.state("hostname").unwrap_or(&json!(null)).as_str().unwrap_or_default().to_owned();
        let found = name.strip_prefix("node-").and_then(|number| number.parse().ok());
        let found = found.ok_or_else(|| machine.failure(&format!("the node is called {name:?}")))?;
        expect_between(cut, found, acknowledged)?;
        machine.power_off();
    }
    Ok(())
}

/// A part of a disk as a file of its own.
fn copy_range(disk: &Path, range: (u64, u64), to: &Path) -> Result<(), String> {
    let (start, length) = range;
    let from = File::open(disk).map_err(|error| error.to_string())?;
    let file = File::create(to).map_err(|error| error.to_string())?;
    file.set_len(length).map_err(|error| error.to_string())?;
    let mut buffer = vec![0; 1 << 20];
    for at in (0..length).step_by(buffer.len()) {
        let count = buffer.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
        from.read_exact_at(&mut buffer[..count], start + at).map_err(|error| error.to_string())?;
        if buffer[..count].iter().any(|byte| *byte != 0) {
            file.write_all_at(&buffer[..count], at).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
