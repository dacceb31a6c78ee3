//! When a node's turn comes: a release reaches the fleet along a curve, a share
//! of it by each of several moments, and evenly in between, so that at no
//! instant a crowd of nodes begins.

use std::time::Duration;

use osbuild_tuf::time::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The whole fleet.
pub const EVERYBODY: u32 = 10_000;

/// A node's place in the order in which a release is given out: another one for
/// each release, the same after each reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u32);

impl Position {
    /// # Panics
    /// Of `EVERYBODY` or more.
    pub fn new(position: u32) -> Self {
        assert!(position < EVERYBODY, "positions are below {EVERYBODY}");
        Self(position)
    }

    /// `release` is what no two releases share: the root hash.
    pub fn of(machine_id: &str, release: &str) -> Self {
        let mut hasher = Sha256::new();
        // By length, so that no two pairs are the same bytes.
        for part in [machine_id, release] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let first = digest[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self((first % u64::from(EVERYBODY)) as u32)
    }

    pub fn number(self) -> u32 {
        self.0
    }
}

/// By `time`, `share` of [`EVERYBODY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub time: Time,
    pub share: u32,
}

/// How a release is given out.
///
/// # Invariants
/// Times rise; shares do not fall, from 0 to [`EVERYBODY`]: so there are two
/// points at least, and nobody comes at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Point>", into = "Vec<Point>")]
pub struct Wave(Vec<Point>);

/// Points that are no wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWave {
    #[error("a wave begins with a share of 0 and ends with {EVERYBODY}")]
    Ends,
    #[error("point {0} of the wave is not after the one before it")]
    Order(usize),
}

impl Wave {
    /// # Errors
    /// [`NoWave`]
    pub fn new(points: Vec<Point>) -> Result<Self, NoWave> {
        let ends = (points.first().map(|point| point.share), points.last().map(|point| point.share));
        if ends != (Some(0), Some(EVERYBODY)) {
            return Err(NoWave::Ends);
        }
        let is_after = |pair: &[Point]| pair[0].time < pair[1].time && pair[0].share <= pair[1].share;
        match points.windows(2).position(|pair| !is_after(pair)) {
            Some(index) => Err(NoWave::Order(index + 1)),
            None => Ok(Self(points)),
        }
    }

    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// When the turn of a position comes.
    pub fn time_of(&self, position: Position) -> Time {
        let (from, to) = self.around(|point| point.share <= position.0);
        let seconds = u128::from(to.time.0 - from.time.0) * u128::from(position.0 - from.share);
        // Up to the whole second, so that nobody comes before the turn.
        Time(from.time.0 + seconds.div_ceil(u128::from(to.share - from.share)) as u64)
    }

    /// For how much of the fleet the turn has come.
    pub fn share_at(&self, time: Time) -> u32 {
        if time < self.0[0].time {
            return 0;
        }
        if self.0.last().is_some_and(|last| time >= last.time) {
            return EVERYBODY;
        }
        let (from, to) = self.around(|point| point.time <= time);
        let share = u128::from(to.share - from.share) * u128::from(time.0 - from.time.0);
        from.share + (share / u128::from(to.time.0 - from.time.0)) as u32
    }

    /// The same, as it goes on after a pause: whose turn came in it does not
    /// come with all the others when it ends.
    #[must_use]
    pub fn after_pause(&self, since: Time, pause: Duration) -> Self {
        let reached = self.share_at(since);
        let (before, later): (Vec<Point>, Vec<Point>) = self.0.iter().partition(|point| point.time <= since);
        let mut points = before;
        if !points.is_empty() && !later.is_empty() {
            points.push(Point { time: since, share: reached });
            points.push(Point { time: since.after(pause), share: reached });
            points.dedup();
        }
        points.extend(later.iter().map(|point| Point { time: point.time.after(pause), share: point.share }));
        Self(points)
    }

    /// The two points between which something lies.
    fn around(&self, is_before: impl Fn(&Point) -> bool) -> (Point, Point) {
        let index = self.0.iter().take_while(|point| is_before(point)).count();
        let index = index.clamp(1, self.0.len() - 1);
        (self.0[index - 1], self.0[index])
    }
}

impl TryFrom<Vec<Point>> for Wave {
    type Error = NoWave;

    fn try_from(points: Vec<Point>) -> Result<Self, NoWave> {
        Self::new(points)
    }
}

impl From<Wave> for Vec<Point> {
    fn from(wave: Wave) -> Self {
        wave.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waves() -> impl Strategy<Value = Wave> {
        let steps = prop::collection::vec((1..100_000_u64, 0..=EVERYBODY), 1..8);
        (0..2_000_000_000_u64, steps).prop_map(|(start, steps)| {
            let mut shares: Vec<u32> = steps.iter().map(|(_, share)| *share).collect();
            shares.sort_unstable();
            *shares.last_mut().unwrap() = EVERYBODY;
            let mut time = start;
            let mut points = vec![Point { time: Time(start), share: 0 }];
            for ((length, _), share) in steps.iter().zip(shares) {
                time += length;
                points.push(Point { time: Time(time), share });
            }
            Wave::new(points).unwrap()
        })
    }

    fn ends(wave: &Wave) -> (Time, Time) {
        (wave.points()[0].time, wave.points().last().unwrap().time)
    }

    proptest! {
        #[test]
        fn who_is_further_behind_comes_no_sooner(wave in waves(), a in 0..EVERYBODY, b in 0..EVERYBODY) {
            let (first, second) = (a.min(b), a.max(b));
            prop_assert!(wave.time_of(Position::new(first)) <= wave.time_of(Position::new(second)));
        }

        #[test]
        fn everybody_comes_inside_the_wave(wave in waves(), position in 0..EVERYBODY) {
            let (from, to) = ends(&wave);
            let time = wave.time_of(Position::new(position));
            prop_assert!(from <= time && time <= to);
        }

        /// Of each stretch, a second gives out its part and not one node more,
        /// but for rounding at either end.
        #[test]
        fn no_second_gives_out_more_than_its_part(wave in waves(), at in 0.0..1.0_f64) {
            let (from, to) = ends(&wave);
            let second = from.0 + ((to.0 - from.0) as f64 * at) as u64;
            let come = (0..EVERYBODY).filter(|p| wave.time_of(Position::new(*p)).0 == second).count() as u64;
            let parts = wave.points().windows(2).filter(|pair| pair[0].time.0 <= second && second <= pair[1].time.0);
            let most: u64 = parts.map(|pair| u64::from(pair[1].share - pair[0].share).div_ceil(pair[1].time.0 - pair[0].time.0) + 1).sum();
            prop_assert!(come <= most, "{come} at {second}, {most} at most");
        }

        #[test]
        fn the_share_is_of_those_whose_turn_has_come(wave in waves(), at in 0.0..1.2_f64) {
            let (from, to) = ends(&wave);
            let time = Time(from.0 + ((to.0 - from.0) as f64 * at) as u64);
            let come = (0..EVERYBODY).filter(|p| wave.time_of(Position::new(*p)) <= time).count() as u32;
            prop_assert!(come.abs_diff(wave.share_at(time)) <= 1, "{come}, {}", wave.share_at(time));
        }

        #[test]
        fn a_pause_moves_those_after_it_and_nobody_else(wave in waves(), at in 0.0..1.0_f64, pause in 1..100_000_u64, position in 0..EVERYBODY) {
            let (from, to) = ends(&wave);
            let since = Time(from.0 + ((to.0 - from.0) as f64 * at) as u64);
            let paused = wave.after_pause(since, Duration::from_secs(pause));
            prop_assert!(Wave::new(paused.points().to_vec()).is_ok());
            let (before, after) = (wave.time_of(Position::new(position)), paused.time_of(Position::new(position)));
            // The share that was reached is a whole number: one node's worth of
            // time is lost or won.
            let stretches = wave.points().windows(2).filter(|pair| pair[0].share < pair[1].share);
            let one = stretches.map(|pair| (pair[1].time.0 - pair[0].time.0) / u64::from(pair[1].share - pair[0].share) + 2).max();
            let expected = if before <= since { before.0 } else { before.0 + pause };
            let is_at_the_edge = before.0.abs_diff(since.0) <= one.unwrap();
            prop_assert!(is_at_the_edge || after.0.abs_diff(expected) <= one.unwrap(), "{before}, then {after}");
        }
    }

    #[test]
    fn what_is_no_wave_is_refused() {
        let point = |time, share| Point { time: Time(time), share };
        assert_eq!(Wave::new(vec![]), Err(NoWave::Ends));
        assert_eq!(Wave::new(vec![point(5, 0)]), Err(NoWave::Ends));
        assert_eq!(Wave::new(vec![point(5, 0), point(5, EVERYBODY)]), Err(NoWave::Order(1)));
        assert_eq!(
            Wave::new(vec![point(1, 0), point(2, 9), point(3, 8), point(4, EVERYBODY)]),
            Err(NoWave::Order(2))
        );
    }

    /// A release finds the fleet in another order than the one before.
    #[test]
    fn positions_are_even_and_differ_by_release() {
        let machines: Vec<String> = (0..10_000).map(|number| format!("{number:032x}")).collect();
        let early = |release: &str| -> Vec<&String> {
            machines
                .iter()
                .filter(|machine| Position::of(machine, release).number() < EVERYBODY / 10)
                .collect()
        };
        let (one, other) = (early("a"), early("b"));
        assert!((900..1100).contains(&one.len()), "{}", one.len());
        let both = one.iter().filter(|machine| other.contains(machine)).count();
        assert!((50..150).contains(&both), "{both}");
    }
}
