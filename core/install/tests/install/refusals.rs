//! What is not installed, and what the same release without the flaw is.

use osbuild_boot::gpt;
use osbuild_boot::private::{Private, Reason, Refused};
use osbuild_boot::slot::{Bits, Slot, State};
use osbuild_format::release::Release as Manifest;
use osbuild_install::{Bars, Node, Preflight, Record, Refusal};

use crate::world::World;

/// A node that runs v1 in A and is offered v2.
struct Case {
    manifest: Manifest,
    node: Node,
    record: Private,
    slots: [(Slot, usize, Bits); 2],
}

/// What refuses the case once it is bent, and whether an operator may insist.
fn check(world: &World, bend: impl FnOnce(&mut Case), bars: Bars) -> Result<(), Refusal> {
    let slots = [(Slot::A, 1, Bits::GOOD), (Slot::B, 0, Bits { priority: 1, ..Bits::GOOD })];
    let record = world.disk(slots).record().load();
    let mut case =
        Case { manifest: world.versions[2].manifest.clone(), node: world.node(Slot::A, 1), record, slots };
    bend(&mut case);
    let table = gpt::load(&mut world.disk(case.slots)).unwrap().table;
    let preflight = Preflight { node: &case.node, table: &table, record: &case.record };
    preflight.check(&case.manifest, bars).map(drop)
}

fn refuse(world: &World, record: &mut Private, reason: Reason) {
    record.refuse(Refused { release: world.versions[2].release(), reason });
}

/// Also shows that the same without the flaw passes.
#[test]
fn each_flaw_is_named() {
    let world = World::new(8);
    assert_eq!(check(&world, |_| {}, Bars::Heed), Ok(()));
    type Bend = fn(&World, &mut Case);
    let version = || "1.2.0".to_owned();
    let own_layout = world.versions[2].manifest.layout.clone();
    let manifest = |what| Refusal::Manifest { what };
    let in_other = |state| Refusal::AlreadyInOther { version: version(), slot: "B", state };
    let cases: &[(Bend, Refusal)] = &[
        (|_, case| case.node.running.committed = false, Refusal::NotCommitted),
        (|_, case| case.node.since_start.loader_replaced = true, Refusal::LoaderReplaced),
        (|_, case| case.manifest.schema = 2, manifest("it is not of schema 1")),
        (|_, case| case.manifest.root.root_hash.push('0'), manifest("its root hash is no SHA-256")),
        (
            |_, case| case.manifest.root.salt.replace_range(..2, "00"),
            manifest("its hash tree has a salt that is not known here"),
        ),
        (|_, case| case.manifest.root.size += 1, manifest("its root is not as large as its blocks")),
        (
            |_, case| case.manifest.root.blocks = u64::MAX / 2,
            manifest("its root is not as large as its blocks"),
        ),
        (
            |_, case| (case.manifest.root.blocks, case.manifest.root.size) = (0, 0),
            manifest("its root is not as large as its blocks"),
        ),
        (
            |_, case| case.manifest.hash.size += 4096,
            manifest("its hash tree is not as large as its root needs"),
        ),
        (|_, case| case.manifest.uki.size = 0, manifest("it has no kernel image")),
        (|_, case| case.manifest.version = "1".repeat(65), manifest("its version is longer than 64 bytes")),
        (
            |_, case| case.manifest.variant = "other".to_owned(),
            Refusal::OtherKind {
                offered: "other on x86_64".to_owned(),
                own: "test-node on x86_64".to_owned(),
            },
        ),
        (
            |_, case| case.manifest.layout = "another".to_owned(),
            Refusal::OtherLayout { offered: "another".to_owned(), own: own_layout },
        ),
        (
            |_, case| case.manifest.uki.size = 32 * 512 + 1,
            Refusal::DoesNotFit {
                part: "kernel image",
                size: 32 * 512 + 1,
                partition: "BOOT-B",
                room: 32 * 512,
            },
        ),
        (
            |_, case| (case.manifest.root.blocks, case.manifest.root.size) = (11, 11 * 4096),
            Refusal::DoesNotFit { part: "root", size: 11 * 4096, partition: "ROOT-B", room: 10 * 4096 },
        ),
        (
            |world, case| {
                case.manifest.rollback_index = 9;
                case.manifest.root.root_hash = world.versions[1].manifest.root.root_hash.clone();
            },
            Refusal::AlreadyRunning { version: version() },
        ),
        (|_, case| case.slots[1] = (Slot::B, 2, Bits::TRIAL), in_other(State::Trial)),
        (|_, case| case.slots[1] = (Slot::B, 2, Bits { tries: 0, ..Bits::TRIAL }), in_other(State::Tried)),
        (|_, case| case.slots[1] = (Slot::B, 2, Bits::GOOD), in_other(State::Good)),
        (|_, case| case.slots[1] = (Slot::B, 2, Bits { tries: 0, ..Bits::GOOD }), in_other(State::Spent)),
        (
            |_, case| case.node.rollback_index = 3,
            Refusal::NotNewer { version: version(), offered: 3, running: 3 },
        ),
        (
            |_, case| case.manifest.min_from_index = 3,
            Refusal::TooFar { version: version(), min_from_index: 3, running: 2 },
        ),
        (
            |world, case| case.record.hold = Some(world.versions[2].release()),
            Refusal::Held { version: version() },
        ),
        (|_, case| case.record.floor = 4, Refusal::BelowFloor { version: version(), index: 3, floor: 4 }),
        // PRIVATE was lost: the floor of what runs.
        (|_, case| case.node.floor = 5, Refusal::BelowFloor { version: version(), index: 3, floor: 5 }),
        (
            |world, case| refuse(world, &mut case.record, Reason::Silent),
            Refusal::Refused { version: version(), reason: Reason::Silent },
        ),
        (
            |world, case| refuse(world, &mut case.record, Reason::Unhealthy),
            Refusal::Refused { version: version(), reason: Reason::Unhealthy },
        ),
    ];
    for (bend, refusal) in cases {
        let heeded = check(&world, |case| bend(&world, case), Bars::Heed);
        assert_eq!(heeded, Err(refusal.clone()));
        assert!(!refusal.remedy().is_empty());
        let forced = check(&world, |case| bend(&world, case), Bars::OverrideByOperator);
        assert_eq!(forced.is_ok(), refusal.can_be_forced(), "{refusal}");
        let is_bar = matches!(refusal, Refusal::BelowFloor { .. } | Refusal::Refused { .. });
        assert_eq!(refusal.can_be_forced(), is_bar, "{refusal}");
    }
}

/// A slot that was emptied may have been named after anything.
#[test]
fn what_was_cancelled_is_not_in_the_slot() {
    let world = World::new(8);
    let empty = Bits { priority: 0, ..Bits::TRIAL };
    assert_eq!(check(&world, |case| case.slots[1] = (Slot::B, 2, empty), Bars::Heed), Ok(()));
}
