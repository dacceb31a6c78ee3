//! Both slots read through once a day, and when somebody asks for it, so that a
//! bad block is found before it is needed.
//!
//! Of the slot that runs, all of `/dev/dm-0` is read. A bad block is no error
//! here but a panic of the kernel (`panic_on_corruption`), which is the point:
//! a slot that is corrupt spends its tries, and the other one takes over, also
//! months after it was first good. The other slot is nobody's device; its bytes
//! are held against its own hash tree, and an operator is told when what the
//! node would fall back to is no more. So are the running slot's kernel image
//! and hash tree, which the kernel does not read again. Both are read past the
//! page cache: what is in there was read once and would hide what became of the
//! disk since.
//!
//! It is the updater's and not the health check's: that one is watched and must
//! answer in time, while this one runs at idle priority already and knows the
//! other slot. It writes nothing but when it was done.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use osbuild_boot::gpt::Gpt;
use osbuild_boot::slot::State;
use osbuild_format::hex;
use osbuild_format::verity::BLOCK_BYTES;
use osbuild_install::{Contents, Examined};
use osbuild_sys::console::say;
use osbuild_sys::direct::{Direct, PIECE_BYTES};
use osbuild_sys::{private, state};
use osbuild_tuf::time::Time;
use osbuild_update::wave::{EVERYBODY, Position};
use serde::{Deserialize, Serialize};

use crate::config::scrub_every;
use crate::disk::{Pace, WholeDisk};
use crate::node::{Facts, is_committed};
use crate::status::Status;
use crate::{SPREAD, WHO};

const RUNNING: &str = "/dev/dm-0";
/// Below PRIVATE: a node that restarts often is scrubbed all the same.
const KEPT: &str = "scrub.json";
/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(60);
/// And whether what keeps it from beginning is over.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A fleet that was switched on together begins over so long a time.
const SETTLE: Duration = Duration::from_secs(3600);

/// What was found, kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Found {
    /// From when on the time to the next one counts: the last one's end, or when
    /// the release that runs was first seen.
    pub since: Option<Time>,
    pub running: Option<Slot>,
    pub other: Option<Slot>,
}

impl Found {
    /// What of it is still of use where this release runs.
    fn for_release(self, root_hash: &str, now: Time) -> Self {
        match &self.running {
            Some(running) if running.root_hash != root_hash => Self { since: Some(now), ..Self::default() },
            _ => Self { since: self.since.or(Some(now)), ..self },
        }
    }
}

/// Of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Which release that was.
    root_hash: String,
    /// When it was read.
    pub scrubbed: Time,
    pub bytes: u64,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Slot {
    fn of(examined: &Examined, root_hash: [u8; 32]) -> Self {
        let (bytes, problem) = match examined.contents() {
            Contents::Whole(whole) => (whole.blocks * BLOCK_BYTES as u64, None),
            Contents::Damaged { what, .. } => (0, Some(what.clone())),
        };
        Self { root_hash: hex::encode(&root_hash), scrubbed: now(), bytes, problem }
    }

    fn unread(root_hash: &str, reason: String) -> Self {
        Self { root_hash: root_hash.to_owned(), scrubbed: now(), bytes: 0, problem: Some(reason) }
    }
}

/// Shared by the one who reads and those who ask.
#[derive(Default)]
pub struct Scrubbed {
    found: Mutex<Found>,
    turn: Mutex<Turn>,
    ordered: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Turn {
    /// By the time alone.
    #[default]
    Waits,
    /// Somebody asked for it.
    Ordered,
    Reads,
}

impl Scrubbed {
    pub fn found(&self) -> Found {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the next one begin now; of one that is under way it is the same.
    pub fn order(&self) {
        let mut turn = self.turn();
        if *turn == Turn::Waits {
            *turn = Turn::Ordered;
            self.ordered.notify_all();
        }
    }

    /// Whether one is under way, or about to begin.
    pub fn is_at_work(&self) -> bool {
        *self.turn() != Turn::Waits
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so long, or until somebody asks for one.
    fn wait(&self, time: Duration) {
        let waits = |turn: &mut Turn| *turn == Turn::Waits;
        drop(self.ordered.wait_timeout_while(self.turn(), time, waits));
    }

    fn change(&self, change: impl FnOnce(&mut Found)) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut found);
        let text = serde_json::to_string(&*found).expect("it is plain data");
        if let Err(error) = state::write(Path::new(private::MOUNT).join(KEPT), &text) {
            say(WHO, 4, &error.to_string());
        }
    }

    /// What became of the other slot when it was read for another reason, too.
    pub fn other_was_read(&self, examined: &Examined, root_hash: [u8; 32]) {
        self.change(|found| found.other = Some(Slot::of(examined, root_hash)));
    }
}

/// Scrubs for as long as the program runs.
pub fn run(facts: &Facts, status: &Status) {
    let text = std::fs::read(Path::new(private::MOUNT).join(KEPT)).unwrap_or_default();
    let kept: Found = serde_json::from_slice(&text).unwrap_or_default();
    let own = facts.root_hash_text();
    status.scrubbed.change(|found| *found = kept.for_release(&own, now()));
    let part = f64::from(Position::of(&facts.machine_id, "scrub").number()) / f64::from(EVERYBODY);
    loop {
        let begun = Instant::now();
        let since = status.scrubbed.found().since;
        let mut every = Duration::ZERO;
        let mut wait = Duration::ZERO;
        // What is set may have changed while it waited; what time it is, too.
        loop {
            let is_time = status.scrubbed.is_at_work() || (begun.elapsed() >= wait && !every.is_zero());
            let may_begin = is_committed() && status.busy().is_none();
            if is_time && may_begin {
                break;
            }
            let set = scrub_every();
            if set != every {
                (every, wait) = (set, begun.elapsed() + due_in(set, since, now(), part));
            }
            forget_what_changed(facts, status);
            if is_time {
                std::thread::sleep(LOOK_AGAIN);
            } else {
                status.scrubbed.wait(LOOK.min(wait.saturating_sub(begun.elapsed()).max(LOOK_AGAIN)));
            }
        }
        *status.scrubbed.turn() = Turn::Reads;
        scrub(facts, status, &own);
        *status.scrubbed.turn() = Turn::Waits;
    }
}

/// What was found of the other slot is of no use once it holds something else.
fn forget_what_changed(facts: &Facts, status: &Status) {
    let Some(found) = status.scrubbed.found().other else { return };
    let Ok(loaded) = facts.disk.read_table() else { return };
    if fallback(&loaded.table, facts).map(|root_hash| hex::encode(&root_hash)) != Some(found.root_hash) {
        status.scrubbed.change(|found| found.other = None);
    }
}

/// The root hash of what the node would fall back to.
fn fallback(table: &Gpt, facts: &Facts) -> Option<[u8; 32]> {
    let slot = facts.disk.slot.other();
    let state = table.slots()?.of(slot).state();
    matches!(state, State::Good | State::Spent).then(|| table.root_hash(slot)).flatten()
}

/// How long until the next one, of a node at this part of the fleet.
fn due_in(every: Duration, since: Option<Time>, now: Time, part: f64) -> Duration {
    // A clock that was set back says nothing.
    let passed =
        since.and_then(|since| now.0.checked_sub(since.0)).map_or(Duration::ZERO, Duration::from_secs);
    every.mul_f64(1.0 + SPREAD * part).saturating_sub(passed).max(SETTLE.mul_f64(part))
}

fn scrub(facts: &Facts, status: &Status, own: &str) {
    let running = match read_all(Path::new(RUNNING)) {
        Ok(bytes) => running(facts).map(|examined| Slot {
            root_hash: own.to_owned(),
            scrubbed: now(),
            bytes,
            problem: examined.and_then(|slot| slot.problem),
        }),
        Err(reason) => Err(reason),
    };
    let others = facts.disk.read_table().ok().and_then(|loaded| fallback(&loaded.table, facts));
    let others = others.map(|root_hash| hex::encode(&root_hash));
    let other = other(facts);
    for (name, reason) in [("running", running.as_ref().err()), ("other", other.as_ref().err())] {
        if let Some(reason) = reason {
            say(WHO, 3, &format!("the {name} slot cannot be read: {reason}"));
        }
    }
    status.scrubbed.change(|found| {
        found.since = Some(now());
        found.running = Some(running.unwrap_or_else(|reason| Slot::unread(own, reason)));
        match other {
            Ok(other) => found.other = other,
            Err(reason) => found.other = Some(Slot::unread(&others.unwrap_or_default(), reason)),
        }
    });
}

/// # Errors
/// The medium cannot be read at some place.
fn read_all(device: &Path) -> Result<u64, String> {
    let path = device.display();
    let mut device = Direct::open(device).map_err(|error| error.to_string())?;
    let length = device.length();
    let mut place = 0;
    while place < length {
        let since = Instant::now();
        let count = PIECE_BYTES.min(usize::try_from(length - place).unwrap_or(PIECE_BYTES));
        device.read_at(place, count).map_err(|error| format!("{path}: {error}"))?;
        Pace::OutOfTheWay.keep(count, since);
        place += count as u64;
    }
    Ok(length)
}

/// What `dm-0` does not show of the slot that runs: its kernel image, which was
/// read when it started, and hash blocks, of which the kernel keeps its own
/// copies. The next start needs both.
fn running(facts: &Facts) -> Result<Option<Slot>, String> {
    let found = examine(facts, facts.disk.slot)?;
    if let Some(problem) = found.as_ref().and_then(|slot| slot.problem.as_ref()) {
        let message = format!(
            "slot {}, which runs, is damaged: {problem}; it may not start again, so install a release or roll back",
            facts.disk.slot.name()
        );
        say(WHO, 2, &message);
    }
    Ok(found)
}

/// `None` if there is nothing to fall back to, or somebody changes it just now.
fn other(facts: &Facts) -> Result<Option<Slot>, String> {
    let slot = facts.disk.slot.other();
    let found = examine(facts, slot)?;
    if let Some(problem) = found.as_ref().and_then(|slot| slot.problem.as_ref()) {
        let message = format!(
            "slot {}, to which this node would fall back, is damaged: {problem}; the next release that is installed replaces it",
            slot.name()
        );
        say(WHO, 2, &message);
    }
    Ok(found)
}

/// `None` if it was never good, or somebody changes it just now.
fn examine(facts: &Facts, slot: osbuild_boot::slot::Slot) -> Result<Option<Slot>, String> {
    let mut disk = WholeDisk::open_for_scrub(&facts.disk).map_err(|error| error.to_string())?;
    let examined = match Examined::read(&mut disk, slot) {
        Ok(examined) => examined,
        Err(osbuild_install::Error::Forbidden(_)) => return Ok(None),
        Err(error) => return Err(crate::repository::all_of(&error)),
    };
    let after = facts.disk.read_table().map_err(|error| error.to_string())?.table;
    let root_hash = after.root_hash(slot).filter(|_| examined.is_of(&after));
    Ok(root_hash.map(|root_hash| Slot::of(&examined, root_hash)))
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since.map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_a_day_after_the_last_one_and_not_for_all_at_once() {
        let (day, hour) = (Duration::from_secs(86400), Duration::from_secs(3600));
        let now = Time(1_000_000);
        let ago = |hours: u64| Some(Time(now.0 - hours * 3600));
        for (since, part, hours) in [
            (ago(0), 0.0, 24.0),
            (ago(0), 0.5, 26.4),
            (ago(20), 0.0, 4.0),
            (ago(20), 0.5, 6.4),
            // Long overdue, as after a weekend without power.
            (ago(100), 0.0, 0.0),
            (ago(100), 0.75, 0.75),
            // The clock was set back, or nothing is known.
            (Some(Time(now.0 + 1)), 0.0, 24.0),
            (None, 0.25, 25.2),
        ] {
            let expected = hour.mul_f64(hours);
            let found = due_in(day, since, now, part);
            assert!(found.abs_diff(expected) < Duration::from_secs(1), "{since:?} {part}: {found:?}");
        }
    }

    #[test]
    fn an_order_ends_the_wait_and_is_one_with_what_is_under_way() {
        let scrubbed = Scrubbed::default();
        scrubbed.wait(Duration::from_millis(1));
        assert!(!scrubbed.is_at_work(), "nobody asked");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| scrubbed.wait(Duration::from_secs(3600)));
            scrubbed.order();
            waiting.join().unwrap();
        });
        assert!(scrubbed.is_at_work());
        *scrubbed.turn() = Turn::Reads;
        scrubbed.order();
        assert!(*scrubbed.turn() == Turn::Reads, "there is no second one behind it");
    }

    #[test]
    fn what_was_found_of_another_release_is_forgotten() {
        let slot = |root_hash: &str| {
            Some(Slot { root_hash: root_hash.to_owned(), scrubbed: Time(5), bytes: 1, problem: None })
        };
        let kept = Found { since: Some(Time(5)), running: slot("aa"), other: slot("bb") };
        assert_eq!(kept.clone().for_release("aa", Time(9)), kept);
        // The slots changed places.
        let turned = kept.for_release("bb", Time(9));
        assert_eq!(turned, Found { since: Some(Time(9)), running: None, other: None });
        let first = Found::default().for_release("aa", Time(9));
        assert_eq!(first.since, Some(Time(9)));
        let text = serde_json::to_string(&turned).unwrap();
        assert_eq!(serde_json::from_str::<Found>(&text).unwrap(), turned);
    }

    #[test]
    fn all_of_a_device_is_read() {
        let around = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let path = around.join(format!("scrub-{}", std::process::id()));
        std::fs::write(&path, vec![7; PIECE_BYTES + 4096]).unwrap();
        assert_eq!(read_all(&path), Ok(PIECE_BYTES as u64 + 4096));
        std::fs::remove_file(&path).unwrap();
        assert!(read_all(&path).unwrap_err().contains("No such file"));
    }
}
