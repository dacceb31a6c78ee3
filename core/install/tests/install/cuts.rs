//! What a power cut may leave of a story's writes, and whether a node can live
//! with it.
//!
//! A disk with a volatile cache may lose any of the writes since the flush
//! before, and of each any part; a sector that was being written may hold the
//! new bytes up to somewhere, from somewhere, or anything.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use osbuild_boot::gpt::{self, Gpt, SECTOR_BYTES};
use osbuild_boot::private::Private;
use osbuild_boot::slot::{Slot, State};
use osbuild_install::{Bars, Preflight, Record};

use crate::disk::{Entry, Group, SimDisk, newest};
use crate::world::{Chance, World};
use crate::{esp, node};

/// Writes that were recorded, and what must be true whatever is left of them.
pub(crate) struct Story<'w> {
    pub(crate) name: &'static str,
    pub(crate) world: &'w World,
    /// The disk before the first of them.
    pub(crate) before: Vec<u8>,
    pub(crate) log: Vec<Entry>,
    /// What may be started, by number of version.
    pub(crate) may_start: &'static [usize],
    /// What runs in the end if the story is told again.
    pub(crate) goal: usize,
    /// Tells it again on a node that runs another version than `goal`, in the
    /// slot, by number.
    pub(crate) again: fn(&World, &mut SimDisk, Slot, usize) -> Result<(), String>,
    /// The goal is new to the node, so its failure must be remembered.
    pub(crate) is_trial: bool,
    /// There are loaders on the ESP, which must start.
    pub(crate) has_loaders: bool,
}

/// How many states of each kind are made of a story.
#[derive(Clone, Copy)]
pub(crate) struct Sampling {
    /// Sets of lost writes at each point.
    pub(crate) reorderings: usize,
    /// A write is torn at each so many sectors.
    pub(crate) tear_stride: usize,
    /// After so many violations the rest need not be seen.
    pub(crate) enough: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// States that were made, and how many of them differ.
    pub(crate) states: usize,
    pub(crate) distinct: usize,
    pub(crate) violations: Vec<String>,
}

/// A write that no flush covers yet.
struct Open {
    group: Group,
    sector: u64,
    bytes: Rc<[u8]>,
}

impl Open {
    fn place<'d>(&self, disk: &'d mut [u8]) -> &'d mut [u8] {
        let at = self.sector as usize * SECTOR_BYTES;
        &mut disk[at..at + self.bytes.len()]
    }
}

/// Of each of them, by its number.
type Fates<'f> = &'f mut dyn FnMut(usize) -> Fate;

/// What becomes of such a write.
enum Fate {
    Whole,
    Lost,
    /// So many sectors, then something in place of the next one.
    Torn(usize, Edge),
    /// Each sector by itself, whole or not at all.
    Scattered(u64),
}

/// What is in the sector that was being written.
#[derive(Clone, Copy)]
enum Edge {
    Old,
    /// New bytes up to here.
    Beginning(usize),
    /// New bytes from here.
    End(usize),
    Zeros,
    Garbage(u64),
}

pub(crate) fn judge(story: &Story<'_>, sampling: Sampling) -> Judgement {
    let mut judgement = Judgement::default();
    let (mut seen, mut settled) = (HashSet::new(), HashSet::new());
    let mut chance = Chance::new(story.log.len() as u64);
    let mut solid = story.before.clone();
    let mut open: Vec<Open> = Vec::new();
    // The record as it must be at least: that of the last save that returned.
    let mut least = newest(&solid, story.world.private_sector);
    let mut look = |solid: &[u8], open: &[Open], least: &Private, what: &str, fate: Fates<'_>| {
        if judgement.violations.len() >= sampling.enough {
            return;
        }
        let mut state = solid.to_vec();
        for (index, write) in open.iter().enumerate() {
            let may_be_garbage = !is_directory(story, write.sector);
            put(write.place(&mut state), &write.bytes, fate(index), may_be_garbage);
        }
        judgement.states += 1;
        if !seen.insert(digest(&(&state, least.floor, least.generation))) {
            return;
        }
        judgement.distinct += 1;
        if let Err(violation) = check(story, state, least, &mut settled) {
            judgement.violations.push(format!("{}, {what}: {violation}", story.name));
        }
    };

    for cut in 0..=story.log.len() {
        if let Some(last) = cut.checked_sub(1) {
            match &story.log[last] {
                Entry::Write { group, sector, bytes } => {
                    open.push(Open { group: *group, sector: *sector, bytes: bytes.clone() });
                }
                Entry::Flush(flushed) => {
                    for write in open.iter().filter(|write| write.group == *flushed) {
                        write.place(&mut solid).copy_from_slice(&write.bytes);
                    }
                    open.retain(|write| write.group != *flushed);
                    if *flushed == Group::Record {
                        least = newest(&solid, story.world.private_sector);
                    }
                }
            }
        }
        look(&solid, &open, &least, &format!("cut after {cut}"), &mut |_| Fate::Whole);
        let Some(last) = open.len().checked_sub(1) else { continue };
        if matches!(story.log[cut - 1], Entry::Write { .. }) {
            let sectors = open[last].bytes.len() / SECTOR_BYTES;
            for torn in (0..sectors).step_by(sampling.tear_stride) {
                let at = 1 + chance.below(SECTOR_BYTES as u64 - 1) as usize;
                let garbage = Edge::Garbage(chance.next());
                let edges = [Edge::Old, Edge::Beginning(at), Edge::End(at), Edge::Zeros, garbage];
                for edge in edges {
                    let what = format!("write {cut} torn after {torn} sectors");
                    look(&solid, &open, &least, &what, &mut |index| {
                        if index == last { Fate::Torn(torn, edge) } else { Fate::Whole }
                    });
                }
            }
        }
        for number in 0..sampling.reorderings {
            let what = format!("cut after {cut}, reordering {number}");
            look(&solid, &open, &least, &what, &mut |index| {
                let sectors = open[index].bytes.len() / SECTOR_BYTES;
                match chance.below(12) {
                    0..=4 => Fate::Whole,
                    5..=8 => Fate::Lost,
                    9 => Fate::Scattered(chance.next()),
                    _ => {
                        let at = chance.below(SECTOR_BYTES as u64) as usize;
                        let edge = match chance.below(4) {
                            0 => Edge::Old,
                            1 => Edge::Beginning(at),
                            2 => Edge::End(at),
                            _ => Edge::Garbage(chance.next()),
                        };
                        Fate::Torn(chance.below(sectors as u64) as usize, edge)
                    }
                }
            });
        }
    }
    judgement
}

/// The disk after a story's first `cut` entries, nothing lost.
pub(crate) fn after(story: &Story<'_>, cut: usize) -> SimDisk {
    let mut bytes = story.before.clone();
    for entry in &story.log[..cut] {
        if let Entry::Write { group, sector, bytes: written } = entry {
            let write = Open { group: *group, sector: *sector, bytes: written.clone() };
            write.place(&mut bytes).copy_from_slice(written);
        }
    }
    SimDisk::new(bytes, story.world.private_sector)
}

fn put(place: &mut [u8], bytes: &[u8], fate: Fate, may_be_garbage: bool) {
    match fate {
        Fate::Whole => place.copy_from_slice(bytes),
        Fate::Lost => {}
        Fate::Scattered(seed) => {
            let mut chance = Chance::new(seed);
            for (place, bytes) in place.chunks_exact_mut(SECTOR_BYTES).zip(bytes.chunks_exact(SECTOR_BYTES)) {
                if chance.below(2) == 0 {
                    place.copy_from_slice(bytes);
                }
            }
        }
        Fate::Torn(sectors, edge) => {
            let whole = sectors * SECTOR_BYTES;
            place[..whole].copy_from_slice(&bytes[..whole]);
            let (place, bytes) = (&mut place[whole..whole + SECTOR_BYTES], &bytes[whole..]);
            match edge {
                Edge::Beginning(at) => place[..at].copy_from_slice(&bytes[..at]),
                Edge::End(at) => place[at..].copy_from_slice(&bytes[at..SECTOR_BYTES]),
                Edge::Zeros if may_be_garbage => place.fill(0),
                Edge::Garbage(seed) if may_be_garbage => {
                    place.copy_from_slice(&Chance::new(seed).bytes(SECTOR_BYTES));
                }
                Edge::Old | Edge::Zeros | Edge::Garbage(_) => {}
            }
        }
    }
}

/// The one sector that has no copy and no checksum: the ESP's directory. Torn,
/// it still names both loaders; what a medium that makes garbage of it leaves,
/// no firmware can start from.
fn is_directory(story: &Story<'_>, sector: u64) -> bool {
    story.has_loaders && sector == esp::directory_sector(&story.world.table)
}

/// All that must hold of one state. `settled` are those after a first start of
/// which it was seen to hold: what a torn partition table leaves, the loader
/// repairs to few different ones.
fn check(
    story: &Story<'_>,
    state: Vec<u8>,
    least: &Private,
    settled: &mut HashSet<u64>,
) -> Result<(), String> {
    record_is_kept(&newest(&state, story.world.private_sector), least)?;
    if story.has_loaders {
        esp::started_loader(&state, story.world)?;
    }
    let mut first = SimDisk::new(state, story.world.private_sector);
    let started = Started::next(story, &mut first)?;
    let after_start = digest(&first.bytes());
    if settled.contains(&after_start) {
        return Ok(());
    }
    let disk = || SimDisk::new(first.bytes(), story.world.private_sector);
    if story.is_trial {
        a_panic_is_refused(story, &started, &mut disk())?;
    }
    told_again_it_ends_well(story, &started, &mut disk())?;
    // The law, over as many starts without a commit as it takes for both slots
    // to be used up and take turns.
    for number in 2..=9 {
        Started::next(story, &mut first).map_err(|what| format!("start {number}: {what}"))?;
    }
    settled.insert(after_start);
    Ok(())
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What a run of the loader started, whole.
struct Started {
    slot: Slot,
    version: usize,
    table: Gpt,
}

impl Started {
    fn next(story: &Story<'_>, disk: &mut SimDisk) -> Result<Self, String> {
        let (slot, table) = node::boot(disk)?;
        let version = story.world.whole(disk, &table, slot)?;
        if story.may_start.contains(&version) {
            Ok(Self { slot, version, table })
        } else {
            Err(format!("v{version} starts"))
        }
    }
}

/// The floor never drops, and what was refused stays refused.
fn record_is_kept(found: &Private, least: &Private) -> Result<(), String> {
    if found.floor < least.floor {
        return Err(format!("the floor dropped from {} to {}", least.floor, found.floor));
    }
    match least.refused().find(|refused| !found.is_refused(&refused.release.root_hash)) {
        Some(lost) => Err(format!("{} is not refused any more", lost.release.version())),
        None => Ok(()),
    }
}

/// If the new release ends without a word each time, the node goes back, and
/// does not try it again.
fn a_panic_is_refused(story: &Story<'_>, first: &Started, disk: &mut SimDisk) -> Result<(), String> {
    let mut record = disk.record();
    let goal = &story.world.versions[story.goal];
    let mut next;
    let (mut started, mut panics) = (first, 0);
    while started.version == story.goal {
        if started.table.slots().ok_or("no slots")?.of(started.slot).successful {
            return Ok(());
        }
        panics += 1;
        if panics == 8 {
            return Err("the node never came back from the new release".to_owned());
        }
        next = Started::next(story, disk)?;
        started = &next;
    }
    if panics == 0 {
        return Ok(());
    }
    node::commit(disk, &mut record, started.slot);
    let table = gpt::load(disk).map_err(|_| "no table after a commit")?.table;
    let others = table.slots().ok_or("no slots")?.of(started.slot.other());
    if others.state() != State::Empty || !record.load().is_refused(&goal.root_hash) {
        return Err(format!("v{} panicked {panics} times and is not refused", story.goal));
    }
    let own = story.world.node(started.slot, started.version);
    let preflight = Preflight { node: &own, table: &table, record: &record.load() };
    match preflight.check(&goal.manifest, Bars::Heed) {
        Ok(_) => Err(format!("v{} panicked {panics} times and would be installed again", story.goal)),
        Err(_) => Ok(()),
    }
}

fn told_again_it_ends_well(story: &Story<'_>, first: &Started, disk: &mut SimDisk) -> Result<(), String> {
    let mut record = disk.record();
    let before = record.load();
    let wrong = |what: String| format!("told again: {what}");
    let mut next;
    let mut started = first;
    for _ in 0..4 {
        node::commit(disk, &mut record, started.slot);
        if started.version == story.goal && (!story.has_loaders || esp::is_new(disk, story.world)) {
            record_is_kept(&record.load(), &before).map_err(wrong)?;
            let own_floor = story.world.versions[started.version].manifest.floor;
            if record.load().floor < own_floor {
                return Err(wrong(format!("v{} committed below its floor {own_floor}", story.goal)));
            }
            let last = Started::next(story, disk).map_err(wrong)?;
            let stays = last.version == story.goal;
            return if stays { Ok(()) } else { Err(wrong(format!("v{} starts after it", last.version))) };
        }
        (story.again)(story.world, disk, started.slot, started.version).map_err(wrong)?;
        next = Started::next(story, disk).map_err(wrong)?;
        started = &next;
    }
    Err(wrong(format!("v{} never runs", story.goal)))
}
