//! What an operator may order, and when not.

use osbuild_boot::gpt;
use osbuild_boot::law::Forbidden;
use osbuild_boot::private::{Reason, Refused};
use osbuild_boot::slot::{Bits, Pair, Slot};
use osbuild_format::fat::Foreign;
use osbuild_install::loader::{self, Outcome};
use osbuild_install::orders::{self, Rearmed};
use osbuild_install::{Bars, Contents, Error, Examined, Preflight, Record, Refusal};

use crate::disk::SimDisk;
use crate::stories::{blob, starts, update};
use crate::world::World;

const FALLBACK: Bits = Bits { priority: 1, ..Bits::GOOD };
const SPENT: Bits = Bits { priority: 1, tries: 0, successful: true, forced: false };

fn slots(disk: &mut SimDisk) -> Pair {
    gpt::load(disk).unwrap().table.slots().unwrap()
}

/// Nothing may be written where an order is refused.
fn refused<T: std::fmt::Debug>(
    disk: &mut SimDisk,
    order: impl FnOnce(&mut SimDisk) -> Result<T, Error>,
) -> Error {
    disk.take_log();
    let error = order(disk).unwrap_err();
    assert!(disk.take_log().is_empty(), "{error} and yet something was written");
    error
}

#[test]
fn a_cancelled_release_is_installed_without_being_fetched_again() {
    let world = World::new(12);
    let mut disk = world.usual_disk();
    let (mut record, own) = (disk.record(), world.node(Slot::A, 1));
    update(&world, &mut disk, Slot::A, 1, 2).unwrap();
    assert_eq!(slots(&mut disk), Pair { a: FALLBACK, b: Bits::TRIAL });
    assert_eq!(record.load().trial, Some(world.versions[2].release()));

    let pair = orders::cancel(&mut disk, &mut record, &own).unwrap();
    assert_eq!((pair, slots(&mut disk)), (Pair { a: Bits::GOOD, b: Bits::EMPTY }, pair));
    assert_eq!((record.load().trial, record.load().staged), (None, Some(world.versions[2].release())));
    let again = refused(&mut disk, |disk| {
        let mut record = disk.record();
        orders::cancel(disk, &mut record, &own)
    });
    assert!(matches!(again, Error::Forbidden(Forbidden::NothingToCancel)), "{again}");

    assert_eq!(update(&world, &mut disk, Slot::A, 1, 2), Ok(0));
    assert_eq!(starts(&mut disk), Slot::B);
    // Another release finds nothing of use but what they share.
    let mut disk = world.usual_disk();
    assert_eq!(update(&world, &mut disk, Slot::A, 1, 2), Ok(11));
}

/// Of the node's disk, what runs is v2 in A, what is gone back to v1 in B.
#[test]
fn going_back_is_to_what_is_whole_and_not_barred() {
    let world = World::new(12);
    let disk = |bits| world.disk([(Slot::A, 2, Bits::GOOD), (Slot::B, 1, bits)]);
    let own = world.node(Slot::A, 2);
    let go_back = |disk: &mut SimDisk, bars| {
        let mut record = disk.record();
        let examined = Examined::read(disk, Slot::B)?;
        orders::roll_back(disk, &mut record, &own, bars, examined)
    };

    for bits in [FALLBACK, SPENT] {
        let mut disk = disk(bits);
        let pair = go_back(&mut disk, Bars::Heed).unwrap();
        assert_eq!(pair, Pair { a: FALLBACK, b: Bits::GOOD });
        let state = disk.record().load();
        assert_eq!((state.hold, state.forced), (Some(world.versions[2].release()), None));
        assert_eq!(starts(&mut disk), Slot::B);

        // It does not come back by itself, but once the hold is lifted.
        let mut record = disk.record();
        let back = world.node(Slot::B, 1);
        let mut table = gpt::load(&mut disk).unwrap().table;
        table.blank(Slot::A);
        let check = |state| {
            let preflight = Preflight { node: &back, table: &table, record: &state };
            preflight.check(&world.versions[2].manifest, Bars::Heed).map(drop)
        };
        let mut state = record.load();
        let in_slot = check(state).unwrap_err();
        assert!(matches!(in_slot, Refusal::Held { .. }), "{in_slot}");
        assert_eq!(orders::lift_hold(&mut record).unwrap(), Some(world.versions[2].release()));
        assert_eq!(orders::lift_hold(&mut record).unwrap(), None);
        state = record.load();
        assert_eq!(check(state), Ok(()));
    }

    for bits in [Bits::EMPTY, Bits::TRIAL, Bits { tries: 0, ..Bits::TRIAL }] {
        let error = refused(&mut disk(bits), |disk| go_back(disk, Bars::OverrideByOperator));
        assert!(matches!(error, Error::Forbidden(Forbidden::NothingToRollBackTo)), "{error}");
    }

    let damage = [(Slot::B.boot(), 1536 + 60), (Slot::B.root(), 4096 * 11), (Slot::B.hash(), 33)];
    for (role, at) in damage {
        let mut bytes = disk(FALLBACK).bytes();
        bytes[world.table.partition(role).unwrap().first as usize * 512 + at] ^= 1;
        let mut disk = SimDisk::new(bytes, world.private_sector);
        let error = refused(&mut disk, |disk| go_back(disk, Bars::OverrideByOperator));
        assert!(matches!(error, Error::NotIntact { slot: "B", .. }), "{error}");
    }

    let bars: [fn(&World, &mut SimDisk); 2] = [
        |_, disk| {
            let mut state = disk.record().load();
            state.floor = 3;
            disk.record().save(state).unwrap();
        },
        |world, disk| {
            let mut state = disk.record().load();
            state.refuse(Refused { release: world.versions[1].release(), reason: Reason::Unhealthy });
            disk.record().save(state).unwrap();
        },
    ];
    for bar in bars {
        let mut disk = disk(FALLBACK);
        bar(&world, &mut disk);
        let error = refused(&mut disk, |disk| go_back(disk, Bars::Heed));
        assert!(matches!(&error, Error::Refused(refusal) if refusal.can_be_forced()), "{error}");
        go_back(&mut disk, Bars::OverrideByOperator).unwrap();
        let state = disk.record().load();
        assert_eq!(state.forced, Some(world.versions[1].release()));
        assert_eq!(state.hold, Some(world.versions[2].release()));
    }
}

#[test]
fn a_spent_slot_is_armed_once_or_mended() {
    let world = World::new(12);
    let disk = || world.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 2, SPENT)]);
    let own = world.node(Slot::A, 1);
    let rearm = |disk: &mut SimDisk| {
        let mut record = disk.record();
        let examined = Examined::read(disk, Slot::B)?;
        orders::rearm(disk, &mut record, &own, examined)
    };

    let mut first = disk();
    let pair = Pair { a: FALLBACK, b: Bits::TRIAL };
    assert_eq!(rearm(&mut first).unwrap(), Rearmed::Trial(pair));
    assert_eq!(first.record().load().trial, Some(world.versions[2].release()));

    // It commits, and is spent once more.
    let mut again = disk();
    let mut state = first.record().load();
    state.trial = None;
    again.record().save(state).unwrap();
    let error = refused(&mut again, rearm);
    assert!(matches!(error, Error::Forbidden(Forbidden::NotRearmable)), "{error}");

    let mut older = world.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 0, SPENT)]);
    let error = refused(&mut older, rearm);
    assert!(matches!(error, Error::NotNewer { index: 1, running: 2, .. }), "{error}");

    let mut bytes = older.bytes();
    bytes[world.table.partition(Slot::B.root()).unwrap().first as usize * 512 + 4096] ^= 1;
    let mut older = SimDisk::new(bytes, world.private_sector);
    let error = refused(&mut older, rearm);
    assert!(matches!(error, Error::NotNewer { index: 1, running: 2, .. }), "{error}");

    let mut held = disk();
    let mut state = held.record().load();
    state.hold = Some(world.versions[2].release());
    held.record().save(state).unwrap();
    let error = refused(&mut held, rearm);
    assert!(matches!(error, Error::Refused(Refusal::Held { .. })), "{error}");

    let never_good = Forbidden::NothingToRollBackTo;
    for (bits, why) in
        [(Bits::EMPTY, never_good), (Bits::TRIAL, never_good), (FALLBACK, Forbidden::NotRearmable)]
    {
        let mut other = world.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 2, bits)]);
        let error = refused(&mut other, rearm);
        assert!(matches!(error, Error::Forbidden(found) if found == why), "{error}");
    }

    for (role, missing) in [(Slot::B.root(), 1), (Slot::B.boot(), 0)] {
        let mut bytes = disk().bytes();
        bytes[world.table.partition(role).unwrap().first as usize * 512] ^= 1;
        let mut damaged = SimDisk::new(bytes, world.private_sector);
        assert_eq!(rearm(&mut damaged).unwrap(), Rearmed::Reinstall);
        assert_eq!(slots(&mut damaged), Pair { a: Bits::GOOD, b: Bits::EMPTY });
        assert_eq!(update(&world, &mut damaged, Slot::A, 1, 2), Ok(missing));
    }
}

/// While a slot is read nobody holds the table's lock: what was found is of no
/// use once another program had its turn.
#[test]
fn a_slot_that_changes_while_it_is_read_is_left_alone() {
    let world = World::new(12);
    let own = world.node(Slot::A, 2);
    let changes: [fn(&World, &mut SimDisk); 3] = [
        |_, _| {},
        // O4, and what was there is there again; but who knows.
        |world, disk| {
            update(world, disk, Slot::A, 2, 3).unwrap();
        },
        |_, disk| {
            let mut table = gpt::load(disk).unwrap().table;
            table.set_slots(slots(disk).with(Slot::B, SPENT));
            gpt::store(disk, &table).unwrap();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut disk = world.disk([(Slot::A, 2, Bits::GOOD), (Slot::B, 1, FALLBACK)]);
        let examined = Examined::read(&mut disk, Slot::B).unwrap();
        assert!(matches!(examined.contents(), Contents::Whole(whole) if whole.rollback_index == 2));
        change(&world, &mut disk);
        let order = |disk: &mut SimDisk| {
            let mut record = disk.record();
            orders::roll_back(disk, &mut record, &own, Bars::OverrideByOperator, examined.clone())
        };
        if number == 0 {
            assert_eq!(order(&mut disk).unwrap().b, Bits::GOOD);
            continue;
        }
        for order in [&order, &|disk: &mut SimDisk| orders::roll_back_from_outside(disk, examined.clone())]
            as [&dyn Fn(&mut SimDisk) -> Result<Pair, Error>; 2]
        {
            let error = refused(&mut disk, order);
            assert!(matches!(error, Error::TableChanged { slot: "B" }), "{number}: {error}");
        }
    }
}

#[test]
fn a_forced_release_is_recorded() {
    let world = World::new(8);
    let mut disk = world.usual_disk();
    let mut record = disk.record();
    let mut state = record.load();
    state.refuse(Refused { release: world.versions[2].release(), reason: Reason::Silent });
    record.save(state).unwrap();
    let own = world.node(Slot::A, 1);
    let (table, state) = (gpt::load(&mut disk).unwrap().table, record.load());
    let preflight = Preflight { node: &own, table: &table, record: &state };
    let plan = preflight.check(&world.versions[2].manifest, Bars::OverrideByOperator).unwrap();
    let mut writing = plan.begin(&mut disk).unwrap().hash_tree(world.versions[2].tree.clone()).unwrap();
    writing.put_root(0, &world.versions[2].root).unwrap();
    writing.put_uki(&world.versions[2].uki[..]).unwrap();
    writing.finish().unwrap().activate(&mut record).unwrap();
    let state = record.load();
    assert_eq!((state.trial, state.forced), (Some(world.versions[2].release()), state.trial));
    assert!(state.is_refused(&world.versions[2].root_hash));
}

#[test]
fn the_loader_is_replaced_between_two_starts_of_its_own() {
    let world = World::with_loaders(6);
    let own = world.node(Slot::A, 1);
    let new = &world.loaders[1];
    let manifest = blob(new);

    let mut disk = world.usual_disk();
    let mut uncommitted = own.clone();
    uncommitted.running.committed = false;
    let error = refused(&mut disk, |disk| loader::replace(disk, &uncommitted, new, &manifest));
    assert!(matches!(error, Error::Forbidden(Forbidden::NotCommitted)), "{error}");
    let mut activated = own.clone();
    activated.since_start.slot_activated = true;
    let error = refused(&mut disk, |disk| loader::replace(disk, &activated, new, &manifest));
    assert!(matches!(error, Error::SlotActivated), "{error}");
    update(&world, &mut disk, Slot::A, 1, 2).unwrap();
    let error = refused(&mut disk, |disk| loader::replace(disk, &own, new, &manifest));
    assert!(matches!(error, Error::SlotActivated), "{error}");

    let mut disk = world.usual_disk();
    let error = refused(&mut disk, |disk| loader::replace(disk, &own, &new[1..], &manifest));
    assert!(matches!(error, Error::WrongBytes { part: "loader", .. }), "{error}");
    let text = b"no program";
    let error = refused(&mut disk, |disk| loader::replace(disk, &own, text, &blob(text)));
    assert!(matches!(error, Error::WrongBytes { part: "loader", .. }), "{error}");
    let large = vec![0; (1 << 20) + 1];
    let error = refused(&mut disk, |disk| loader::replace(disk, &own, &large, &blob(&large)));
    assert!(matches!(error, Error::LoaderTooLarge { .. }), "{error}");

    let esp = world.table.partition(osbuild_boot::layout::Role::Esp).unwrap().first as usize * 512;
    let mut bytes = disk.bytes();
    bytes[esp + 3] = b'X';
    let mut foreign = SimDisk::new(bytes, world.private_sector);
    let error = refused(&mut foreign, |disk| loader::replace(disk, &own, new, &manifest));
    assert!(matches!(error, Error::ForeignEsp(Foreign::BootSector)), "{error}");
    let tiny = World::new(6);
    let error = refused(&mut tiny.usual_disk(), |disk| loader::replace(disk, &own, new, &manifest));
    assert!(matches!(error, Error::ForeignEsp(Foreign::BootSector)), "{error}");

    assert!(!loader::is_current(&mut disk, &manifest).unwrap());
    assert_eq!(loader::replace(&mut disk, &own, new, &manifest).unwrap(), Outcome::Replaced);
    assert!(loader::is_current(&mut disk, &manifest).unwrap());
    assert_eq!(crate::esp::started_loader(&disk.bytes(), &world), Ok(1));
    disk.take_log();
    assert_eq!(loader::replace(&mut disk, &own, new, &manifest).unwrap(), Outcome::AlreadyThere);
    assert!(disk.take_log().is_empty());
    let old = &world.loaders[0];
    assert_eq!(loader::replace(&mut disk, &own, old, &blob(old)).unwrap(), Outcome::Replaced);
    assert_eq!(crate::esp::started_loader(&disk.bytes(), &world), Ok(0));
}
