//! What keeps objects alive: links in `roots/`, each pointing at a result
//! link somewhere in the user's files, which points at an object.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Access, LocalStore};
use crate::base32::to_nix_base32;
use crate::error::StoreError;
use crate::path::StorePath;

impl LocalStore {
    /// Makes `link` point at an object and registers it as a root. An older
    /// link of ours is replaced in one step; anything else there is an error.
    ///
    /// # Errors
    /// `link` is something other than a link, or cannot be made.
    pub fn add_root(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        let link = std::path::absolute(link).map_err(StoreError::io("resolve", link))?;
        match link.symlink_metadata() {
            Ok(metadata) if !metadata.is_symlink() => {
                let source =
                    std::io::Error::new(ErrorKind::AlreadyExists, "something that is no link is there");
                return Err(StoreError::Io { action: "make the result link", path: link, source });
            }
            _ => {}
        }
        // Root first: a link without its root could lose its object.
        let digest = Sha256::digest(link.as_os_str().as_encoded_bytes());
        let root = self.home().join("roots").join(to_nix_base32(&digest[..20]));
        replace_link(&link, &root)?;
        replace_link(&self.physical(path), &link)
    }

    /// Every object that a root keeps, with the links that do. Roots whose
    /// link is gone or points elsewhere are removed.
    ///
    /// # Errors
    /// `roots/` cannot be read.
    pub fn roots(&self) -> Result<BTreeMap<StorePath, Vec<PathBuf>>, StoreError> {
        let directory = self.home().join("roots");
        let mut roots: BTreeMap<StorePath, Vec<PathBuf>> = BTreeMap::new();
        for entry in directory.read_dir().map_err(StoreError::io("list", &directory))? {
            let root = entry.map_err(StoreError::io("list", &directory))?.path();
            let Ok(link) = fs::read_link(&root) else { continue };
            let target = fs::read_link(&link).ok();
            let object = target.as_deref().and_then(Path::to_str).and_then(|text| self.parse_any(text));
            match object {
                Some((path, _)) => roots.entry(path).or_default().push(link),
                None if self.access == Access::Read => {}
                None => fs::remove_file(&root).map_err(StoreError::io("remove", &root))?,
            }
        }
        Ok(roots)
    }
}

fn replace_link(target: &Path, link: &Path) -> Result<(), StoreError> {
    let mut name = link.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = link.with_file_name(name);
    let _ = fs::remove_file(&beside);
    std::os::unix::fs::symlink(target, &beside).map_err(StoreError::io("make the link", &beside))?;
    fs::rename(&beside, link).map_err(StoreError::io("make the link", link))
}
