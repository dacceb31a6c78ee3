//! Carrying out what the law of slots says.

use std::path::Path;
use std::time::Duration;

use osbuild_boot::law::{self, Action, Event, Running, Verdict};
use osbuild_boot::private::Reason;
use osbuild_boot::slot::{Pair, Slot, State};
use osbuild_sys::block::SystemDisk;
use osbuild_sys::console::say;
use osbuild_sys::{Result, command, ending, os_release, private, release};
use serde_json::{Value, json};

use crate::WHO;
use crate::report::Report;

/// The disk and its slots, as this start found them.
pub struct Slots {
    disk: SystemDisk,
}

impl Slots {
    pub fn find() -> Result<Self> {
        Ok(Self { disk: SystemDisk::find()? })
    }

    /// The running slot has never been committed.
    pub fn is_trial(&self) -> bool {
        self.read().is_ok_and(|pair| !pair.of(self.disk.slot).successful)
    }

    fn read(&self) -> Result<Pair> {
        self.disk.update_table(|table| (false, table.slots().unwrap_or(Pair::FACTORY)))
    }

    /// O1, O8, O9: PRIVATE first, then the bits; the record of a trial goes
    /// last, so that whatever is cut in between, the next commit of either slot
    /// knows whose trial it was.
    pub fn commit(&self) -> Result<Value> {
        let mut state = private::read();
        let table = self.disk.update_table(|table| (false, table.clone()))?;
        let (own, other) = (self.disk.slot, self.disk.slot.other());
        let other_state = table.slots().unwrap_or(Pair::FACTORY).of(other).state();
        let failed_trial = other_state == State::Tried && state.is_on_trial(table.root_hash(other));
        state.before_commit(table.root_hash(own), release_number("OSBUILD_FLOOR"), failed_trial);
        let other_below_floor = self.other_index(other_state).is_some_and(|index| index < state.floor);
        private::write(state)?;
        let event = Event::Commit { other_below_floor, other_has_trial_record: failed_trial };
        let verdict = self.apply(event, false)?;
        let mut state = private::read();
        if state.after_commit() {
            // The slot is committed; the next commit forgets what this cannot.
            if let Err(error) = private::write(state) {
                say(WHO, 4, &error.to_string());
            }
        }
        Ok(describe(verdict.bits))
    }

    /// Release index of what the other slot holds. One whose image cannot be
    /// read is left to the loader, which takes its tries (L2).
    fn other_index(&self, state: State) -> Option<u64> {
        if state == State::Empty {
            return None;
        }
        release::rollback_index(&self.disk, self.disk.slot.other().boot()).unwrap_or_else(|error| {
            say(WHO, 4, &error.to_string());
            None
        })
    }

    /// O2, O2f: the verdict goes to PRIVATE; no bit changes.
    pub fn give_up(&self) -> Action {
        let running = Running { slot: self.disk.slot, committed: false };
        let pair = self.read().unwrap_or(Pair::FACTORY);
        let action =
            law::apply(pair, running, Event::Unhealthy).map_or(Action::Reboot, |verdict| verdict.action);
        let own = self.disk.read_table().ok().and_then(|loaded| loaded.table.root_hash(self.disk.slot));
        let mut state = private::read();
        state.note_verdict(own, Reason::Unhealthy);
        if let Err(error) = private::write(state) {
            say(WHO, 3, &error.to_string());
        }
        action
    }

    fn apply(&self, event: Event, committed: bool) -> Result<Verdict> {
        let running = Running { slot: self.disk.slot, committed };
        self.disk.update_table(|table| {
            let before = table.slots().unwrap_or(Pair::FACTORY);
            let verdict =
                law::apply(before, running, event).expect("commit and shutdown are lawful in every state");
            let mut is_changed = verdict.bits != before;
            table.set_slots(verdict.bits);
            if verdict.other_emptied {
                table.blank(running.slot.other());
                is_changed = true;
            }
            (is_changed, verdict)
        })
    }
}

/// Notes that this start has begun; whether the one before it may have been
/// ended by what its slot holds.
pub fn follows_a_cut() -> bool {
    ending::begin(Path::new(private::MOUNT)).unwrap_or_else(|error| {
        say(WHO, 4, &error.to_string());
        false
    })
}

/// Of a start that is not suspect: if the node goes down, that is in order.
pub fn end() {
    if is_stopping() {
        if let Err(error) = ending::in_order(Path::new(private::MOUNT)) {
            say(WHO, 4, &error.to_string());
        }
    }
}

fn is_stopping() -> bool {
    let state = command::run(&["/usr/bin/systemctl", "is-system-running"], Duration::from_secs(5));
    state.is_ok_and(|output| output.stdout.trim() == "stopping")
}

/// O7: an orderly shutdown before any verdict gives a committed slot its try
/// back.
pub fn shut_down(slots: std::result::Result<&Slots, &osbuild_sys::Failed>, report: &mut Report) {
    if let (true, Ok(slots)) = (is_stopping(), slots) {
        match slots.apply(Event::Shutdown, false) {
            Ok(verdict) => report.line("shutdown", &json!({ "slots": describe(verdict.bits) })),
            Err(error) => say(WHO, 3, &error.to_string()),
        }
    }
}

/// The bits as the report gives them.
pub fn describe(pair: Pair) -> Value {
    let one = |slot: Slot| {
        let bits = pair.of(slot);
        json!({
            "priority": bits.priority,
            "tries": bits.tries,
            "successful": bits.successful,
            "forced": bits.forced,
        })
    };
    json!({ "A": one(Slot::A), "B": one(Slot::B) })
}

/// A number from os-release; 0 if it is not there.
fn release_number(name: &str) -> u64 {
    os_release::read().ok().and_then(|fields| fields.get(name)?.parse().ok()).unwrap_or(0)
}

/// The slot and bits for the report, before any verdict.
pub fn at_start() -> Value {
    match Slots::find() {
        Ok(slots) => {
            let pair = slots.read().map_or(Value::Null, describe);
            json!({ "running": slots.disk.slot.name(), "slots": pair })
        }
        Err(error) => json!({ "running": null, "slots": null, "failure": error.to_string() }),
    }
}
