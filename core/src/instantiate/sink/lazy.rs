//! A store that stays as it is until something has to be in it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osbuild_store::local::{Layout, PathLock};
use osbuild_store::store::{Ingestion, SourceTree};
use osbuild_store::{LocalStore, StoreDir, StoreError, StorePath};

use super::{Computing, Sink, SinkError};

/// Computes paths like [`Computing`] and remembers what they are of: what an
/// evaluation reads or builds is then put into the store, with all that it
/// refers to, and nothing else.
pub struct Lazy {
    layout: Layout,
    computing: Computing,
    remembers: Remembers,
    state: Mutex<State>,
}

/// What becomes of what is added.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remembers {
    All,
    Nothing,
}

#[derive(Default)]
struct State {
    /// With the lock that keeps its objects.
    open: Option<(Arc<LocalStore>, PathLock)>,
    pending: HashMap<StorePath, Pending>,
}

enum Pending {
    Source { tree: SourceTree, ingestion: Ingestion },
    Text { contents: Box<[u8]>, references: BTreeSet<StorePath> },
}

impl Lazy {
    /// Writes what turns out to be needed.
    pub fn new(layout: Layout) -> Self {
        Self::with(layout, Remembers::All)
    }

    /// Writes nothing that is added, as `nix-instantiate --eval`: only what is
    /// in the store already can be read or built.
    pub fn read_only(layout: Layout) -> Self {
        Self::with(layout, Remembers::Nothing)
    }

    fn with(layout: Layout, remembers: Remembers) -> Self {
        let computing = Computing::of(layout.store_dir.clone(), Some(layout.objects.clone()));
        Self { layout, computing, remembers, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is pending stays true whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store, opened now if it was not. Its objects are kept until this
    /// is dropped.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn store(&self) -> Result<Arc<LocalStore>, StoreError> {
        self.open(&mut self.state())
    }

    fn open(&self, state: &mut State) -> Result<Arc<LocalStore>, StoreError> {
        if let Some((store, _)) = &state.open {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(LocalStore::open_at(&self.layout)?);
        let held = store.hold_objects()?;
        state.open = Some((Arc::clone(&store), held));
        Ok(store)
    }
}

impl Sink for Lazy {
    fn store_dir(&self) -> &StoreDir {
        self.computing.store_dir()
    }

    fn add_source(
        &self,
        name: &str,
        tree: &SourceTree,
        ingestion: Ingestion,
    ) -> Result<StorePath, SinkError> {
        let path = self.computing.add_source(name, tree, ingestion)?;
        if self.remembers == Remembers::All {
            let pending = || Pending::Source { tree: tree.clone(), ingestion };
            self.state().pending.entry(path.clone()).or_insert_with(pending);
        }
        Ok(path)
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, SinkError> {
        let path = self.computing.add_text(name, contents, references)?;
        if self.remembers == Remembers::All {
            let pending = || Pending::Text { contents: contents.into(), references: references.clone() };
            self.state().pending.entry(path.clone()).or_insert_with(pending);
        }
        Ok(path)
    }

    fn hold(&self, path: &StorePath) -> Result<bool, SinkError> {
        let mut state = self.state();
        if !state.pending.contains_key(path) {
            return Ok(self.physical(path).is_some());
        }
        let store = self.open(&mut state)?;
        for path in with_references(&state.pending, path) {
            let Some(pending) = state.pending.remove(&path) else { continue };
            match pending {
                Pending::Source { tree, ingestion } => {
                    // The file may have changed since it was named.
                    if Sink::add_source(&*store, path.name(), &tree, ingestion)? != path {
                        return Err(format!("'{}' changed while it was evaluated", path.name()).into());
                    }
                }
                Pending::Text { contents, references } => {
                    Sink::add_text(&*store, path.name(), &contents, &references)?;
                }
            }
        }
        Ok(true)
    }

    fn may_be_named(&self, path: &StorePath) -> Result<bool, SinkError> {
        match self.remembers {
            Remembers::All => self.hold(path),
            Remembers::Nothing => Ok(true),
        }
    }

    fn physical(&self, path: &StorePath) -> Option<PathBuf> {
        self.computing.physical(path)
    }

    fn references(&self, path: &StorePath) -> Vec<StorePath> {
        if self.physical(path).is_none() {
            return Vec::new();
        }
        self.store().map_or_else(|_| Vec::new(), |store| Sink::references(&*store, path))
    }
}

/// What is pending below `root`, each after what it refers to. Chains of
/// derivations may be longer than a stack is deep.
fn with_references(pending: &HashMap<StorePath, Pending>, root: &StorePath) -> Vec<StorePath> {
    let mut order = Vec::new();
    let mut seen: HashSet<StorePath> = HashSet::new();
    let mut stack = vec![(root.clone(), Step::Enter)];
    while let Some((path, step)) = stack.pop() {
        if step == Step::Leave {
            order.push(path);
            continue;
        }
        let Some(what) = pending.get(&path) else { continue };
        if !seen.insert(path.clone()) {
            continue;
        }
        stack.push((path, Step::Leave));
        if let Pending::Text { references, .. } = what {
            stack.extend(references.iter().map(|reference| (reference.clone(), Step::Enter)));
        }
    }
    order
}

#[derive(PartialEq, Eq)]
enum Step {
    Enter,
    Leave,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_is_written() {
        let home = tempfile::tempdir().unwrap();
        let lazy = Lazy::new(Layout::below(&home.path().join("s")));
        let none = BTreeSet::new();
        let file = home.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let tree = SourceTree::Regular { path: file.clone(), executable: false };
        let source = lazy.add_source("file", &tree, Ingestion::Recursive).unwrap();
        let mut last = lazy.add_text("text", b"0", &BTreeSet::from([source.clone()])).unwrap();
        for number in 1..100u8 {
            last = lazy.add_text("text", &[number], &BTreeSet::from([last.clone()])).unwrap();
        }
        let other = lazy.add_text("other", b"other", &none).unwrap();
        assert!(!home.path().join("s").exists());

        assert!(lazy.hold(&last).unwrap());
        let store = lazy.store().unwrap();
        assert!(store.is_valid(&last).unwrap() && store.is_valid(&source).unwrap());
        assert_eq!(store.closure_paths(&BTreeSet::from([last])).unwrap().len(), 101);
        assert!(!store.is_valid(&other).unwrap());

        let tree = SourceTree::Regular { path: file.clone(), executable: false };
        let source = lazy.add_source("changed", &tree, Ingestion::Recursive).unwrap();
        std::fs::write(&file, "two").unwrap();
        assert!(lazy.hold(&source).unwrap_err().to_string().contains("'changed' changed"));
    }

    #[test]
    fn read_only_means_that_nothing_is_written() {
        let home = tempfile::tempdir().unwrap();
        let lazy = Lazy::read_only(Layout::below(&home.path().join("s")));
        let text = lazy.add_text("text", b"0", &BTreeSet::new()).unwrap();
        assert!(!lazy.hold(&text).unwrap());
        assert!(lazy.may_be_named(&text).unwrap());
        assert!(!home.path().join("s").exists());
    }
}
