//! Whether a release was booted and updated to before it is given out.
//!
//! A record is an in-toto statement (v1) with the predicate
//! `https://in-toto.dev/attestation/test-result/v0.1`: its subject has the
//! digest of the root under `osbuildRootHash`, and it passed the tests named
//! [`BOOT`] and [`UPDATE`].

use std::path::Path;

use serde::Deserialize;

use super::error::{RepoError, io_error};
use super::publish::Evidence;
use super::release::Slot;
use super::tree::Repository;

/// The release was started and committed.
pub const BOOT: &str = "boot";
/// A node went to the release by the updater and committed it.
pub const UPDATE: &str = "update";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://in-toto.dev/attestation/test-result/v0.1";

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predicate {
    result: String,
    #[serde(default)]
    passed_tests: Vec<String>,
}

pub(super) fn look(repository: &Repository, slot: &Slot, evidence: &Evidence) -> Result<(), RepoError> {
    let records = match evidence {
        Evidence::None { .. } => return Ok(()),
        Evidence::Records(_) if !repository.policy.publish.tested => return Ok(()),
        Evidence::Records(records) => records,
    };
    let mut passed = Vec::new();
    for path in records {
        passed.extend(passed_tests(path, &slot.release.root.root_hash)?);
    }
    let missing: Vec<&str> =
        [BOOT, UPDATE].into_iter().filter(|test| !passed.iter().any(|passed| passed == test)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(RepoError::Rule(format!(
        "no record says that {} {} passed: {}; give one (--tested FILE), or --untested WHY",
        slot.release.variant,
        slot.release.version,
        missing.join(" and ")
    )))
}

/// What a record says was passed by this root.
fn passed_tests(path: &Path, root_hash: &str) -> Result<Vec<String>, RepoError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let bad = |what: String| RepoError::Release { path: path.to_owned(), what };
    let statement: Statement =
        serde_json::from_slice(&bytes).map_err(|error| bad(format!("not an in-toto statement: {error}")))?;
    if statement.kind != STATEMENT || statement.predicate_type != PREDICATE {
        return Err(bad(format!("not a test result ({PREDICATE})")));
    }
    let is_about_it = statement
        .subject
        .iter()
        .any(|subject| subject.digest.get("osbuildRootHash").is_some_and(|hash| hash == root_hash));
    if !is_about_it || statement.predicate.result != "PASSED" {
        return Ok(Vec::new());
    }
    Ok(statement.predicate.passed_tests)
}
