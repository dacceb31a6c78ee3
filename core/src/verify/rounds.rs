//! Runs steps once more, each from the inputs that the first run had, so that
//! no difference hides another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use osbuild_store::StorePath;
use osbuild_store::action::{ActionKey, ActionRow, OutputName};
use osbuild_store::local::ProcessUsage;
use petgraph::graph::NodeIndex;
use sha2::{Digest, Sha256};

use super::blame::Fault;
use super::steps::Step;
use super::variation::{Variation, Variations};
use crate::build::memory::available_bytes;
use crate::build::run::Report;
use crate::build::sandbox::Particulars;
use crate::build::{BuildError, BuildOptions, Builder, Built};
use crate::graph::budget::{Budget, Need};
use crate::graph::perform::as_floating;
use crate::graph::{Engine, Event, GraphError, Jobs, Kind, Outcome};

/// What a run of one step under variations came to.
#[derive(Debug)]
pub struct Again {
    /// What was asked for and, by the word of a probe, done.
    pub acted: Variations,
    /// Asked for and not done.
    pub idle: Variations,
    pub ending: Ending,
    /// Of its processes, where it had any of its own.
    pub usage: Option<ProcessUsage>,
    pub wall: Duration,
}

/// How it ended.
#[derive(Debug)]
pub enum Ending {
    Same,
    /// Outputs that differ: which, the first, the second.
    Differs(Vec<Differing>),
    /// It does not build so.
    Fails(BuildError),
    /// An earlier run found it the same under the same variations.
    Known,
}

impl Ending {
    /// What is wrong, if anything is.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Differs(_) => Some(Fault::Differs),
            Self::Fails(_) => Some(Fault::Fails),
            Self::Same | Self::Known => None,
        }
    }
}

/// Two results of the same step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    pub output: OutputName,
    pub first: StorePath,
    pub second: StorePath,
}

/// Runs steps under variations.
pub struct Rounds<'a> {
    pub(super) engine: &'a Engine<'a>,
    is_fresh: bool,
    /// What a probe found in sandboxes in which nothing is varied, by
    /// derivation; `None` of what has none.
    unvaried: Mutex<HashMap<StorePath, Option<Particulars>>>,
}

impl<'a> Rounds<'a> {
    /// `is_fresh` runs what an earlier run found the same, too.
    pub fn new(engine: &'a Engine<'a>, is_fresh: bool) -> Self {
        Self { engine, is_fresh, unvaried: Mutex::default() }
    }

    /// One round: every step once; `each` is told of each as it ends, by its
    /// place in `steps`.
    ///
    /// # Errors
    /// The user interrupted, or the store failed. What a step comes to is no
    /// error.
    pub fn run(
        &self,
        steps: &[Step],
        variations: &Variations,
        each: &mut dyn FnMut(usize, Again),
    ) -> Result<(), GraphError> {
        let engine = self.engine;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = engine.jobs.most(processors);
        let usages = engine.store.usages()?;
        let needs: Vec<Need> = steps.iter().map(|step| Need::of(usages.get(step.resolved.name()))).collect();
        let mut waiting: VecDeque<usize> = (0..steps.len()).collect();
        let mut budget = Budget::new(processors);
        let mut running = 0;
        std::thread::scope(|scope| -> Result<(), GraphError> {
            let (sender, receiver) = mpsc::channel();
            loop {
                while running < most && !engine.is_interrupted() {
                    let Some(&next) = waiting.front() else { break };
                    let available = available_bytes();
                    if !budget.has_room(needs[next], available, engine.jobs == Jobs::ByProcessors) {
                        break;
                    }
                    waiting.pop_front();
                    budget.start(NodeIndex::new(next), needs[next], available);
                    running += 1;
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let again = self.once(next, &steps[next], variations);
                        // The receiver outlives every step.
                        let _ = sender.send((next, again));
                    });
                }
                if running == 0 {
                    return Ok(());
                }
                let Ok((index, again)) = receiver.recv_timeout(Duration::from_secs(1)) else { continue };
                running -= 1;
                budget.end(NodeIndex::new(index));
                match again {
                    Ok(again) => each(index, again),
                    // Seen below, once all have ended.
                    Err(GraphError::Interrupted) => {}
                    Err(error) => return Err(error),
                }
            }
        })?;
        if engine.is_interrupted() { Err(GraphError::Interrupted) } else { Ok(()) }
    }

    /// One step once, unless that is known.
    ///
    /// # Errors
    /// As [`Rounds::run`].
    pub fn once(&self, index: usize, step: &Step, variations: &Variations) -> Result<Again, GraphError> {
        let key = verified_key(step, variations);
        if !self.is_fresh && self.engine.store.action(key)?.is_some_and(|row| row.outputs == step.outputs) {
            // Nothing is known of a run in which a probe found less done.
            let (acted, idle) =
                split(variations, |variation| !is_builtin(step) || reaches_builtins(variation));
            return Ok(Again { acted, idle, ending: Ending::Known, usage: None, wall: Duration::ZERO });
        }
        self.afresh(index, step, variations)
    }

    /// One step once, whatever is known.
    ///
    /// # Errors
    /// As [`Rounds::run`].
    pub fn afresh(&self, index: usize, step: &Step, variations: &Variations) -> Result<Again, GraphError> {
        let engine = self.engine;
        let name = step.resolved.name();
        let usual = engine.store.usage(name)?.map(|usage| Duration::from_millis(usage.wall_ms));
        engine.observer.event(Event::Started { step: index, name, kind: Kind::Build, usual, for_step: None });
        let result = self.perform(index, step, variations);
        let outcome = match &result {
            Ok(Again { ending: Ending::Same | Ending::Known, .. }) => Outcome::Made,
            _ => Outcome::Failed,
        };
        engine.observer.event(Event::Finished { step: index, outcome: &outcome });
        let again = result?;
        // What was not done was not found; to a built-in builder most cannot be.
        let is_complete = again.idle.is_empty() || is_builtin(step);
        if is_complete && matches!(again.ending, Ending::Same) {
            let key = verified_key(step, variations);
            engine.store.set_action(key, &ActionRow { outputs: step.outputs.clone() })?;
        }
        Ok(again)
    }

    fn perform(&self, index: usize, step: &Step, variations: &Variations) -> Result<Again, GraphError> {
        let engine = self.engine;
        let (surroundings, cores) = variations.surroundings(engine.options.cores);
        let options = BuildOptions { cores, surroundings, ..engine.options.clone() };
        let builder = Builder { options: &options, ..self.as_promised() };
        let (acted, idle) = match self.unvaried(step).and_then(|without| {
            let with = builder.probe(&step.resolved)?;
            Ok(without.zip(with))
        }) {
            Ok(Some((without, with))) => split(variations, |variation| variation.acted(&without, &with)),
            Ok(None) => split(variations, reaches_builtins),
            Err(error) => return failed(error, variations),
        };
        let began = Instant::now();
        let observer = engine.observer;
        let report = Report {
            line: &|text| observer.event(Event::Line { step: index, text }),
            progress: &|done, total| observer.event(Event::Progress { step: index, done, total }),
            cancelled: &|| engine.is_interrupted(),
        };
        let built = builder.build(&as_floating(&step.resolved), &report);
        let wall = began.elapsed();
        let (ending, usage) = match built {
            Ok(Built { outputs, usage }) => {
                let mut differing = Vec::new();
                for (output, first) in &step.outputs {
                    let second = outputs[output].clone();
                    let hash = |path| Ok::<_, GraphError>(engine.store.info(path)?.map(|info| info.nar_hash));
                    if *first != second && hash(first)? != hash(&second)? {
                        differing.push(Differing { output: output.clone(), first: first.clone(), second });
                    }
                }
                (if differing.is_empty() { Ending::Same } else { Ending::Differs(differing) }, usage)
            }
            Err(BuildError::Interrupted) => return Err(GraphError::Interrupted),
            Err(error) => (Ending::Fails(error), None),
        };
        Ok(Again { acted, idle, ending, usage, wall })
    }

    fn as_promised(&self) -> Builder<'_> {
        let engine = self.engine;
        Builder { store: engine.store, fetcher: engine.fetcher, options: engine.options }
    }

    fn unvaried(&self, step: &Step) -> Result<Option<Particulars>, BuildError> {
        let path = &step.resolved.path;
        let known = || self.unvaried.lock().expect("nothing panics while it holds this");
        if let Some(particulars) = known().get(path) {
            return Ok(particulars.clone());
        }
        let particulars = self.as_promised().probe(&step.resolved)?;
        known().insert(path.clone(), particulars.clone());
        Ok(particulars)
    }
}

fn failed(error: BuildError, variations: &Variations) -> Result<Again, GraphError> {
    match error {
        BuildError::Interrupted => Err(GraphError::Interrupted),
        error => Ok(Again {
            acted: Variations::none(),
            idle: variations.clone(),
            ending: Ending::Fails(error),
            usage: None,
            wall: Duration::ZERO,
        }),
    }
}

fn split(variations: &Variations, acted: impl Fn(Variation) -> bool) -> (Variations, Variations) {
    (
        variations.iter().filter(|one| acted(*one)).collect(),
        variations.iter().filter(|one| !acted(*one)).collect(),
    )
}

fn is_builtin(step: &Step) -> bool {
    step.resolved.derivation.system == b"builtin"
}

/// A built-in builder is told of its threads and of nothing else.
fn reaches_builtins(variation: Variation) -> bool {
    variation == Variation::Cores
}

/// Names the fact that a step came out the same under these variations. The
/// store keeps it as it keeps what a build made.
fn verified_key(step: &Step, variations: &Variations) -> ActionKey {
    let mut hash = Sha256::new();
    hash.update(b"osbuild-verified-1\0");
    hash.update(step.resolved.key.to_hex());
    hash.update(b"\0");
    hash.update(variations.to_string());
    ActionKey::from_digest(hash.finalize().into())
}
