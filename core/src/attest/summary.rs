//! SLSA verification summaries: somebody made an image again, and it was the same,
//! or was not.
//!
//! Sources: SLSA 1.0, Verification Summary Attestation, predicate
//! `https://slsa.dev/verification_summary/v1`.

use osbuild_tuf::time::Time;
use serde::{Deserialize, Serialize};

use super::statement::{Predicate, Resource, Statement};

/// What is verified: every file of the image is the one that building it again
/// gives, bit for bit.
pub const POLICY: &str = "urn:osbuild:policy:rebuilt-bit-for-bit:v1";
/// The level of an image that came out the same. Levels of SLSA itself are about
/// how provenance came to be, which this does not judge.
pub const REBUILT: &str = "OSBUILD_REBUILT";
/// The level of any other, as SLSA calls it.
const FAILED: &str = "FAILED";
const SLSA: &str = "1.0";

/// The predicate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub verifier: Verifier,
    /// RFC 3339, UTC.
    pub time_verified: String,
    /// Which release, as a package URL.
    pub resource_uri: String,
    pub policy: Resource,
    #[serde(default)]
    pub input_attestations: Vec<Resource>,
    pub verification_result: Outcome,
    pub verified_levels: Vec<String>,
    #[serde(default)]
    pub slsa_version: String,
}

impl Predicate for Summary {
    const TYPE: &'static str = "https://slsa.dev/verification_summary/v1";
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Verifier {
    /// A URI.
    pub id: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    Passed,
    Failed,
}

impl Summary {
    /// Whether it says that the image came out the same: everything in it has to.
    pub fn is_rebuilt(&self) -> bool {
        self.verification_result == Outcome::Passed
            && self.policy.uri == POLICY
            && self.verified_levels.iter().any(|level| level == REBUILT)
            && !self.verified_levels.iter().any(|level| level == FAILED)
    }
}

/// The statement of `verifier` on files that should have come out; `inputs` are
/// what else it looked at, each by URI and digest and nothing else.
pub fn statement(
    subjects: Vec<Resource>,
    resource_uri: &str,
    verifier: &str,
    is_same: bool,
    inputs: Vec<Resource>,
    now: Time,
) -> Statement<Summary> {
    let (outcome, level) = if is_same { (Outcome::Passed, REBUILT) } else { (Outcome::Failed, FAILED) };
    let summary = Summary {
        verifier: Verifier { id: verifier.to_owned() },
        time_verified: now.to_string(),
        resource_uri: resource_uri.to_owned(),
        policy: Resource { uri: POLICY.to_owned(), ..Resource::default() },
        input_attestations: inputs,
        verification_result: outcome,
        verified_levels: vec![level.to_owned()],
        slsa_version: SLSA.to_owned(),
    };
    Statement::new(subjects, summary)
}
