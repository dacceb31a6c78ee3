//! Runs a plan: builds in one pool, downloads in another, until everything
//! that was wanted is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use osbuild_store::action::{ActionRow, OutputName};
use osbuild_store::cache::{CacheError, Found, Substituters, Watch};
use osbuild_store::error::one_line;
use osbuild_store::{LocalStore, StorePath};

use super::described::BuildGraph;
use super::forecast::Forecast;
use super::order::{Pool, Ready, Work};
use super::plan::{Caches, NodeId, Plan};
use super::{GraphError, Lookup, Outputs};
use crate::build::outputs::writable_path;
use crate::build::run::Report;
use crate::build::{BuildError, BuildOptions, Builder, Resolved};
use crate::derivation::Output;
use crate::fetch::Fetcher;

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

/// What happens while a plan runs. `step` tells concurrent steps apart.
#[derive(Debug)]
pub enum Event<'e> {
    /// A step begins. `usual` is how long it took the last time.
    Started { step: usize, name: &'e str, kind: Kind, usual: Option<Duration> },
    /// Bytes, or whatever the step counts; `total` is 0 if unknown.
    Progress { step: usize, done: u64, total: u64 },
    /// A line of a build's log.
    Line { step: usize, text: &'e str },
    /// A step ended.
    Finished { step: usize, outcome: &'e Outcome },
    /// Something that a user should know and that ends nothing.
    Warning { text: &'e str },
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Build,
    /// Downloads a source.
    Fetch,
    /// Takes outputs from a cache.
    Substitute,
}

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran.
    Made,
    /// Another process made it meanwhile.
    Found,
    Failed,
}

/// Is told of events, from several threads.
pub trait Observer: Sync {
    fn event(&self, event: Event<'_>);
}

/// Everything that running a plan needs.
pub struct Engine<'a> {
    pub store: &'a LocalStore,
    pub fetcher: &'a Fetcher,
    /// Where outputs may be instead of being made.
    pub substituters: Option<&'a Substituters>,
    pub options: &'a BuildOptions,
    /// Builds and downloads at a time.
    pub jobs: usize,
    pub downloads: usize,
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
        let (mut plan, _) = Plan::load(self.store, self.caches(&watch), lookup, &pairs(wanted))?;
        plan.forecast()
    }

    /// The graph below what is wanted, and what a run would do about each step.
    ///
    /// # Errors
    /// As [`Engine::forecast`].
    pub fn describe(&self, lookup: &Lookup<'_>, wanted: &[Wanted]) -> Result<BuildGraph, GraphError> {
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &|_, _, _| () };
        let (mut plan, roots) = Plan::load(self.store, self.caches(&watch), lookup, &pairs(wanted))?;
        plan.describe(&roots)
    }

    /// Makes everything that is wanted.
    ///
    /// # Errors
    /// See [`GraphError`]; what was made before a failure stays.
    pub fn realise(&self, lookup: &Lookup<'_>, wanted: &[Wanted]) -> Result<Vec<Realised>, GraphError> {
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &|_, _, _| () };
        let (mut plan, roots) = Plan::load(self.store, self.caches(&watch), lookup, &pairs(wanted))?;
        if self.rebuild {
            plan.rebuild = roots.iter().copied().collect();
        }
        plan.settle()?;
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

    fn caches<'w>(&'w self, watch: &'w Watch<'w>) -> Option<Caches<'w>> {
        let substituters = self.substituters.filter(|substituters| !substituters.is_empty())?;
        Some(Caches { substituters, watch })
    }

    fn warn(&self, text: &str) {
        self.observer.event(Event::Warning { text });
    }

    fn run(&self, plan: &mut Plan<'_>, roots: &[NodeId]) -> Result<(), GraphError> {
        let mut failures = Vec::new();
        let mut running = [0usize; 2];
        let limits = [self.jobs.max(1), self.downloads.max(1)];
        let rebuild = plan.rebuild.clone();
        std::thread::scope(|scope| -> Result<(), GraphError> {
            let (sender, receiver) = mpsc::channel();
            loop {
                let may_start = failures.is_empty() || self.keep_going;
                for (pool, limit) in [Pool::Build, Pool::Download].into_iter().zip(limits) {
                    while may_start && !self.is_interrupted() && running[pool as usize] < limit {
                        let Some(ready) = plan.next_ready(pool) else { break };
                        running[pool as usize] += 1;
                        let sender = sender.clone();
                        let compare = rebuild.contains(&ready.id);
                        let name = step_name(&plan.graph[ready.id].path);
                        scope.spawn(move || {
                            let id = ready.id;
                            let result = self.perform(ready, &name, compare);
                            // The receiver outlives every step.
                            let _ = sender.send((id, pool, result));
                        });
                    }
                }
                if running == [0, 0] {
                    break;
                }
                let Ok((id, pool, result)) = receiver.recv_timeout(Duration::from_secs(1)) else { continue };
                running[pool as usize] -= 1;
                match result {
                    Done::Made(Ok(outputs)) => plan.built(id, outputs),
                    Done::Made(Err(BuildError::Interrupted)) => plan.failed(id),
                    Done::Made(Err(error)) => {
                        failures.push((plan.graph[id].path.clone(), error));
                        plan.failed(id);
                    }
                    Done::Substituted(Ok(())) => plan.finish(id),
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
        if failures.is_empty() && roots.iter().all(|root| plan.graph[*root].have) {
            return Ok(());
        }
        Err(GraphError::Failed { failures })
    }

    fn perform(&self, ready: Ready, name: &str, compare: bool) -> Done {
        match ready.work {
            Work::Make(resolved) => Done::Made(self.step(ready.id, &resolved, compare)),
            Work::Substitute(objects) => Done::Substituted(self.substitute(ready.id, name, &objects)),
        }
    }

    fn substitute(
        &self,
        id: NodeId,
        name: &str,
        objects: &BTreeMap<StorePath, Found>,
    ) -> Result<(), CacheError> {
        let step = id.index();
        self.observer.event(Event::Started { step, name, kind: Kind::Substitute, usual: None });
        let total = objects.values().map(|found| found.info.file_size_bytes.unwrap_or(0)).sum();
        let done = std::sync::Mutex::new(BTreeMap::new());
        let progress = |path: &StorePath, bytes: u64, _: u64| {
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            done.insert(path.clone(), bytes);
            self.observer.event(Event::Progress { step, done: done.values().sum(), total });
        };
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &progress };
        let substituters = self.substituters.expect("only they find what can be substituted");
        let result = substituters.fetch(self.store, objects, self.downloads, &watch);
        let outcome = if result.is_ok() { Outcome::Made } else { Outcome::Failed };
        self.observer.event(Event::Finished { step, outcome: &outcome });
        result
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Runs one step under its lock, unless another process just did.
    fn step(&self, id: NodeId, resolved: &Resolved, compare: bool) -> Result<Outputs, BuildError> {
        let _lock = self.lock(resolved)?;
        let known = self.known(resolved)?;
        let result = match known {
            Some(outputs) if !compare && self.all_valid(&outputs)? => Ok((outputs, Outcome::Found)),
            known => {
                let kind = if resolved.is_fetch() { Kind::Fetch } else { Kind::Build };
                let name = resolved.name();
                let usual = self.store.duration(name)?.map(Duration::from_millis);
                self.observer.event(Event::Started { step: id.index(), name, kind, usual });
                let began = Instant::now();
                let result =
                    if compare { self.rebuild(id, resolved, known) } else { self.build(id, resolved) };
                if result.is_ok() {
                    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.store.note_duration(name, took)?;
                }
                result.map(|outputs| (outputs, Outcome::Made))
            }
        };
        match result {
            Ok((outputs, outcome)) => {
                self.observer.event(Event::Finished { step: id.index(), outcome: &outcome });
                Ok(outputs)
            }
            Err(error) => {
                self.observer.event(Event::Finished { step: id.index(), outcome: &Outcome::Failed });
                Err(error)
            }
        }
    }

    fn build(&self, id: NodeId, resolved: &Resolved) -> Result<Outputs, BuildError> {
        let outputs = self.run_builder(id, resolved)?;
        if is_floating(resolved) {
            self.store.set_action(resolved.key, &ActionRow { outputs: outputs.clone() })?;
        }
        Ok(outputs)
    }

    fn run_builder(&self, id: NodeId, resolved: &Resolved) -> Result<Outputs, BuildError> {
        let observer = self.observer;
        let builder = Builder { store: self.store, fetcher: self.fetcher, options: self.options };
        let report = Report {
            line: &|text| observer.event(Event::Line { step: id.index(), text }),
            progress: &|done, total| observer.event(Event::Progress { step: id.index(), done, total }),
            cancelled: &|| self.is_interrupted(),
        };
        builder.build(resolved, &report)
    }

    /// Builds once more and compares with what is there. Where the path does
    /// not depend on the contents, the second result is moved aside first.
    fn rebuild(
        &self,
        id: NodeId,
        resolved: &Resolved,
        known: Option<Outputs>,
    ) -> Result<Outputs, BuildError> {
        let Some(first) = known else { return self.build(id, resolved) };
        if resolved.derivation.fixed_output().is_some() || !self.all_valid(&first)? {
            return self.build(id, resolved);
        }
        let floating = as_floating(resolved);
        let second = self.run_builder(id, &floating)?;
        for (output, path) in &first {
            let (Some(was), Some(is)) = (self.store.info(path)?, self.store.info(&second[output])?) else {
                continue;
            };
            if was.nar_hash != is.nar_hash {
                let at = |path: &StorePath| self.store.physical(path).display().to_string();
                let (first, second) = (at(path), at(&second[output]));
                return Err(BuildError::NotReproducible { output: output.clone(), first, second });
            }
        }
        Ok(first)
    }

    fn lock(&self, resolved: &Resolved) -> Result<osbuild_store::local::PathLock, BuildError> {
        let name = match resolved.derivation.fixed_output() {
            Some((path, _, _)) => format!("{}.build", path.hash_part()),
            None => resolved.key.to_hex(),
        };
        loop {
            if let Some(lock) = self.store.try_lock(&name)? {
                return Ok(lock);
            }
            if self.is_interrupted() {
                return Err(BuildError::Interrupted);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn known(&self, resolved: &Resolved) -> Result<Option<Outputs>, BuildError> {
        if is_floating(resolved) {
            return Ok(self.store.action(resolved.key)?.map(|row| row.outputs));
        }
        resolved
            .derivation
            .outputs
            .keys()
            .map(|name| match &resolved.derivation.outputs[name] {
                Output::Fixed { path, .. } => Ok(Some((name.clone(), path.clone()))),
                _ => Ok(Some((name.clone(), writable_path(resolved, name)?))),
            })
            .collect()
    }

    fn all_valid(&self, outputs: &Outputs) -> Result<bool, BuildError> {
        for path in outputs.values() {
            if !self.store.is_valid(path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What came of a step.
enum Done {
    Made(Result<Outputs, BuildError>),
    Substituted(Result<(), CacheError>),
}

fn step_name(path: &StorePath) -> String {
    path.name().trim_end_matches(".drv").to_owned()
}

fn pairs(wanted: &[Wanted]) -> Vec<(StorePath, Option<BTreeSet<OutputName>>)> {
    wanted.iter().map(|wanted| (wanted.derivation.clone(), wanted.outputs.clone())).collect()
}

fn is_floating(resolved: &Resolved) -> bool {
    resolved.derivation.outputs.values().any(|output| matches!(output, Output::Floating { .. }))
}

/// The same step with floating outputs: its second result gets a place of its
/// own. What a builder sees of its output path is the same for steps that
/// were floating, and differs for plain ones, whose own paths may show.
fn as_floating(resolved: &Resolved) -> Resolved {
    let mut resolved = resolved.clone();
    for output in resolved.derivation.outputs.values_mut() {
        if !matches!(output, Output::Floating { .. }) {
            *output = Output::Floating { recursive: true, algorithm: osbuild_store::HashAlgorithm::Sha256 };
        }
    }
    resolved
}
