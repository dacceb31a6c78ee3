//! One resolved derivation, built on a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use osbuild_builder::{Order, Report, SCHEMA, Trouble};
use osbuild_store::action::OutputName;
use osbuild_store::content_address::ContentAddress;
use osbuild_store::local::{Ingest, Ingested};
use osbuild_store::nar::unpack;
use osbuild_store::narinfo::{Compression, NarInfo};
use osbuild_store::{HashAlgorithm, LocalStore, NixHash, StoreError, StorePath};

use super::action::{Action, Surroundings, output_path, report_path};
use super::connection::Remote;
use super::digest::{Digest, Function};
use super::execute::{Executed, Execution};
use super::inputs::Inputs;
use super::{Cancelled, RemoteError};
use crate::build::log::LogWriter;
use crate::build::outputs::{Rules, content_hash};
use crate::build::prepare::{Prepared, explain_start};
use crate::build::run::Report as Watcher;
use crate::build::sandbox::SandboxError;
use crate::build::{BuildError, BuildOptions, Resolved};
use crate::derivation::Derivation;

/// What a report and an error message have at most.
const SMALL_BYTES: u64 = 4 << 20;

/// Builds on a cluster; shared by all threads.
pub struct RemoteBuilder<'a> {
    pub store: &'a LocalStore,
    pub remote: &'a Remote,
    pub options: &'a BuildOptions,
}

/// What came of a build on a cluster.
#[derive(Clone, Debug)]
pub struct RemotelyBuilt {
    /// None of them is here.
    pub outputs: BTreeMap<OutputName, StorePath>,
    /// How long it ran there; `None` if its result was known.
    pub ran: Option<Duration>,
}

/// Whether a cluster may run a step. What runs inside this program does not
/// leave it, and a recipe may ask to stay.
pub fn may_run(derivation: &Derivation) -> bool {
    let stays = derivation.environment_text("preferLocalBuild").is_some_and(|text| text == "1");
    derivation.system != b"builtin" && !derivation.builder.starts_with(b"builtin:") && !stays
}

impl RemoteBuilder<'_> {
    /// Builds and notes what the cluster has then. The caller holds the
    /// build's lock. `is_fresh` wants it run even if the result is known.
    ///
    /// # Errors
    /// See [`BuildError`]. Nothing is noted then.
    pub fn build(
        &self,
        resolved: &Resolved,
        is_fresh: bool,
        watcher: &Watcher<'_>,
    ) -> Result<RemotelyBuilt, BuildError> {
        let inputs = self.remote.closure(self.store, &resolved.derivation.input_sources)?;
        let prepared = Prepared::new(self.store.store_dir(), resolved, inputs.keys().cloned().collect())?;
        let order = prepared.order(self.store.store_dir())?;
        let digests = self.remote.digests(self.store, &inputs)?;
        let action = Action::new(
            &order,
            &Surroundings {
                function: self.remote.function,
                builder: &self.remote.builder()?.0,
                inputs: &digests,
                properties: &self.remote.properties,
                timeout: self.options.timeout,
            },
        );
        let mut log = LogWriter::create(self.store.home(), &resolved.path, watcher.line)?;
        let job = Job {
            builder: self,
            order: &order,
            action: &action,
            inputs: &inputs,
            digests: &digests,
            watcher,
        };
        let (finished, ran) = job.run(is_fresh, &mut log)?;
        let outputs = self.note(resolved, &prepared, &inputs, &finished, watcher.cancelled)?;
        Ok(RemotelyBuilt { outputs, ran })
    }

    /// Judges what came of it as if it had been made here, and notes where it
    /// is.
    fn note(
        &self,
        resolved: &Resolved,
        prepared: &Prepared,
        inputs: &Inputs,
        finished: &Finished,
        cancelled: &Cancelled<'_>,
    ) -> Result<BTreeMap<OutputName, StorePath>, BuildError> {
        let store_dir = self.store.store_dir();
        let Prepared { closure, written, .. } = prepared;
        let rules = Rules { resolved, store_dir, written, closure };
        let mut ready = BTreeMap::new();
        for output in written.keys() {
            let (digest, ingested) = &finished.outputs[output];
            let known = &ingested.nar_hash;
            let ingest = rules.judge(output, ingested.clone(), &|recursive, algorithm| {
                if recursive && algorithm == HashAlgorithm::Sha256 {
                    return Ok(known.clone());
                }
                self.hash_contents(output, digest, known, recursive, algorithm, cancelled)
            })?;
            ready.insert(output.clone(), ingest);
        }
        rules.check_references(&ready, &|roots| Ok(closure_among(inputs, roots)))?;
        for (output, ingest) in &ready {
            let (digest, _) = &finished.outputs[output];
            self.remote.records.put(&record(ingest, digest), store_dir)?;
        }
        Ok(ready.into_iter().map(|(output, ingest)| (output, ingest.path)).collect())
    }

    /// A hash that only the contents tell.
    fn hash_contents(
        &self,
        output: &OutputName,
        digest: &Digest,
        nar_hash: &NixHash,
        recursive: bool,
        algorithm: HashAlgorithm,
        cancelled: &Cancelled<'_>,
    ) -> Result<NixHash, BuildError> {
        let scratch = self.store.scratch("remote")?;
        let file = scratch.path().join("output");
        let mut unpacked = Ok(());
        let found = self.remote.read_blob(digest, cancelled, &mut |mut stream| {
            unpacked = unpack(&mut stream, &file);
            // The rest tells whether these were the right bytes.
            io::copy(stream, &mut io::sink()).map(|_| ())
        })?;
        if !found {
            return Err(self.remote.wrong(format!("output '{output}' is not in its storage")).into());
        }
        unpacked.map_err(StoreError::from)?;
        let hash = content_hash(&file, nar_hash, recursive, algorithm, output);
        osbuild_store::local::remove_tree(&scratch.keep())?;
        hash
    }
}

fn closure_among(inputs: &Inputs, roots: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
    let mut closure = BTreeSet::new();
    let mut queue: Vec<&StorePath> = roots.iter().collect();
    while let Some(path) = queue.pop() {
        if closure.insert(path.clone()) {
            queue.extend(inputs.get(path).iter().flat_map(|input| &input.references));
        }
    }
    closure
}

fn record(ingest: &Ingest, digest: &Digest) -> NarInfo {
    NarInfo {
        path: ingest.path.clone(),
        url: digest.to_text(),
        compression: Compression::None,
        file_hash: None,
        file_size_bytes: Some(digest.size_bytes),
        nar_hash: ingest.ingested.nar_hash.clone(),
        nar_size_bytes: ingest.ingested.nar_size_bytes,
        references: ingest.ingested.references.clone(),
        deriver: ingest.deriver.clone(),
        signatures: Vec::new(),
        content_address: ingest.content_address.as_deref().and_then(|text| ContentAddress::parse(text).ok()),
    }
}

/// One action, from asking whether it is known to its outputs.
struct Job<'a> {
    builder: &'a RemoteBuilder<'a>,
    order: &'a Order,
    action: &'a Action,
    inputs: &'a Inputs,
    digests: &'a BTreeMap<String, Digest>,
    watcher: &'a Watcher<'a>,
}

/// Outputs as the cluster has them.
struct Finished {
    outputs: BTreeMap<OutputName, (Digest, Ingested)>,
}

impl Job<'_> {
    fn remote(&self) -> &Remote {
        self.builder.remote
    }

    fn run(
        &self,
        is_fresh: bool,
        log: &mut LogWriter<'_>,
    ) -> Result<(Finished, Option<Duration>), BuildError> {
        if !is_fresh
            && let Some(result) = self.remote().known_result(&self.action.digest, self.watcher.cancelled)?
            && let Some(finished) = self.still_there(&result)?
        {
            self.copy_log(&result, log)?;
            return Ok((finished, None));
        }
        let Executed { mut result, is_cached } = self.execute(is_fresh, log)?;
        if is_cached {
            if let Some(finished) = self.still_there(&result)? {
                self.copy_log(&result, log)?;
                return Ok((finished, None));
            }
            // It was made at another time and is of no use any more.
            result = self.execute(true, log)?.result;
        }
        self.copy_log(&result, log)?;
        if result.exit_code != 0 {
            return Err(self.trouble(&result, log));
        }
        let finished = self
            .finished(&result)?
            .ok_or_else(|| self.remote().wrong("an action went well without a report"))?;
        Ok((finished, Some(duration(&result))))
    }

    /// Sends what is missing and runs it.
    fn execute(&self, skip_cache_lookup: bool, log: &mut LogWriter<'_>) -> Result<Executed, BuildError> {
        let cancelled = self.watcher.cancelled;
        let mut sent_again = false;
        loop {
            (self.watcher.line)("@phase send");
            self.remote().send_inputs(
                self.builder.store,
                self.inputs,
                self.digests,
                self.watcher.progress,
                cancelled,
            )?;
            self.remote().send_all(&self.action.messages, cancelled)?;
            (self.watcher.line)("@phase remote");
            let execution = self.remote().execute(&self.action.digest, skip_cache_lookup, cancelled);
            match execution {
                Ok(Execution::Ran(executed)) => return Ok(executed),
                Ok(Execution::TimedOut(result)) => {
                    self.copy_log(&result, log)?;
                    let limit = self.builder.options.timeout.unwrap_or_default();
                    return Err(BuildError::TimedOut {
                        what: "of running",
                        limit,
                        log: log.path().to_owned(),
                    });
                }
                // Storage may drop a blob between the question and the run;
                // some servers tell it as a failure of their own.
                Ok(Execution::MissingBlobs) | Err(RemoteError::Call { code: tonic::Code::Internal, .. })
                    if !sent_again =>
                {
                    sent_again = true;
                }
                Ok(Execution::MissingBlobs) => {
                    return Err(self.remote().wrong("it misses blobs that it was just sent").into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What a result says of the outputs; `None` if the report is gone.
    fn finished(&self, result: &api::ActionResult) -> Result<Option<Finished>, BuildError> {
        let files: BTreeMap<&str, Digest> = result
            .output_files
            .iter()
            .filter_map(|file| Some((file.path.as_str(), Digest::read(file.digest.as_ref()?)?)))
            .collect();
        let Some(report) = files.get(report_path().as_str()) else { return Ok(None) };
        let Some(text) = self.remote().read_small(report, SMALL_BYTES, self.watcher.cancelled)? else {
            return Ok(None);
        };
        let wrong = |reason: String| BuildError::from(self.remote().wrong(reason));
        let report: Report = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("a report that cannot be read: {error}")))?;
        if report.schema != SCHEMA {
            return Err(wrong(format!("a report of schema {}", report.schema)));
        }
        let mut outputs = BTreeMap::new();
        for name in self.order.outputs.keys() {
            let lacks = || wrong(format!("a report without output '{name}'"));
            let (Some(reported), Some(digest)) =
                (report.outputs.get(name), files.get(output_path(name).as_str()))
            else {
                return Err(lacks());
            };
            let nar_hash =
                NixHash::parse(&format!("sha256:{}", reported.nar_hash), None).map_err(|_| lacks())?;
            let is_it = digest.size_bytes == reported.nar_size_bytes
                && (self.remote().function != Function::Sha256 || digest.hash == reported.nar_hash);
            if !is_it {
                return Err(wrong(format!("output '{name}' is not what the report says")));
            }
            let mut references = BTreeSet::new();
            for mention in &reported.mentions {
                let is_known = self.order.inputs.contains(mention)
                    || self.order.outputs.values().any(|output| output == mention);
                let path = StorePath::parse(mention).ok().filter(|_| is_known);
                references.insert(path.ok_or_else(|| {
                    wrong(format!("output '{name}' mentions {mention}, which was no input"))
                })?);
            }
            let output = OutputName::new(name).ok_or_else(lacks)?;
            let ingested = Ingested { nar_hash, nar_size_bytes: reported.nar_size_bytes, references };
            outputs.insert(output, (digest.clone(), ingested));
        }
        Ok(Some(Finished { outputs }))
    }

    /// What a result of another time made, if it went well and all of it is
    /// still there.
    fn still_there(&self, result: &api::ActionResult) -> Result<Option<Finished>, BuildError> {
        if result.exit_code != 0 {
            return Ok(None);
        }
        let Some(finished) = self.finished(result)? else { return Ok(None) };
        let digests: Vec<Digest> = finished.outputs.values().map(|(digest, _)| digest.clone()).collect();
        let missing = self.remote().missing(&digests, self.watcher.cancelled)?;
        Ok(missing.is_empty().then_some(finished))
    }

    fn copy_log(&self, result: &api::ActionResult, log: &mut LogWriter<'_>) -> Result<(), BuildError> {
        if !result.stdout_raw.is_empty() {
            return Ok(log.take(&result.stdout_raw)?);
        }
        let Some(digest) = result.stdout_digest.as_ref().and_then(Digest::read) else { return Ok(()) };
        let mut written = Ok(());
        let found = self.remote().read_blob(&digest, self.watcher.cancelled, &mut |stream| {
            let mut buffer = vec![0; 64 << 10];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    got if written.is_ok() => written = log.take(&buffer[..got]),
                    _ => {}
                }
            }
        })?;
        written?;
        if !found {
            log.take(b"(the cluster no longer has the log)\n")?;
        }
        Ok(())
    }

    /// Why a build failed, by the last line that the builder wrote.
    fn trouble(&self, result: &api::ActionResult, log: &mut LogWriter<'_>) -> BuildError {
        let text = match &result.stderr_raw {
            raw if !raw.is_empty() => raw.clone(),
            _ => {
                let digest = result.stderr_digest.as_ref().and_then(Digest::read);
                let read = digest
                    .map(|digest| self.remote().read_small(&digest, SMALL_BYTES, self.watcher.cancelled));
                read.and_then(Result::ok).flatten().unwrap_or_default()
            }
        };
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().last().unwrap_or_default();
        match serde_json::from_str(last) {
            Ok(Trouble::Failed { how }) => {
                BuildError::Failed { how, tail: log.tail(), log: log.path().to_owned(), kept: None }
            }
            Ok(Trouble::Output { output, reason }) => match OutputName::new(&output) {
                Some(output) => BuildError::Output { output, reason },
                None => self.machine(reason),
            },
            Ok(Trouble::Execute { program, code }) => {
                let source = io::Error::from_raw_os_error(code);
                let error = SandboxError::Execute { program, source };
                explain_start(error, self.order.package_root.is_some())
            }
            Ok(Trouble::Machine { reason }) => self.machine(reason),
            Err(_) => {
                let said = if last.is_empty() { String::new() } else { format!(": {last}") };
                self.machine(format!("the builder ended with exit code {}{said}", result.exit_code))
            }
        }
    }

    fn machine(&self, reason: String) -> BuildError {
        RemoteError::Machine { address: self.remote().address.clone(), reason }.into()
    }
}

/// How long it ran, as far as the cluster says.
fn duration(result: &api::ActionResult) -> Duration {
    let Some(metadata) = &result.execution_metadata else { return Duration::ZERO };
    let time = |stamp: &Option<bazel_remote_apis::google::protobuf::Timestamp>| {
        let stamp = stamp.as_ref()?;
        Some(Duration::new(u64::try_from(stamp.seconds).ok()?, u32::try_from(stamp.nanos).ok()?))
    };
    let (start, end) =
        (time(&metadata.execution_start_timestamp), time(&metadata.execution_completed_timestamp));
    start.zip(end).and_then(|(start, end)| end.checked_sub(start)).unwrap_or_default()
}
