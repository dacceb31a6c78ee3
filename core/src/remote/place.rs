//! A cluster's storage as a place that objects come from.

use std::fmt;
use std::sync::Arc;

use osbuild_store::StoreDir;
use osbuild_store::cache::place::{Cancelled, Contents, Place, PlaceError, Reader};

use super::RemoteError;
use super::connection::Remote;
use super::digest::Digest;

/// Objects that were made on a cluster and are still there.
pub struct Storage {
    remote: Arc<Remote>,
    store_dir: StoreDir,
}

impl Storage {
    pub fn new(remote: Arc<Remote>, store_dir: StoreDir) -> Self {
        Self { remote, store_dir }
    }

    fn failed(&self, action: &'static str, error: RemoteError) -> PlaceError {
        match error {
            RemoteError::Interrupted => PlaceError::Interrupted,
            error => PlaceError::Failed {
                action,
                address: self.remote.address.clone(),
                reason: osbuild_store::error::one_line(&error),
            },
        }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.remote.address)
    }
}

impl Place for Storage {
    fn address(&self) -> &str {
        &self.remote.address
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn get(&self, name: &str, _: usize, cancelled: &Cancelled<'_>) -> Result<Option<Vec<u8>>, PlaceError> {
        if name == "nix-cache-info" {
            // Nothing is nearer than where it was made.
            return Ok(Some(format!("StoreDir: {}\nPriority: 0\n", self.store_dir.as_str()).into_bytes()));
        }
        let Some(hash_part) = name.strip_suffix(".narinfo") else { return Ok(None) };
        let Some((info, digest)) = self.remote.records.get(hash_part, &self.store_dir) else {
            return Ok(None);
        };
        let missing = self.remote.missing(std::slice::from_ref(&digest), cancelled);
        if !missing.map_err(|error| self.failed("ask", error))?.is_empty() {
            self.remote.records.forget(&info.path);
            return Ok(None);
        }
        self.remote.records.note_use(&info.path);
        Ok(Some(info.to_text(&self.store_dir).into_bytes()))
    }

    fn read(
        &self,
        name: &str,
        cancelled: &Cancelled<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<bool, PlaceError> {
        let Some(digest) = Digest::parse(name) else { return Ok(false) };
        self.remote
            .read_blob(&digest, cancelled, &mut |stream| reader(stream, Some(digest.size_bytes)))
            .map_err(|error| self.failed("read", error))
    }

    fn exists(&self, name: &str, cancelled: &Cancelled<'_>) -> Result<bool, PlaceError> {
        Ok(self.get(name, usize::MAX, cancelled)?.is_some())
    }

    fn put(&self, _: &str, _: Contents<'_>, _: &Cancelled<'_>) -> Result<(), PlaceError> {
        Err(PlaceError::Failed {
            action: "write to",
            address: self.remote.address.clone(),
            reason: "only what is built there gets there".to_owned(),
        })
    }
}
