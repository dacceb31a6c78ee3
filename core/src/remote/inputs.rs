//! Everything that an action mounts: objects of this store, and objects that
//! only the cluster has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufWriter;

use osbuild_store::nar::dump_path;
use osbuild_store::{LocalStore, NixHash, StoreError, StorePath};

use super::connection::Remote;
use super::digest::{Digest, Function};
use super::{Cancelled, RemoteError};

/// An object with what it refers to.
pub(super) struct Input {
    pub(super) references: BTreeSet<StorePath>,
    digest: Option<Digest>,
    is_here: bool,
}

/// A closure across both.
pub(super) type Inputs = BTreeMap<StorePath, Input>;

impl Remote {
    /// The closure of `roots`; an object that is in neither place is gone.
    pub(super) fn closure<'p>(
        &self,
        store: &LocalStore,
        roots: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<Inputs, RemoteError> {
        let mut inputs = Inputs::new();
        let mut gone = Vec::new();
        let mut queue: Vec<StorePath> = roots.into_iter().cloned().collect();
        while let Some(path) = queue.pop() {
            if inputs.contains_key(&path) {
                continue;
            }
            let input = if let Some(info) = store.info(&path)? {
                let digest = (self.function == Function::Sha256).then(|| Digest {
                    hash: data_encoding::HEXLOWER.encode(info.nar_hash.digest()),
                    size_bytes: info.nar_size_bytes,
                });
                Input { references: info.references, digest, is_here: true }
            } else if let Some((info, digest)) = self.records.get(path.hash_part(), store.store_dir()) {
                Input { references: info.references, digest: Some(digest), is_here: false }
            } else {
                gone.push(path);
                continue;
            };
            queue.extend(input.references.iter().cloned());
            inputs.insert(path, input);
        }
        if gone.is_empty() {
            Ok(inputs)
        } else {
            Err(RemoteError::Gone { address: self.address.clone(), paths: gone })
        }
    }

    /// The digest of each input's archive, by base name.
    pub(super) fn digests(
        &self,
        store: &LocalStore,
        inputs: &Inputs,
    ) -> Result<BTreeMap<String, Digest>, RemoteError> {
        let mut digests = BTreeMap::new();
        for (path, input) in inputs {
            let digest = match &input.digest {
                Some(digest) => digest.clone(),
                None => self.archive_digest(store, path)?,
            };
            digests.insert(path.as_str().to_owned(), digest);
        }
        Ok(digests)
    }

    /// The archive's hash of an object that is here or there.
    ///
    /// # Errors
    /// The local store failed.
    pub fn nar_hash(&self, store: &LocalStore, path: &StorePath) -> Result<Option<NixHash>, StoreError> {
        if let Some(info) = store.info(path)? {
            return Ok(Some(info.nar_hash));
        }
        Ok(self.records.get(path.hash_part(), store.store_dir()).map(|(info, _)| info.nar_hash))
    }

    /// Of an object here, in a hash that the store does not keep.
    fn archive_digest(&self, store: &LocalStore, path: &StorePath) -> Result<Digest, RemoteError> {
        if let Some(digest) = self.in_flight.hashed(path) {
            return Ok(digest);
        }
        let mut hasher = self.function.hasher();
        dump_path(&store.physical(path), &mut hasher).map_err(StoreError::from)?;
        let digest = hasher.finish();
        self.in_flight.note_hashed(path.clone(), digest.clone());
        Ok(digest)
    }

    /// Sends the archives that the cluster lacks; `progress` gets bytes sent
    /// and bytes in all.
    pub(super) fn send_inputs(
        &self,
        store: &LocalStore,
        inputs: &Inputs,
        digests: &BTreeMap<String, Digest>,
        progress: &dyn Fn(u64, u64),
        cancelled: &Cancelled<'_>,
    ) -> Result<(), RemoteError> {
        let (builder, bytes) = self.builder()?;
        let all: Vec<Digest> = digests.values().chain([builder]).cloned().collect();
        let missing = self.missing(&all, cancelled)?;
        let lost: Vec<StorePath> = inputs
            .iter()
            .filter(|(path, input)| !input.is_here && missing.contains(&digests[path.as_str()]))
            .map(|(path, _)| path.clone())
            .collect();
        if !lost.is_empty() {
            lost.iter().for_each(|path| self.records.forget(path));
            return Err(RemoteError::Gone { address: self.address.clone(), paths: lost });
        }
        if let Some((name, digest)) = digests.iter().find(|(_, digest)| digest.size_bytes > self.blob_bytes) {
            let (size, limit) = (digest.size_bytes, self.blob_bytes);
            return Err(
                self.unsupported(&format!("takes blobs of {limit} bytes at most, and {name} has {size}"))
            );
        }
        let total = missing.iter().map(|digest| digest.size_bytes).sum();
        let mut sent = 0;
        if missing.contains(builder) {
            self.send(builder, cancelled, &mut |out| {
                out.write_all(bytes).map_err(|source| StoreError::Io {
                    action: "send",
                    path: "the builder".into(),
                    source,
                })
            })?;
            sent += builder.size_bytes;
        }
        for path in inputs.keys() {
            let digest = &digests[path.as_str()];
            if !missing.contains(digest) {
                continue;
            }
            progress(sent, total);
            self.send(digest, cancelled, &mut |out| {
                let mut out = BufWriter::with_capacity(1 << 17, out);
                dump_path(&store.physical(path), &mut out)?;
                out.into_inner().map(|_| ()).map_err(|error| StoreError::Io {
                    action: "send",
                    path: store.physical(path),
                    source: error.into_error(),
                })
            })?;
            sent += digest.size_bytes;
        }
        if total > 0 {
            progress(total, total);
        }
        Ok(())
    }
}
