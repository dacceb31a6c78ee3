//! What a cluster has that was made there for this store: one `.narinfo` an
//! object, whose address is the archive's digest.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use osbuild_store::narinfo::NarInfo;
use osbuild_store::{StoreDir, StorePath};
use sha2::{Digest as _, Sha256};

use super::RemoteError;
use super::digest::Digest;
use crate::aging;

pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    /// Below a store's home; another cluster's are elsewhere.
    pub(super) fn open(home: &Path, address: &str) -> Self {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(address)[..16]);
        Self { directory: of_all(home).join(digest) }
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

    /// Keeps a record from getting old.
    pub(super) fn note_use(&self, path: &StorePath) {
        aging::note_use(&self.file(path.hash_part()));
    }

    pub(super) fn forget(&self, path: &StorePath) {
        let _ = std::fs::remove_file(self.file(path.hash_part()));
    }
}

/// Those of all clusters, below a store's home.
fn of_all(home: &Path) -> PathBuf {
    home.join("remote")
}

/// Files below a store's home that tell of objects on clusters and were of no
/// use for a month. Clusters drop what is unused sooner; whoever removes them
/// loses nothing but time.
///
/// # Errors
/// A directory cannot be read.
pub fn unused_records(home: &Path, now: SystemTime) -> Result<Vec<PathBuf>, RemoteError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| RemoteError::Io { action: "list", path, source }
    };
    let all = of_all(home);
    let mut unused = Vec::new();
    for directory in aging::entries(&all).map_err(failed(&all))? {
        unused.extend(aging::unused(&directory, now).map_err(failed(&directory))?);
    }
    Ok(unused)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;
    use crate::aging::KEPT;

    #[test]
    fn a_record_gets_old_only_while_nobody_asks_for_it() {
        let home = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        assert!(unused_records(home.path(), now).unwrap().is_empty());
        let records = Records::open(home.path(), "grpc://h.invalid:1");
        let [used, unused] = [[1; 20], [2; 20]].map(|bytes| StorePath::new(bytes, "x").unwrap());
        for path in [&used, &unused] {
            let file = records.file(path.hash_part());
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            File::create(file).unwrap().set_modified(now - KEPT - Duration::from_secs(9)).unwrap();
        }
        records.note_use(&used);
        assert_eq!(unused_records(home.path(), now).unwrap(), [records.file(unused.hash_part())]);
        // By a clock that was set back.
        assert!(unused_records(home.path(), now - KEPT).unwrap().is_empty());
    }
}
