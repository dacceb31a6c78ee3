//! Where an evaluation puts what it makes: a store, or nowhere.

mod lazy;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{StoreDir, StorePath};

pub use lazy::Lazy;

/// A store as evaluation sees it.
pub trait Sink: Send + Sync {
    fn store_dir(&self) -> &StoreDir;

    /// # Errors
    /// Reading the tree or writing the store failed.
    fn add_source(&self, name: &str, tree: &SourceTree, ingestion: Ingestion)
    -> Result<StorePath, SinkError>;

    /// # Errors
    /// Writing the store failed.
    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, SinkError>;

    /// Makes sure that an object can be read, if it can; whether it can.
    ///
    /// # Errors
    /// Writing the store failed.
    fn hold(&self, path: &StorePath) -> Result<bool, SinkError>;

    /// Whether a program may speak of an object whose path it wrote down. A
    /// sink that writes nothing cannot say no.
    ///
    /// # Errors
    /// As [`Sink::hold`].
    fn may_be_named(&self, path: &StorePath) -> Result<bool, SinkError>;

    /// Where an object's files are, if it is there.
    fn physical(&self, path: &StorePath) -> Option<PathBuf>;

    /// What an object refers to; nothing if it is unknown.
    fn references(&self, path: &StorePath) -> Vec<StorePath>;
}

pub type SinkError = Box<dyn Error + Send + Sync>;

/// Computes paths and writes nothing. Objects of a real store can still be
/// read where it is given.
#[derive(Default)]
pub struct Computing {
    store_dir: StoreDir,
    readable: Option<PathBuf>,
}

impl Computing {
    /// Reads objects that already are below `directory`.
    pub fn over(directory: PathBuf) -> Self {
        Self::of(StoreDir::default(), Some(directory))
    }

    /// With another store directory, and objects read from where they are
    /// given to be.
    pub fn of(store_dir: StoreDir, readable: Option<PathBuf>) -> Self {
        Self { store_dir, readable }
    }
}

impl Sink for Computing {
    fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    fn add_source(
        &self,
        name: &str,
        tree: &SourceTree,
        ingestion: Ingestion,
    ) -> Result<StorePath, SinkError> {
        let hash = tree.hash(ingestion)?;
        let recursive = ingestion == Ingestion::Recursive;
        Ok(self.store_dir.fixed_path(name, recursive, &hash, &BTreeSet::new(), false)?)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, SinkError> {
        Ok(self.store_dir.text_path(name, contents, references)?)
    }

    fn hold(&self, path: &StorePath) -> Result<bool, SinkError> {
        Ok(self.physical(path).is_some())
    }

    fn may_be_named(&self, _: &StorePath) -> Result<bool, SinkError> {
        Ok(true)
    }

    fn physical(&self, path: &StorePath) -> Option<PathBuf> {
        let place = self.readable.as_ref()?.join(path.as_str());
        place.symlink_metadata().is_ok().then_some(place)
    }

    fn references(&self, _: &StorePath) -> Vec<StorePath> {
        Vec::new()
    }
}

/// The local store, with `.drv` files written as they are made.
impl Sink for osbuild_store::local::LocalStore {
    fn store_dir(&self) -> &StoreDir {
        self.store_dir()
    }

    fn add_source(
        &self,
        name: &str,
        tree: &SourceTree,
        ingestion: Ingestion,
    ) -> Result<StorePath, SinkError> {
        Ok(SourceSink::add_source(self, name, tree, ingestion)?)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, SinkError> {
        Ok(SourceSink::add_text(self, name, contents, references)?)
    }

    fn hold(&self, path: &StorePath) -> Result<bool, SinkError> {
        Ok(self.is_valid(path)?)
    }

    fn may_be_named(&self, path: &StorePath) -> Result<bool, SinkError> {
        Ok(self.is_valid(path)?)
    }

    fn physical(&self, path: &StorePath) -> Option<PathBuf> {
        let place = osbuild_store::local::LocalStore::physical(self, path);
        place.symlink_metadata().is_ok().then_some(place)
    }

    fn references(&self, path: &StorePath) -> Vec<StorePath> {
        match self.info(path) {
            Ok(Some(info)) => info.references.into_iter().collect(),
            _ => Vec::new(),
        }
    }
}
