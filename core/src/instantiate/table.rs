//! The derivations of a session.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use osbuild_store::{StoreDir, StorePath};

use crate::derivation::Derivation;
use crate::derivation::hash_modulo::{HashModulo, hash_modulo};

struct Entry {
    derivation: Arc<Derivation>,
    text: Arc<[u8]>,
    hash: HashModulo,
}

/// Derivations by path, with what others are computed from, and the references
/// of text objects.
#[derive(Default)]
pub(super) struct Table {
    derivations: HashMap<StorePath, Entry>,
    texts: HashMap<StorePath, BTreeSet<StorePath>>,
}

impl Table {
    pub(super) fn derivation(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        self.derivations.get(path).map(|entry| Arc::clone(&entry.derivation))
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
    pub(super) fn add(
        &mut self,
        path: StorePath,
        derivation: Derivation,
        text: Vec<u8>,
        store_dir: &StoreDir,
    ) {
        if self.derivations.contains_key(&path) {
            return;
        }
        let hash = hash_modulo(&derivation, store_dir, |input| {
            self.hash(input).expect("inputs are added before those that need them")
        });
        let entry = Entry { derivation: Arc::new(derivation), text: text.into(), hash };
        self.derivations.insert(path, entry);
    }
}
