//! Nix's export format: objects one after another, each with what it refers to,
//! as `nix-store --export` writes them and `nix-store --import` reads them.
//!
//! Nobody signs such a stream, so of foreign ones only objects are taken whose
//! paths follow from their contents: derivations and sources do.
//!
//! Source: Nix 2.26, `store-api`, `exportPath` and `importPaths`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::content_address::ContentAddress;
use crate::error::StoreError;
use crate::hash::NixHash;
use crate::local::LocalStore;
use crate::local::ingest::{Ingest, Ingested};
use crate::nar::{NarError, dump_path};
use crate::path::StorePath;

/// Before each object; a zero ends the stream.
const ANOTHER: u64 = 1;
/// After each archive.
const MAGIC: u64 = 0x4558_494e;
/// No path is longer, and no object refers to more.
const MAX_PATH_BYTES: u64 = 4096;
const MAX_REFERENCES: u64 = 1 << 16;

impl LocalStore {
    /// Writes objects with everything that they refer to, each after what it
    /// refers to. Equal objects give equal bytes. Returns how many there are.
    ///
    /// # Errors
    /// One of them is not in the store, or `out` failed.
    pub fn export<'p>(
        &self,
        roots: impl IntoIterator<Item = &'p StorePath>,
        out: &mut dyn Write,
    ) -> Result<usize, StoreError> {
        let closure = self.closure(roots)?;
        // With a stack of our own: graphs are deep.
        let mut stack: Vec<(&StorePath, bool)> = closure.keys().rev().map(|path| (path, false)).collect();
        let mut entered: BTreeSet<&StorePath> = BTreeSet::new();
        while let Some((path, is_entered)) = stack.pop() {
            if is_entered {
                self.export_one(path, &closure[path].references, out)?;
                continue;
            }
            if !entered.insert(path) {
                continue;
            }
            stack.push((path, true));
            stack.extend(closure[path].references.iter().rev().map(|reference| (reference, false)));
        }
        number(out, 0)?;
        Ok(closure.len())
    }

    fn export_one(
        &self,
        path: &StorePath,
        references: &BTreeSet<StorePath>,
        out: &mut dyn Write,
    ) -> Result<(), StoreError> {
        number(out, ANOTHER)?;
        dump_path(&self.physical(path), &mut *out)?;
        number(out, MAGIC)?;
        string(out, &self.store_dir().display(path))?;
        number(out, references.len() as u64)?;
        for reference in references {
            string(out, &self.store_dir().display(reference))?;
        }
        // Neither who made it, nor the signature of Nix's first versions.
        string(out, "")?;
        number(out, 0)
    }

    /// Adds what such a stream holds, of which `input` should be buffered.
    ///
    /// # Errors
    /// [`StoreError::Import`]: it is malformed, or holds an object whose path does
    /// not follow from its contents. What came before it stays.
    pub fn import(&self, input: &mut dyn Read) -> Result<Vec<StorePath>, StoreError> {
        let mut added = Vec::new();
        loop {
            match read_number(input)? {
                0 if is_at_end(input)? => return Ok(added),
                0 => return Err(malformed("more after its end")),
                ANOTHER => added.push(self.import_one(input)?),
                _ => return Err(malformed("neither another object nor its end")),
            }
        }
    }

    fn import_one(&self, input: &mut dyn Read) -> Result<StorePath, StoreError> {
        let scratch = self.scratch("import")?;
        let place = scratch.path().join("x");
        let mut import = || {
            let ingested = self.receive(input, &place, &BTreeSet::new())?;
            if read_number(input)? != MAGIC {
                return Err(malformed("an object without its name"));
            }
            let path = self.read_path(input)?;
            let count = read_number(input)?;
            if count > MAX_REFERENCES {
                return Err(malformed("an object that refers to too many"));
            }
            let references = (0..count).map(|_| self.read_path(input)).collect::<Result<BTreeSet<_>, _>>()?;
            read_string(input)?;
            if read_number(input)? != 0 {
                return Err(malformed("a signature of a kind that is no longer written"));
            }
            let others: BTreeSet<StorePath> =
                references.iter().filter(|other| **other != path).cloned().collect();
            if let Some(missing) = others.difference(&self.valid_among(&others)?).next() {
                return Err(StoreError::Missing(missing.clone()));
            }
            let address = self.address(&place, &ingested, &path, &references)?;
            let ingested = Ingested { references, ..ingested };
            let content_address = Some(address.to_string());
            self.place(&place, &Ingest { path: path.clone(), ingested, content_address, deriver: None })?;
            Ok(path)
        };
        let imported = import();
        // A tree without write bits: the plain removal would stumble over it.
        crate::local::remove::remove_tree(&scratch.keep())?;
        imported
    }

    /// From which contents the path of an object follows.
    fn address(
        &self,
        place: &Path,
        ingested: &Ingested,
        path: &StorePath,
        references: &BTreeSet<StorePath>,
    ) -> Result<ContentAddress, StoreError> {
        let tree = ContentAddress::Fixed { recursive: true, hash: ingested.nar_hash.clone() };
        let mut candidates = vec![tree];
        let metadata = place.symlink_metadata().map_err(StoreError::io("read", place))?;
        if metadata.is_file() {
            let bytes = fs::read(place).map_err(StoreError::io("read", place))?;
            let hash = NixHash::sha256(Sha256::digest(bytes).into());
            candidates.push(ContentAddress::Text(hash.clone()));
            candidates.push(ContentAddress::Fixed { recursive: false, hash });
        }
        candidates
            .into_iter()
            .find(|address| address.is_address_of(self.store_dir(), path, references))
            .ok_or_else(|| {
                StoreError::Import(format!(
                    "{path} does not follow from its contents, and nobody vouches for it"
                ))
            })
    }

    fn read_path(&self, input: &mut dyn Read) -> Result<StorePath, StoreError> {
        let text = read_string(input)?;
        Ok(self.store_dir().parse(&text)?)
    }
}

fn malformed(what: &str) -> StoreError {
    StoreError::Import(format!("the stream holds {what}"))
}

fn number(out: &mut dyn Write, number: u64) -> Result<(), StoreError> {
    out.write_all(&number.to_le_bytes()).map_err(failed("write"))
}

/// Its length, its bytes, and zeros up to a multiple of eight.
fn string(out: &mut dyn Write, text: &str) -> Result<(), StoreError> {
    number(out, text.len() as u64)?;
    out.write_all(text.as_bytes()).map_err(failed("write"))?;
    out.write_all(&[0; 8][..padding(text.len())]).map_err(failed("write"))
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(8) - length
}

fn failed(action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| match source.kind() {
        io::ErrorKind::UnexpectedEof => malformed("less than it says: it ends too early"),
        _ => StoreError::Nar(NarError::Stream { action, source }),
    }
}

fn is_at_end(input: &mut dyn Read) -> Result<bool, StoreError> {
    match input.read_exact(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        other => other.map(|()| false).map_err(failed("read")),
    }
}

fn read_number(input: &mut dyn Read) -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes).map_err(failed("read"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_string(input: &mut dyn Read) -> Result<String, StoreError> {
    let length = read_number(input)?;
    if length > MAX_PATH_BYTES {
        return Err(malformed("a name that is too long"));
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes).map_err(failed("read"))?;
    let mut zeros = [0; 8];
    let zeros = &mut zeros[..padding(bytes.len())];
    input.read_exact(zeros).map_err(failed("read"))?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(malformed("padding that is not zero"));
    }
    String::from_utf8(bytes).map_err(|_| malformed("a name that is no text"))
}
