//! Runs a plan: builds in one pool, downloads in another, until everything
//! that was wanted is there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use osbuild_store::action::OutputName;
use osbuild_store::cache::{Substituters, Watch};
use osbuild_store::error::one_line;
use osbuild_store::{LocalStore, StorePath};

use super::budget::Budget;
use super::described::BuildGraph;
use super::event::{Event, Observer};
use super::forecast::{Forecast, Prospect};
use super::order::{POOLS, Pool};
use super::perform::{Done, Job, Made};
use super::plan::{Caches, NodeId, Plan, Presence};
use super::resolve::resolve;
use super::{GraphError, Lookup, Outputs, read_derivation};
use crate::build::memory::available_bytes;
use crate::build::{BuildError, BuildOptions, Resolved};
use crate::fetch::Fetcher;
use crate::remote::{Remote, RemoteError};

/// One thing asked for; `None` means all its outputs.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub derivation: StorePath,
    pub outputs: Option<BTreeSet<OutputName>>,
}

/// One thing asked for, there now.
#[derive(Clone, Debug)]
pub struct Realised {
    pub derivation: StorePath,
    pub outputs: Outputs,
}

/// How many builds run at a time. No more than memory has room for, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    AtMost(usize),
    /// As many as keep the processors busy.
    ByProcessors,
}

impl Jobs {
    pub(crate) fn most(self, processors: usize) -> usize {
        match self {
            Self::AtMost(jobs) => jobs.max(1),
            // Of steps that hardly need a processor there may be many, not endlessly so.
            Self::ByProcessors => processors.saturating_mul(4),
        }
    }
}

/// Everything that running a plan needs.
pub struct Engine<'a> {
    pub store: &'a LocalStore,
    pub fetcher: &'a Fetcher,
    /// Where outputs may be instead of being made.
    pub substituters: Option<&'a Substituters>,
    pub options: &'a BuildOptions,
    pub jobs: Jobs,
    /// At a time.
    pub downloads: usize,
    /// Where builds may run instead of here. What it made is found there as
    /// one of the `substituters`.
    pub remote: Option<&'a Remote>,
    /// At a time, on that cluster.
    pub remote_jobs: usize,
    /// Go on with what does not depend on a failure.
    pub keep_going: bool,
    /// Build what was asked for again and compare.
    pub rebuild: bool,
    pub observer: &'a dyn Observer,
    /// Set when the user interrupts.
    pub interrupted: &'a AtomicBool,
}

impl Engine<'_> {
    /// What a run would do.
    ///
    /// # Errors
    /// A derivation is missing or malformed, or the database failed.
    pub fn forecast(&self, lookup: &Lookup<'_>, wanted: &[Wanted]) -> Result<Forecast, GraphError> {
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &|_, _, _| () };
        let (mut plan, _) = self.load(&watch, lookup, wanted)?;
        plan.forecast()
    }

    /// The graph below what is wanted, and what a run would do about each step.
    ///
    /// # Errors
    /// As [`Engine::forecast`].
    pub fn describe(&self, lookup: &Lookup<'_>, wanted: &[Wanted]) -> Result<BuildGraph, GraphError> {
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &|_, _, _| () };
        let (mut plan, roots) = self.load(&watch, lookup, wanted)?;
        plan.describe(&roots)
    }

    /// Makes everything that is wanted.
    ///
    /// # Errors
    /// See [`GraphError`]; what was made before a failure stays.
    pub fn realise(&self, lookup: &Lookup<'_>, wanted: &[Wanted]) -> Result<Vec<Realised>, GraphError> {
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &|_, _, _| () };
        let (mut plan, roots) = self.load(&watch, lookup, wanted)?;
        if self.rebuild {
            plan.rebuild = roots.iter().copied().collect();
        }
        plan.settle()?;
        self.announce(&mut plan)?;
        self.run(&mut plan, &roots)?;
        let mut realised = Vec::new();
        for (wanted, root) in wanted.iter().zip(roots) {
            let mut outputs = plan.graph[root].outputs.clone().expect("a finished node's outputs are known");
            if let Some(names) = &wanted.outputs {
                outputs.retain(|name, _| names.contains(name));
            }
            self.store.touch(outputs.values())?;
            realised.push(Realised { derivation: wanted.derivation.clone(), outputs });
        }
        Ok(realised)
    }

    /// Makes what a step needs, not the step; the step as it would run.
    ///
    /// # Errors
    /// As [`Engine::realise`].
    pub fn resolve_inputs(&self, lookup: &Lookup<'_>, step: &StorePath) -> Result<Resolved, GraphError> {
        let derivation = match lookup(step) {
            Some(derivation) => derivation,
            None => Arc::new(read_derivation(self.store, step)?),
        };
        let inputs = derivation.input_derivations.iter();
        let wanted: Vec<Wanted> = inputs
            .map(|(input, outputs)| Wanted { derivation: input.clone(), outputs: Some(outputs.clone()) })
            .collect();
        let realised = self.realise(lookup, &wanted)?;
        let outputs: HashMap<StorePath, Outputs> =
            realised.into_iter().map(|realised| (realised.derivation, realised.outputs)).collect();
        Ok(resolve(step, &derivation, self.store.store_dir(), |input| &outputs[input]))
    }

    fn load<'w>(
        &'w self,
        watch: &'w Watch<'w>,
        lookup: &Lookup<'_>,
        wanted: &[Wanted],
    ) -> Result<(Plan<'w>, Vec<NodeId>), GraphError> {
        Plan::load(self.store, self.caches(watch), self.remote.is_some(), lookup, &pairs(wanted))
    }

    fn caches<'w>(&'w self, watch: &'w Watch<'w>) -> Option<Caches<'w>> {
        let substituters = self.substituters.filter(|substituters| !substituters.is_empty())?;
        Some(Caches { substituters, watch })
    }

    /// Says what there is to do, if there is.
    fn announce(&self, plan: &mut Plan<'_>) -> Result<(), GraphError> {
        let prospects = plan.prospects()?;
        let count = |wanted: fn(Prospect) -> bool| prospects.iter().filter(|is| wanted(**is)).count();
        let certain = count(Prospect::is_certain);
        if certain == 0 {
            return Ok(());
        }
        let steps = || plan.graph.node_weights().zip(&prospects);
        // A guess would be read as more than that.
        let is_known = steps()
            .filter(|(_, prospect)| matches!(prospect, Prospect::Build | Prospect::Maybe))
            .all(|(node, _)| node.usual.is_measured);
        let longest = steps().filter(|(_, prospect)| prospect.is_certain()).map(|(node, _)| node.distance);
        self.observer.event(Event::Planned {
            certain,
            possible: count(|prospect| prospect == Prospect::Maybe),
            usual: longest.max().filter(|_| is_known).map(Duration::from_millis),
        });
        Ok(())
    }

    pub(super) fn warn(&self, text: &str) {
        self.observer.event(Event::Warning { text });
    }

    fn run(&self, plan: &mut Plan<'_>, roots: &[NodeId]) -> Result<(), GraphError> {
        let mut failures = Vec::new();
        let mut running = [0usize; POOLS];
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let limits = [self.jobs.most(processors), self.downloads.max(1), self.remote_jobs.max(1)];
        let mut budget = Budget::new(processors);
        let rebuild = plan.rebuild.clone();
        std::thread::scope(|scope| -> Result<(), GraphError> {
            let (sender, receiver) = mpsc::channel();
            loop {
                let may_start = failures.is_empty() || self.keep_going;
                for (pool, limit) in [Pool::Build, Pool::Download, Pool::Remote].into_iter().zip(limits) {
                    while may_start && !self.is_interrupted() && running[pool as usize] < limit {
                        if pool == Pool::Build && !self.has_room(plan, &mut budget) {
                            break;
                        }
                        let Some(ready) = plan.next_ready(pool) else { break };
                        running[pool as usize] += 1;
                        let sender = sender.clone();
                        let job = Job {
                            id: ready.id,
                            name: plan.graph[ready.id].name().to_owned(),
                            for_step: plan.waiting_for(ready.id).map(|id| plan.graph[id].name().to_owned()),
                            compare: rebuild.contains(&ready.id),
                        };
                        scope.spawn(move || {
                            let id = job.id;
                            let result = self.perform(&job, ready.work);
                            // The receiver outlives every step.
                            let _ = sender.send((id, pool, result));
                        });
                    }
                }
                if running == [0; POOLS] {
                    break;
                }
                let Ok((id, pool, result)) = receiver.recv_timeout(Duration::from_secs(1)) else { continue };
                running[pool as usize] -= 1;
                budget.end(id);
                match result {
                    Done::Made(Ok(Made { outputs, presence })) => plan.built(id, outputs, presence),
                    Done::Made(Err(BuildError::Interrupted)) => plan.failed(id),
                    Done::Made(Err(error)) => {
                        if let Err(error) = self.made_again(plan, id, error) {
                            failures.push((plan.graph[id].path.clone(), error));
                            plan.failed(id);
                        }
                    }
                    Done::Substituted(Ok(())) => plan.finish(id, Presence::Here),
                    // The interrupt is seen above.
                    Done::Substituted(Err(_)) if self.is_interrupted() => plan.failed(id),
                    Done::Substituted(Err(error)) => {
                        self.warn(&format!("{}; making it here", one_line(&error)));
                        plan.not_substituted(id);
                    }
                }
                plan.settle()?;
            }
            Ok(())
        })?;
        if self.is_interrupted() {
            return Err(GraphError::Interrupted);
        }
        if failures.is_empty() && roots.iter().all(|root| plan.graph[*root].presence == Presence::Here) {
            return Ok(());
        }
        Err(GraphError::Failed { failures })
    }

    /// After a step failed for inputs that a cluster no longer has: they are
    /// made again, and it too. Any other failure is one.
    fn made_again(&self, plan: &mut Plan<'_>, id: NodeId, error: BuildError) -> Result<(), BuildError> {
        let BuildError::Remote(RemoteError::Gone { paths, .. }) = &error else { return Err(error) };
        // No step makes sources, so none can make them again.
        if let Some(source) =
            paths.iter().find(|path| plan.graph[id].derivation.input_sources.contains(*path))
        {
            return Err(BuildError::MissingInput(source.clone()));
        }
        if !plan.inputs_lost(id) {
            return Err(error);
        }
        self.warn(&format!("{error}; making it again"));
        Ok(())
    }

    /// Whether the next build may start now; it is counted as running then.
    fn has_room(&self, plan: &Plan<'_>, budget: &mut Budget) -> bool {
        let Some(next) = plan.peek_ready(Pool::Build) else { return false };
        let (need, available) = (plan.graph[next.id].need, available_bytes());
        let has_room = budget.has_room(need, available, self.jobs == Jobs::ByProcessors);
        if has_room {
            budget.start(next.id, need, available);
        }
        has_room
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

fn pairs(wanted: &[Wanted]) -> Vec<(StorePath, Option<BTreeSet<OutputName>>)> {
    wanted.iter().map(|wanted| (wanted.derivation.clone(), wanted.outputs.clone())).collect()
}
