//! Which release a node goes to now, and for each of the others why not (yet).

use std::collections::BTreeSet;
use std::time::Duration;

use osbuild_tuf::time::Time;

use crate::documents::{Catalogue, Release, Rollout};
use crate::wave::Position;

/// What is known of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub machine_id: String,
    pub running_index: u64,
    /// In hexadecimal.
    pub running_root_hash: String,
    /// Releases with a smaller index are never installed.
    pub floor: u64,
    /// Root hashes of releases that failed here.
    pub refused: BTreeSet<String>,
    /// Where releases have to have been made again by others: the manifests
    /// (SHA-256, in hexadecimal) of those that were.
    pub rebuilt: Option<BTreeSet<String>>,
    pub wishes: Wishes,
}

impl Node {
    /// Whether as many have made a release again as have to. No operator
    /// overrides this: it is what remains when the publisher's keys are lost.
    pub fn may_trust(&self, release: &Release) -> bool {
        self.rebuilt.as_ref().is_none_or(|rebuilt| rebuilt.contains(&release.manifest_sha256))
    }
}

/// What its operator wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Only this version.
    pub version_lock: Option<String>,
    /// How long a release must have been out, whatever its wave.
    pub delay: Duration,
    /// Does not wait for a wave or the delay; a pause holds all the same.
    pub now: bool,
}

/// What a release is for the node. Ordered as it is decided: the first that
/// holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    Running,
    /// It is older than what runs; going back is an operator's decision.
    Older,
    /// It is below the floor.
    BelowFloor {
        floor: u64,
    },
    /// The node is locked to another version.
    Locked {
        version: String,
    },
    /// The publisher took it back.
    Withdrawn {
        why: String,
    },
    /// It failed here before.
    FailedHere,
    /// Not enough of those who have to have made it again.
    NotRebuilt,
    /// It needs a release in between first.
    NeedsStep {
        min_from_index: u64,
    },
    /// The publisher holds it.
    Paused {
        since: Time,
        why: String,
    },
    /// It is not given out to anybody yet.
    NotGiven,
    /// Its turn has not come.
    Waits {
        until: Time,
        position: Position,
        for_delay: bool,
    },
    Ready,
}

/// A release, and what it is for the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'c> {
    pub release: &'c Release,
    pub standing: Standing,
}

/// Judges every release; the newest first.
pub fn judge<'c>(node: &Node, catalogue: &'c Catalogue, rollout: &Rollout, now: Time) -> Vec<Judged<'c>> {
    let judged = catalogue.releases.iter().rev();
    judged.map(|release| Judged { release, standing: standing(node, release, rollout, now) }).collect()
}

/// The one to install: the newest that is ready. A newer one whose turn has not
/// come holds nobody back from it.
pub fn choose<'c>(judged: &[Judged<'c>]) -> Option<&'c Release> {
    judged.iter().find(|one| one.standing == Standing::Ready).map(|one| one.release)
}

fn standing(node: &Node, release: &Release, rollout: &Rollout, now: Time) -> Standing {
    if release.root_hash == node.running_root_hash {
        return Standing::Running;
    }
    if release.rollback_index <= node.running_index {
        return Standing::Older;
    }
    if release.rollback_index < node.floor {
        return Standing::BelowFloor { floor: node.floor };
    }
    if let Some(version) = node.wishes.version_lock.as_ref().filter(|lock| **lock != release.version) {
        return Standing::Locked { version: version.clone() };
    }
    if let Some(why) = &release.withdrawn {
        return Standing::Withdrawn { why: why.clone() };
    }
    if node.refused.contains(&release.root_hash) {
        return Standing::FailedHere;
    }
    if !node.may_trust(release) {
        return Standing::NotRebuilt;
    }
    if release.min_from_index > node.running_index {
        return Standing::NeedsStep { min_from_index: release.min_from_index };
    }
    let Some(given) = rollout.releases.get(&release.root_hash) else { return Standing::NotGiven };
    if let Some(pause) = &given.paused {
        return Standing::Paused { since: pause.since, why: pause.why.clone() };
    }
    if node.wishes.now {
        return Standing::Ready;
    }
    let position = Position::of(&node.machine_id, &release.root_hash);
    let (turn, soaked) = (given.wave.time_of(position), release.published.after(node.wishes.delay));
    let until = turn.max(soaked);
    if now < until {
        return Standing::Waits { until, position, for_delay: soaked > turn };
    }
    Standing::Ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{Given, Pause};
    use crate::wave::{EVERYBODY, Point, Wave};

    const START: Time = Time(1_000_000);
    const END: Time = Time(1_100_000);

    fn release(version: &str, rollback_index: u64) -> Release {
        Release {
            version: version.to_owned(),
            rollback_index,
            min_from_index: 0,
            root_hash: format!("{rollback_index:064x}"),
            manifest_sha256: "0".repeat(64),
            published: START,
            withdrawn: None,
        }
    }

    struct Case {
        node: Node,
        catalogue: Catalogue,
        rollout: Rollout,
        now: Time,
    }

    impl Case {
        fn new() -> Self {
            let releases = vec![release("1.0.0", 1), release("2.0.0", 2), release("3.0.0", 3)];
            let point = |time, share| Point { time, share };
            let wave = Wave::new(vec![point(START, 0), point(END, EVERYBODY)]).unwrap();
            let given = |release: &Release| {
                let given = Given { version: release.version.clone(), wave: wave.clone(), paused: None };
                (release.root_hash.clone(), given)
            };
            Self {
                rollout: Rollout { releases: releases.iter().map(given).collect(), ..Rollout::empty() },
                catalogue: Catalogue { releases, ..Catalogue::empty() },
                node: Node {
                    machine_id: "00112233445566778899aabbccddeeff".to_owned(),
                    running_index: 1,
                    running_root_hash: format!("{:064x}", 1),
                    floor: 1,
                    refused: BTreeSet::new(),
                    rebuilt: None,
                    wishes: Wishes::default(),
                },
                now: END,
            }
        }

        fn given(&mut self, index: u64) -> &mut Given {
            self.rollout.releases.get_mut(&format!("{index:064x}")).unwrap()
        }

        /// What is chosen, and what each is from the newest on.
        fn decide(&self) -> (Option<&str>, Vec<Standing>) {
            let judged = judge(&self.node, &self.catalogue, &self.rollout, self.now);
            let chosen = choose(&judged).map(|release| release.version.as_str());
            (chosen, judged.into_iter().map(|one| one.standing).collect())
        }
    }

    #[test]
    fn the_newest_that_is_ready_is_next() {
        let case = Case::new();
        let (chosen, standings) = case.decide();
        assert_eq!(chosen, Some("3.0.0"));
        assert_eq!(standings, [Standing::Ready, Standing::Ready, Standing::Running]);
    }

    /// Each on its own keeps the newest from being chosen, and the one before it
    /// is chosen instead.
    #[test]
    fn each_reason_holds_by_itself() {
        type Change = fn(&mut Case);
        type Expected = fn(&Standing) -> bool;
        let cases: [(Change, Expected); 6] = [
            (
                |case| case.catalogue.releases[2].withdrawn = Some("broken".into()),
                |s| matches!(s, Standing::Withdrawn { .. }),
            ),
            (|case| case.node.refused.extend([format!("{:064x}", 3)]), |s| *s == Standing::FailedHere),
            (
                |case| case.catalogue.releases[2].min_from_index = 2,
                |s| *s == Standing::NeedsStep { min_from_index: 2 },
            ),
            (|case| drop(case.rollout.releases.remove(&format!("{:064x}", 3))), |s| *s == Standing::NotGiven),
            (
                |case| case.given(3).paused = Some(Pause { since: START, why: "look".into() }),
                |s| matches!(s, Standing::Paused { .. }),
            ),
            (
                |case| case.node.wishes.version_lock = Some("2.0.0".into()),
                |s| matches!(s, Standing::Locked { .. }),
            ),
        ];
        for (number, (change, is_expected)) in cases.into_iter().enumerate() {
            let mut case = Case::new();
            change(&mut case);
            let (chosen, standings) = case.decide();
            assert_eq!(chosen, Some("2.0.0"), "case {number}");
            assert!(is_expected(&standings[0]), "case {number}: {:?}", standings[0]);
        }
    }

    #[test]
    fn nothing_older_and_nothing_below_the_floor() {
        let mut case = Case::new();
        case.node.running_index = 3;
        case.node.running_root_hash = format!("{:064x}", 3);
        assert_eq!(case.decide(), (None, vec![Standing::Running, Standing::Older, Standing::Older]));
        // The floor was raised by a release that fell back since.
        let mut case = Case::new();
        case.node.floor = 3;
        assert_eq!(case.decide().1[1], Standing::BelowFloor { floor: 3 });
        // Another build under the index that runs is no update either.
        let mut case = Case::new();
        case.node.running_index = 3;
        assert_eq!(case.decide().0, None);
    }

    #[test]
    fn a_turn_comes_in_its_wave_and_not_before_the_delay() {
        let mut case = Case::new();
        case.now = START;
        let turn_of = |case: &Case| match &case.decide().1[0] {
            Standing::Waits { until, for_delay, .. } => (*until, *for_delay),
            other => panic!("{other:?}"),
        };
        let (until, for_delay) = turn_of(&case);
        assert!(START < until && until <= END && !for_delay);
        case.now = Time(until.0 - 1);
        assert!(matches!(case.decide().1[0], Standing::Waits { .. }));
        case.now = until;
        assert_eq!(case.decide().1[0], Standing::Ready);
        case.node.wishes.delay = Duration::from_secs(200_000);
        assert_eq!(turn_of(&case), (Time(START.0 + 200_000), true));
        case.node.wishes.now = true;
        assert_eq!(case.decide().0, Some("3.0.0"));
        case.given(3).paused = Some(Pause { since: START, why: String::new() });
        assert!(matches!(case.decide().1[0], Standing::Paused { .. }));
    }
}
