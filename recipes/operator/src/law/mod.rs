//! What follows from how the cluster is: a pure function of policy, nodes and
//! time, which knows nothing of what it said before.
//!
//! Each action can be done twice without harm, and whoever does them may stop
//! after any of them: the next question finds the cluster as it then is.
//!
//! # Invariants
//! A node is begun only if, with it, no more nodes of the policy are away than
//! it allows, and while no more have failed than it allows. Only a node with
//! the operator's mark is uncordoned.

mod limits;
mod steps;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::chrono::{DateTime, TimeDelta, Utc};

use crate::drain::{Held, Pod};
use crate::resources::{Phase, Progress, Report, UpdatePolicySpec};

pub use limits::{allowed, is_within};

/// A node of which nothing was heard for so long is not begun: nobody there
/// would take the order.
const SILENCE: TimeDelta = TimeDelta::minutes(15);

/// A node, as the cluster has it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub name: String,
    /// By the policy.
    pub is_selected: bool,
    /// By its kubelet, and as long as the cluster hears from that.
    pub is_ready: bool,
    pub is_unschedulable: bool,
    /// Cordoned by the operator.
    pub is_marked: bool,
    /// Which start of the node its kubelet belongs to.
    pub kubelet_boot_id: String,
    pub has_object: bool,
    /// What it is ordered to.
    pub wanted: Option<String>,
    pub progress: Option<Progress>,
    pub report: Option<Report>,
    /// Those that keep it from being drained, if somebody looked.
    pub pods: Option<Vec<Held>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// An object for a node that has none.
    Create {
        node: String,
    },
    /// The controller's half of the status.
    Record {
        node: String,
        progress: Progress,
    },
    /// With the mark.
    Cordon {
        node: String,
    },
    /// Away with both.
    Uncordon {
        node: String,
    },
    Evict {
        node: String,
        pods: Vec<Pod>,
    },
    /// The order to the node; `None`: it rests.
    Want {
        node: String,
        version: Option<String>,
    },
}

impl Facts {
    pub fn phase(&self) -> Phase {
        self.progress.as_ref().map_or(Phase::Idle, |progress| progress.phase)
    }

    /// Whether its pods have to be looked at.
    pub fn is_draining(&self) -> bool {
        let failed_in = self.progress.as_ref().and_then(|progress| progress.failed_in);
        self.phase() == Phase::Cordoned
            || (self.phase() == Phase::Failed && failed_in == Some(Phase::Cordoned))
    }

    /// Whether pods cannot count on it, or soon will not.
    fn is_away(&self) -> bool {
        !self.is_ready || self.is_unschedulable || self.phase() != Phase::Idle
    }

    /// The release that it can be brought to, or why there is none; nothing to say
    /// of one that is as it should be.
    fn candidate(&self, policy: &UpdatePolicySpec, now: DateTime<Utc>) -> Result<&str, String> {
        let no = |why: &str| Err(why.to_owned());
        let Some(report) = &self.report else { return no("nothing was heard of it yet") };
        let Some(chosen) = &report.chosen else {
            let newest = report.releases.first();
            let why = newest.map(|release| format!("{}: {}", release.version, release.why));
            return Err(why.or(report.problem.clone()).unwrap_or_default());
        };
        match report.seen.as_ref().map(|seen| seen.0) {
            Some(seen) if now - seen <= SILENCE => {}
            seen => {
                let since = seen.map(|seen| seen.format(" since %FT%TZ").to_string()).unwrap_or_default();
                return Err(format!("nothing was heard of it{since}"));
            }
        }
        if !self.is_selected {
            return no("the policy does not select it");
        }
        if !self.is_ready {
            return no("it is not Ready");
        }
        if self.is_unschedulable {
            return no("somebody cordoned it");
        }
        if !report.committed {
            return no("this start of it is not committed yet");
        }
        match &policy.version {
            Some(version) if version != chosen => {
                Err(format!("the policy wants {version}, it could have {chosen}"))
            }
            _ => Ok(chosen),
        }
    }
}

/// What is to be done now; nothing if all is as it should be.
///
/// Without a policy nothing is begun, and what is under way ends.
pub fn decide(policy: Option<&UpdatePolicySpec>, nodes: &[Facts], now: DateTime<Utc>) -> Vec<Action> {
    let defaults = UpdatePolicySpec::default();
    let rules = policy.unwrap_or(&defaults);
    let mut actions = Vec::new();
    for node in nodes {
        if node.has_object {
            actions.extend(steps::next(rules, node, now));
        } else if node.is_selected {
            actions.push(Action::Create { node: node.name.clone() });
        }
    }

    let failing = actions.iter().filter_map(|action| match action {
        Action::Record { node, progress } if progress.phase == Phase::Failed => Some(node.as_str()),
        _ => None,
    });
    let failed = nodes.iter().filter(|node| node.phase() == Phase::Failed).map(|node| node.name.as_str());
    let failed: std::collections::BTreeSet<&str> = failed.chain(failing).collect();
    let gate = limits::gate(policy, &failed, now);
    let scope = nodes.iter().filter(|node| node.is_selected).count();
    let allowed = allowed(rules, scope);
    // One that the policy no longer selects is still under way.
    let is_counted = |node: &&Facts| node.is_selected || node.phase() != Phase::Idle;
    let mut away = nodes.iter().filter(is_counted).filter(|node| node.is_away()).count();

    let mut idle: Vec<&Facts> = nodes
        .iter()
        .filter(|node| {
            node.has_object && node.phase() == Phase::Idle && node.wanted.is_none() && !node.is_marked
        })
        .collect();
    idle.sort_by(|one, other| one.name.cmp(&other.name));
    for node in idle {
        let message = match (node.candidate(rules, now), &gate) {
            (Err(why), _) => why,
            (Ok(_), Err(why)) => why.clone(),
            (Ok(_), Ok(())) if away >= allowed => {
                format!("waits: at most {allowed} of {scope} nodes may be away")
            }
            (Ok(version), Ok(())) => {
                away += 1;
                let progress =
                    Progress { version: Some(version.to_owned()), ..steps::entered(Phase::Cordoned, now) };
                actions.push(Action::Record { node: node.name.clone(), progress });
                continue;
            }
        };
        actions.extend(steps::said(node, message, now));
    }
    actions
}

fn time(now: DateTime<Utc>) -> Time {
    Time(now)
}
