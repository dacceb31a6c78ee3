//! Runs one resolved derivation, in the sandbox or in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osbuild_store::action::{ActionKey, OutputName};
use osbuild_store::{LocalStore, StorePath};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::builtin::{self, BuiltinContext, BuiltinError};
use super::environment::environment;
use super::log::LogWriter;
use super::outputs::{Finished, writable_path};
use super::sandbox::{BUILDER_IDS, Child, SandboxSpec, has_builder_ids};
use super::{BuildError, builtin::fetchurl};
use crate::derivation::{Derivation, placeholder};
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
        let name = self.path.name();
        name.strip_suffix(".drv").unwrap_or(name)
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
}

/// What one build tells while it runs.
pub struct Report<'a> {
    pub line: &'a (dyn Fn(&str) + Sync),
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
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
    pub fn build(
        &self,
        resolved: &Resolved,
        report: &Report<'_>,
    ) -> Result<BTreeMap<OutputName, StorePath>, BuildError> {
        if resolved.is_fetch() {
            return fetchurl::fetch(self, resolved, report);
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

    fn build_in(
        &self,
        scratch: &Path,
        resolved: &Resolved,
        report: &Report<'_>,
    ) -> Result<BTreeMap<OutputName, StorePath>, BuildError> {
        let closure = self.store.closure_paths(&resolved.derivation.input_sources)?;
        let mut written = BTreeMap::new();
        for output in resolved.derivation.outputs.keys() {
            written.insert(output.clone(), writable_path(resolved, output)?);
        }
        let logical: BTreeMap<OutputName, String> =
            written.iter().map(|(name, path)| (name.clone(), self.store.store_dir().display(path))).collect();
        let derivation = with_own_outputs(&resolved.derivation, &logical);
        let store_dir = scratch.join("store");
        let files: BTreeMap<OutputName, PathBuf> =
            written.iter().map(|(name, path)| (name.clone(), store_dir.join(path.as_str()))).collect();
        let mut log = LogWriter::create(self.store.home(), &resolved.path, report.line)?;
        if derivation.system == b"builtin" {
            self.run_builtin(resolved, &derivation, scratch, &files, log, report)?;
        } else {
            check_system(&derivation)?;
            let status = self.run_sandboxed(&derivation, &logical, &closure, scratch, &mut log, report)?;
            if let Some(how) = status {
                let path = log.path().to_owned();
                return Err(BuildError::Failed { how, tail: log.into_tail(), log: path, kept: None });
            }
        }
        Finished { resolved, files, written, closure: &closure }.register(self.store)
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

    /// Runs the builder; `Some` says how it failed.
    fn run_sandboxed(
        &self,
        derivation: &Derivation,
        outputs: &BTreeMap<OutputName, String>,
        closure: &BTreeSet<StorePath>,
        scratch: &Path,
        log: &mut LogWriter<'_>,
        report: &Report<'_>,
    ) -> Result<Option<String>, BuildError> {
        let environment = environment(derivation, outputs, self.store.store_dir(), self.options.cores)?;
        let root = match sandbox_root(derivation)? {
            Some(text) => {
                let (path, rest) = self
                    .store
                    .store_dir()
                    .split(&text)
                    .map_err(|e| BuildError::Derivation(format!("sandboxRoot: {e}")))?;
                if !closure.contains(&path) {
                    return Err(BuildError::Derivation(format!("sandboxRoot '{text}' is no input")));
                }
                Some(PathBuf::from(format!("{}{rest}", self.store.physical(&path).display())))
            }
            None => None,
        };
        let inputs: Vec<String> = closure.iter().map(|path| path.as_str().to_owned()).collect();
        let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (read, write) = pipe.map_err(osbuild_store::StoreError::os("make a pipe for", log.path()))?;
        let (_uid_lock, builder_uid) = self.builder_uid()?;
        let objects = self.store.objects_dir();
        let spec = SandboxSpec {
            package_root: root.as_deref(),
            objects: &objects,
            store_dir: self.store.store_dir().as_str(),
            inputs: &inputs,
            scratch,
            program: &derivation.builder,
            arguments: &derivation.arguments,
            environment: &environment.variables,
            files: &environment.files,
            builder_uid,
            output: &write,
        };
        let mut child = spec.start().map_err(|error| explain_start(error, root.is_some()))?;
        drop(write);
        self.follow(&child, &read, log, report)?;
        let status = child.wait()?;
        Ok(match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("failed with exit code {code}")),
            (_, Some(signal)) => Some(format!("was killed by signal {signal}")),
            _ => Some("ended in an unknown way".to_owned()),
        })
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

    /// A host uid that nobody has and no other build of ours uses now.
    fn builder_uid(&self) -> Result<(Option<osbuild_store::local::PathLock>, u32), BuildError> {
        if !has_builder_ids() {
            return Ok((None, 0));
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let taken = |uid: u32| users.lines().any(|l| l.split(':').nth(2) == Some(uid.to_string().as_str()));
        for uid in BUILDER_IDS {
            if taken(uid) {
                continue;
            }
            if let Some(lock) = self.store.try_lock(&format!("builder-{uid}"))? {
                return Ok((Some(lock), uid));
            }
        }
        Err(BuildError::Derivation(format!("all {} build users are in use", BUILDER_IDS.len())))
    }
}

/// Replaces the derivation's own placeholders in every string.
fn with_own_outputs(derivation: &Derivation, outputs: &BTreeMap<OutputName, String>) -> Derivation {
    let map: BTreeMap<String, String> =
        outputs.iter().map(|(name, path)| (placeholder::own_output(name.as_str()), path.clone())).collect();
    crate::graph::resolve::replace_strings(derivation, &map)
}

/// `sandboxRoot`, plain or among structured attributes.
fn sandbox_root(derivation: &Derivation) -> Result<Option<String>, BuildError> {
    if let Some(json) = derivation.environment.get(b"__json".as_slice()) {
        let json: serde_json::Value = serde_json::from_slice(json)
            .map_err(|e| BuildError::Derivation(format!("structured attributes are no JSON: {e}")))?;
        return Ok(json.get("sandboxRoot").and_then(|v| v.as_str()).map(str::to_owned));
    }
    Ok(derivation.environment_text("sandboxRoot").filter(|text| !text.is_empty()).map(str::to_owned))
}

fn check_system(derivation: &Derivation) -> Result<(), BuildError> {
    let own = format!("{}-linux", std::env::consts::ARCH);
    let system = String::from_utf8_lossy(&derivation.system);
    if system == own {
        return Ok(());
    }
    Err(BuildError::Unsupported {
        what: format!("a build for system '{system}' cannot run here, on {own}"),
        hint: "build it on a machine of that system".to_owned(),
    })
}

fn explain_start(error: super::sandbox::SandboxError, has_root: bool) -> BuildError {
    use super::sandbox::SandboxError;
    match error {
        SandboxError::Execute { program, source }
            if !has_root && source.kind() == std::io::ErrorKind::NotFound =>
        {
            BuildError::Unsupported {
                what: format!("there is no {program} in the sandbox: the derivation has no sandboxRoot"),
                hint: "without sandboxRoot a sandbox holds its inputs and nothing else, not even a shell"
                    .to_owned(),
            }
        }
        other => other.into(),
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
