//! Why a step has to run: what differs from the last time something of its
//! name was built here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use osbuild_store::{StoreDir, StorePath};

use crate::derivation::Derivation;

/// Why a step runs, or may have to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is a download, and what it names is not in the store.
    Missing,
    /// A cache has what it makes.
    InCache,
    /// Nothing of its name was built here.
    New,
    /// It was built from exactly this; the result was collected, or the
    /// sandbox changed.
    Gone,
    /// What it is made from changed; what did, sorted.
    Changed(Vec<Difference>),
    /// It runs only if these come out otherwise than they did; their names.
    Waits(Vec<String>),
}

/// What differs between two derivations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// The inputs of this name.
    Input(String),
    NewInput(String),
    DroppedInput(String),
    /// A variable of the builder's environment.
    Attribute(String),
    /// The program, its arguments or its system.
    Builder,
    Outputs,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not in the store"),
            Self::InCache => f.write_str("a cache has it"),
            Self::New => f.write_str("never built here"),
            Self::Gone => f.write_str("was built from just this, but the result is gone"),
            Self::Changed(differences) => {
                list(f, &differences.iter().map(ToString::to_string).collect::<Vec<_>>())
            }
            Self::Waits(names) => {
                f.write_str("if it comes out otherwise: ")?;
                list(f, names)
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) => write!(f, "input {name} changed"),
            Self::NewInput(name) => write!(f, "input {name} is new"),
            Self::DroppedInput(name) => write!(f, "input {name} was dropped"),
            Self::Attribute(name) => write!(f, "{name} changed"),
            Self::Builder => f.write_str("the builder changed"),
            Self::Outputs => f.write_str("the outputs changed"),
        }
    }
}

/// More of them do not fit on a line, and tell no more.
const SHOWN: usize = 3;

fn list(f: &mut fmt::Formatter<'_>, texts: &[String]) -> fmt::Result {
    f.write_str(&texts[..texts.len().min(SHOWN)].join(", "))?;
    if texts.len() > SHOWN {
        write!(f, " and {} more", texts.len() - SHOWN)?;
    }
    Ok(())
}

/// What changed from one resolved derivation to another, sorted. An input that
/// changed is named once, not again in each variable that holds its path.
pub(super) fn differences(before: &Derivation, after: &Derivation, store_dir: &StoreDir) -> Vec<Difference> {
    let mut found = BTreeSet::new();
    let (old, new) = (by_name(&before.input_sources), by_name(&after.input_sources));
    for (name, paths) in &old {
        match new.get(name) {
            None => found.insert(Difference::DroppedInput((*name).to_owned())),
            Some(others) if others != paths => found.insert(Difference::Input((*name).to_owned())),
            Some(_) => false,
        };
    }
    let added = new.keys().filter(|name| !old.contains_key(*name));
    found.extend(added.map(|name| Difference::NewInput((*name).to_owned())));

    let (old, new) = (Nameless::of(before, store_dir), Nameless::of(after, store_dir));
    let names: BTreeSet<&Vec<u8>> = before.environment.keys().chain(after.environment.keys()).collect();
    for name in names {
        let value = |derivation: &Derivation, paths: &Nameless| {
            derivation.environment.get(name).map(|value| paths.in_text(value))
        };
        if value(before, &old) != value(after, &new) {
            found.insert(Difference::Attribute(String::from_utf8_lossy(name).into_owned()));
        }
    }
    let program = |derivation: &Derivation, paths: &Nameless| {
        let arguments: Vec<Vec<u8>> = derivation.arguments.iter().map(|text| paths.in_text(text)).collect();
        (derivation.system.clone(), paths.in_text(&derivation.builder), arguments)
    };
    if program(before, &old) != program(after, &new) {
        found.insert(Difference::Builder);
    }
    if before.outputs.keys().ne(after.outputs.keys()) {
        found.insert(Difference::Outputs);
    }
    found.into_iter().collect()
}

fn by_name(paths: &BTreeSet<StorePath>) -> BTreeMap<&str, BTreeSet<&StorePath>> {
    let mut names: BTreeMap<&str, BTreeSet<&StorePath>> = BTreeMap::new();
    for path in paths {
        names.entry(path.name()).or_default().insert(path);
    }
    names
}

/// The hashes in paths of a derivation's inputs and outputs, to be looked away
/// from.
struct Nameless {
    hashes: BTreeSet<String>,
    /// What stands before each.
    prefix: Vec<u8>,
}

/// Of a store path, in base 32.
const HASH_BYTES: usize = 32;

impl Nameless {
    fn of(derivation: &Derivation, store_dir: &StoreDir) -> Self {
        let outputs = derivation.outputs.values().filter_map(|output| output.path());
        let paths = derivation.input_sources.iter().chain(outputs);
        let hashes = paths.map(|path| path.hash_part().to_owned()).collect();
        Self { hashes, prefix: format!("{}/", store_dir.as_str()).into_bytes() }
    }

    /// The text with those hashes taken out.
    fn in_text(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = find(rest, &self.prefix) {
            let end = at + self.prefix.len();
            out.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            let hash = rest.get(..HASH_BYTES).and_then(|hash| std::str::from_utf8(hash).ok());
            if hash.is_some_and(|hash| self.hashes.contains(hash)) {
                rest = &rest[HASH_BYTES..];
            }
        }
        out.extend_from_slice(rest);
        out
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}
