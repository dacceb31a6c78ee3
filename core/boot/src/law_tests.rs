//! The law, by enumeration: every pair of states against every event, and
//! every history of boots from every pair.

use super::*;
use std::vec::Vec;

/// All bits that the law itself can write, with every flag.
fn all_bits() -> Vec<Bits> {
    let mut all = Vec::new();
    for priority in 0..=2 {
        for tries in 0..=3 {
            for successful in [false, true] {
                for forced in [false, true] {
                    let bits = Bits { priority, tries, successful, forced };
                    if priority > 0 || bits == Bits::EMPTY {
                        all.push(bits);
                    }
                }
            }
        }
    }
    all
}

fn all_pairs() -> Vec<Pair> {
    let bits = all_bits();
    bits.iter().flat_map(|a| bits.iter().map(|b| Pair { a: *a, b: *b })).collect()
}

fn all_events() -> Vec<Event> {
    let mut events = std::vec![
        Event::Unhealthy,
        Event::Activate,
        Event::BeginWrite,
        Event::Cancel,
        Event::Shutdown,
        Event::Rearm { again: false },
        Event::Rearm { again: true },
    ];
    for x in [false, true] {
        for y in [false, true] {
            events.push(Event::Commit { other_below_floor: x, other_has_trial_record: y });
            events.push(Event::RollBack { is_barred: x, force: y });
        }
    }
    events
}

/// One run of the loader in which `broken` slots cannot be started.
fn boot(mut pair: Pair, broken: [bool; 2]) -> (Pair, Option<(Slot, bool)>) {
    let mut unusable = [false; 2];
    loop {
        let (slot, bits, forced) = match loader_decide(pair, unusable) {
            LoaderDecision::Start { slot, bits } => (slot, bits, false),
            LoaderDecision::StartForced { slot, bits } => (slot, bits, true),
            LoaderDecision::Nothing => return (pair, None),
        };
        pair = bits;
        if !broken[slot as usize] {
            return (pair, Some((slot, forced)));
        }
        unusable[slot as usize] = true;
        pair = loader_found_unusable(pair, slot);
    }
}

#[test]
fn something_starts_while_any_slot_has_priority() {
    for pair in all_pairs() {
        let (_, started) = boot(pair, [false; 2]);
        assert_eq!(started.is_some(), pair.a.priority > 0 || pair.b.priority > 0, "{pair:?}");
    }
}

#[test]
fn one_broken_slot_never_keeps_the_other_from_starting() {
    for pair in all_pairs() {
        for broken in Slot::BOTH {
            let mut flags = [false; 2];
            flags[broken as usize] = true;
            let (_, started) = boot(pair, flags);
            let other = broken.other();
            assert_eq!(
                started.map(|(slot, _)| slot),
                (pair.of(other).priority > 0).then_some(other),
                "{pair:?}"
            );
        }
    }
}

#[test]
fn tries_are_spent_before_a_slot_starts() {
    for pair in all_pairs() {
        if let LoaderDecision::Start { slot, bits } = loader_decide(pair, [false; 2]) {
            assert_eq!(bits.of(slot).tries + 1, pair.of(slot).tries);
            assert!(!bits.of(slot).forced);
            assert_eq!(bits.of(slot.other()), pair.of(slot.other()));
        }
    }
}

#[test]
fn an_uncommitted_version_runs_at_most_three_times_unforced() {
    for pair in all_pairs() {
        let mut runs = [0; 2];
        let mut now = pair;
        for _ in 0..12 {
            let (next, started) = boot(now, [false; 2]);
            now = next;
            if let Some((slot, false)) = started {
                runs[slot as usize] += 1;
            }
        }
        for slot in Slot::BOTH {
            assert!(runs[slot as usize] <= FULL_TRIES, "{pair:?}");
        }
    }
}

#[test]
fn forced_slots_take_turns() {
    for pair in all_pairs() {
        let mut now = pair;
        let mut last = None;
        for _ in 0..12 {
            let (next, started) = boot(now, [false; 2]);
            now = next;
            if let Some((slot, true)) = started {
                let both_startable = now.a.priority > 0 && now.b.priority > 0;
                assert!(
                    !both_startable || last != Some(slot),
                    "{pair:?}: {slot:?} was forced twice in a row"
                );
                last = Some(slot);
            }
        }
    }
}

#[test]
fn no_event_leaves_nothing_to_start() {
    for pair in all_pairs() {
        for slot in Slot::BOTH.into_iter().filter(|slot| pair.of(*slot).priority > 0) {
            for committed in [false, true] {
                for event in all_events() {
                    let Ok(verdict) = apply(pair, Running { slot, committed }, event) else { continue };
                    let (_, started) = boot(verdict.bits, [false; 2]);
                    assert!(started.is_some(), "{pair:?} {slot:?} {event:?}");
                    // The running slot itself stays startable, whatever is
                    // wrong with the other one.
                    let mut broken = [false; 2];
                    broken[slot.other() as usize] = true;
                    let (_, started) = boot(verdict.bits, broken);
                    assert_eq!(started.map(|(s, _)| s), Some(slot), "{pair:?} {slot:?} {event:?}");
                }
            }
        }
    }
}

#[test]
fn the_other_slot_is_touched_only_after_a_commit() {
    for pair in all_pairs() {
        for slot in Slot::BOTH {
            for event in [Event::Activate, Event::BeginWrite, Event::Cancel, Event::Rearm { again: false }] {
                let running = Running { slot, committed: false };
                assert_eq!(apply(pair, running, event), Err(Forbidden::NotCommitted));
            }
        }
    }
}

#[test]
fn the_running_slot_is_never_emptied() {
    for pair in all_pairs() {
        for slot in Slot::BOTH.into_iter().filter(|slot| pair.of(*slot).priority > 0) {
            for event in all_events() {
                if let Ok(verdict) = apply(pair, Running { slot, committed: true }, event) {
                    assert!(verdict.bits.of(slot).priority > 0, "{pair:?} {event:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_forced_stays_up_and_what_is_not_reboots() {
    let forced = Bits { forced: true, tries: 0, ..Bits::TRIAL };
    let pair = Pair { a: forced, b: Bits::EMPTY };
    let running = Running { slot: Slot::A, committed: false };
    assert_eq!(apply(pair, running, Event::Unhealthy).unwrap().action, Action::StayDegraded);
    let pair = Pair::FACTORY;
    assert_eq!(apply(pair, running, Event::Unhealthy).unwrap().action, Action::Reboot);
    let running = Running { committed: true, ..running };
    assert_eq!(apply(pair, running, Event::Unhealthy).unwrap().action, Action::ReportOnly);
}

#[test]
fn a_failed_trial_is_refused_and_a_spent_slot_is_not() {
    let tried = Bits { priority: 2, tries: 0, successful: false, forced: false };
    let spent = Bits { successful: true, ..tried };
    let running = Running { slot: Slot::A, committed: false };
    let commit = Event::Commit { other_below_floor: false, other_has_trial_record: true };
    let verdict = apply(Pair { a: Bits::GOOD, b: tried }, running, commit).unwrap();
    assert_eq!((verdict.bits.b, verdict.other_emptied), (Bits::EMPTY, true));
    let verdict = apply(Pair { a: Bits::GOOD, b: spent }, running, commit).unwrap();
    assert_eq!((verdict.bits.b.priority, verdict.other_emptied), (1, false));
}

#[test]
fn an_update_that_fails_three_times_falls_back() {
    let running = Running { slot: Slot::A, committed: true };
    let pair = Pair { a: Bits::GOOD, b: Bits::EMPTY };
    let mut pair = apply(pair, running, Event::Activate).unwrap().bits;
    for _ in 0..3 {
        let (next, started) = boot(pair, [false; 2]);
        assert_eq!(started, Some((Slot::B, false)));
        pair = next;
    }
    let (pair, started) = boot(pair, [false; 2]);
    assert_eq!(started, Some((Slot::A, false)));
    let commit = Event::Commit { other_below_floor: false, other_has_trial_record: true };
    let verdict = apply(pair, Running { slot: Slot::A, committed: false }, commit).unwrap();
    assert_eq!(verdict.bits, Pair { a: Bits::GOOD, b: Bits::EMPTY });
}
