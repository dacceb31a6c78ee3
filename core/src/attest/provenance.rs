//! SLSA provenance: from what an image was made, and how.
//!
//! There is no time in it and no name of a machine or a run, so that whoever
//! builds the same recipes writes the same bytes.
//!
//! Sources: SLSA 1.0, Provenance, predicate `https://slsa.dev/provenance/v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statement::{Predicate, Resource, Statement};

/// What the parameters mean: a derivation is realised, with everything below it,
/// each step in a sandbox without network, and files from outside by their hash
/// alone.
pub const BUILD_TYPE: &str = "urn:osbuild:derivation:v1";
/// Who builds unless somebody says: whoever holds the key.
pub const BUILDER: &str = "urn:osbuild:builder:local";

/// The predicate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    pub build_definition: BuildDefinition,
    pub run_details: RunDetails,
}

impl Predicate for Provenance {
    const TYPE: &'static str = "https://slsa.dev/provenance/v1";
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    pub build_type: String,
    pub external_parameters: Parameters,
    /// Every file from outside, by hash.
    #[serde(default)]
    pub resolved_dependencies: Vec<Resource>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// As somebody typed it.
    pub target: String,
    /// The store path of the derivation that this means, which has everything
    /// else in its hash.
    pub derivation: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    pub builder: Builder,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Builder {
    /// A URI for everything that has to be trusted for the statement to be true.
    pub id: String,
    #[serde(default)]
    pub version: BTreeMap<String, String>,
}

/// The statement that `subjects` came out of this derivation.
pub fn statement(
    subjects: Vec<Resource>,
    parameters: Parameters,
    mut dependencies: Vec<Resource>,
    builder: &str,
) -> Statement<Provenance> {
    dependencies.sort_by(|a, b| (&a.name, &a.uri).cmp(&(&b.name, &b.uri)));
    let version = BTreeMap::from([("osbuild".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    let provenance = Provenance {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: parameters,
            resolved_dependencies: dependencies,
        },
        run_details: RunDetails { builder: Builder { id: builder.to_owned(), version } },
    };
    Statement::new(subjects, provenance)
}
