//! The law of slots: one pure function from bits and event to bits and action.
//!
//! The rules are numbered as in the design: L1–L4 are the loader's, O1–O10
//! those of the running system. Tries are spent on *every* boot and refilled
//! only by a commit, so a slot that hangs or is corrupt loses its tries and
//! the other one starts, also months after it was first good.
//!
//! What is not in the bits (which payload is in the other slot, what was
//! refused, the floor) is passed in: see [`crate::private`].

use crate::slot::{Bits, Pair, Slot, State};

/// Tries that a commit or an activation gives.
pub const FULL_TRIES: u8 = 3;
const PREFERRED: u8 = 2;
const FALLBACK: u8 = 1;

/// What the loader is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderDecision {
    /// L1: write these bits, flush, then read and start the slot.
    Start { slot: Slot, bits: Pair },
    /// L3: as `Start`, after a message and ten seconds.
    StartForced { slot: Slot, bits: Pair },
    /// L4: return to the firmware.
    Nothing,
}

/// L1, L3 and L4. `unusable` holds the slots that were found unusable since
/// the machine came up ([`loader_found_unusable`] was applied for each).
pub fn loader_decide(pair: Pair, unusable: [bool; 2]) -> LoaderDecision {
    let usable = |slot: Slot| !unusable[slot as usize] && pair.of(slot).priority > 0;

    // L1: highest priority with tries left; at a tie, A.
    let with_tries = |slot: Slot| usable(slot) && pair.of(slot).tries > 0;
    if let Some(slot) = best(|slot| with_tries(slot).then(|| u16::from(pair.of(slot).priority))) {
        let bits = pair.of(slot);
        let spent = Bits { tries: bits.tries - 1, forced: false, ..bits };
        return LoaderDecision::Start { slot, bits: pair.with(slot, spent) };
    }

    // L3: no tries anywhere. Slots take turns: the forced bit marks the one that
    // was forced last, so starting one clears the other's. (Clearing only when
    // both are set would let a slot run twice in a row after a start with tries
    // had cleared its bit.)
    let waiting = |pair: Pair, slot: Slot| usable(slot) && !pair.of(slot).forced;
    let mut pair = pair;
    if !Slot::BOTH.into_iter().any(|slot| waiting(pair, slot)) {
        for slot in Slot::BOTH {
            pair = pair.with(slot, Bits { forced: false, ..pair.of(slot) });
        }
    }
    let rank = |slot: Slot| {
        let bits = pair.of(slot);
        waiting(pair, slot).then(|| u16::from(bits.successful) << 8 | u16::from(bits.priority))
    };
    match best(rank) {
        Some(slot) => {
            let forced = Bits { forced: true, ..pair.of(slot) };
            let other = Bits { forced: false, ..pair.of(slot.other()) };
            LoaderDecision::StartForced { slot, bits: pair.with(slot, forced).with(slot.other(), other) }
        }
        None => LoaderDecision::Nothing,
    }
}

fn best(rank: impl Fn(Slot) -> Option<u16>) -> Option<Slot> {
    match (rank(Slot::A), rank(Slot::B)) {
        (None, None) => None,
        (Some(_), None) => Some(Slot::A),
        (None, Some(_)) => Some(Slot::B),
        (Some(a), Some(b)) => Some(if b > a { Slot::B } else { Slot::A }),
    }
}

/// L2: the slot's UKI cannot be started. The bits to write before going on.
#[must_use]
pub fn loader_found_unusable(pair: Pair, slot: Slot) -> Pair {
    pair.with(slot, Bits { tries: 0, ..pair.of(slot) })
}

/// What the running system knows beside the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// The slot that it was started from.
    pub slot: Slot,
    /// Whether it has committed since it was started.
    pub committed: bool,
}

/// What happens in the running system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// O1 with O8 and O9: the health contract holds.
    Commit {
        /// O8: the other slot's release index is below the floor.
        other_below_floor: bool,
        /// O9: the other slot has a trial record that it never answered.
        other_has_trial_record: bool,
    },
    /// O2, O2f, O2c: the deadline passed or an essential check failed.
    Unhealthy,
    /// O3: the other slot is written and verified.
    Activate,
    /// O4: the first byte is about to be written into the other slot.
    BeginWrite,
    /// O5: an operator cancels an activation before the reboot.
    Cancel,
    /// O6: an operator goes back to the other slot, whose bytes verify.
    RollBack {
        /// The other slot's index is below the floor, or its version refused.
        is_barred: bool,
        /// The operator insists.
        force: bool,
    },
    /// O7: an orderly shutdown before any verdict, not ordered by `health`.
    Shutdown,
    /// O10: the other slot is spent, newer, and its bytes are intact.
    Rearm {
        /// It was armed again before.
        again: bool,
    },
}

/// What to do beside writing the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Proceed,
    /// O2: keep the verdict on PRIVATE, then reboot, by force after 60 s.
    Reboot,
    /// O2f: stay up, degraded, and keep trying.
    StayDegraded,
    /// O2c: report; nothing reboots a system that has committed.
    ReportOnly,
}

/// Bits to write (if they differ) and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub bits: Pair,
    pub action: Action,
    /// The other slot was emptied: its ROOT and HASH entries get blank GUIDs.
    pub other_emptied: bool,
}

/// An event that the law forbids in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The other slot is touched only by a system that has committed.
    NotCommitted,
    /// The other slot holds nothing that was ever good.
    NothingToRollBackTo,
    /// The other slot is below the floor or refused.
    Barred,
    /// There is no activation to cancel.
    NothingToCancel,
    /// The other slot is not spent, or was armed again before.
    NotRearmable,
}

impl core::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotCommitted => "the running system has not committed",
            Self::NothingToRollBackTo => "the other slot was never good",
            Self::Barred => "the other slot is refused or below the floor",
            Self::NothingToCancel => "nothing is activated",
            Self::NotRearmable => "the other slot is not spent, or was armed again before",
        })
    }
}

impl core::error::Error for Forbidden {}

/// The law for the running system.
///
/// # Errors
/// [`Forbidden`], with nothing changed.
pub fn apply(pair: Pair, running: Running, event: Event) -> Result<Verdict, Forbidden> {
    let (slot, other) = (running.slot, running.slot.other());
    let (own, others) = (pair.of(slot), pair.of(other));
    let keep = |bits: Pair, action: Action| Ok(Verdict { bits, action, other_emptied: false });
    let must_be_committed = if running.committed { Ok(()) } else { Err(Forbidden::NotCommitted) };

    match event {
        Event::Commit { other_below_floor, other_has_trial_record } => {
            let was_refused = others.state() == State::Tried && other_has_trial_record;
            let is_retired = others.state() != State::Empty && other_below_floor;
            let other_emptied = was_refused || is_retired;
            let lowered = Bits { priority: others.priority.min(FALLBACK), ..others };
            let bits =
                pair.with(slot, Bits::GOOD).with(other, if other_emptied { Bits::EMPTY } else { lowered });
            Ok(Verdict { bits, action: Action::Proceed, other_emptied })
        }
        Event::Unhealthy if running.committed => keep(pair, Action::ReportOnly),
        Event::Unhealthy if own.forced => keep(pair, Action::StayDegraded),
        Event::Unhealthy => keep(pair, Action::Reboot),
        Event::Activate => {
            must_be_committed?;
            let lowered = Bits { priority: FALLBACK, ..own };
            keep(pair.with(other, Bits::TRIAL).with(slot, lowered), Action::Proceed)
        }
        Event::BeginWrite => {
            must_be_committed?;
            // The slot that runs becomes the preferred one again, so that a
            // power cut during the write has something to start at once.
            let bits = pair.with(other, Bits::EMPTY).with(slot, Bits { priority: PREFERRED, ..own });
            Ok(Verdict { bits, action: Action::Proceed, other_emptied: true })
        }
        Event::Cancel => {
            must_be_committed?;
            if others.state() != State::Trial {
                return Err(Forbidden::NothingToCancel);
            }
            let bits = pair.with(other, Bits::EMPTY).with(slot, Bits { priority: PREFERRED, ..own });
            Ok(Verdict { bits, action: Action::Proceed, other_emptied: true })
        }
        Event::RollBack { is_barred, force } => {
            if !matches!(others.state(), State::Good | State::Spent) {
                return Err(Forbidden::NothingToRollBackTo);
            }
            if is_barred && !force {
                return Err(Forbidden::Barred);
            }
            let armed = Bits { priority: PREFERRED, tries: FULL_TRIES, forced: false, ..others };
            let lowered = Bits { priority: FALLBACK, ..own };
            keep(pair.with(other, armed).with(slot, lowered), Action::Proceed)
        }
        Event::Shutdown => {
            let gives_back = !running.committed && own.successful && !own.forced;
            let tries = if gives_back { FULL_TRIES.min(own.tries + 1) } else { own.tries };
            keep(pair.with(slot, Bits { tries, ..own }), Action::Proceed)
        }
        Event::Rearm { again } => {
            must_be_committed?;
            if others.state() != State::Spent || again {
                return Err(Forbidden::NotRearmable);
            }
            let lowered = Bits { priority: FALLBACK, ..own };
            keep(pair.with(other, Bits::TRIAL).with(slot, lowered), Action::Proceed)
        }
    }
}

#[cfg(test)]
#[path = "law_tests.rs"]
mod tests;
