//! What an operator orders, or the updater finds due, of a slot that is written
//! already.
//!
//! Whoever starts the other slot reads all of it first ([`Examined`]), which
//! takes a while; the order itself is given of what was found, and is refused
//! if the slot was changed since.

use osbuild_boot::guid::Guid;
use osbuild_boot::law::{Event, Running};
use osbuild_boot::private::Release;
use osbuild_boot::slot::Pair;

use crate::examine::{Contents, Examined};
use crate::preflight::{Bars, Node, Preflight, Refusal};
use crate::{Error, Medium, Record, Result, change};

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
/// if its bytes are not what its command line promises, [`Error::TableChanged`]
/// if they may be others by now, [`Error::Refused`] if it is below the floor or
/// refused and nobody insists; the disk or the record failed. The release that
/// runs is the next to be started then.
pub fn roll_back<D: Medium>(
    disk: &mut D,
    record: &mut impl Record,
    node: &Node,
    bars: Bars,
    examined: Examined,
) -> Result<Pair> {
    let mut table = examined.check_unchanged(disk)?;
    let whole = examined.whole()?;
    let mut state = record.load();
    // Going back is what ends the hold on a release, whoever went back from it.
    let mut against = state;
    against.hold = None;
    let preflight = Preflight { node, table: &table, record: &against };
    let is_forced = preflight.barred_unless(bars, &whole.release, whole.rollback_index)?;
    let event = Event::RollBack { is_barred: is_forced, force: is_forced };
    let verdict = change::apply(&mut table, node.running, event)?;
    // The record first: a hold too much is lifted, a node that was updated
    // again behind its operator's back is not.
    state.hold = Some(node.release);
    if is_forced {
        state.forced = Some(whole.release);
    }
    record.save(state).map_err(Error::record)?;
    change::store(disk, &table)?;
    Ok(verdict.bits)
}

/// O6 for whoever treats a disk from outside, where no node runs that could
/// have anything against the release, and no record is at hand.
///
/// # Errors
/// As [`roll_back`], but for [`Error::Refused`].
pub fn roll_back_from_outside<D: Medium>(disk: &mut D, examined: Examined) -> Result<Pair> {
    let mut table = examined.check_unchanged(disk)?;
    examined.whole()?;
    let running = Running { slot: examined.slot().other(), committed: true };
    let event = Event::RollBack { is_barred: false, force: false };
    let verdict = change::apply(&mut table, running, event)?;
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
/// [`Error::TableChanged`], [`Error::NotNewer`], [`Error::Refused`] if it is on
/// hold, below the floor or refused; the disk or the record failed.
pub fn rearm<D: Medium>(
    disk: &mut D,
    record: &mut impl Record,
    node: &Node,
    examined: Examined,
) -> Result<Rearmed> {
    let mut table = examined.check_unchanged(disk)?;
    // Asked before anything else: whatever was found, the law may say no.
    change::apply(&mut table.clone(), node.running, Event::Rearm { again: false })?;
    if node.since_start.loader_replaced {
        return Err(Refusal::LoaderReplaced.into());
    }
    // Where nobody can say whether it is newer, nothing could be started either.
    let (index, running) = (examined.rollback_index(), node.rollback_index);
    if let Some(index) = index.filter(|index| *index <= running) {
        return Err(Error::NotNewer { slot: examined.slot().name(), index, running });
    }
    let Contents::Whole(whole) = examined.contents() else {
        change::empty_other(disk, &mut table, node.running)?;
        return Ok(Rearmed::Reinstall);
    };
    let mut state = record.load();
    let preflight = Preflight { node, table: &table, record: &state };
    preflight.barred_unless(Bars::Heed, &whole.release, whole.rollback_index)?;
    let again = state.rearmed.is_some_and(|before| before.root_hash == whole.release.root_hash);
    let verdict = change::apply(&mut table, node.running, Event::Rearm { again })?;
    state.trial = Some(whole.release);
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
