//! A world in memory, for tests.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_store::store::{Ingestion, SourceTree};
use osbuild_store::{StoreDir, StorePath};

use super::{FileKind, Host, HostError, HostResult, SearchEntry, StandIns, Unrealised};
use crate::derivation::Derivation;
use crate::derivation::aterm::Aterm;
use crate::derivation::hash_modulo::{HashModulo, hash_modulo};
use crate::lang::context::Element;
use crate::lang::error::ErrorKind;

/// What is at a path; directories follow from the paths below them.
#[derive(Clone, Debug)]
pub enum Entry {
    File { contents: Vec<u8>, executable: bool },
    Link { target: PathBuf },
}

/// Files, variables and a store that only computes. Sources are named by
/// their text, not by their archive: their paths are not those of Nix.
#[derive(Default)]
pub struct MemoryHost {
    pub files: BTreeMap<PathBuf, Entry>,
    pub environment: BTreeMap<String, String>,
    pub search_path: Vec<SearchEntry>,
    pub time: Option<i64>,
    /// Lines that programs sent.
    pub messages: RefCell<Vec<String>>,
    store_dir: StoreDir,
    derivations: RefCell<HashMap<StorePath, (Arc<Derivation>, HashModulo)>>,
    texts: RefCell<HashMap<StorePath, BTreeSet<StorePath>>>,
}

impl MemoryHost {
    #[must_use]
    pub fn with_file(mut self, path: &str, contents: &str) -> Self {
        let contents = contents.as_bytes().to_vec();
        self.files.insert(path.into(), Entry::File { contents, executable: false });
        self
    }

    #[must_use]
    pub fn with_link(mut self, path: &str, target: &str) -> Self {
        self.files.insert(path.into(), Entry::Link { target: target.into() });
        self
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file != path && file.starts_with(path))
    }

    fn missing<T>(path: &Path) -> HostResult<T> {
        Err(HostError::new(format!("path '{}' does not exist", path.display())))
    }
}

impl Host for MemoryHost {
    fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    fn read_file(&self, path: &Path) -> HostResult<Vec<u8>> {
        match self.files.get(&self.resolve(path)?) {
            Some(Entry::File { contents, .. }) => Ok(contents.clone()),
            _ => Err(HostError::new(format!("cannot read '{}': it is a directory", path.display()))),
        }
    }

    fn read_dir(&self, path: &Path) -> HostResult<Vec<(Vec<u8>, FileKind)>> {
        let real = self.resolve(path)?;
        let names: BTreeSet<PathBuf> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&real).ok())
            .filter_map(|rest| rest.components().next().map(|first| PathBuf::from(first.as_os_str())))
            .collect();
        let mut entries = Vec::new();
        for name in names {
            if let Some(kind) = self.file_kind(&real.join(&name))? {
                entries.push((name.into_os_string().into_vec(), kind));
            }
        }
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> HostResult<Vec<u8>> {
        match self.files.get(path) {
            Some(Entry::Link { target }) => Ok(target.as_os_str().as_bytes().to_vec()),
            _ => Err(HostError::new(format!("cannot read the link '{}'", path.display()))),
        }
    }

    fn file_kind(&self, path: &Path) -> HostResult<Option<FileKind>> {
        Ok(match self.files.get(path) {
            Some(Entry::File { executable, .. }) => Some(FileKind::Regular { executable: *executable }),
            Some(Entry::Link { .. }) => Some(FileKind::Symlink),
            None => self.is_directory(path).then_some(FileKind::Directory),
        })
    }

    fn resolve(&self, path: &Path) -> HostResult<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..64 {
            match self.files.get(&path) {
                Some(Entry::Link { target }) => {
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                Some(Entry::File { .. }) => return Ok(path),
                None if self.is_directory(&path) => return Ok(path),
                None => return Self::missing(&path),
            }
        }
        Err(HostError::new(format!("too many links at '{}'", path.display())))
    }

    fn source_file(&self, path: &Path, executable: bool) -> HostResult<SourceTree> {
        Ok(SourceTree::Bytes { contents: self.read_file(path)?, executable })
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn home(&self) -> Option<PathBuf> {
        self.environment.get("HOME").map(PathBuf::from)
    }

    fn search_path(&self) -> Vec<SearchEntry> {
        self.search_path.clone()
    }

    fn current_system(&self) -> Option<String> {
        Some("x86_64-linux".to_owned())
    }

    fn current_time(&self) -> Option<i64> {
        self.time
    }

    fn message(&self, line: &str) {
        self.messages.borrow_mut().push(line.to_owned());
    }

    fn add_source(&self, name: &str, tree: &SourceTree, _: Ingestion) -> HostResult<StorePath> {
        self.add_text(name, format!("{tree:?}").as_bytes(), &BTreeSet::new())
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> HostResult<StorePath> {
        let path = self.store_dir.text_path(name, contents, references);
        let path = path.map_err(|error| HostError::new(error.to_string()))?;
        self.texts.borrow_mut().insert(path.clone(), references.clone());
        Ok(path)
    }

    fn add_derivation(&self, name: &str, derivation: Derivation) -> HostResult<StorePath> {
        let written = Aterm::of(&derivation, &self.store_dir);
        let references =
            derivation.input_derivations.keys().chain(&derivation.input_sources).cloned().collect();
        let path = self.add_text(&format!("{name}.drv"), written.text(), &references)?;
        let hash = {
            let known = self.derivations.borrow();
            hash_modulo(&derivation, &written, &self.store_dir, |input| known[input].1.clone())
        };
        self.derivations.borrow_mut().insert(path.clone(), (Arc::new(derivation), hash));
        Ok(path)
    }

    fn derivation(&self, path: &StorePath) -> HostResult<Arc<Derivation>> {
        match self.derivations.borrow().get(path) {
            Some((derivation, _)) => Ok(Arc::clone(derivation)),
            None => Self::missing(Path::new(path.as_str())),
        }
    }

    fn hash_modulo(&self, derivation: &StorePath) -> HostResult<HashModulo> {
        match self.derivations.borrow().get(derivation) {
            Some((_, hash)) => Ok(hash.clone()),
            None => Self::missing(Path::new(derivation.as_str())),
        }
    }

    fn is_valid(&self, path: &StorePath) -> bool {
        self.texts.borrow().contains_key(path)
    }

    fn may_be_named(&self, path: &StorePath) -> HostResult<bool> {
        Ok(self.is_valid(path))
    }

    fn references(&self, path: &StorePath) -> Vec<StorePath> {
        self.texts.borrow().get(path).into_iter().flatten().cloned().collect()
    }

    fn realise(&self, elements: &[Element]) -> Result<StandIns, Unrealised> {
        for element in elements {
            if let Element::Built { derivation, output } = element {
                let error = HostError::new(format!("cannot build '{derivation}^{output}' during evaluation"));
                return Err(Unrealised { kind: ErrorKind::Refused, error });
            }
        }
        Ok(StandIns::new())
    }
}
