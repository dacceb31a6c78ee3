//! From one phase to the next, for one node.

use k8s_openapi::chrono::{DateTime, TimeDelta, Utc};

use super::{Action, Facts, time};
use crate::drain::{Held, Hold};
use crate::resources::{Phase, Progress, Report, UpdatePolicySpec};

/// Of what keeps a node from being drained, so many are named.
const MOST_NAMED: usize = 3;

pub(super) fn next(policy: &UpdatePolicySpec, node: &Facts, now: DateTime<Utc>) -> Vec<Action> {
    let name = || node.name.clone();
    let Some(progress) = &node.progress else {
        // Said together with why it waits, unless there is something to take back.
        return if node.wanted.is_none() && !node.is_marked { Vec::new() } else { at_rest(node) };
    };
    match progress.phase {
        Phase::Idle => at_rest(node),
        Phase::Cordoned => drain(policy, node, progress, now),
        Phase::Drained => {
            let mut actions = keep_cordoned(node);
            if node.wanted == progress.version {
                actions.push(to(node, progress, Phase::Updating, "it was ordered to", now));
            } else {
                actions.push(Action::Want { node: name(), version: progress.version.clone() });
            }
            actions
        }
        Phase::Updating => update(policy, node, progress, now),
        Phase::Back => {
            let actions = at_rest(node);
            if !actions.is_empty() {
                return actions;
            }
            vec![Action::Record { node: name(), progress: entered(Phase::Idle, now) }]
        }
        // What went wrong may still come right by itself.
        Phase::Failed if progress.failed_in == Some(Phase::Cordoned) => drain(policy, node, progress, now),
        Phase::Failed => update(policy, node, progress, now),
    }
}

/// A phase that begins.
pub(super) fn entered(phase: Phase, now: DateTime<Utc>) -> Progress {
    Progress {
        phase,
        since: time(now),
        version: None,
        boot_id: None,
        failed_in: None,
        message: String::new(),
    }
}

/// The same phase with another message, if it is another one.
pub(super) fn said(node: &Facts, message: String, now: DateTime<Utc>) -> Option<Action> {
    let progress = match &node.progress {
        Some(progress) if progress.message == message => return None,
        Some(progress) => Progress { message, ..progress.clone() },
        None => Progress { message, ..entered(Phase::Idle, now) },
    };
    Some(Action::Record { node: node.name.clone(), progress })
}

/// Nothing is ordered of it any more, and then the operator's cordon is taken
/// away: in this order, since a node that was given pods must not restart.
fn at_rest(node: &Facts) -> Vec<Action> {
    let name = || node.name.clone();
    if node.wanted.is_some() {
        return vec![Action::Want { node: name(), version: None }];
    }
    if node.is_marked {
        return vec![Action::Uncordon { node: name() }];
    }
    Vec::new()
}

/// Whoever uncordoned it meanwhile would lose the pods that come.
fn keep_cordoned(node: &Facts) -> Vec<Action> {
    if node.is_unschedulable { Vec::new() } else { vec![Action::Cordon { node: node.name.clone() }] }
}

fn drain(policy: &UpdatePolicySpec, node: &Facts, progress: &Progress, now: DateTime<Utc>) -> Vec<Action> {
    let name = || node.name.clone();
    if node.is_unschedulable && !node.is_marked {
        return vec![given_up(node, "somebody else cordoned it meanwhile", now)];
    }
    let chosen = node.report.as_ref().and_then(|report| report.chosen.as_ref());
    if chosen != progress.version.as_ref() {
        return vec![given_up(node, "the release is no longer the node's next", now)];
    }
    if !node.is_unschedulable {
        return vec![Action::Cordon { node: name() }];
    }
    // Not looked at yet.
    let Some(pods) = &node.pods else { return Vec::new() };
    if pods.is_empty() {
        let drained = Progress {
            version: progress.version.clone(),
            boot_id: node.report.as_ref().map(|report| report.boot_id.clone()),
            ..entered(Phase::Drained, now)
        };
        return vec![Action::Record { node: name(), progress: drained }];
    }
    let message = waits_for(pods);
    let is_over = now - progress.since.0 > TimeDelta::seconds(i64::from(policy.drain.timeout_seconds));
    let mut actions = if progress.phase == Phase::Cordoned && is_over {
        vec![failed(
            node,
            progress,
            &format!("not drained within {} s: {message}", policy.drain.timeout_seconds),
            now,
        )]
    } else if progress.phase == Phase::Cordoned {
        said(node, message, now).into_iter().collect()
    } else {
        Vec::new()
    };
    let to_be_asked: Vec<_> =
        pods.iter().filter(|held| held.why == Hold::ToBeAsked).map(|held| held.pod.clone()).collect();
    if !to_be_asked.is_empty() {
        actions.push(Action::Evict { node: name(), pods: to_be_asked });
    }
    actions
}

fn waits_for(pods: &[Held]) -> String {
    let named: Vec<String> = pods.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    let more = pods.len().saturating_sub(MOST_NAMED);
    let more = if more == 0 { String::new() } else { format!("; {more} more") };
    format!("waits for {}{more}", named.join("; "))
}

fn update(policy: &UpdatePolicySpec, node: &Facts, progress: &Progress, now: DateTime<Utc>) -> Vec<Action> {
    let Some(target) = progress.version.as_deref() else {
        return vec![given_up(node, "nobody knows where it was going", now)];
    };
    let missing = match is_back(node, target) {
        Ok(()) => return vec![to(node, progress, Phase::Back, "it is back", now)],
        Err(missing) => missing,
    };
    let mut actions = keep_cordoned(node);
    if progress.phase == Phase::Failed {
        return actions;
    }
    let limit = TimeDelta::seconds(i64::from(policy.come_back_seconds));
    let outcome = node.report.as_ref().and_then(|report| outcome(report, progress, target));
    actions.extend(match outcome {
        Some(Outcome::Refused(why)) => Some(failed(node, progress, &why, now)),
        Some(Outcome::NotOffered) => Some(given_up(node, "the release is no longer the node's next", now)),
        None if now - progress.since.0 > limit => Some(failed(
            node,
            progress,
            &format!("not back within {} s: {missing}", policy.come_back_seconds),
            now,
        )),
        None => said(node, missing, now),
    });
    actions
}

/// Whether it runs what it should, is well, and may be given pods; else what is
/// missing. That the kubelet which says `Ready` belongs to the same start as the
/// report is what makes both of them those of the start after the update.
fn is_back(node: &Facts, target: &str) -> Result<(), String> {
    let Some(report) = &node.report else { return Err("nothing was heard of it".to_owned()) };
    if report.running != target {
        let problem = report.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        return Err(match (&report.staged, report.state.as_str()) {
            (Some(_), _) => format!("it restarts into {target}"),
            (None, "installing") => format!("it installs {target}"),
            _ => format!("it runs {}{problem}", report.running),
        });
    }
    if !report.committed {
        return Err(format!("{target} runs and is not committed yet"));
    }
    if report.boot_id != node.kubelet_boot_id {
        return Err("its kubelet was not heard since the restart".to_owned());
    }
    if !node.is_ready {
        return Err("it is not Ready".to_owned());
    }
    Ok(())
}

enum Outcome {
    /// The node tried the release and went back from it.
    Refused(String),
    /// Its publisher took or held it back before the node had it.
    NotOffered,
}

fn outcome(report: &Report, progress: &Progress, target: &str) -> Option<Outcome> {
    let is_same_start = progress.boot_id.as_ref() == Some(&report.boot_id);
    let offer = report.releases.iter().find(|release| release.version == target);
    if let Some(offer) = offer.filter(|offer| offer.standing == "refused") {
        return Some(Outcome::Refused(format!("{target}: {}; it runs {}", offer.why, report.running)));
    }
    let has_tried = report.state == "idle" && report.problem.is_some();
    let is_offered = report.chosen.as_deref() == Some(target);
    (is_same_start && has_tried && report.staged.is_none() && !is_offered).then_some(Outcome::NotOffered)
}

/// On to another phase, with all that is known.
fn to(node: &Facts, progress: &Progress, phase: Phase, message: &str, now: DateTime<Utc>) -> Action {
    let progress = Progress {
        phase,
        since: time(now),
        failed_in: None,
        message: message.to_owned(),
        ..progress.clone()
    };
    Action::Record { node: node.name.clone(), progress }
}

fn failed(node: &Facts, progress: &Progress, why: &str, now: DateTime<Utc>) -> Action {
    let progress = Progress {
        phase: Phase::Failed,
        since: time(now),
        failed_in: Some(progress.phase),
        message: why.to_owned(),
        ..progress.clone()
    };
    Action::Record { node: node.name.clone(), progress }
}

/// As it was, without having been updated; what was ordered and cordoned is
/// taken back at rest.
fn given_up(node: &Facts, why: &str, now: DateTime<Utc>) -> Action {
    let progress = Progress { message: why.to_owned(), ..entered(Phase::Idle, now) };
    Action::Record { node: node.name.clone(), progress }
}
