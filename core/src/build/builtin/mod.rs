//! Builders that are part of this program.
//!
//! A derivation asks for one by `system = "builtin"`, `builder =
//! "builtin:<name>"` and `builtinVersion = "<n>"`. The number rises whenever
//! any input could give other bytes; a program that lacks it refuses. Builders
//! take their parameters as one JSON document (`__structuredAttrs`) and
//! touch nothing but their inputs and outputs: no clock, no environment, no
//! network (but for `fetchurl`, whose bytes are hashed before they count).

pub mod fetchurl;
mod join;
mod link_tree;
mod unpack_debs;
mod write_tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use osbuild_store::action::OutputName;

use super::BuildError;
use crate::derivation::Derivation;

/// What a built-in builder is given.
pub struct BuiltinContext<'a> {
    /// The derivation's `__json`, with upstream placeholders already replaced
    /// by logical store paths. Attributes that Nix puts there itself (`name`,
    /// `system`, `builder`, `outputs`, `outputHash…`, `__contentAddressed`)
    /// have been taken out.
    pub parameters: serde_json::Value,
    /// The derivation's name.
    pub name: &'a str,
    /// Where to write each output: a path that does not exist yet, on the
    /// store's file system. The builder makes a file, link or directory there;
    /// modes and times are made canonical afterwards.
    pub outputs: &'a BTreeMap<OutputName, PathBuf>,
    /// Turns a logical path at or below a store object into a physical one.
    pub physical: &'a dyn Fn(&str) -> Result<PathBuf, BuiltinError>,
    /// A directory of this builder's own for accelerators that may vanish at
    /// any time; entries carry checksums.
    pub cache: &'a Path,
    /// Threads that the builder may use. Never reaches the output's bytes.
    pub jobs: usize,
    /// Lines for the build log.
    pub log: &'a (dyn Fn(&str) + Sync),
    /// Progress of long work: done, total, in bytes.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// True once the user interrupted; long loops look at it.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Why a built-in builder did not finish.
#[derive(Debug, thiserror::Error)]
pub enum BuiltinError {
    /// The parameters are not what the builder takes: a recipe's fault.
    #[error("wrong parameters")]
    Parameters { builder: &'static str, source: serde_json::Error },
    /// The inputs cannot be turned into the output (conflict, denied file,
    /// missing option, …). One line a finding.
    #[error("{0}")]
    Refused(String),
    /// A download's or an input's bytes are not those that were promised.
    #[error("{0}")]
    Mismatch(String),
    /// An operation on a file failed.
    #[error("cannot {action} {path}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// The user interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// One row of the table of built-in builders.
pub struct Builtin {
    /// The part after `builtin:`.
    pub name: &'static str,
    /// The `builtinVersion` that this program implements.
    pub version: u32,
    pub run: fn(&BuiltinContext<'_>) -> Result<(), BuiltinError>,
}

impl BuiltinError {
    /// For `map_err`: attaches the path and what was being done.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// All built-in builders; `recipes/lib/builtins.nix` holds the same numbers,
/// which a test compares.
pub const BUILTINS: &[Builtin] = &[
    Builtin { name: "unpack-debs", version: 1, run: unpack_debs::run },
    Builtin { name: "write-tree", version: 1, run: write_tree::run },
    Builtin { name: "join", version: 1, run: join::run },
    Builtin { name: "squashfs-segment", version: 1, run: crate::image::segment::run },
    Builtin { name: "link-root", version: 1, run: crate::image::link_root::run },
    Builtin { name: "slot", version: 2, run: crate::image::slot::run },
    Builtin { name: "disk", version: 1, run: crate::image::disk::run },
    Builtin { name: "sbom", version: 2, run: crate::image::sbom::run },
    Builtin { name: "image-manifest", version: 1, run: crate::image::outer_manifest::run },
];

/// The version of each built-in builder, `fetchurl` included, which is no row
/// above because it needs the fetcher and makes no use of the rest.
pub fn versions() -> BTreeMap<&'static str, u32> {
    BUILTINS.iter().map(|row| (row.name, row.version)).chain([("fetchurl", fetchurl::VERSION)]).collect()
}

/// The row that a derivation asks for.
///
/// # Errors
/// This program lacks the builder, or has another version of it.
pub(super) fn find(derivation: &Derivation) -> Result<&'static Builtin, BuildError> {
    let name = check_version(derivation)?;
    Ok(BUILTINS.iter().find(|row| row.name == name).expect("check_version found it in the same table"))
}

/// The name of the builder that a derivation asks for, its version checked.
fn check_version(derivation: &Derivation) -> Result<String, BuildError> {
    let builder = String::from_utf8_lossy(&derivation.builder).into_owned();
    let name = builder.strip_prefix("builtin:").unwrap_or(&builder).to_owned();
    let Some(have) = versions().get(name.as_str()).copied() else {
        return Err(BuildError::Unsupported {
            what: format!("this osbuild has no built-in builder '{name}'"),
            hint: "the recipes are for a newer osbuild: build it from the same tree as the recipes"
                .to_owned(),
        });
    };
    let json = raw_parameters(derivation)?;
    let wanted = match json.get("builtinVersion") {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "(none)".to_owned(),
    };
    if wanted != have.to_string() {
        return Err(BuildError::Unsupported {
            what: format!(
                "the derivation wants builtin:{name} version {wanted}, this osbuild has version {have}"
            ),
            hint: "use the osbuild that belongs to these recipes: other versions may give other bytes"
                .to_owned(),
        });
    }
    Ok(name)
}

/// The derivation's own parameters, without what Nix adds.
pub(super) fn parameters(derivation: &Derivation) -> Result<serde_json::Value, BuildError> {
    let mut json = raw_parameters(derivation)?;
    for name in [
        "name",
        "system",
        "builder",
        "args",
        "outputs",
        "outputHash",
        "outputHashMode",
        "outputHashAlgo",
        "builtinVersion",
        "__contentAddressed",
        "__structuredAttrs",
        "__ignoreNulls",
    ] {
        json.remove(name);
    }
    Ok(serde_json::Value::Object(json))
}

fn raw_parameters(derivation: &Derivation) -> Result<serde_json::Map<String, serde_json::Value>, BuildError> {
    let Some(text) = derivation.environment.get(b"__json".as_slice()) else {
        return Err(BuildError::Derivation(
            "a built-in builder takes its parameters from structured attributes; set __structuredAttrs = true"
                .to_owned(),
        ));
    };
    serde_json::from_slice(text)
        .map_err(|e| BuildError::Derivation(format!("structured attributes are no JSON object: {e}")))
}
