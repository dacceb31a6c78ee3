//! What holds of the law whatever the cluster does, and what it says step by
//! step.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::drain::Hold;
use crate::resources::Release;

const OLD: &str = "1.0.0";
const NEW: &str = "2.0.0";

fn start() -> DateTime<Utc> {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

/// Well, and could have the new release.
fn node(name: &str) -> Facts {
    Facts {
        name: name.to_owned(),
        is_selected: true,
        is_ready: true,
        kubelet_boot_id: "boot-0".to_owned(),
        has_object: true,
        report: Some(Report {
            running: OLD.to_owned(),
            boot_id: "boot-0".to_owned(),
            committed: true,
            state: "idle".to_owned(),
            chosen: Some(NEW.to_owned()),
            seen: Some(Time(start())),
            ..Report::default()
        }),
        ..Facts::default()
    }
}

fn policy(max_unavailable: i32) -> UpdatePolicySpec {
    UpdatePolicySpec { max_unavailable: IntOrString::Int(max_unavailable), ..UpdatePolicySpec::default() }
}

// --- a cluster ---------------------------------------------------------------

/// What becomes of a node that is ordered to update.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Updates,
    /// It restarts and is never heard of again.
    IsLost,
    /// It tries the release, and goes back from it.
    GoesBack,
}

#[derive(Clone, Copy, Debug)]
enum Meddling {
    Cordon(usize),
    Uncordon(usize),
    Breaks(usize),
    Mends(usize),
    Removes(usize),
}

struct Cluster {
    nodes: Vec<Facts>,
    fates: Vec<Fate>,
    now: DateTime<Utc>,
    boots: u32,
}

impl Cluster {
    fn new(fates: &[Fate]) -> Self {
        let nodes = (0..fates.len()).map(|number| node(&format!("n{number}"))).collect();
        Self { nodes, fates: fates.to_vec(), now: start(), boots: 0 }
    }

    fn find(&mut self, name: &str) -> &mut Facts {
        self.nodes.iter_mut().find(|node| node.name == name).unwrap()
    }

    /// Does it, as the cluster would.
    fn act(&mut self, action: &Action) {
        match action {
            Action::Create { node } => self.find(node).has_object = true,
            Action::Record { node, progress } => {
                let node = self.find(node);
                node.progress = Some(progress.clone());
                if !node.is_draining() {
                    node.pods = None;
                }
            }
            Action::Cordon { node } => {
                let node = self.find(node);
                (node.is_unschedulable, node.is_marked) = (true, true);
            }
            Action::Uncordon { node } => {
                let node = self.find(node);
                assert!(node.is_marked, "{node:?} is not the operator's to uncordon");
                (node.is_unschedulable, node.is_marked) = (false, false);
            }
            Action::Evict { node, .. } => self.find(node).pods = Some(Vec::new()),
            Action::Want { node, version } => self.find(node).wanted = version.clone(),
        }
    }

    /// Time goes on, and nodes do what they are ordered to.
    fn live(&mut self) {
        self.now += TimeDelta::seconds(30);
        for (facts, fate) in self.nodes.iter_mut().zip(&self.fates) {
            if facts.is_draining() && facts.pods.is_none() {
                let pod = Pod { namespace: "a".to_owned(), name: facts.name.clone(), uid: String::new() };
                facts.pods = Some(vec![Held { pod, why: Hold::ToBeAsked, refusal: None }]);
            }
            let wanted = facts.wanted.clone();
            let report = facts.report.as_mut().unwrap();
            if *fate != Fate::IsLost || facts.is_ready {
                report.seen = Some(Time(self.now));
            }
            let Some(version) = wanted.filter(|version| *version != report.running) else { continue };
            let is_refused = report.releases.iter().any(|release| release.standing == "refused");
            if report.staged.is_none() && !is_refused {
                report.staged = Some(version);
                continue;
            }
            if is_refused || !facts.is_ready {
                continue;
            }
            assert!(facts.is_unschedulable, "{} restarts with pods on it", facts.name);
            self.boots += 1;
            report.staged = None;
            report.boot_id = format!("boot-{}", self.boots);
            facts.kubelet_boot_id.clone_from(&report.boot_id);
            match fate {
                Fate::Updates => (report.running, report.chosen) = (version, None),
                Fate::IsLost => facts.is_ready = false,
                Fate::GoesBack => {
                    report.chosen = None;
                    let standing = "refused".to_owned();
                    report.releases = vec![Release { version, standing, why: "it failed here".to_owned() }];
                }
            }
        }
    }

    fn meddle(&mut self, meddling: Meddling) {
        let count = self.nodes.len();
        match meddling {
            Meddling::Cordon(at) => self.nodes[at % count].is_unschedulable = true,
            Meddling::Uncordon(at) => {
                let node = &mut self.nodes[at % count];
                // As long as it holds pods, which a node that restarts must not.
                if node.wanted.is_none() {
                    node.is_unschedulable = false;
                }
            }
            Meddling::Breaks(at) => self.nodes[at % count].is_ready = false,
            Meddling::Mends(at) => self.nodes[at % count].is_ready = true,
            Meddling::Removes(at) => {
                let node = &mut self.nodes[at % count];
                (node.wanted, node.progress, node.has_object) = (None, None, false);
            }
        }
    }

    fn away(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_away()).count()
    }

    fn failed(&self) -> usize {
        self.nodes.iter().filter(|node| node.phase() == Phase::Failed).count()
    }

    /// One round, of which only so many actions are done: whoever did them was
    /// killed then.
    fn round(&mut self, policy: &UpdatePolicySpec, most: usize) -> usize {
        let actions = decide(Some(policy), &self.nodes, self.now);
        let before = self.nodes.clone();
        let is_begun = |action: &Action| match action {
            Action::Record { node, progress } => {
                let was = before.iter().find(|facts| facts.name == *node).unwrap().phase();
                was == Phase::Idle && progress.phase == Phase::Cordoned
            }
            _ => false,
        };
        for action in actions.iter().take(most) {
            let begins = is_begun(action);
            self.act(action);
            if begins {
                let allowed = allowed(policy, self.nodes.len());
                assert!(self.away() <= allowed, "{} are away, {allowed} may be: {action:?}", self.away());
                assert!(
                    self.failed() <= policy.failures_allowed as usize,
                    "begun while one failed: {action:?}"
                );
                assert!(!policy.paused, "begun while paused: {action:?}");
            }
        }
        actions.len()
    }
}

fn some_policy() -> impl Strategy<Value = UpdatePolicySpec> {
    let limit = prop_oneof![
        (0..4i32).prop_map(IntOrString::Int),
        (0..101u32).prop_map(|percent| IntOrString::String(format!("{percent}%"))),
    ];
    (limit, 0..2u32, proptest::bool::weighted(0.1)).prop_map(|(max_unavailable, failures_allowed, paused)| {
        UpdatePolicySpec { max_unavailable, failures_allowed, paused, ..UpdatePolicySpec::default() }
    })
}

fn some_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Updates), 1 => Just(Fate::IsLost), 1 => Just(Fate::GoesBack)]
}

fn some_meddling() -> impl Strategy<Value = Option<Meddling>> {
    let one = (0..5u8, 0..8usize).prop_map(|(kind, at)| match kind {
        0 => Meddling::Cordon(at),
        1 => Meddling::Uncordon(at),
        2 => Meddling::Breaks(at),
        3 => Meddling::Mends(at),
        _ => Meddling::Removes(at),
    });
    proptest::option::weighted(0.3, one)
}

proptest! {
    /// Whatever anybody does to the cluster, and wherever the controller is killed.
    #[test]
    fn no_more_are_away_than_may_be(
        policy in some_policy(),
        fates in proptest::collection::vec(some_fate(), 1..8),
        rounds in proptest::collection::vec((some_meddling(), 0..6usize), 1..120),
    ) {
        let mut cluster = Cluster::new(&fates);
        for (meddling, most) in rounds {
            if let Some(meddling) = meddling {
                cluster.meddle(meddling);
            }
            cluster.round(&policy, most);
            cluster.live();
        }
    }

    /// If nodes behave, all of them come to the new release, and then nothing is
    /// left to do.
    #[test]
    fn it_ends(
        max_unavailable in 1..4i32,
        count in 1..8usize,
        cuts in proptest::collection::vec(0..6usize, 0..60),
    ) {
        let policy = policy(max_unavailable);
        let mut cluster = Cluster::new(&vec![Fate::Updates; count]);
        let mut cuts = cuts.into_iter();
        let most_rounds = 60 + 20 * count;
        for _ in 0..most_rounds {
            cluster.round(&policy, cuts.next().unwrap_or(usize::MAX));
            cluster.live();
        }
        for node in &cluster.nodes {
            prop_assert_eq!(&node.report.as_ref().unwrap().running, NEW, "{:?}", node);
            prop_assert!(!node.is_away() && !node.is_marked && node.wanted.is_none(), "{:?}", node);
        }
        prop_assert_eq!(cluster.round(&policy, 0), 0);
    }

    /// Once one has failed, those that were not begun yet are not begun, although
    /// more may be away.
    #[test]
    fn a_failure_stops_it(fate in prop_oneof![Just(Fate::IsLost), Just(Fate::GoesBack)], count in 7..10usize) {
        let policy = UpdatePolicySpec { come_back_seconds: 60, ..policy(3) };
        let mut fates = vec![Fate::Updates; count];
        fates[0] = fate;
        let mut cluster = Cluster::new(&fates);
        while cluster.failed() == 0 {
            cluster.round(&policy, usize::MAX);
            cluster.live();
        }
        let is_left = |node: &Facts| node.phase() == Phase::Idle && node.report.as_ref().unwrap().running == OLD;
        let left = |cluster: &Cluster| -> BTreeSet<String> {
            cluster.nodes.iter().filter(|node| is_left(node)).map(|node| node.name.clone()).collect()
        };
        let before = left(&cluster);
        prop_assert!(!before.is_empty());
        for _ in 0..100 {
            cluster.round(&policy, usize::MAX);
            cluster.live();
        }
        prop_assert_eq!(cluster.nodes[0].phase(), Phase::Failed);
        prop_assert!(cluster.nodes[0].is_unschedulable);
        prop_assert_eq!(left(&cluster), before);
        prop_assert_eq!(cluster.failed(), 1);
    }
}

// --- step by step ------------------------------------------------------------

/// The actions in few words: `n0 Cordoned`, `n0 cordon`.
fn words(actions: &[Action]) -> Vec<String> {
    let told = |action: &Action| match action {
        Action::Create { node } => format!("{node} create"),
        Action::Record { node, progress } => format!("{node} {:?}: {}", progress.phase, progress.message),
        Action::Cordon { node } => format!("{node} cordon"),
        Action::Uncordon { node } => format!("{node} uncordon"),
        Action::Evict { node, pods } => format!("{node} evict {}", pods.len()),
        Action::Want { node, version } => format!("{node} want {}", version.as_deref().unwrap_or("nothing")),
    };
    actions.iter().map(told).collect()
}

fn check(policy: &UpdatePolicySpec, nodes: &[Facts], expected: &[&str]) {
    assert_eq!(words(&decide(Some(policy), nodes, start())), expected);
}

fn in_phase(phase: Phase) -> Facts {
    let progress = Progress {
        phase,
        since: Time(start()),
        version: Some(NEW.to_owned()),
        boot_id: Some("boot-0".to_owned()),
        failed_in: None,
        message: String::new(),
    };
    let is_cordoned = phase != Phase::Idle;
    Facts { progress: Some(progress), is_unschedulable: is_cordoned, is_marked: is_cordoned, ..node("n0") }
}

fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> Facts {
    change(&mut facts);
    facts
}

fn held(name: &str, refusal: Option<&str>) -> Held {
    let pod = Pod { namespace: "a".to_owned(), name: name.to_owned(), uid: String::new() };
    Held { pod, why: Hold::ToBeAsked, refusal: refusal.map(str::to_owned) }
}

#[test]
fn each_phase_leads_to_the_next() {
    let one = policy(1);
    check(&one, &[with(node("n0"), |node| node.has_object = false)], &["n0 create"]);
    check(&one, &[node("n0")], &["n0 Cordoned: "]);
    let begun =
        with(in_phase(Phase::Cordoned), |node| (node.is_unschedulable, node.is_marked) = (false, false));
    check(&one, &[begun], &["n0 cordon"]);
    check(&one, &[in_phase(Phase::Cordoned)], &[]);
    let held = |refusal| with(in_phase(Phase::Cordoned), |node| node.pods = Some(vec![held("p", refusal)]));
    check(&one, &[held(None)], &["n0 Cordoned: waits for a/p: to be evicted", "n0 evict 1"]);
    check(&one, &[held(Some("a budget"))], &["n0 Cordoned: waits for a/p: a budget", "n0 evict 1"]);
    check(&one, &[with(in_phase(Phase::Cordoned), |node| node.pods = Some(vec![]))], &["n0 Drained: "]);
    check(&one, &[in_phase(Phase::Drained)], &["n0 want 2.0.0"]);
    let ordered = |phase| with(in_phase(phase), |node| node.wanted = Some(NEW.to_owned()));
    check(&one, &[ordered(Phase::Drained)], &["n0 Updating: it was ordered to"]);
    check(&one, &[ordered(Phase::Updating)], &["n0 Updating: it runs 1.0.0"]);
    let back = |phase| {
        with(ordered(phase), |node| {
            let report = node.report.as_mut().unwrap();
            (report.running, report.chosen) = (NEW.to_owned(), None);
        })
    };
    check(&one, &[back(Phase::Updating)], &["n0 Back: it is back"]);
    check(&one, &[back(Phase::Failed)], &["n0 Back: it is back"]);
    check(&one, &[back(Phase::Back)], &["n0 want nothing"]);
    check(&one, &[with(back(Phase::Back), |node| node.wanted = None)], &["n0 uncordon"]);
    let last = with(back(Phase::Back), |node| {
        (node.wanted, node.is_marked, node.is_unschedulable) = (None, false, false);
    });
    check(&one, &[last], &["n0 Idle: "]);
}

#[test]
fn a_node_is_not_back_before_all_of_it_is() {
    let almost = |change: fn(&mut Facts)| {
        let mut node = in_phase(Phase::Updating);
        node.wanted = Some(NEW.to_owned());
        let report = node.report.as_mut().unwrap();
        (report.running, report.chosen, report.boot_id) = (NEW.to_owned(), None, "boot-1".to_owned());
        node.kubelet_boot_id = "boot-1".to_owned();
        change(&mut node);
        node
    };
    let one = policy(1);
    check(&one, &[almost(|_| {})], &["n0 Back: it is back"]);
    for (change, expected) in [
        (
            (|node| node.report.as_mut().unwrap().committed = false) as fn(&mut Facts),
            "2.0.0 runs and is not committed yet",
        ),
        (|node| node.kubelet_boot_id = "boot-0".to_owned(), "its kubelet was not heard since the restart"),
        (|node| node.is_ready = false, "it is not Ready"),
        (|node| node.report.as_mut().unwrap().running = OLD.to_owned(), "it runs 1.0.0"),
        (|node| node.report = None, "nothing was heard of it"),
    ] {
        check(&one, &[almost(change)], &[&format!("n0 Updating: {expected}")]);
    }
}

#[test]
fn who_waits_is_told_what_for() {
    let one = policy(1);
    let reported = |change: fn(&mut Report)| with(node("n0"), |node| change(node.report.as_mut().unwrap()));
    let waits =
        Release { version: "3".to_owned(), standing: "waits".to_owned(), why: "its turn comes".to_owned() };
    for (facts, expected) in [
        (with(node("n0"), |node| node.report = None), "nothing was heard of it yet"),
        (reported(|report| report.seen = None), "nothing was heard of it"),
        (
            reported(|report| report.seen = Some(Time(start() - TimeDelta::minutes(16)))),
            "nothing was heard of it since 2026-11-28T11:44:00Z",
        ),
        (with(node("n0"), |node| node.is_selected = false), "the policy does not select it"),
        (with(node("n0"), |node| node.is_ready = false), "it is not Ready"),
        (with(node("n0"), |node| node.is_unschedulable = true), "somebody cordoned it"),
        (reported(|report| report.committed = false), "this start of it is not committed yet"),
        (reported(|report| report.chosen = None), ""),
        (
            with(reported(|report| report.chosen = None), |node| {
                node.report.as_mut().unwrap().releases.push(waits)
            }),
            "3: its turn comes",
        ),
    ] {
        check(&one, &[facts], &[&format!("n0 Idle: {expected}")]);
    }
    let paused = UpdatePolicySpec { paused: true, ..policy(1) };
    check(&paused, &[node("n0")], &["n0 Idle: waits: the policy is paused"]);
    let pinned = UpdatePolicySpec { version: Some("3".to_owned()), ..policy(1) };
    check(&pinned, &[node("n0")], &["n0 Idle: the policy wants 3, it could have 2.0.0"]);
    check(&policy(0), &[node("n0")], &["n0 Idle: waits: at most 0 of 1 nodes may be away"]);
    let actions = decide(None, &[node("n0")], start());
    assert_eq!(words(&actions), ["n0 Idle: waits: there is no policy called default"]);
    let both = [
        node("n1"),
        with(in_phase(Phase::Failed), |node| {
            node.progress.as_mut().unwrap().failed_in = Some(Phase::Updating)
        }),
    ];
    check(&policy(2), &both, &["n1 Idle: waits: n0 failed"]);
    let allowed = UpdatePolicySpec { failures_allowed: 1, ..policy(2) };
    check(&allowed, &both, &["n1 Cordoned: "]);
    // One that is away for another reason is counted.
    let other = with(node("n1"), |node| node.is_ready = false);
    check(
        &one,
        &[node("n0"), other],
        &["n0 Idle: waits: at most 1 of 2 nodes may be away", "n1 Idle: it is not Ready"],
    );
}

#[test]
fn what_cannot_go_on_is_given_up_or_failed() {
    let one = policy(1);
    let somebody = with(in_phase(Phase::Cordoned), |node| node.is_marked = false);
    check(&one, &[somebody], &["n0 Idle: somebody else cordoned it meanwhile"]);
    let gone = with(in_phase(Phase::Cordoned), |node| node.report.as_mut().unwrap().chosen = None);
    check(&one, &[gone], &["n0 Idle: the release is no longer the node's next"]);
    let ordered = |change: fn(&mut Report)| {
        with(in_phase(Phase::Updating), |node| {
            node.wanted = Some(NEW.to_owned());
            change(node.report.as_mut().unwrap());
        })
    };
    let held_back =
        |report: &mut Report| (report.chosen, report.problem) = (None, Some("no release".to_owned()));
    check(&one, &[ordered(held_back)], &["n0 Idle: the release is no longer the node's next"]);
    let refused = |report: &mut Report| {
        let (version, standing) = (NEW.to_owned(), "refused".to_owned());
        report.releases = vec![Release { version, standing, why: "it failed here".to_owned() }];
    };
    check(&one, &[ordered(refused)], &["n0 Failed: 2.0.0: it failed here; it runs 1.0.0"]);

    let late = start() + TimeDelta::seconds(1801);
    let actions = decide(Some(&one), &[ordered(|_| {})], late);
    assert_eq!(words(&actions), ["n0 Failed: not back within 1800 s: it runs 1.0.0"]);
    let blocked = with(in_phase(Phase::Cordoned), |node| node.pods = Some(vec![held("p", Some("a budget"))]));
    let actions = decide(Some(&one), &[blocked], late);
    assert_eq!(
        words(&actions),
        ["n0 Failed: not drained within 900 s: waits for a/p: a budget", "n0 evict 1"]
    );
    // It is still asked for, and goes on when the pod has gone.
    let failed = |pods| {
        with(in_phase(Phase::Failed), |node| {
            node.progress.as_mut().unwrap().failed_in = Some(Phase::Cordoned);
            node.pods = Some(pods);
        })
    };
    check(&one, &[failed(vec![held("p", None)])], &["n0 evict 1"]);
    check(&one, &[failed(vec![])], &["n0 Drained: "]);
}
