//! One step of a plan: made here, copied out of a cache, or found done by
//! another process.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use osbuild_store::StorePath;
use osbuild_store::action::ActionRow;
use osbuild_store::cache::{CacheError, Found, Watch};
use osbuild_store::local::{PathLock, Usage};

use super::event::{Event, Kind, Outcome};
use super::order::Work;
use super::plan::{NodeId, Presence};
use super::{Engine, Outputs};
use crate::build::log::phase;
use crate::build::outputs::writable_path;
use crate::build::run::Report;
use crate::build::{BuildError, Builder, Built, Resolved};
use crate::derivation::Output;
use crate::derivation::aterm::to_aterm;
use crate::remote::{Remote, RemoteBuilder, RemotelyBuilt};

impl Engine<'_> {
    pub(super) fn perform(&self, job: &Job, work: Work) -> Done {
        match work {
            Work::Make(resolved) => Done::Made(self.step(job, &resolved, None)),
            Work::MakeRemotely(resolved) => Done::Made(self.step(job, &resolved, self.remote)),
            Work::Substitute(objects) => Done::Substituted(self.substitute(job, &objects)),
        }
    }

    fn started(&self, job: &Job, kind: Kind, usual: Option<Duration>) {
        let (step, name, for_step) = (job.id.index(), job.name.as_str(), job.for_step.as_deref());
        self.observer.event(Event::Started { step, name, kind, usual, for_step });
    }

    fn substitute(&self, job: &Job, objects: &BTreeMap<StorePath, Found>) -> Result<(), CacheError> {
        let step = job.id.index();
        self.started(job, Kind::Substitute, None);
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

    /// Runs one step under its lock, unless another process just did.
    fn step(&self, job: &Job, resolved: &Resolved, remote: Option<&Remote>) -> Result<Made, BuildError> {
        let Job { id, compare, .. } = *job;
        let _lock = self.lock(resolved)?;
        let known = self.known(resolved)?;
        let result = match known {
            Some(outputs) if !compare && self.all_valid(&outputs)? => {
                Ok((Made { outputs, presence: Presence::Here }, Outcome::Found))
            }
            known => {
                let kind = match remote {
                    Some(_) => Kind::RemoteBuild,
                    None if resolved.is_fetch() => Kind::Fetch,
                    None => Kind::Build,
                };
                let usual = self.store.usage(resolved.name())?;
                self.started(job, kind, usual.map(|usage| Duration::from_millis(usage.wall_ms)));
                match known {
                    Some(first) if compare && self.can_be_compared(resolved, &first)? => {
                        self.rebuild(id, resolved, first, remote)
                    }
                    _ => self.build(id, resolved, remote),
                }
            }
        };
        match result {
            Ok((made, outcome)) => {
                self.observer.event(Event::Finished { step: id.index(), outcome: &outcome });
                Ok(made)
            }
            Err(error) => {
                self.observer.event(Event::Finished { step: id.index(), outcome: &Outcome::Failed });
                Err(error)
            }
        }
    }

    fn build(
        &self,
        id: NodeId,
        resolved: &Resolved,
        remote: Option<&Remote>,
    ) -> Result<(Made, Outcome), BuildError> {
        let (made, outcome) = match remote {
            Some(remote) => self.run_remotely(id, resolved, remote, false)?,
            None => {
                (Made { outputs: self.run_builder(id, resolved)?, presence: Presence::Here }, Outcome::Made)
            }
        };
        if is_floating(resolved) {
            self.store.set_action(resolved.key, &ActionRow { outputs: made.outputs.clone() })?;
        }
        Ok((made, outcome))
    }

    fn run_builder(&self, id: NodeId, resolved: &Resolved) -> Result<Outputs, BuildError> {
        let builder = Builder { store: self.store, fetcher: self.fetcher, options: self.options };
        let began = Instant::now();
        let Built { outputs, usage: processes } = self.told(id, |report| builder.build(resolved, report))?;
        let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.note_usage(resolved, &Usage { wall_ms, processes })?;
        Ok(outputs)
    }

    fn run_remotely(
        &self,
        id: NodeId,
        resolved: &Resolved,
        remote: &Remote,
        is_fresh: bool,
    ) -> Result<(Made, Outcome), BuildError> {
        let builder = RemoteBuilder { store: self.store, remote, options: self.options };
        let built = self.told(id, |report| builder.build(resolved, is_fresh, report))?;
        let RemotelyBuilt { outputs, ran } = built;
        // What a run here took says how many fit here; that stays.
        let there = ran.map(|ran| Usage {
            wall_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX),
            processes: None,
        });
        if let Some(usage) = self.store.usage(resolved.name())?.or(there) {
            self.note_usage(resolved, &usage)?;
        }
        let outcome = if ran.is_some() { Outcome::Made } else { Outcome::Found };
        Ok((Made { outputs, presence: Presence::Remote }, outcome))
    }

    fn note_usage(&self, resolved: &Resolved, usage: &Usage) -> Result<(), BuildError> {
        let made_from = to_aterm(&resolved.derivation, self.store.store_dir());
        Ok(self.store.note_usage(resolved.name(), usage, &made_from)?)
    }

    /// Runs something whose progress is that of a step.
    fn told<T>(&self, id: NodeId, run: impl FnOnce(&Report<'_>) -> T) -> T {
        let observer = self.observer;
        run(&Report {
            line: &|text| {
                let step = id.index();
                observer.event(match phase(text) {
                    Some(name) => Event::Phase { step, name },
                    None => Event::Line { step, text },
                });
            },
            progress: &|done, total| observer.event(Event::Progress { step: id.index(), done, total }),
            cancelled: &|| self.is_interrupted(),
        })
    }

    fn can_be_compared(&self, resolved: &Resolved, first: &Outputs) -> Result<bool, BuildError> {
        Ok(resolved.derivation.fixed_output().is_none() && self.all_valid(first)?)
    }

    /// Builds once more and compares with what is there. Where the path does
    /// not depend on the contents, the second result is moved aside first.
    fn rebuild(
        &self,
        id: NodeId,
        resolved: &Resolved,
        first: Outputs,
        remote: Option<&Remote>,
    ) -> Result<(Made, Outcome), BuildError> {
        let floating = as_floating(resolved);
        let second = match remote {
            Some(remote) => self.run_remotely(id, &floating, remote, true)?.0.outputs,
            None => self.run_builder(id, &floating)?,
        };
        for (output, path) in &first {
            let second = &second[output];
            let is = match remote {
                Some(remote) => remote.nar_hash(self.store, second)?,
                None => self.store.info(second)?.map(|info| info.nar_hash),
            };
            let (Some(was), Some(is)) = (self.store.info(path)?, is) else { continue };
            if was.nar_hash != is {
                self.bring_here(second)?;
                let at = |path: &StorePath| self.store.physical(path).display().to_string();
                let (first, second) = (at(path), at(second));
                return Err(BuildError::NotReproducible { output: output.clone(), first, second });
            }
        }
        Ok((Made { outputs: first, presence: Presence::Here }, Outcome::Made))
    }

    /// Copies what a cluster made, so that it can be looked at.
    fn bring_here(&self, path: &StorePath) -> Result<(), BuildError> {
        let Some(substituters) = self.substituters else { return Ok(()) };
        let (warn, cancelled) = (|text: &str| self.warn(text), || self.is_interrupted());
        let watch = Watch { cancelled: &cancelled, warn: &warn, progress: &|_, _, _| () };
        let found = substituters.find_closure(self.store, &[path.clone()].into(), &watch)?;
        Ok(substituters.fetch(self.store, &found, self.downloads, &watch)?)
    }

    fn lock(&self, resolved: &Resolved) -> Result<PathLock, BuildError> {
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

/// A step that is to be performed.
pub(super) struct Job {
    pub(super) id: NodeId,
    pub(super) name: String,
    /// What waits for it.
    pub(super) for_step: Option<String>,
    /// Build it again and compare.
    pub(super) compare: bool,
}

/// What a step made, and where it is.
pub(super) struct Made {
    pub(super) outputs: Outputs,
    pub(super) presence: Presence,
}

/// What came of a step.
pub(super) enum Done {
    Made(Result<Made, BuildError>),
    Substituted(Result<(), CacheError>),
}

fn is_floating(resolved: &Resolved) -> bool {
    resolved.derivation.outputs.values().any(|output| matches!(output, Output::Floating { .. }))
}

/// The same step with floating outputs: its second result gets a place of its
/// own. What a builder sees of its output path is the same for steps that
/// were floating, and differs for plain ones, whose own paths may show.
pub(crate) fn as_floating(resolved: &Resolved) -> Resolved {
    let mut resolved = resolved.clone();
    for output in resolved.derivation.outputs.values_mut() {
        if !matches!(output, Output::Floating { .. }) {
            *output = Output::Floating { recursive: true, algorithm: osbuild_store::HashAlgorithm::Sha256 };
        }
    }
    resolved
}
