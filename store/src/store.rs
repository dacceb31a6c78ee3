//! What the rest of the program asks of a store, whatever holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{fs, io};

use crate::error::StoreError;
use crate::hash::{HashAlgorithm, HashSink, NixHash};
use crate::nar::dump_tree;
use crate::path::{StoreDir, StorePath};

/// A tree to be added: which files, and where their bytes are. It is how a
/// filtered source tree is described without copying it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceTree {
    /// Contents in the file at `path`, an ordinary host path.
    Regular { path: PathBuf, executable: bool },
    /// Contents at hand.
    Bytes { contents: Vec<u8>, executable: bool },
    /// The target's bytes, unchanged.
    Symlink { target: Vec<u8> },
    /// Members by name; a name is neither empty, `.` nor `..`, and holds no
    /// slash and no NUL.
    Directory(BTreeMap<Vec<u8>, SourceTree>),
}

impl SourceTree {
    /// The SHA-256 that the tree's content address is made of.
    ///
    /// # Errors
    /// Reading a file failed; the tree is no regular file and was to be
    /// hashed flat.
    pub fn hash(&self, ingestion: Ingestion) -> Result<NixHash, StoreError> {
        let mut sink = HashSink::default();
        match (ingestion, self) {
            (Ingestion::Recursive, tree) => {
                // Enough for what is between files; their contents go past it.
                dump_tree(tree, io::BufWriter::with_capacity(1 << 10, &mut sink))?;
            }
            (Ingestion::Flat, Self::Bytes { contents, .. }) => {
                return Ok(NixHash::of(HashAlgorithm::Sha256, contents));
            }
            (Ingestion::Flat, Self::Regular { path, .. }) => {
                let mut file = fs::File::open(path).map_err(StoreError::io("open", path))?;
                io::copy(&mut file, &mut sink).map_err(StoreError::io("read", path))?;
            }
            (Ingestion::Flat, _) => {
                let kind = "directory or link, but a flat source is one regular file";
                return Err(StoreError::FileKind { path: "the source".into(), kind });
            }
        }
        Ok(sink.finish().0)
    }
}

/// How contents enter a content address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingestion {
    /// One plain file, hashed as it is.
    Flat,
    /// Anything, hashed as a NAR.
    Recursive,
}

/// Adding what evaluation produces: sources, text files, derivations.
///
/// Two implementations: one that only computes paths (evaluation that must not
/// write), and the local store.
pub trait SourceSink {
    /// The failure of an operation; carries the path and what was being done.
    type Error: std::error::Error + Send + Sync + 'static;

    fn store_dir(&self) -> &StoreDir;

    /// Adds a tree under its SHA-256 content address, without references.
    ///
    /// # Errors
    /// Reading the tree or writing the store failed.
    fn add_source(
        &self,
        name: &str,
        tree: &SourceTree,
        ingestion: Ingestion,
    ) -> Result<StorePath, Self::Error>;

    /// Adds a text object (`toFile`, `.drv`), whose path covers its references.
    ///
    /// # Errors
    /// Writing the store failed, or a reference is not valid in it.
    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, Self::Error>;
}
