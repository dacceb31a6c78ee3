//! Two stores, a cache in a directory, keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use osbuild_store::cache::{Access, BinaryCache, CacheError, Published, Publisher, Substituters, Watch};
use osbuild_store::local::Ingest;
use osbuild_store::signature::{PublicKey, SecretKey, TrustedKeys};
use osbuild_store::store::{Ingestion, SourceSink, SourceTree};
use osbuild_store::{LocalStore, StorePath};

/// See the module.
pub(crate) struct Fixture {
    place: tempfile::TempDir,
    pub(crate) from: LocalStore,
    pub(crate) to: LocalStore,
    pub(crate) key: SecretKey,
    /// What the user was told.
    pub(crate) warnings: Mutex<Vec<String>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let from = LocalStore::open(&place.path().join("from")).unwrap();
        let to = LocalStore::open(&place.path().join("to")).unwrap();
        let key = SecretKey::generate("test-1").unwrap();
        Self { place, from, to, key, warnings: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// The directory that is the cache.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path().join("cache")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.cache().join(name)
    }

    /// A library, and a program that refers to it and to itself, neither named
    /// by its contents.
    pub(crate) fn program(&self) -> StorePath {
        let library = self.add("library", &[], |place| {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("code"), vec![7; 300_000]).unwrap();
        });
        let program = StorePath::new([9; 20], "program").unwrap();
        let text = format!("{} {}", library.as_str(), program.as_str());
        self.add_at(&program, &[&library, &program], |place| std::fs::write(place, text.as_bytes()).unwrap());
        program
    }

    fn add(&self, name: &str, candidates: &[&StorePath], make: impl Fn(&Path)) -> StorePath {
        let path = StorePath::new([name.len() as u8; 20], name).unwrap();
        self.add_at(&path, candidates, make);
        path
    }

    fn add_at(&self, path: &StorePath, candidates: &[&StorePath], make: impl Fn(&Path)) {
        let scratch = self.from.scratch("test").unwrap();
        let place = scratch.path().join("out");
        make(&place);
        let ingested = self.from.ingest(&place, candidates.iter().copied()).unwrap();
        let ingest = Ingest { path: path.clone(), ingested, content_address: None, deriver: None };
        self.from.place(&place, &ingest).unwrap();
    }

    /// A source, which its contents vouch for.
    pub(crate) fn source(&self, text: &str) -> StorePath {
        let tree = SourceTree::Bytes { contents: text.into(), executable: false };
        self.from.add_source("source", &tree, Ingestion::Recursive).unwrap()
    }

    /// Publishes to the directory.
    pub(crate) fn publish(&self, roots: &[&StorePath], keys: &[SecretKey]) -> Published {
        let cache = BinaryCache::at(self.cache().to_str().unwrap(), &Access::default()).unwrap();
        self.publish_to(&cache, roots, keys).unwrap()
    }

    pub(crate) fn publish_to(
        &self,
        cache: &BinaryCache,
        roots: &[&StorePath],
        keys: &[SecretKey],
    ) -> Result<Published, CacheError> {
        let roots: BTreeSet<StorePath> = roots.iter().copied().cloned().collect();
        Publisher::new(&self.from, cache, keys, 2).publish(&roots, &|| false)
    }

    pub(crate) fn signed(&self) -> Vec<SecretKey> {
        vec![SecretKey::parse(&self.key.to_text()).unwrap()]
    }

    /// Those who trust the key, asking these caches.
    pub(crate) fn substituters(&self, addresses: &[&str]) -> Substituters {
        self.trusting(addresses, &[self.key.public()])
    }

    pub(crate) fn trusting(&self, addresses: &[&str], keys: &[PublicKey]) -> Substituters {
        let http = Access::default();
        let caches = addresses.iter().map(|address| BinaryCache::at(address, &http).unwrap()).collect();
        let memory = self.path().join("memory");
        let keys = TrustedKeys::from_iter(keys.iter().cloned());
        Substituters::new(caches, keys, self.to.store_dir().clone(), &memory)
    }

    /// Fetches what a path needs; those that came.
    pub(crate) fn fetch(
        &self,
        substituters: &Substituters,
        path: &StorePath,
    ) -> Result<BTreeSet<StorePath>, CacheError> {
        self.fetch_while(substituters, path, &|| false)
    }

    pub(crate) fn fetch_while(
        &self,
        substituters: &Substituters,
        path: &StorePath,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<BTreeSet<StorePath>, CacheError> {
        let warn = |text: &str| self.warnings.lock().unwrap().push(text.to_owned());
        let watch = Watch { cancelled, warn: &warn, progress: &|_, _, _| () };
        let found = substituters.find_closure(&self.to, &BTreeSet::from([path.clone()]), &watch)?;
        substituters.fetch(&self.to, &found, 2, &watch)?;
        Ok(found.into_keys().collect())
    }

    /// From the directory, trusting the key.
    pub(crate) fn fetch_here(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, CacheError> {
        self.fetch(&self.substituters(&[self.cache().to_str().unwrap()]), path)
    }

    pub(crate) fn warned_of(&self, text: &str) -> bool {
        self.warnings.lock().unwrap().iter().any(|warning| warning.contains(text))
    }

    /// The store that was fetched into is sound and holds nothing half done.
    pub(crate) fn check(&self) {
        let verified = self.to.verify(&mut |_, _| ()).unwrap();
        assert!(verified.problems.is_empty(), "{:?}", verified.problems);
        assert!(verified.leftovers.is_empty(), "{:?}", verified.leftovers);
        assert_eq!(std::fs::read_dir(self.to.home().join("build")).unwrap().count(), 0);
    }
}
