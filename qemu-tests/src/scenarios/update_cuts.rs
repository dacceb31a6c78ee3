//! Power cuts while a release is installed: every write of the disk is recorded,
//! and the node is started on what ten cuts may leave of them.

use std::fs::OpenOptions;
use std::path::Path;

use crate::context::Context;
use crate::evidence::judge;
use crate::followed::Followed;
use crate::gpt::{GOOD, bits};
use crate::machine::{Machine, Start};
use crate::node::healthy;
use crate::scenarios::{assert_bits, nonce};
use crate::write_log::{Chance, WriteLog};

/// Cuts after which the node is started.
const CUTS: usize = 10;
/// The last writes of an installation decide which release is started next, and
/// half of the cuts are among them.
const DECIDING: usize = 40;
/// After so many of them the installation is ordered again and the release run.
const RERUN: usize = 2;

pub(crate) fn during_installation(context: &Context) -> Result<(), String> {
    let (followed, [old, new]) = Followed::new(context, "cuts", ["follows-1", "follows-2"], "")?;
    followed.start(&old)?.power_off();
    let base = context.scratch("cuts-before.raw");
    context.copy_image(&followed.node.disk, &base)?;

    let log_file = context.scratch("cuts.log-writes");
    let length = || std::fs::metadata(&log_file).map(|about| about.len()).unwrap_or_default();
    let nonce = nonce();
    let start =
        Start { target: &followed.target, log_writes: Some(&log_file), ..followed.node.start(&nonce) };
    let mut machine = Machine::start(context, &start)?;
    healthy(&machine.verdict()?).map_err(|error| machine.failure(&error))?;
    followed.node.client.wait(followed.node.control)?;
    let before = length();
    followed.installs("2.0.0")?;
    let after = length();
    machine.power_off();
    let activated = (bits(1, 3, true, false), bits(2, 3, false, false));
    assert_bits("after the installation", &followed.node.disk, activated)?;

    let log = WriteLog::read(&log_file)?;
    let (first, last) = (log.at_length(before), log.at_length(after));
    if first + 2 * DECIDING > last {
        return Err(format!("the installation made {} writes", last - first));
    }
    println!("  {} writes of an installation", last - first);
    let mut chance = Chance(0x0515);
    let mut ran_new = 0;
    for number in 0..CUTS {
        let start = if number % 2 == 0 { first } else { last - DECIDING };
        let cut = start + (chance.next() % (last - start) as u64) as usize;
        let named = |error: String| format!("after a cut before write {cut} of {first}..{last}: {error}");
        leave(context, &base, &log, cut, &mut chance, &followed.node.disk).map_err(named)?;
        let is_new = followed.starts(&old, &new, number < RERUN).map_err(named)?;
        ran_new += usize::from(is_new);
        println!("  a cut before write {}: the {} release", cut - first, if is_new { "new" } else { "old" });
    }
    // Whether the new one was among them is the chance's, and it is the same in
    // every run of equal writes; that the old one was is not left to it.
    if ran_new == CUTS {
        return Err("no cut left the old release".to_owned());
    }
    Ok(())
}

/// Makes the disk what a cut may leave.
fn leave(
    context: &Context,
    base: &Path,
    log: &WriteLog,
    cut: usize,
    chance: &mut Chance,
    disk: &Path,
) -> Result<(), String> {
    std::fs::remove_file(disk).map_err(|error| error.to_string())?;
    context.copy_image(base, disk)?;
    let file = OpenOptions::new().write(true).open(disk).map_err(|error| error.to_string())?;
    log.replay(&file, 0, cut, (0, u64::MAX), || chance.next() & 1 == 0)
}

impl Followed<'_> {
    /// Starts what there is, which is one of both releases, whole and committed;
    /// whether it is the new one. Then the installation is ordered again, if that
    /// is asked for, and the new one runs.
    fn starts(&self, old: &Path, new: &Path, again: bool) -> Result<bool, String> {
        let nonce = nonce();
        let start = Start { target: &self.target, ..self.node.start(&nonce) };
        let mut machine = Machine::start(self.context, &start)?;
        let report = machine.verdict()?;
        let fails = |image: &Path| {
            self.context.manifest(image).map(|manifest| judge(&report, &manifest, &nonce, false))
        };
        let (by_old, by_new) = (fails(old)?, fails(new)?);
        let is_new = by_new.is_empty();
        if !is_new && !by_old.is_empty() {
            return Err(machine.failure(&format!("neither release: {by_old:?}, {by_new:?}")));
        }
        let updated = (bits(1, 3, true, false), GOOD);
        if is_new {
            assert_bits("after the start", &self.node.disk, updated)?;
        } else if again {
            self.node.client.wait(self.node.control)?;
            self.installs("2.0.0")?;
            machine.power_off();
            self.start(new)?.power_off();
            assert_bits("after the rerun", &self.node.disk, updated)?;
        }
        Ok(is_new)
    }
}
