//! Builders that are part of this program.
//!
//! A derivation asks for one by `system = "builtin"`, `builder =
//! "builtin:<name>"` and `builtinVersion = "<n>"`. The number rises whenever
//! any input could give other bytes; a program that lacks it refuses. Builders
//! take their parameters as one JSON document (`__structuredAttrs`) and
//! touch nothing but their inputs and outputs: no clock, no environment, no
//! network (but for `fetchurl`, whose bytes are hashed before they count).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use osbuild_store::action::OutputName;

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
    #[error("builtin:{builder}: wrong parameters")]
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

/// All built-in builders; `recipes/lib/builtins.nix` holds the same numbers,
/// which a test compares.
pub const BUILTINS: &[Builtin] = &[
    Builtin { name: "squashfs-segment", version: 1, run: crate::image::segment::run },
    Builtin { name: "link-root", version: 1, run: crate::image::link_root::run },
    Builtin { name: "slot", version: 1, run: crate::image::slot::run },
    Builtin { name: "disk", version: 1, run: crate::image::disk::run },
];
