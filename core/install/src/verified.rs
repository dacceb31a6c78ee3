//! A slot whose bytes are known to be right, and its activation.

use osbuild_boot::law::Event;
use osbuild_boot::slot::{Pair, State};

use crate::change;
use crate::preflight::Plan;
use crate::{Error, Medium, Record, Result};

/// A release that is on the medium whole.
#[derive(Debug)]
pub struct Verified<'d, D> {
    pub(crate) disk: &'d mut D,
    pub(crate) plan: Plan,
}

impl<D: Medium> Verified<'_, D> {
    /// O3: the next start is the release's trial. Returns the bits written.
    ///
    /// # Errors
    /// [`Error::TableChanged`] if the slot is not empty any more, with nothing
    /// changed; the record or the disk failed, with the old release still to be
    /// started next.
    pub fn activate(self, record: &mut impl Record) -> Result<Pair> {
        let Self { disk, plan } = self;
        let mut table = change::load(disk)?;
        plan.check_places(&table)?;
        let other = plan.running.slot.other();
        if change::others_bits(&table, plan.running)?.state() != State::Empty {
            return Err(Error::TableChanged { slot: other.name() });
        }
        // Asked before anything is written: the law may say no.
        let verdict = change::apply(&mut table, plan.running, Event::Activate)?;
        table.name_after(other, &plan.payload.root_hash);

        // The record first: a release that panics on its first start without
        // one would never be refused, and be installed again for ever.
        let mut state = record.load();
        state.trial = Some(plan.payload.release);
        state.verdict = None;
        state.staged = None;
        if plan.is_forced {
            state.forced = state.trial;
        }
        record.save(state).map_err(Error::record)?;
        change::store(disk, &table)?;
        Ok(verdict.bits)
    }
}
