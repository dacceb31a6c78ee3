//! Whatever the bits of both slots and whatever is tried, nothing is written
//! where it may not be: into the slot that runs, or beside the other one.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use osbuild_boot::gpt::{self, ENTRIES_SECTORS};
use osbuild_boot::layout::Role;
use osbuild_boot::slot::{Bits, Slot, State};
use osbuild_install::{Bars, Examined, Node, Preflight, Record, SinceStart, loader, orders};
use proptest::prelude::*;

use crate::disk::{Entry, Group, SimDisk};
use crate::stories::blob;
use crate::world::World;

/// Made once: of each history only the bits and what is done differ.
static WORLD: LazyLock<World> = LazyLock::new(|| World::with_loaders(6));

#[derive(Clone, Copy, Debug)]
enum Operation {
    Begin,
    Update,
    Cancel,
    RollBack(Bars),
    Rearm,
    ReplaceLoader,
}

fn bits() -> impl Strategy<Value = Bits> {
    (0..=3u8, 0..=4u8, any::<bool>(), any::<bool>()).prop_map(|(priority, tries, successful, forced)| Bits {
        priority,
        tries,
        successful,
        forced,
    })
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let one = prop_oneof![
        Just(Operation::Begin),
        Just(Operation::Update),
        Just(Operation::Cancel),
        Just(Operation::RollBack(Bars::Heed)),
        Just(Operation::RollBack(Bars::OverrideByOperator)),
        Just(Operation::Rearm),
        Just(Operation::ReplaceLoader),
    ];
    prop::collection::vec(one, 1..6)
}

/// Does as told as far as it is allowed; whether it was.
fn try_to(world: &World, disk: &mut SimDisk, node: &Node, operation: Operation) -> bool {
    let mut record = disk.record();
    match operation {
        Operation::Begin | Operation::Update => {
            let (table, state) = (gpt::load(disk).unwrap().table, record.load());
            let preflight = Preflight { node, table: &table, record: &state };
            let Ok(plan) = preflight.check(&world.versions[3].manifest, Bars::Heed) else { return false };
            let version = &world.versions[3];
            let Ok(emptied) = plan.begin(disk) else { return false };
            let mut writing = emptied.hash_tree(version.tree.clone()).unwrap();
            writing.put_root(0, version.blocks(0, 4)).unwrap();
            if matches!(operation, Operation::Update) {
                writing.put_root(0, &version.root).unwrap();
                writing.put_uki(&version.uki[..]).unwrap();
                writing.finish().unwrap().activate(&mut record).unwrap();
            }
            true
        }
        Operation::Cancel => orders::cancel(disk, &mut record, node).is_ok(),
        Operation::RollBack(bars) => Examined::read(disk, node.running.slot.other())
            .and_then(|examined| orders::roll_back(disk, &mut record, node, bars, examined))
            .is_ok(),
        Operation::Rearm => Examined::read(disk, node.running.slot.other())
            .and_then(|examined| orders::rearm(disk, &mut record, node, examined))
            .is_ok(),
        Operation::ReplaceLoader => {
            let new = &world.loaders[1];
            loader::replace(disk, node, new, &blob(new)).is_ok()
        }
    }
}

fn sectors(world: &World, role: Role) -> RangeInclusive<u64> {
    let entry = world.table.partition(role).unwrap();
    entry.first..=entry.last
}

fn check(slots: [(Slot, usize, Bits); 2], running: Slot, committed: bool, operations: &[Operation]) {
    let world = &*WORLD;
    let mut disk = world.disk(slots);
    let own_number = slots.iter().find(|(slot, ..)| *slot == running).unwrap().1;
    let mut node = Node { since_start: SinceStart::default(), ..world.node(running, own_number) };
    node.running.committed = committed;
    let table_before = gpt::load(&mut disk).unwrap().table;
    for operation in operations {
        let was_allowed = try_to(world, &mut disk, &node, *operation);
        let last = world.table.backup_sector;
        let table = [0..=1 + ENTRIES_SECTORS, last - ENTRIES_SECTORS..=last];
        let other = running.other();
        let slot = [other.boot(), other.root(), other.hash()].map(|role| sectors(world, role));
        let is_loader = matches!(operation, Operation::ReplaceLoader);
        for entry in disk.take_log() {
            let Entry::Write { group, sector, bytes } = entry else { continue };
            let written = sector..=sector + (bytes.len() / 512) as u64 - 1;
            let within = |range: &RangeInclusive<u64>| {
                range.contains(written.start()) && range.contains(written.end())
            };
            let is_lawful = match group {
                Group::Record => within(&sectors(world, Role::Private)),
                _ if is_loader => within(&sectors(world, Role::Esp)),
                _ => table.iter().any(within) || (committed && slot.iter().any(within)),
            };
            assert!(is_lawful && was_allowed, "{operation:?} ({was_allowed}) writes {written:?} {group:?}");
        }
        let after = gpt::load(&mut disk).unwrap().table;
        for role in [running.boot(), running.root(), running.hash(), Role::Esp, Role::Private, Role::Data] {
            let (before, after) = (table_before.partition(role).unwrap(), after.partition(role).unwrap());
            assert_eq!((before.guid, before.first, before.last), (after.guid, after.first, after.last));
        }
        let own = after.slots().unwrap().of(running);
        let had_own = table_before.slots().unwrap().of(running).state() != State::Empty;
        assert!(!had_own || own.state() != State::Empty, "{operation:?} empties the running slot");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_written_where_it_may_not_be(
        a in bits(),
        b in bits(),
        runs_b in any::<bool>(),
        committed in any::<bool>(),
        numbers in prop_oneof![Just((1_usize, 0_usize)), Just((1, 2)), Just((2, 3))],
        operations in operations(),
    ) {
        let running = if runs_b { Slot::B } else { Slot::A };
        let (own, other) = numbers;
        let number = |slot| if slot == running { own } else { other };
        check([(Slot::A, number(Slot::A), a), (Slot::B, number(Slot::B), b)], running, committed, &operations);
    }

    /// Whatever is in the other slot and on the ESP.
    #[test]
    fn foreign_bytes_are_refused_or_right(
        changes in prop::collection::vec((0..4_usize, 0..2000_usize, any::<u8>()), 0..6),
        spent in any::<bool>(),
    ) {
        let world = &*WORLD;
        let others = Bits { priority: 1, tries: if spent { 0 } else { 3 }, ..Bits::GOOD };
        let mut bytes = world.disk([(Slot::A, 1, Bits::GOOD), (Slot::B, 2, others)]).bytes();
        for (part, at, byte) in &changes {
            let role = [Role::BootB, Role::RootB, Role::HashB, Role::Esp][*part];
            bytes[world.table.partition(role).unwrap().first as usize * 512 + at] = *byte;
        }
        let node = world.node(Slot::A, 1);
        for operation in [Operation::ReplaceLoader, Operation::RollBack(Bars::Heed), Operation::Rearm] {
            let mut disk = SimDisk::new(bytes.clone(), world.private_sector);
            let was_allowed = try_to(world, &mut disk, &node, operation);
            let has_written = disk.take_log().iter().any(|entry| matches!(entry, Entry::Write { .. }));
            prop_assert!(was_allowed || !has_written, "{:?}", operation);
            let table = gpt::load(&mut disk).unwrap().table;
            let other = table.slots().unwrap().b;
            // What is to be started next is whole, but for what only the
            // firmware can know of a kernel image.
            if was_allowed && !matches!(operation, Operation::ReplaceLoader) && other.priority > 1 {
                let whole = world.whole(&mut disk, &table, Slot::B);
                let is_whole = whole.as_ref().map_or_else(|what| what.contains("kernel image"), |v| *v == 2);
                prop_assert!(is_whole, "{:?} starts what is not whole: {:?}", operation, whole);
            }
        }
    }
}
