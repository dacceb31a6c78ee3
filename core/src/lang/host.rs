//! Everything that evaluation may ask of the world.

pub mod memory;
#[cfg(test)]
pub(crate) mod suite;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_store::store::{Ingestion, SourceTree};
use osbuild_store::{StoreDir, StorePath};
use std::collections::BTreeSet;

use super::context::Element;
use super::error::ErrorKind;
use super::portable::CodeKey;
use crate::derivation::Derivation;
use crate::derivation::hash_modulo::HashModulo;

/// How deep calls may be nested unless something else is asked for, as in Nix.
pub const MAX_CALL_DEPTH: u32 = 10_000;

/// What programs say beside their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// `traceVerbose` is `trace`, and no step that is left out.
    pub trace_verbose: bool,
    /// `warn` ends the evaluation.
    pub abort_on_warn: bool,
}

/// What is at a path; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    Regular {
        executable: bool,
    },
    Directory,
    Symlink,
    /// Devices, sockets, pipes.
    Special,
}

impl FileKind {
    /// As `readDir` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regular { .. } => "regular",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Special => "unknown",
        }
    }
}

/// An effect that failed or was refused: a whole sentence without the full
/// stop, path included, and perhaps what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    pub message: String,
    pub hint: Option<String>,
}

impl HostError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

pub type HostResult<T> = Result<T, HostError>;

/// Why what a path depends on cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrealised {
    /// [`ErrorKind::Invalid`], [`ErrorKind::Refused`], one of the kinds of builds that failed, or
    /// [`ErrorKind::Interrupted`].
    pub kind: ErrorKind,
    pub error: HostError,
}

/// What stands in texts for an output path that was not known, and the path.
pub type StandIns = Vec<(String, String)>;

/// An entry of the search path for `<x>`; an empty prefix matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchEntry {
    pub prefix: String,
    pub path: String,
}

/// The effects of evaluation.
///
/// Paths are absolute and normalised, and logical: below the store directory
/// the host translates to where its store really is.
pub trait Host {
    fn store_dir(&self) -> &StoreDir;

    fn read_file(&self, path: &Path) -> HostResult<Vec<u8>>;

    /// Members in any order.
    fn read_dir(&self, path: &Path) -> HostResult<Vec<(Vec<u8>, FileKind)>>;

    fn read_link(&self, path: &Path) -> HostResult<Vec<u8>>;

    /// `None` if nothing is there. Links on the way are followed, a link at
    /// the end is not.
    fn file_kind(&self, path: &Path) -> HostResult<Option<FileKind>>;

    /// The real path of an existing file, every link followed.
    fn resolve(&self, path: &Path) -> HostResult<PathBuf>;

    /// A file as the leaf of a tree to be added.
    fn source_file(&self, path: &Path, executable: bool) -> HostResult<SourceTree>;

    /// `None` where programs may not look.
    fn environment(&self, name: &str) -> Option<String>;

    fn home(&self) -> Option<PathBuf>;

    /// Where relative entries of the search path begin; `None` where programs
    /// may not know.
    fn working_directory(&self) -> Option<PathBuf> {
        None
    }

    /// How much memory values may take.
    fn memory_ceiling(&self) -> Option<usize> {
        None
    }

    /// Whether lowered code may be kept between evaluations.
    fn keeps_code(&self) -> bool {
        false
    }

    /// Code that was kept under this key, as it was given.
    fn kept_code(&self, _key: &CodeKey) -> Option<Vec<u8>> {
        None
    }

    /// Keeps code for other evaluations.
    fn keep_code(&self, _key: CodeKey, _code: Vec<u8>) {}

    /// Called when an evaluation ended.
    fn flush_code(&self) {}

    /// How deep calls and data may be nested.
    fn max_call_depth(&self) -> u32 {
        MAX_CALL_DEPTH
    }

    fn search_path(&self) -> Vec<SearchEntry>;

    /// `None` in pure evaluation.
    fn current_system(&self) -> Option<String>;

    /// Seconds since 1970; `None` in pure evaluation.
    fn current_time(&self) -> Option<i64>;

    /// Whether programs see nothing that differs between machines and times.
    fn is_pure(&self) -> bool {
        false
    }

    /// Whether a program may fetch from there. Refuses where sight is limited.
    fn may_fetch(&self, _url: &str) -> HostResult<()> {
        Ok(())
    }

    fn diagnostics(&self) -> Diagnostics {
        Diagnostics::default()
    }

    /// A line of `trace` or `warn`, for standard error.
    fn message(&self, line: &str);

    fn add_source(&self, name: &str, tree: &SourceTree, ingestion: Ingestion) -> HostResult<StorePath>;

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> HostResult<StorePath>;

    /// Writes `<name>.drv` and keeps the derivation.
    fn add_derivation(&self, name: &str, derivation: Derivation) -> HostResult<StorePath>;

    /// A derivation made here or found in the store.
    fn derivation(&self, path: &StorePath) -> HostResult<Arc<Derivation>>;

    /// The hash modulo of a derivation made here or found in the store.
    fn hash_modulo(&self, derivation: &StorePath) -> HostResult<HashModulo>;

    /// Whether a store object is valid, so that paths below it may be used.
    fn is_valid(&self, path: &StorePath) -> bool;

    /// Whether a program may speak of an object whose path it wrote down
    /// (`storePath`).
    fn may_be_named(&self, path: &StorePath) -> HostResult<bool>;

    /// What a store object refers to, for the context of `readFile`.
    fn references(&self, path: &StorePath) -> Vec<StorePath>;

    /// Makes what a path that is about to be read depends on: objects have to
    /// be valid, outputs are built (import from derivation). Returns what the
    /// path's text may hold instead of output paths.
    ///
    /// # Errors
    /// An object is not valid, a build failed, or building is refused.
    fn realise(&self, elements: &[Element]) -> Result<StandIns, Unrealised>;
}
