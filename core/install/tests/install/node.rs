//! The programs around an update, as short as they can be: the loader before
//! it, the health check after it.
//!
//! They follow the loader's `main` and the health agent's `commit` step by
//! step; what they decide by is the same `osbuild-boot`.

use osbuild_boot::gpt::{self, Disk, Gpt};
use osbuild_boot::law::{self, Event, LoaderDecision, Running};
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::slot::{Pair, Slot, State};
use osbuild_boot::uki;
use osbuild_install::{Record, Says};

use crate::disk::{SimDisk, SimRecord};

const HEAD_BYTES: usize = 4096;

/// One run of the loader: the slot that it starts, and the table as it leaves
/// it.
pub(crate) fn boot(disk: &mut SimDisk) -> Result<(Slot, Gpt), String> {
    let mut table = gpt::load_and_repair(disk).map_err(|error| format!("no table: {error:?}"))?;
    let mut unusable = [false; 2];
    loop {
        let pair = table.slots().ok_or("the table is another system's")?;
        let (slot, bits) = match law::loader_decide(pair, unusable) {
            LoaderDecision::Start { slot, bits } | LoaderDecision::StartForced { slot, bits } => (slot, bits),
            LoaderDecision::Nothing => return Err(format!("nothing can be started: {pair:?}")),
        };
        write(disk, &mut table, bits);
        if read_image(disk, &table, slot).is_some() {
            return Ok((slot, table));
        }
        unusable[slot as usize] = true;
        write(disk, &mut table, law::loader_found_unusable(bits, slot));
    }
}

fn write(disk: &mut SimDisk, table: &mut Gpt, bits: Pair) {
    table.set_slots(bits);
    gpt::store(disk, table).unwrap();
}

fn read_image(disk: &mut SimDisk, table: &Gpt, slot: Slot) -> Option<Vec<u8>> {
    let [boot, root, hash] = [slot.boot(), slot.root(), slot.hash()].map(|role| table.partition(role));
    let (boot, root, hash) = (boot?, root?, hash?);
    let mut bytes = vec![0; (boot.sector_count() * SECTOR_SIZE) as usize];
    disk.read(boot.first, &mut bytes).unwrap();
    let length = uki::image_length(&bytes[..HEAD_BYTES], bytes.len() as u64).ok()?;
    bytes.truncate(length as usize);
    let line = uki::command_line(&bytes).ok()?;
    uki::check_partitions(line, root.guid, hash.guid).ok()?;
    Some(bytes)
}

/// O1, O8, O9.
pub(crate) fn commit(disk: &mut SimDisk, record: &mut SimRecord, slot: Slot) {
    commit_in(disk, record, slot, Order::BitsThenForget);
}

/// When the record of the trial goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    BitsThenForget,
    /// What an earlier health agent did.
    ForgetThenBits,
}

pub(crate) fn commit_in(disk: &mut SimDisk, record: &mut SimRecord, slot: Slot, order: Order) {
    let mut table = gpt::load_and_repair(disk).unwrap();
    let pair = table.slots().unwrap();
    let own = Says::read(&read_image(disk, &table, slot).unwrap()).unwrap();
    let mut state = record.load();
    let other = pair.of(slot.other()).state();
    let failed_trial = other == State::Tried && state.is_on_trial(table.root_hash(slot.other()));
    state.before_commit(table.root_hash(slot), own.floor, failed_trial);
    let other_index = match other {
        State::Empty => None,
        _ => read_image(disk, &table, slot.other())
            .and_then(|image| Says::read(&image).ok())
            .map(|says| says.rollback_index),
    };
    let other_below_floor = other_index.is_some_and(|index| index < state.floor);
    if order == Order::ForgetThenBits {
        state.after_commit();
    }
    record.save(state).unwrap();
    let running = Running { slot, committed: false };
    let event = Event::Commit { other_below_floor, other_has_trial_record: failed_trial };
    let verdict = law::apply(pair, running, event).unwrap();
    table.set_slots(verdict.bits);
    if verdict.other_emptied {
        table.blank(slot.other());
    }
    gpt::store(disk, &table).unwrap();
    let mut state = record.load();
    if state.after_commit() {
        record.save(state).unwrap();
    }
}
