//! Clocks that jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use osbuild_store::local::{Clock, GcRequest};
use osbuild_store::{LocalStore, StorePath};

use super::source;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
/// In November 2026.
const TODAY: i64 = 1_795_000_000;

struct Fixture {
    store: LocalStore,
    time: Arc<AtomicI64>,
    _home: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let time = Arc::new(AtomicI64::new(TODAY));
        let read = Arc::clone(&time);
        let clock = Clock::new(move || read.load(Ordering::Relaxed));
        let store = LocalStore::open(home.path()).expect("opened").with_clock(clock);
        Self { store, time, _home: home }
    }

    fn at(&self, time: i64) -> &LocalStore {
        self.time.store(time, Ordering::Relaxed);
        &self.store
    }

    /// Collects what was not used for thirty days.
    fn collect(&self, time: i64) -> Vec<StorePath> {
        let unused_for = Some(Duration::from_secs(30 * DAY as u64));
        let request = GcRequest { unused_for, ..GcRequest::default() };
        self.at(time).collect_garbage(request, || ()).expect("collected").removed
    }
}

#[test]
fn what_was_used_lately_stays_and_the_rest_goes() {
    let fixture = Fixture::new();
    let old = source(fixture.at(TODAY), "old", "1");
    let used = source(fixture.at(TODAY), "used", "2");
    fixture.at(TODAY + 20 * DAY).touch([&used]).expect("touched");
    assert_eq!(fixture.collect(TODAY + 29 * DAY), []);
    assert_eq!(fixture.collect(TODAY + 31 * DAY), [old]);
    assert_eq!(fixture.collect(TODAY + 49 * DAY), []);
    assert_eq!(fixture.collect(TODAY + 51 * DAY), [used]);
}

#[test]
fn uses_in_a_future_that_never_was_do_not_last_for_ever() {
    let fixture = Fixture::new();
    let touched = source(fixture.at(TODAY), "touched", "1");
    let ahead = TODAY + 50 * YEAR;
    fixture.at(ahead).touch([&touched]).expect("touched");
    let made = source(fixture.at(ahead), "made", "2");
    // The clock is right again: nothing that was used then is old.
    assert_eq!(fixture.collect(TODAY + HOUR), []);
    assert_eq!(fixture.collect(TODAY + 8 * DAY), []);
    // From then on it ages.
    assert_eq!(fixture.collect(TODAY + 29 * DAY), []);
    let mut gone = fixture.collect(TODAY + 32 * DAY);
    gone.sort();
    let mut both = vec![touched, made];
    both.sort();
    assert_eq!(gone, both);
}

#[test]
fn a_clock_that_began_in_1970_makes_nothing_old() {
    let fixture = Fixture::new();
    let before = source(fixture.at(TODAY), "before", "1");
    let during = source(fixture.at(100), "during", "2");
    fixture.at(200).touch([&before]).expect("touched");
    assert_eq!(fixture.collect(300), []);
    assert_eq!(fixture.collect(-1), [], "before 1970");
    assert_eq!(fixture.collect(TODAY + DAY), []);
    let info = fixture.store.info(&during).expect("asked").expect("it is there");
    assert_eq!((info.registered, info.used), (TODAY, TODAY));
    assert_eq!(fixture.collect(TODAY + 31 * DAY).len(), 2);
    // A store that begins its life so ages from this program's birth.
    let young = Fixture::new();
    let first = source(young.at(5), "first", "1");
    assert_eq!(young.collect(10), []);
    assert_eq!(young.collect(TODAY), [first]);
}

#[test]
fn a_clock_that_was_behind_for_some_days_costs_nothing() {
    let fixture = Fixture::new();
    let path = source(fixture.at(TODAY + YEAR), "used", "1");
    for day in 0..6 {
        assert_eq!(fixture.collect(TODAY + day * DAY), []);
    }
    assert_eq!(fixture.collect(TODAY + YEAR + DAY), []);
    // Behind once more, much later: the patience begins anew.
    assert_eq!(fixture.collect(TODAY + 100 * DAY), []);
    assert_eq!(fixture.collect(TODAY + YEAR + 29 * DAY), []);
    assert_eq!(fixture.collect(TODAY + YEAR + 31 * DAY), [path]);
}

#[test]
fn times_at_the_end_of_numbers_do_not_overflow() {
    let fixture = Fixture::new();
    let path = source(fixture.at(i64::MAX), "end", "1");
    assert_eq!(fixture.collect(i64::MIN), []);
    assert_eq!(fixture.collect(TODAY), []);
    assert_eq!(fixture.collect(TODAY + 8 * DAY), []);
    assert_eq!(fixture.collect(TODAY + 40 * DAY), [path]);
}
