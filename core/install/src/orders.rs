//! What an operator orders, or the updater finds due, of a slot that is written
//! already.

use osbuild_boot::gpt::Gpt;
use osbuild_boot::guid::Guid;
use osbuild_boot::law::{self, Event};
use osbuild_boot::private::Release;
use osbuild_boot::slot::Pair;

use crate::preflight::{Bars, Node, Preflight, Refusal};
use crate::{Error, Medium, Record, Result, change, examine};

/// O5: takes an activation back before the reboot. The bytes stay, and are not
/// fetched again when the release is installed after all.
///
/// # Errors
/// [`Error::Forbidden`] if nothing is activated; the disk or the record failed.
pub fn cancel<D: Medium>(disk: &mut D, record: &mut impl Record, node: &Node) -> Result<Pair> {
    let mut table = change::load(disk)?;
    let other = node.running.slot.other();
    let in_slot = table.partition(other.root()).map(|entry| entry.guid);
    let verdict = change::apply(&mut table, node.running, Event::Cancel)?;
    change::store(disk, &table)?;
    // The bits first: with the record gone and the trial still to be started,
    // its failure would be nobody's.
    let mut state = record.load();
    let trial = state.trial.take();
    state.staged = trial.filter(|trial| Some(Guid::of_root(&trial.root_hash)) == in_slot);
    record.save(state).map_err(Error::record)?;
    Ok(verdict.bits)
}

/// O6: goes back to what is in the other slot, and holds back the release that
/// runs.
///
/// # Errors
/// [`Error::Forbidden`] if the other slot was never good, [`Error::NotIntact`]
/// if its bytes are not what its command line promises, [`Error::Refused`] if
/// it is below the floor or refused and nobody insists; the disk or the record
/// failed. The release that runs is the next to be started then.
pub fn roll_back<D: Medium>(disk: &mut D, record: &mut impl Record, node: &Node, bars: Bars) -> Result<Pair> {
    let mut table = change::load(disk)?;
    let order = |is_barred| Event::RollBack { is_barred, force: is_barred };
    // Reading the slot takes a while; the law may say no at once.
    law::apply(change::slots(&table)?, node.running, order(false))?;
    let other = node.running.slot.other();
    let says = examine::kernel(disk, &table, other)?;
    let release = examine::root(disk, &table, other, &says)?;
    let mut state = record.load();
    // Going back is what ends the hold on a release, whoever went back from it.
    let mut against = state;
    against.hold = None;
    let preflight = Preflight { node, table: &table, record: &against };
    let is_forced = preflight.barred_unless(bars, &release, says.rollback_index)?;
    let verdict = change::apply(&mut table, node.running, order(is_forced))?;
    // The record first: a hold too much is lifted, a node that was updated
    // again behind its operator's back is not.
    state.hold = Some(node.release);
    if is_forced {
        state.forced = Some(release);
    }
    record.save(state).map_err(Error::record)?;
    change::store(disk, &table)?;
    Ok(verdict.bits)
}

/// Lets a release that an operator went back from be installed again.
///
/// # Errors
/// The record failed.
pub fn lift_hold(record: &mut impl Record) -> Result<Option<Release>> {
    let mut state = record.load();
    let held = state.hold.take();
    if held.is_some() {
        record.save(state).map_err(Error::record)?;
    }
    Ok(held)
}

/// What became of a slot that used up its starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rearmed {
    /// It is whole and gets one more trial.
    Trial(Pair),
    /// Its bytes are damaged. It is empty now (O4): installing the release
    /// again writes what is damaged and no more.
    Reinstall,
}

/// O10: a newer release that was good once and then failed to start three
/// times is damaged, or had bad luck.
///
/// # Errors
/// [`Error::Forbidden`] if the slot is not spent or was armed again before,
/// [`Error::NotNewer`], [`Error::Refused`] if it is on hold, below the floor or
/// refused; the disk or the record failed.
pub fn rearm<D: Medium>(disk: &mut D, record: &mut impl Record, node: &Node) -> Result<Rearmed> {
    let mut table = change::load(disk)?;
    law::apply(change::slots(&table)?, node.running, Event::Rearm { again: false })?;
    if node.since_start.loader_replaced {
        return Err(Refusal::LoaderReplaced.into());
    }
    let other = node.running.slot.other();
    let says = match examine::kernel(disk, &table, other) {
        Ok(says) => says,
        // Nobody can say whether it is newer, but nothing could be started from
        // it either.
        Err(Error::NotIntact { .. }) => return empty(disk, &mut table, node),
        Err(error) => return Err(error),
    };
    let (index, running) = (says.rollback_index, node.rollback_index);
    if index <= running {
        return Err(Error::NotNewer { slot: other.name(), index, running });
    }
    let release = match examine::root(disk, &table, other, &says) {
        Ok(release) => release,
        Err(Error::NotIntact { .. }) => return empty(disk, &mut table, node),
        Err(error) => return Err(error),
    };
    let mut state = record.load();
    let preflight = Preflight { node, table: &table, record: &state };
    preflight.barred_unless(Bars::Heed, &release, index)?;
    let again = state.rearmed.is_some_and(|before| before.root_hash == release.root_hash);
    let verdict = change::apply(&mut table, node.running, Event::Rearm { again })?;
    state.trial = Some(release);
    state.verdict = None;
    record.save(state).map_err(Error::record)?;
    change::store(disk, &table)?;
    // Counted once it has happened: a power cut before that takes nothing from
    // the release, one before this gives it one trial more.
    let mut state = record.load();
    state.rearmed = state.trial;
    record.save(state).map_err(Error::record)?;
    Ok(Rearmed::Trial(verdict.bits))
}

fn empty<D: Medium>(disk: &mut D, table: &mut Gpt, node: &Node) -> Result<Rearmed> {
    change::empty_other(disk, table, node.running)?;
    Ok(Rearmed::Reinstall)
}
