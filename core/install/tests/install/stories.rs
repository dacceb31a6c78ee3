//! Whole stories, cut everywhere.

use osbuild_boot::gpt;
use osbuild_boot::slot::{Bits, Slot};
use osbuild_format::hex;
use osbuild_format::release::Blob;
use osbuild_install::loader;
use osbuild_install::orders::{self, Rearmed};
use osbuild_install::{Bars, Emptied, Examined, Plan, Preflight, Record, Writing};
use sha2::{Digest, Sha256};

use crate::cuts::{Judgement, Sampling, Story, after, judge};
use crate::disk::SimDisk;
use crate::node;
use crate::world::{Chance, World};

const BLOCKS: u64 = 40;
const SAMPLING: Sampling = Sampling { reorderings: 40, tear_stride: 1, enough: 5 };

/// What the loader starts.
pub(crate) fn starts(disk: &mut SimDisk) -> Slot {
    node::boot(disk).unwrap().0
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// The plan that a node makes which runs a version.
pub(crate) fn plan(
    world: &World,
    disk: &mut SimDisk,
    slot: Slot,
    from: usize,
    to: usize,
) -> Result<Plan, String> {
    let table = gpt::load(disk).map_err(|_| "no table")?.table;
    let (own, record) = (world.node(slot, from), disk.record().load());
    let preflight = Preflight { node: &own, table: &table, record: &record };
    preflight.check(&world.versions[to].manifest, Bars::Heed).map_err(text)
}

/// The hash tree from the slot if it is there, else from the release.
pub(crate) fn with_tree<'d>(
    world: &World,
    to: usize,
    mut emptied: Emptied<'d, SimDisk>,
) -> Result<Writing<'d, SimDisk>, String> {
    let tree = match emptied.staged_hash_tree().map_err(text)? {
        Some(tree) => tree,
        None => world.versions[to].tree.clone(),
    };
    emptied.hash_tree(tree).map_err(text)
}

/// What is missing, in runs of at most `run` blocks; returns how many blocks.
pub(crate) fn put_missing(
    world: &World,
    to: usize,
    writing: &mut Writing<'_, SimDisk>,
    run: u64,
) -> Result<u64, String> {
    let mut count = 0;
    for range in writing.missing_root().map_err(text)? {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + run);
            writing.put_root(at, world.versions[to].blocks(at, end)).map_err(text)?;
            count += end - at;
            at = end;
        }
    }
    Ok(count)
}

/// A whole update; returns how many blocks were missing.
pub(crate) fn update(
    world: &World,
    disk: &mut SimDisk,
    slot: Slot,
    from: usize,
    to: usize,
) -> Result<u64, String> {
    let plan = plan(world, disk, slot, from, to)?;
    let mut record = disk.record();
    let mut writing = with_tree(world, to, plan.begin(disk).map_err(text)?)?;
    let missing = put_missing(world, to, &mut writing, 3)?;
    if !writing.has_uki().map_err(text)? {
        writing.put_uki(&world.versions[to].uki[..]).map_err(text)?;
    }
    writing.finish().map_err(text)?.activate(&mut record).map_err(text)?;
    Ok(missing)
}

fn update_to_2(world: &World, disk: &mut SimDisk, slot: Slot, from: usize) -> Result<(), String> {
    update(world, disk, slot, from, 2).map(drop)
}

fn story<'w>(
    name: &'static str,
    world: &'w World,
    disk: &SimDisk,
    tell: impl FnOnce(&mut SimDisk),
) -> Story<'w> {
    let before = disk.bytes();
    let mut told = disk.clone();
    tell(&mut told);
    Story {
        name,
        world,
        before,
        log: told.take_log(),
        may_start: &[0, 1, 2],
        goal: 2,
        again: update_to_2,
        is_trial: true,
        has_loaders: false,
    }
}

/// `at_least` are the states that differ from each other; those of all stories
/// together are more than 10,000.
fn expect_clean(name: &str, judgement: &Judgement, at_least: usize) {
    println!("{name}: {} states, {} of them different", judgement.states, judgement.distinct);
    assert!(judgement.violations.is_empty(), "{:#?}", judgement.violations);
    assert!(judgement.distinct >= at_least, "{} different states", judgement.distinct);
}

/// An update, the reboot into it, its commit.
#[test]
fn an_update_that_is_cut() {
    let world = World::new(BLOCKS);
    let disk = world.usual_disk();
    let story = story("update", &world, &disk, |disk| {
        assert!(update(&world, disk, Slot::A, 1, 2).unwrap() > 20);
        let mut record = disk.record();
        assert_eq!(starts(disk), Slot::B);
        node::commit(disk, &mut record, Slot::B);
    });
    expect_clean("update", &judge(&story, SAMPLING), 2500);
}

/// It is cut, goes on at the next start, and is cut again.
#[test]
fn an_update_that_is_cut_twice() {
    let world = World::new(12);
    let disk = world.usual_disk();
    let first = story("update", &world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
    });
    let mut all = Judgement::default();
    for cut in 0..first.log.len() {
        let mut disk = after(&first, cut);
        let mut record = disk.record();
        if starts(&mut disk) != Slot::A {
            continue;
        }
        node::commit(&mut disk, &mut record, Slot::A);
        disk.take_log();
        let second = story("update, cut before", &world, &disk, |disk| {
            update(&world, disk, Slot::A, 1, 2).unwrap();
        });
        let judgement = judge(&second, Sampling { reorderings: 6, tear_stride: 4, ..SAMPLING });
        all.states += judgement.states;
        all.distinct += judgement.distinct;
        all.violations.extend(judgement.violations);
    }
    expect_clean("cut twice", &all, 2700);
}

/// The updater is killed twice, and goes on each time where it was.
#[test]
fn an_update_that_is_killed_goes_on_and_is_cut() {
    let world = World::new(BLOCKS);
    let disk = world.usual_disk();
    let story = story("resume", &world, &disk, |disk| {
        let mut chance = Chance::new(3);
        let begun = plan(&world, disk, Slot::A, 1, 2).unwrap();
        drop(begun.begin(disk).unwrap());
        for _ in 0..2 {
            let begun = plan(&world, disk, Slot::A, 1, 2).unwrap();
            let mut writing = with_tree(&world, 2, begun.begin(disk).unwrap()).unwrap();
            for _ in 0..5 {
                let at = chance.below(BLOCKS - 1);
                writing.put_root(at, world.versions[2].blocks(at, at + 2)).unwrap();
            }
            // Killed while the image was half there.
            let half = &world.versions[2].uki[..2000];
            assert!(writing.put_uki(half).is_err());
        }
        assert!(update(&world, disk, Slot::A, 1, 2).unwrap() < BLOCKS - 10);
    });
    expect_clean("resume", &judge(&story, SAMPLING), 2600);
}

/// An activation is cancelled, and the release installed after all.
#[test]
fn a_cancelled_update_that_is_cut() {
    let world = World::new(BLOCKS);
    let disk = world.usual_disk();
    update(&world, &mut disk.clone(), Slot::A, 1, 2).unwrap();
    disk.take_log();
    let story = story("cancel", &world, &disk, |disk| {
        let mut record = disk.record();
        orders::cancel(disk, &mut record, &world.node(Slot::A, 1)).unwrap();
        assert_eq!(record.load().staged, Some(world.versions[2].release()));
        assert_eq!(update(&world, disk, Slot::A, 1, 2), Ok(0));
        assert_eq!(record.load().staged, None);
    });
    expect_clean("cancel", &judge(&story, SAMPLING), 230);
}

fn roll_back_to_0(world: &World, disk: &mut SimDisk, slot: Slot, from: usize) -> Result<(), String> {
    let mut record = disk.record();
    let examined = Examined::read(disk, slot.other()).map_err(text)?;
    orders::roll_back(disk, &mut record, &world.node(slot, from), Bars::Heed, examined)
        .map(drop)
        .map_err(text)
}

#[test]
fn a_roll_back_that_is_cut() {
    let world = World::new(BLOCKS);
    let disk = world.usual_disk();
    let told = story("roll back", &world, &disk, |disk| {
        roll_back_to_0(&world, disk, Slot::A, 1).unwrap();
        let mut record = disk.record();
        assert_eq!(record.load().hold, Some(world.versions[1].release()));
        assert_eq!(starts(disk), Slot::B);
        node::commit(disk, &mut record, Slot::B);
    });
    let story = Story { may_start: &[0, 1], goal: 0, again: roll_back_to_0, is_trial: false, ..told };
    expect_clean("roll back", &judge(&story, Sampling { reorderings: 80, ..SAMPLING }), 350);
}

fn rearm_2(world: &World, disk: &mut SimDisk, slot: Slot, from: usize) -> Result<(), String> {
    let mut record = disk.record();
    let examined = Examined::read(disk, slot.other()).map_err(text)?;
    match orders::rearm(disk, &mut record, &world.node(slot, from), examined).map_err(text)? {
        Rearmed::Trial(_) => Ok(()),
        Rearmed::Reinstall => update_to_2(world, disk, slot, from),
    }
}

fn spent() -> Bits {
    Bits { priority: 1, tries: 0, ..Bits::GOOD }
}

#[test]
fn a_rearming_that_is_cut() {
    let world = World::new(BLOCKS);
    let disk = world.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 2, spent())]);
    let told = story("rearm", &world, &disk, |disk| {
        rearm_2(&world, disk, Slot::A, 1).unwrap();
        let mut record = disk.record();
        assert_eq!(starts(disk), Slot::B);
        node::commit(disk, &mut record, Slot::B);
    });
    let story = Story { may_start: &[1, 2], again: rearm_2, is_trial: true, ..told };
    expect_clean("rearm", &judge(&story, Sampling { reorderings: 80, ..SAMPLING }), 350);
}

/// The same with a damaged block: the slot was emptied, and is mended.
#[test]
fn a_damaged_slot_that_is_mended_and_cut() {
    let world = World::new(BLOCKS);
    let mut bytes = world.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 2, spent())]).bytes();
    let root = world.table.partition(Slot::B.root()).unwrap().first as usize * 512;
    bytes[root + 17 * 4096 + 5] ^= 1;
    // While it is only damaged, verity and the tries keep it from harm: the
    // story is of what an update makes of it.
    let mut disk = SimDisk::new(bytes, world.private_sector);
    let mut record = disk.record();
    let examined = Examined::read(&mut disk, Slot::B).unwrap();
    let rearmed = orders::rearm(&mut disk, &mut record, &world.node(Slot::A, 1), examined).unwrap();
    assert_eq!(rearmed, Rearmed::Reinstall);
    disk.take_log();
    let told = story("mend", &world, &disk, |disk| {
        assert_eq!(update(&world, disk, Slot::A, 1, 2), Ok(1));
    });
    let story = Story { may_start: &[1, 2], ..told };
    expect_clean("mend", &judge(&story, SAMPLING), 140);
}

/// A hash tree of two levels, and roots of an odd number of blocks.
#[test]
fn an_update_with_a_tree_of_two_levels_that_is_cut() {
    let world = World::new(131);
    let disk = world.usual_disk();
    let story = story("two levels", &world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
    });
    assert_eq!(world.versions[2].tree.len(), 3 * 4096);
    expect_clean("two levels", &judge(&story, Sampling { reorderings: 4, tear_stride: 7, ..SAMPLING }), 1100);
}

pub(crate) fn blob(bytes: &[u8]) -> Blob {
    Blob { size: bytes.len() as u64, sha256: hex::encode(&Sha256::digest(bytes)) }
}

pub(crate) fn replace_loader(
    world: &World,
    disk: &mut SimDisk,
    slot: Slot,
    from: usize,
) -> Result<(), String> {
    let new = &world.loaders[1];
    loader::replace(disk, &world.node(slot, from), new, &blob(new)).map(drop).map_err(text)
}

#[test]
fn a_new_loader_that_is_cut() {
    let world = World::with_loaders(BLOCKS);
    let disk = world.usual_disk();
    let told = story("loader", &world, &disk, |disk| replace_loader(&world, disk, Slot::A, 1).unwrap());
    let story = Story {
        may_start: &[0, 1],
        goal: 1,
        again: replace_loader,
        is_trial: false,
        has_loaders: true,
        ..told
    };
    let sampling = Sampling { reorderings: 80, tear_stride: 16, ..SAMPLING };
    expect_clean("loader", &judge(&story, sampling), 150);
}
