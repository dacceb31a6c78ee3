//! A release's derivation with everything below it, recipes and pins alike, in
//! one file: whoever wants to make the release again needs nothing else.
//!
//! It is Nix's export format, packed with zstd. Every object in it is named by
//! its contents, so that nobody has to be believed for what it holds.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use osbuild_store::store::SourceSink as _;
use osbuild_store::{LocalStore, StoreError, StorePath};

use crate::derivation::Derivation;
use crate::derivation::aterm::to_aterm;

/// Written once, read by every rebuilder.
const LEVEL: i32 = 19;
/// What one may take when it is unpacked: what a project's own files take, not
/// what they fetch.
const MOST_BYTES: u64 = 1 << 30;

/// Records derivations, inputs first, of which the last is the release's.
///
/// # Errors
/// The store failed, or misses one of the recipes' files.
pub fn write(store: &LocalStore, below: &[(StorePath, Arc<Derivation>)]) -> Result<Vec<u8>, StoreError> {
    for (path, derivation) in below {
        let inputs = derivation.input_derivations.keys().chain(&derivation.input_sources);
        let references: BTreeSet<StorePath> = inputs.cloned().collect();
        store.add_text(path.name(), &to_aterm(derivation, store.store_dir()), &references)?;
    }
    let mut packed = zstd::Encoder::new(Vec::new(), LEVEL).map_err(failed)?;
    store.export(below.last().map(|(path, _)| path), &mut packed)?;
    packed.finish().map_err(failed)
}

/// Adds what was recorded to the store; the release's derivation.
///
/// # Errors
/// It is no such record.
pub fn read(store: &LocalStore, bytes: &[u8]) -> Result<StorePath, StoreError> {
    let unpacked = zstd::Decoder::new(bytes).map_err(failed)?.take(MOST_BYTES);
    let added = store.import(&mut BufReader::new(unpacked))?;
    added
        .into_iter()
        .next_back()
        .filter(StorePath::is_derivation)
        .ok_or_else(|| StoreError::Import("its last object is no derivation".to_owned()))
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Import(error.to_string())
}
