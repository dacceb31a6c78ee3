//! Runs one resolved derivation, in the sandbox or in this process.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osbuild_store::action::{ActionKey, OutputName};
use osbuild_store::local::ProcessUsage;
use osbuild_store::{LocalStore, StorePath};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::builtin::{self, BuiltinContext, BuiltinError};
use super::log::LogWriter;
use super::outputs::{Rules, register};
use super::prepare::{Chamber, Prepared};
use super::sandbox::{self, Attached, Child, Ended, Particulars};
use super::surroundings::Surroundings;
use super::{BuildError, builtin::fetchurl};
use crate::derivation::Derivation;
use crate::fetch::{Fetcher, Progress};

/// A derivation with everything upstream known.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The `.drv` it came from: names logs, nothing else.
    pub path: StorePath,
    /// Without input derivations: their outputs are among the sources, and
    /// stand in strings where placeholders did.
    pub derivation: Derivation,
    pub key: ActionKey,
}

impl Resolved {
    /// The derivation's name.
    pub fn name(&self) -> &str {
        self.path.derivation_name()
    }

    /// Fetching, rather than building, which runs in a pool of its own.
    pub fn is_fetch(&self) -> bool {
        is_fetch(&self.derivation)
    }
}

/// Whether a derivation is a download.
pub fn is_fetch(derivation: &Derivation) -> bool {
    derivation.builder == b"builtin:fetchurl"
}

/// What does not reach outputs.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// `NIX_BUILD_CORES`, and threads of built-in builders.
    pub cores: usize,
    /// Keep a failed build's directory.
    pub keep_failed: bool,
    /// Longest run, longest silence.
    pub timeout: Option<Duration>,
    pub max_silence: Option<Duration>,
    pub surroundings: Surroundings,
}

/// What one build tells while it runs.
pub struct Report<'a> {
    pub line: &'a (dyn Fn(&str) + Sync),
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// What came of a build.
#[derive(Clone, Debug)]
pub struct Built {
    pub outputs: BTreeMap<OutputName, StorePath>,
    /// What it took, where processes of its own did it.
    pub usage: Option<ProcessUsage>,
}

/// Builds; shared by all threads.
pub struct Builder<'a> {
    pub store: &'a LocalStore,
    pub fetcher: &'a Fetcher,
    pub options: &'a BuildOptions,
}

impl Builder<'_> {
    /// Builds, checks and registers. The caller holds the build's lock and
    /// has seen to it that the inputs are there.
    ///
    /// # Errors
    /// See [`BuildError`]. Nothing is registered then.
    pub fn build(&self, resolved: &Resolved, report: &Report<'_>) -> Result<Built, BuildError> {
        if resolved.is_fetch() {
            let outputs = fetchurl::fetch(self, resolved, report)?;
            return Ok(Built { outputs, usage: None });
        }
        let scratch = self.store.scratch(resolved.name().get(..40).unwrap_or(resolved.name()))?;
        let outcome = self.build_in(scratch.path(), resolved, report);
        let failed = matches!(outcome, Err(BuildError::Failed { .. } | BuildError::TimedOut { .. }));
        if failed && self.options.keep_failed {
            let kept = scratch.keep();
            return outcome.map_err(|error| keep(error, kept));
        }
        // Builders leave directories without write bits, and as root files of
        // another user; the plain removal would stumble over the former.
        let path = scratch.keep();
        osbuild_store::local::remove_tree(&path)?;
        outcome
    }

    /// What a probe finds in the sandbox that this step would get; `None` for
    /// what runs in this process.
    ///
    /// # Errors
    /// There can be no such sandbox.
    pub fn probe(&self, resolved: &Resolved) -> Result<Option<Particulars>, BuildError> {
        let prepared = Prepared::here(self.store, resolved)?;
        if prepared.derivation.system == b"builtin" {
            return Ok(None);
        }
        let chamber = Chamber::new(self.store, self.options, &prepared)?;
        let scratch = self.store.scratch("probe")?;
        let particulars = chamber.probe(scratch.path());
        osbuild_store::local::remove_tree(&scratch.keep())?;
        particulars.map(Some)
    }

    fn build_in(
        &self,
        scratch: &Path,
        resolved: &Resolved,
        report: &Report<'_>,
    ) -> Result<Built, BuildError> {
        let prepared = Prepared::here(self.store, resolved)?;
        let store_dir = scratch.join("store");
        let file = |path: &StorePath| store_dir.join(path.as_str());
        let files: BTreeMap<OutputName, PathBuf> =
            prepared.written.iter().map(|(name, path)| (name.clone(), file(path))).collect();
        let mut log = LogWriter::create(self.store.home(), &resolved.path, report.line)?;
        let mut usage = None;
        if prepared.derivation.system == b"builtin" {
            self.run_builtin(resolved, &prepared.derivation, scratch, &files, log, report)?;
        } else {
            let ended = self.run_sandboxed(&prepared, scratch, &mut log, report)?;
            if let Some(how) = failure(&ended) {
                let path = log.path().to_owned();
                return Err(BuildError::Failed { how, tail: log.tail(), log: path, kept: None });
            }
            let sandbox::ProcessUsage { cpu_ms, largest_bytes } = ended.usage;
            usage = Some(ProcessUsage { cpu_ms, largest_bytes });
        }
        let Prepared { closure, written, .. } = &prepared;
        let rules = Rules { resolved, store_dir: self.store.store_dir(), written, closure };
        let outputs = register(self.store, &rules, &files)?;
        Ok(Built { outputs, usage })
    }

    fn run_builtin(
        &self,
        resolved: &Resolved,
        derivation: &Derivation,
        scratch: &Path,
        files: &BTreeMap<OutputName, PathBuf>,
        log: LogWriter<'_>,
        report: &Report<'_>,
    ) -> Result<(), BuildError> {
        let builtin = builtin::find(derivation)?;
        let store_dir = scratch.join("store");
        std::fs::create_dir(&store_dir).map_err(osbuild_store::StoreError::io("make", &store_dir))?;
        let cache = self.store.home().join("cache").join(builtin.name);
        std::fs::create_dir_all(&cache).map_err(osbuild_store::StoreError::io("make", &cache))?;
        let log = std::sync::Mutex::new(log);
        let line = |text: &str| {
            let mut log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // A log that cannot be written must not fail a build that can.
            let _ = log.take(format!("{text}\n").as_bytes());
        };
        let physical = |text: &str| {
            let (path, rest) =
                self.store.store_dir().split(text).map_err(|e| BuiltinError::Refused(e.to_string()))?;
            Ok(PathBuf::from(format!("{}{rest}", self.store.physical(&path).display())))
        };
        let context = BuiltinContext {
            parameters: builtin::parameters(derivation)?,
            name: resolved.name(),
            outputs: files,
            physical: &physical,
            cache: &cache,
            jobs: self.options.cores,
            log: &line,
            progress: report.progress,
            cancelled: report.cancelled,
        };
        (builtin.run)(&context).map_err(|source| match source {
            BuiltinError::Interrupted => BuildError::Interrupted,
            source => BuildError::Builtin { name: builtin.name.to_owned(), source },
        })
    }

    /// Runs the builder to its end.
    fn run_sandboxed(
        &self,
        prepared: &Prepared,
        scratch: &Path,
        log: &mut LogWriter<'_>,
        report: &Report<'_>,
    ) -> Result<Ended, BuildError> {
        let chamber = Chamber::new(self.store, self.options, prepared)?;
        let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (read, write) = pipe.map_err(osbuild_store::StoreError::os("make a pipe for", log.path()))?;
        let Derivation { builder, arguments, .. } = &prepared.derivation;
        let mut child = chamber.start(scratch, builder, arguments, Attached::Output(&write))?;
        drop(write);
        self.follow(&child, &read, log, report)?;
        let ended = child.wait()?;
        if ended.refused_processes > 0 {
            let times = ended.refused_processes;
            log.take(format!("osbuild: the limit of processes was met, {times} times\n").as_bytes())?;
        }
        Ok(ended)
    }

    /// Copies output to the log until the builder and all it started ended.
    fn follow(
        &self,
        child: &Child,
        read: &OwnedFd,
        log: &mut LogWriter<'_>,
        report: &Report<'_>,
    ) -> Result<(), BuildError> {
        let started = Instant::now();
        let mut heard = started;
        let mut file =
            std::fs::File::from(read.try_clone().map_err(osbuild_store::StoreError::io("read", log.path()))?);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if (report.cancelled)() {
                child.kill();
                return Err(BuildError::Interrupted);
            }
            for (limit, since, what) in [
                (self.options.timeout, started, "of running"),
                (self.options.max_silence, heard, "of silence"),
            ] {
                if let Some(limit) = limit
                    && since.elapsed() > limit
                {
                    child.kill();
                    return Err(BuildError::TimedOut { what, limit, log: log.path().to_owned() });
                }
            }
            let mut polled = [PollFd::new(read, PollFlags::IN)];
            let wait = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            match poll(&mut polled, Some(&wait)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(osbuild_store::StoreError::os("wait for", log.path())(e).into()),
            }
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(got) => {
                    heard = Instant::now();
                    log.take(&buffer[..got])?;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(osbuild_store::StoreError::io("read", log.path())(e).into()),
            }
        }
    }
}

/// How a builder failed, if it did.
fn failure(ended: &Ended) -> Option<String> {
    match (ended.status.code(), ended.status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("failed with exit code {code}")),
        (_, Some(signal)) => Some(format!("was killed by signal {signal}")),
        _ => Some("ended in an unknown way".to_owned()),
    }
}

fn keep(error: BuildError, at: PathBuf) -> BuildError {
    match error {
        BuildError::Failed { how, tail, log, .. } => {
            BuildError::Failed { how, tail, log, kept: Some(at.join("build")) }
        }
        other => other,
    }
}

/// A build's report as a download's.
pub(super) struct FetchProgress<'r, 'a>(pub(super) &'r Report<'a>);

impl Progress for FetchProgress<'_, '_> {
    fn update(&self, done: u64, total: u64) {
        (self.0.progress)(done, total);
    }

    fn cancelled(&self) -> bool {
        (self.0.cancelled)()
    }
}
