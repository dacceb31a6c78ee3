//! The controller: looks at the cluster, asks the law what follows, and does it,
//! as long as it leads.

mod act;
mod events;
mod lease;
mod look;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::chrono::Utc;
use kube::Client;
use tokio::time::{Instant, sleep_until};

use crate::drain::Pod;
use crate::law::{self, Action};
use crate::resources::Phase;

pub use act::Outcome;
pub use lease::Lease;

/// While nothing is under way, the cluster is looked at only in every so many
/// rounds; the lease is renewed in each.
const CALM_ROUNDS: u32 = 6;
/// Between two steps of one node.
const STEP: Duration = Duration::from_millis(200);

pub struct Options {
    /// Where the lease is.
    pub namespace: String,
    /// Who leads; of a program that is started again, the same as before.
    pub identity: String,
    /// A round.
    pub every: Duration,
    /// How long it leads without having renewed that.
    pub lease: Duration,
}

/// What a step needs of the cluster and of the steps before.
pub(crate) struct Controller {
    client: Client,
    /// By the group's version in which the cluster takes them.
    evictions: String,
    /// Why pods were not evicted when that was asked last: it is only said, so
    /// that nothing is lost with it.
    refusals: BTreeMap<Pod, String>,
}

/// Until `is_over` is: then it gives its lease back.
///
/// # Errors
/// The cluster does not say in which version it takes evictions.
pub async fn run(
    client: Client,
    options: &Options,
    over: impl Future<Output = ()>,
) -> Result<(), kube::Error> {
    let evictions = act::eviction_version(&client).await?;
    let mut controller = Controller { client: client.clone(), evictions, refusals: BTreeMap::new() };
    let mut lease = Lease::new(client, options);
    tokio::pin!(over);
    let mut calm = CALM_ROUNDS;
    loop {
        let began = Instant::now();
        let mut next = began + options.every;
        if lease.is_held_or_taken().await {
            calm += 1;
            if calm >= CALM_ROUNDS {
                match controller.round(&lease).await {
                    Ok(Round::Calm) => calm = 0,
                    Ok(Round::Moved) => next = Instant::now() + STEP,
                    Ok(Round::Waits) => {}
                    Err(error) => eprintln!("{}", told(&error)),
                }
            }
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = &mut over => break,
        }
    }
    lease.give_back().await;
    Ok(())
}

enum Round {
    /// Nothing is under way.
    Calm,
    /// Something is waited for.
    Waits,
    /// Something was changed, from which more may follow.
    Moved,
}

impl Controller {
    async fn round(&mut self, lease: &Lease) -> Result<Round, kube::Error> {
        let seen = look::look(&self.client, &self.refusals).await?;
        let actions = law::decide(seen.policy.as_ref(), &seen.facts, Utc::now());
        let is_calm = seen.facts.iter().all(|node| node.phase() == Phase::Idle);
        let has_moved = actions.iter().any(|action| !matches!(action, Action::Evict { .. }));
        self.refusals.retain(|pod, _| seen.is_held(pod));
        for action in &actions {
            // A round may have taken longer than the lease.
            if !lease.is_held() {
                return Ok(Round::Waits);
            }
            match self.act(action, &seen).await {
                Ok(Outcome::Done) => {}
                // Somebody wrote in between: it is looked at anew.
                Ok(Outcome::Stale) => return Ok(Round::Moved),
                Err(error) => eprintln!("{}: {}", act::subject(action), told(&error)),
            }
        }
        Ok(match (has_moved, is_calm) {
            (true, _) => Round::Moved,
            (false, true) => Round::Calm,
            (false, false) => Round::Waits,
        })
    }
}

/// With its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
