//! `builtin:fetchurl` version 1: a file by its hash, from wherever it is.
//!
//! Parameters: `urls` (each may be `mirror://NAME/path`, tried in order) and
//! `pin` (null, or `{lock, suite, package, version}`: the lock entry to name
//! when mirrors no longer serve the file). One fixed output, hashed flat.
//!
//! Without structured attributes the parameter is the variable `url`, as
//! `<nix/fetchurl.nix>` sets it.

use std::collections::BTreeMap;

use osbuild_store::StorePath;
use osbuild_store::action::OutputName;
use serde::Deserialize;

use super::BuiltinError;
use crate::build::BuildError;
use crate::build::run::{Builder, FetchProgress, Report, Resolved};
use crate::derivation::Derivation;
use crate::fetch::FetchError;
use crate::fetch::lock::listed::listed;

pub const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    urls: Vec<String>,
    #[serde(default)]
    pin: Option<Pin>,
}

/// A lock entry, for messages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub lock: String,
    /// Whose index tells what is served instead.
    #[serde(default)]
    pub suite: Option<String>,
    pub package: String,
    pub version: String,
}

/// Fetches and registers a fixed output.
pub(in crate::build) fn fetch(
    builder: &Builder<'_>,
    resolved: &Resolved,
    report: &Report<'_>,
) -> Result<BTreeMap<OutputName, StorePath>, BuildError> {
    let parameters = match of_variables(&resolved.derivation) {
        Some(parameters) => parameters,
        None => of_attributes(&resolved.derivation)?,
    };
    let Some((path, false, hash)) = resolved.derivation.fixed_output() else {
        return Err(BuildError::Derivation(
            "fetchurl needs outputHash, and outputHashMode = \"flat\"; what is to be executable \
             or unpacked takes a build of its own"
                .to_owned(),
        ));
    };
    let scratch = builder.store.scratch("fetch")?;
    let file = scratch.path().join("file");
    let progress = FetchProgress(report);
    builder.fetcher.fetch(resolved.name(), &parameters.urls, hash, &file, &progress).map_err(|source| {
        match source {
            FetchError::Interrupted => BuildError::Interrupted,
            source => failed(builder, &parameters, source),
        }
    })?;
    let ingested = builder.store.ingest(&file, [])?;
    builder.store.add_fixed(&file, path, false, hash, ingested, Some(resolved.path.clone()))?;
    Ok(resolved.derivation.outputs.keys().map(|output| (output.clone(), path.clone())).collect())
}

/// Where a fixed output comes from; none of one that is made otherwise.
pub(crate) fn urls(derivation: &Derivation) -> Vec<String> {
    if derivation.builder != b"builtin:fetchurl" {
        return Vec::new();
    }
    let parameters = of_variables(derivation).map_or_else(|| of_attributes(derivation), Ok);
    parameters.map(|parameters| parameters.urls).unwrap_or_default()
}

fn of_attributes(derivation: &Derivation) -> Result<Parameters, BuildError> {
    super::check_version(derivation)?;
    let parameters = super::parameters(derivation)?;
    serde_json::from_value(parameters).map_err(|source| BuildError::Builtin {
        name: "fetchurl".to_owned(),
        source: BuiltinError::Parameters { builder: "fetchurl", source },
    })
}

/// Those of Nix.
fn of_variables(derivation: &Derivation) -> Option<Parameters> {
    if derivation.environment.contains_key(b"__json".as_slice()) {
        return None;
    }
    let url = derivation.environment.get(b"url".as_slice())?;
    Some(Parameters { urls: vec![String::from_utf8_lossy(url).into_owned()], pin: None })
}

/// Where a pin is gone, the suite's index says what took its place. If it
/// cannot be read, nothing is said: one failure is enough.
fn failed(builder: &Builder<'_>, parameters: &Parameters, source: FetchError) -> BuildError {
    let listed = match (&source, &parameters.pin) {
        (FetchError::Gone { .. }, Some(pin)) => pin.suite.as_ref().and_then(|suite| {
            let mirrored = parameters.urls.iter().find_map(|url| url.strip_prefix("mirror://"));
            let (mirror, path) = mirrored?.split_once('/')?;
            listed(builder.fetcher, mirror, suite, &pin.package, path).ok()
        }),
        _ => None,
    };
    BuildError::Download { pin: parameters.pin.clone().map(Box::new), listed, source: Box::new(source) }
}
