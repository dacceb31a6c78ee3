//! What a cluster has that was made there for this store: one `.narinfo` an
//! object, whose address is the archive's digest.

use std::io::Write;
use std::path::{Path, PathBuf};

use osbuild_store::narinfo::NarInfo;
use osbuild_store::{StoreDir, StorePath};
use sha2::{Digest as _, Sha256};

use super::RemoteError;
use super::digest::Digest;

pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    /// Below a store's home; another cluster's are elsewhere.
    pub(super) fn open(home: &Path, address: &str) -> Self {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(address)[..16]);
        Self { directory: home.join("remote").join(digest) }
    }

    fn file(&self, hash_part: &str) -> PathBuf {
        self.directory.join(format!("{hash_part}.narinfo"))
    }

    /// What is known of the object whose base name begins so. A record that
    /// cannot be read is none: what it was about is made again.
    pub(super) fn get(&self, hash_part: &str, store_dir: &StoreDir) -> Option<(NarInfo, Digest)> {
        let text = std::fs::read(self.file(hash_part)).ok()?;
        let info = NarInfo::parse(&text, store_dir).ok()?;
        let digest = Digest::parse(&info.url)?;
        (info.path.hash_part() == hash_part).then_some((info, digest))
    }

    /// # Errors
    /// The file cannot be written.
    pub(super) fn put(&self, info: &NarInfo, store_dir: &StoreDir) -> Result<(), RemoteError> {
        let file = self.file(info.path.hash_part());
        let write = || {
            std::fs::create_dir_all(&self.directory)?;
            let mut new = tempfile::NamedTempFile::new_in(&self.directory)?;
            new.write_all(info.to_text(store_dir).as_bytes())?;
            new.persist(&file)?;
            Ok(())
        };
        write().map_err(|source| RemoteError::Io { action: "write", path: file.clone(), source })
    }

    pub(super) fn forget(&self, path: &StorePath) {
        let _ = std::fs::remove_file(self.file(path.hash_part()));
    }
}
