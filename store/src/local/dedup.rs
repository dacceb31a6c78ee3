//! Equal files are one file: hard links by BLAKE3 and executable bit.

use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, linkat, renameat, unlinkat};
use rustix::io::Errno;

use super::LocalStore;
use crate::error::StoreError;

/// Smaller files share no block worth a link, and would be most of the links.
pub(super) const MIN_BYTES: u64 = 4096;

impl LocalStore {
    /// Replaces the canonical file called `name` in `parent` by a link to an
    /// equal one, or makes it the one to link to. Not being able to is no
    /// failure.
    pub(super) fn deduplicate(
        &self,
        parent: BorrowedFd<'_>,
        name: &Path,
        digest: &blake3::Hash,
        executable: bool,
        size: u64,
    ) {
        let hex = digest.to_hex();
        let directory = self.home().join("links").join(&hex[..2]);
        let link = directory.join(if executable { format!("{hex}-x") } else { hex.to_string() });
        let offer = || linkat(parent, name, CWD, &link, AtFlags::empty());
        match offer() {
            Ok(()) => return,
            Err(Errno::NOENT) => {
                let _ = fs::create_dir(&directory);
                if offer().is_ok() {
                    return;
                }
            }
            Err(_) => {}
        }
        if fs::metadata(&link).is_ok_and(|m| m.len() == size) {
            let beside = name.with_file_name(format!(".link-{}", std::process::id()));
            // EMLINK and whatever else: the file stays a copy of its own.
            if linkat(CWD, &link, parent, &beside, AtFlags::empty()).is_ok()
                && renameat(parent, &beside, parent, name).is_err()
            {
                let _ = unlinkat(parent, &beside, AtFlags::empty());
            }
        }
    }

    /// Removes links that no object uses any more; returns their bytes.
    pub(super) fn sweep_links(&self) -> Result<u64, StoreError> {
        use std::os::unix::fs::MetadataExt;
        let links = self.home().join("links");
        let mut freed = 0;
        for group in fs::read_dir(&links).map_err(StoreError::io("list", &links))? {
            let group = group.map_err(StoreError::io("list", &links))?.path();
            for link in fs::read_dir(&group).map_err(StoreError::io("list", &group))? {
                let link = link.map_err(StoreError::io("list", &group))?.path();
                let metadata = link.metadata().map_err(StoreError::io("read", &link))?;
                if metadata.nlink() == 1 {
                    freed += metadata.blocks() * 512;
                    fs::remove_file(&link).map_err(StoreError::io("remove", &link))?;
                }
            }
        }
        Ok(freed)
    }
}
