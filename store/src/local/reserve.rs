//! A little room that is given up when the disk is full.
//!
//! Removing an object begins with a row in the database, and SQLite needs a few
//! pages to write that. On a disk without a single free block, collecting
//! garbage would fail for want of the space that it is there to free.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::{Layout, LocalStore};
use crate::error::StoreError;

/// Enough for the database's shared memory and for some hundred rows, before
/// the first object's files are gone.
const RESERVE_BYTES: usize = 1 << 20;

impl LocalStore {
    /// As [`LocalStore::open`], for [`LocalStore::collect_garbage`] on a disk
    /// that may be full: gives up the reserve, which collecting makes again.
    ///
    /// # Errors
    /// As there.
    pub fn open_for_collection(home: &Path) -> Result<Self, StoreError> {
        // It need not be there, and if it cannot go the rest will say why.
        let _ = fs::remove_file(home.join(NAME));
        Self::open_without_reserve(&Layout::below(home))
    }

    /// Makes the reserve if it is not there. On a full disk there is none,
    /// which is no reason to fail: reading must work there.
    pub(super) fn make_reserve(&self) {
        let path = self.home().join(NAME);
        if path.exists() {
            return;
        }
        let beside = self.home().join(format!("{NAME}-{}", std::process::id()));
        let made = File::create(&beside)
            // Written, not allocated: not every file system can do that, and
            // some would not store zeros.
            .and_then(|mut file| file.write_all(&[0xa5; RESERVE_BYTES]))
            .and_then(|()| fs::rename(&beside, &path));
        if made.is_err() {
            let _ = fs::remove_file(&beside);
        }
    }
}

const NAME: &str = "reserve";
