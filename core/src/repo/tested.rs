//! Whether a release was booted and updated to before it is given out.
//!
//! A record is an in-toto statement (v1) with the predicate
//! `https://in-toto.io/attestation/test-result/v0.1`: its subject has the digest
//! of the root under `osbuildRootHash`, and it passed the tests named [`BOOT`]
//! and [`UPDATE`]. `osbuild test` writes them; whoever tests otherwise may write
//! their own.
//!
//! Nobody's signature is on a record: who publishes vouches for it. What was
//! shown when a release was published becomes a target beside it. The release's
//! manifest cannot name it (`attestations`): what is tested is that manifest.
//!
//! Sources: in-toto Attestation Framework, Statement v1, ResourceDescriptor v1,
//! Test Result v0.1.

use std::path::{Path, PathBuf};

use osbuild_format::hex;
use osbuild_update::names;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::{RepoError, io_error};
use super::publish::Evidence;
use super::release::Slot;
use crate::attest::statement::{self, Predicate, ROOT_HASH, Resource};
use crate::image::files::sha256_sparse;

/// The release was started and committed.
pub const BOOT: &str = "boot";
/// A node went to the release by the updater and committed it.
pub const UPDATE: &str = "update";
/// Between the name of a release and the digest of a record of it.
const TARGET: &str = ".test-result.";

type Statement = statement::Statement<TestResult>;

/// A file by its bytes.
///
/// # Errors
/// [`RepoError::Io`]
pub fn of_file(name: &str, path: &Path) -> Result<Resource, RepoError> {
    let file = std::fs::File::open(path).map_err(io_error("open", path))?;
    let sha256 = sha256_sparse(&file, || true).map_err(io_error("read", path))?;
    Ok(Resource::of_bytes(name, &hex::encode(&sha256)))
}

/// A release as a whole.
pub fn of_release(name: &str, slot: &Slot) -> Resource {
    let mut resource = Resource::of_bytes(name, &slot.manifest_sha256);
    resource.digest.insert(ROOT_HASH.to_owned(), slot.release.root.root_hash.clone());
    for (field, value) in [("variant", &slot.release.variant), ("version", &slot.release.version)] {
        resource.annotations.insert(field.to_owned(), Value::from(value.as_str()));
    }
    resource
}

/// The predicate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct TestResult {
    result: Outcome,
    /// Required by the predicate; what was tested is judged by the subject alone.
    configuration: Vec<Resource>,
    #[serde(default)]
    passed_tests: Vec<String>,
    #[serde(default)]
    warned_tests: Vec<String>,
    #[serde(default)]
    failed_tests: Vec<String>,
}

impl Predicate for TestResult {
    const TYPE: &'static str = "https://in-toto.io/attestation/test-result/v0.1";
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Outcome {
    Passed,
    Warned,
    Failed,
}

/// What tests of a release came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tests {
    pub passed: Vec<&'static str>,
    pub failed: Vec<&'static str>,
}

/// The record of tests. It has no time and no name of a machine: the same tests
/// of the same release give the same bytes.
pub fn record(slot: &Slot, configuration: Vec<Resource>, tests: &Tests) -> Vec<u8> {
    let names = |tests: &[&str]| tests.iter().map(|test| (*test).to_owned()).collect();
    let result = TestResult {
        result: if tests.failed.is_empty() { Outcome::Passed } else { Outcome::Failed },
        configuration,
        passed_tests: names(&tests.passed),
        warned_tests: Vec::new(),
        failed_tests: names(&tests.failed),
    };
    Statement::new(slot.resources(), result).to_bytes()
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    bytes: Vec<u8>,
    statement: Statement,
}

/// Reads what is shown for the releases of one request.
///
/// # Errors
/// [`RepoError::Release`]: a file is no record.
pub(super) fn read(evidence: &Evidence) -> Result<Vec<Record>, RepoError> {
    let Evidence::Records(paths) = evidence else { return Ok(Vec::new()) };
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path).map_err(io_error("read", path))?;
        let statement = parse(&bytes).map_err(|what| RepoError::Release { path: path.clone(), what })?;
        Ok(Record { path: path.clone(), bytes, statement })
    };
    paths.iter().map(read).collect()
}

fn parse(bytes: &[u8]) -> Result<Statement, String> {
    let statement = Statement::parse(bytes)?;
    let TestResult { result, failed_tests, .. } = &statement.predicate;
    if *result == Outcome::Passed && !failed_tests.is_empty() {
        return Err(format!("it says that it passed and that it failed: {}", failed_tests.join(", ")));
    }
    Ok(statement)
}

fn is_about(statement: &Statement, root_hash: &str) -> bool {
    statement.subject.iter().any(|subject| subject.has(ROOT_HASH, root_hash))
}

/// What is shown for a release, by the names of the targets that it becomes.
///
/// # Errors
/// [`RepoError::Rule`]: a test that `is_asked` for is missing, or one failed.
pub(super) fn look(
    records: &[Record],
    slot: &Slot,
    is_asked: bool,
) -> Result<Vec<(String, Vec<u8>)>, RepoError> {
    let release = &slot.release;
    let name = || format!("{} {}", release.variant, release.version);
    let prefix = names::release(&release.variant, &release.arch, &release.version);
    let mut passed: Vec<&str> = Vec::new();
    let mut targets = Vec::new();
    for record in records.iter().filter(|record| is_about(&record.statement, &release.root.root_hash)) {
        let TestResult { result, passed_tests, failed_tests, .. } = &record.statement.predicate;
        if *result != Outcome::Passed {
            let what = if failed_tests.is_empty() { "all".to_owned() } else { failed_tests.join(", ") };
            return Err(RepoError::Rule(format!(
                "{} says that {} did not pass: {what}",
                record.path.display(),
                name()
            )));
        }
        passed.extend(passed_tests.iter().map(String::as_str));
        let digest = hex::encode(&Sha256::digest(&record.bytes));
        targets.push((format!("{prefix}{TARGET}{}.json", &digest[..DIGEST_DIGITS]), record.bytes.clone()));
    }
    let missing: Vec<&str> = [BOOT, UPDATE].into_iter().filter(|test| !passed.contains(test)).collect();
    if missing.is_empty() || !is_asked {
        return Ok(targets);
    }
    Err(RepoError::Rule(format!(
        "no record says that {} passed: {}; `osbuild test` makes one (--tested FILE), --untested WHY goes without",
        name(),
        missing.join(" and ")
    )))
}

/// Enough to tell the records of a release apart.
const DIGEST_DIGITS: usize = 16;

/// Each record is of one of these roots: another image's was meant for another
/// command.
///
/// # Errors
/// [`RepoError::Rule`]
pub(super) fn none_is_left(records: &[Record], root_hashes: &[String]) -> Result<(), RepoError> {
    let is_left = |record: &&Record| !root_hashes.iter().any(|hash| is_about(&record.statement, hash));
    match records.iter().find(is_left) {
        Some(record) => Err(RepoError::Rule(format!(
            "{} is of another image: none of those that are to be published has its root",
            record.path.display()
        ))),
        None => Ok(()),
    }
}

/// What is wrong with the records among the targets of a release, whose files
/// are at hand.
pub(super) fn problems<'f>(
    files: impl Iterator<Item = (&'f String, &'f PathBuf)>,
    prefix: &str,
    root_hash: &str,
) -> Vec<String> {
    let begins = format!("{prefix}{TARGET}");
    let problem = |name: &str, path: &Path| {
        let bytes = std::fs::read(path).map_err(|error| error.to_string());
        match bytes.and_then(|bytes| parse(&bytes)) {
            Err(what) => Some(format!("{name}: {what}")),
            Ok(statement) if !is_about(&statement, root_hash) => Some(format!("{name}: of another image")),
            Ok(_) => None,
        }
    };
    files
        .filter(|(name, _)| name.starts_with(&begins))
        .filter_map(|(name, path)| problem(name, path))
        .collect()
}
