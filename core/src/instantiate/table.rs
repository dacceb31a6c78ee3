//! The derivations of a session.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use osbuild_store::{StoreDir, StorePath};

use crate::derivation::Derivation;
use crate::derivation::aterm::{Aterm, from_aterm};
use crate::derivation::hash_modulo::{HashModulo, hash_modulo};
use crate::lang::symbol::FastMap;

struct Entry {
    text: Arc<[u8]>,
    hash: HashModulo,
    /// Read from the text once someone asks: most derivations are only written,
    /// and their text is a fifth as large.
    derivation: OnceCell<Arc<Derivation>>,
}

/// Derivations by path, with what others are computed from, and the references
/// of text objects.
pub(super) struct Table {
    store_dir: StoreDir,
    derivations: FastMap<StorePath, Entry>,
    texts: FastMap<StorePath, BTreeSet<StorePath>>,
}

impl Table {
    pub(super) fn new(store_dir: StoreDir) -> Self {
        Self { store_dir, derivations: FastMap::default(), texts: FastMap::default() }
    }

    /// Whether a derivation is here.
    pub(super) fn has(&self, path: &StorePath) -> bool {
        self.derivations.contains_key(path)
    }

    pub(super) fn derivation(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        let entry = self.derivations.get(path)?;
        let read = || from_aterm(&entry.text, &self.store_dir).expect("what was written can be read");
        Some(Arc::clone(entry.derivation.get_or_init(|| Arc::new(read()))))
    }

    pub(super) fn text(&self, path: &StorePath) -> Option<Arc<[u8]>> {
        self.derivations.get(path).map(|entry| Arc::clone(&entry.text))
    }

    pub(super) fn hash(&self, path: &StorePath) -> Option<HashModulo> {
        self.derivations.get(path).map(|entry| entry.hash.clone())
    }

    pub(super) fn add_text(&mut self, path: StorePath, references: BTreeSet<StorePath>) {
        self.texts.insert(path, references);
    }

    pub(super) fn text_references(&self, path: &StorePath) -> Option<&BTreeSet<StorePath>> {
        self.texts.get(path)
    }

    /// Adds a derivation whose inputs are here already.
    pub(super) fn add(&mut self, path: StorePath, derivation: &Derivation, written: &Aterm) {
        if self.has(&path) {
            return;
        }
        let hash = hash_modulo(derivation, written, &self.store_dir, |input| {
            self.hash(input).expect("inputs are added before those that need them")
        });
        let entry = Entry { text: written.text().into(), hash, derivation: OnceCell::new() };
        self.derivations.insert(path, entry);
    }
}
