//! What a cluster has that was made there for this store: one `.narinfo` an
//! object, whose address is the archive's digest.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use osbuild_store::narinfo::NarInfo;
use osbuild_store::{StoreDir, StorePath};
use sha2::{Digest as _, Sha256};

use super::RemoteError;
use super::digest::Digest;

pub(super) struct Records {
    directory: PathBuf,
}

/// How long a record is kept that nobody asks for. Clusters drop what is
/// unused sooner; what it was about is found among their results, or made again.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

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
        // At worst it gets old, and what it was about is asked for again.
        let _ =
            File::open(self.file(path.hash_part())).and_then(|record| record.set_modified(SystemTime::now()));
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
/// use for a month; whoever removes them loses nothing but time.
///
/// # Errors
/// A directory cannot be read.
pub fn unused_records(home: &Path, now: SystemTime) -> Result<Vec<PathBuf>, RemoteError> {
    let mut unused = Vec::new();
    for directory in entries(&of_all(home))? {
        for record in entries(&directory)? {
            // A time to come is of a clock that was wrong: as good as now.
            let age = record.metadata().and_then(|metadata| metadata.modified()).ok();
            let age = age.and_then(|modified| now.duration_since(modified).ok());
            if age.is_some_and(|age| age > KEPT) {
                unused.push(record);
            }
        }
    }
    Ok(unused)
}

/// What is in a directory; nothing if there is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, RemoteError> {
    let listed = || match directory.read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>(),
    };
    listed().map_err(|source| RemoteError::Io { action: "list", path: directory.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

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
