//! Bad installers and bad disks, each of which the judge of [`crate::cuts`]
//! must find out; with a good one in its place it finds nothing.

use osbuild_boot::slot::Slot;
use osbuild_install::Error;

use crate::cuts::{Judgement, Sampling, Story, judge};
use crate::disk::{Faults, SimDisk};
use crate::node::{Order, commit_in};
use crate::stories::{plan, put_missing, replace_loader, starts, update, with_tree};
use crate::world::World;

const SAMPLING: Sampling = Sampling { reorderings: 40, tear_stride: 4, enough: 12 };

/// Judges what is left of an update by a bad installer.
fn judge_update(world: &World, disk: &SimDisk, tell: impl FnOnce(&mut SimDisk)) -> Judgement {
    let before = disk.bytes();
    let mut told = disk.clone();
    tell(&mut told);
    let story = Story {
        name: "bad update",
        world,
        before,
        log: told.take_log(),
        may_start: &[0, 1, 2],
        goal: 2,
        again: |world, disk, slot, from| update(world, disk, slot, from, 2).map(drop),
        is_trial: true,
        has_loaders: false,
    };
    judge(&story, SAMPLING)
}

/// Some state is against the law, and for this reason.
fn expect_red(judgement: &Judgement, reason: &str) {
    let found = judgement.violations.iter().filter(|violation| violation.contains(reason)).count();
    let (all, states) = (judgement.violations.len(), judgement.states);
    println!("{found} of {all} violations in {states} states: {reason}");
    assert!(found > 0, "{:#?}", &judgement.violations[..all.min(5)]);
}

fn world_and_disk() -> (World, SimDisk) {
    let world = World::new(16);
    let disk = world.usual_disk();
    (world, disk)
}

#[test]
fn without_a_fault_nothing_is_found() {
    let (world, disk) = world_and_disk();
    let judgement = judge_update(&world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
    });
    assert_eq!(judgement.violations, Vec::<String>::new());
}

#[test]
fn an_activation_before_the_payload_is_flushed() {
    let (world, disk) = world_and_disk();
    disk.set_faults(Faults { payload_apart: true, ..Faults::default() });
    let judgement = judge_update(&world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
        disk.flush_payload();
    });
    expect_red(&judgement, "the root is not that of v2");
}

#[test]
fn both_copies_of_the_table_in_one_go() {
    let (world, disk) = world_and_disk();
    disk.set_faults(Faults { no_flush_between_tables: true, ..Faults::default() });
    let judgement = judge_update(&world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
    });
    expect_red(&judgement, "no table");
}

#[test]
fn a_slot_that_is_written_before_it_is_emptied() {
    let (world, disk) = world_and_disk();
    let judgement = judge_update(&world, &disk, |disk| {
        let plan = plan(&world, disk, Slot::A, 1, 2).unwrap();
        let mut record = disk.record();
        disk.set_faults(Faults { deaf_to_tables: true, ..Faults::default() });
        let mut writing = with_tree(&world, 2, plan.begin(disk).unwrap()).unwrap();
        put_missing(&world, 2, &mut writing, 3).unwrap();
        writing.put_uki(&world.versions[2].uki[..]).unwrap();
        let verified = writing.finish().unwrap();
        // It is seen at the latest when the slot is to be activated.
        assert!(matches!(verified.activate(&mut record), Err(Error::TableChanged { .. })));
    });
    expect_red(&judgement, "the root is not that of v0");
}

#[test]
fn a_trial_record_after_the_activation() {
    let (world, disk) = world_and_disk();
    disk.set_faults(Faults { record_late: true, ..Faults::default() });
    let judgement = judge_update(&world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
        disk.save_late_record();
    });
    // What is lost: a release that never says a word is not refused, and will
    // be tried again once its slot held another one.
    expect_red(&judgement, "times and is not refused");
}

/// An update, the start into it, and its commit, in which the record of the
/// trial goes in this order.
fn judge_commit(order: Order) -> Judgement {
    let (world, disk) = world_and_disk();
    let mut disk = disk;
    update(&world, &mut disk, Slot::A, 1, 2).unwrap();
    assert_eq!(starts(&mut disk), Slot::B);
    disk.take_log();
    judge_update(&world, &disk, |disk| {
        let mut record = disk.record();
        commit_in(disk, &mut record, Slot::B, order);
    })
}

#[test]
fn a_trial_that_is_forgotten_before_its_slot_is_good() {
    expect_red(&judge_commit(Order::ForgetThenBits), "times and is not refused");
    assert_eq!(judge_commit(Order::BitsThenForget).violations, Vec::<String>::new());
}

/// A disk that acknowledges a block of the root and forgets it.
fn forgetful(world: &World, reads_back_the_cache: bool) -> Faults {
    let first = world.table.partition(Slot::B.root()).unwrap().first + 5 * 8;
    Faults { loses: Some(first..first + 1), reads_back_the_cache, ..Faults::default() }
}

#[test]
fn a_disk_that_forgets_and_nobody_reads_back() {
    let (world, disk) = world_and_disk();
    disk.set_faults(forgetful(&world, true));
    let judgement = judge_update(&world, &disk, |disk| {
        update(&world, disk, Slot::A, 1, 2).unwrap();
    });
    expect_red(&judgement, "the root is not that of v2");
}

#[test]
fn a_disk_that_forgets_and_is_read_back() {
    let (world, disk) = world_and_disk();
    disk.set_faults(forgetful(&world, false));
    let judgement = judge_update(&world, &disk, |disk| {
        let error = update(&world, disk, Slot::A, 1, 2).unwrap_err();
        assert!(error.contains("NotReadBack") && error.contains("20480"), "{error}");
    });
    assert_eq!(judgement.violations, Vec::<String>::new());
}

#[test]
fn a_loader_that_is_named_before_it_is_flushed() {
    let world = World::with_loaders(6);
    let disk = world.usual_disk();
    disk.set_faults(Faults { payload_apart: true, ..Faults::default() });
    let before = disk.bytes();
    replace_loader(&world, &mut disk.clone(), Slot::A, 1).unwrap();
    disk.flush_payload();
    let story = Story {
        name: "bad loader",
        world: &world,
        before,
        log: disk.take_log(),
        may_start: &[0, 1],
        goal: 1,
        again: replace_loader,
        is_trial: false,
        has_loaders: true,
    };
    let judgement = judge(&story, Sampling { reorderings: 200, tear_stride: 64, ..SAMPLING });
    expect_red(&judgement, "no loader that was ever whole");
}
