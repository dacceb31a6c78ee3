//! Content addresses: what a path says of its contents, if it was made from
//! them and from nothing else.
//!
//! Source: Nix manual, "Content-Addressing Store Objects".

use std::collections::BTreeSet;
use std::fmt;

use crate::hash::{HashAlgorithm, NixHash};
use crate::path::{StoreDir, StorePath, StorePathError};

/// How an object's path follows from its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentAddress {
    /// One file that may refer to other objects: `toFile`, `.drv`. The hash is
    /// a SHA-256 of the file's bytes.
    Text(NixHash),
    /// Sources and outputs. The hash is of the archive if `recursive`, of the
    /// one plain file otherwise.
    Fixed { recursive: bool, hash: NixHash },
}

/// Text that is no content address of a kind known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no content address")]
pub struct ContentAddressError(String);

impl ContentAddress {
    /// Reads `text:sha256:…` or `fixed:[r:]<algorithm>:…`, the digest in any
    /// spelling.
    ///
    /// # Errors
    /// It is neither, or the digest is none of the algorithm.
    pub fn parse(text: &str) -> Result<Self, ContentAddressError> {
        let read = |hash: &str| NixHash::parse(hash, None).ok().filter(|_| hash.contains(':'));
        let parsed = if let Some(hash) = text.strip_prefix("text:") {
            read(hash).filter(|hash| hash.algorithm() == HashAlgorithm::Sha256).map(Self::Text)
        } else if let Some(hash) = text.strip_prefix("fixed:r:") {
            read(hash).map(|hash| Self::Fixed { recursive: true, hash })
        } else if let Some(hash) = text.strip_prefix("fixed:") {
            read(hash).map(|hash| Self::Fixed { recursive: false, hash })
        } else {
            None
        };
        parsed.ok_or_else(|| ContentAddressError(text.to_owned()))
    }

    /// The path that an object of this name has, if its contents are these.
    /// `references` may hold the path itself, for an archive that does.
    ///
    /// # Errors
    /// `name` is no name, or the object cannot have these references.
    pub fn path(
        &self,
        store_dir: &StoreDir,
        name: &str,
        references: &BTreeSet<StorePath>,
        refers_to_itself: bool,
    ) -> Result<StorePath, StorePathError> {
        match self {
            Self::Text(hash) if !refers_to_itself => store_dir.text_path_of(name, hash, references),
            Self::Fixed { recursive: true, hash } if hash.algorithm() == HashAlgorithm::Sha256 => {
                store_dir.fixed_path(name, true, hash, references, refers_to_itself)
            }
            Self::Fixed { recursive, hash } if references.is_empty() && !refers_to_itself => {
                store_dir.fixed_path(name, *recursive, hash, references, false)
            }
            _ => Err(StorePathError::References(name.to_owned())),
        }
    }

    /// Whether `path` follows from this address and these references.
    pub fn is_address_of(
        &self,
        store_dir: &StoreDir,
        path: &StorePath,
        references: &BTreeSet<StorePath>,
    ) -> bool {
        let refers_to_itself = references.contains(path);
        let mut others = references.clone();
        others.remove(path);
        self.path(store_dir, path.name(), &others, refers_to_itself).is_ok_and(|made| made == *path)
    }
}

/// Nix's spelling.
impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, hash) = match self {
            Self::Text(hash) => ("text:", hash),
            Self::Fixed { recursive: true, hash } => ("fixed:r:", hash),
            Self::Fixed { recursive: false, hash } => ("fixed:", hash),
        };
        write!(f, "{method}{}", hash.to_prefixed_base32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_it_was_read() {
        for text in [
            "text:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "fixed:sha1:kpcd173cq987hw957sx6m0868wv3x6d9",
        ] {
            assert_eq!(ContentAddress::parse(text).map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for text in
            ["", "fixed:", "text:sha1:kpcd173cq987hw957sx6m0868wv3x6d9", "fixed:git:sha1:00", "fixed:r:00"]
        {
            assert!(ContentAddress::parse(text).is_err(), "{text}");
        }
        let sri = "fixed:sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert!(ContentAddress::parse(sri).is_err(), "a spelling that Nix refuses here");
    }

    #[test]
    fn a_path_is_judged_with_its_references() {
        let dir = StoreDir::default();
        let other = StorePath::new([1; 20], "other").unwrap();
        let references = BTreeSet::from([other.clone()]);
        let hash = NixHash::of(HashAlgorithm::Sha256, b"world");
        let path = dir.text_path("hello", b"world", &references).unwrap();
        let address = ContentAddress::Text(hash.clone());
        assert!(address.is_address_of(&dir, &path, &references));
        assert!(!address.is_address_of(&dir, &path, &BTreeSet::new()));
        assert!(!ContentAddress::Fixed { recursive: false, hash }.is_address_of(&dir, &path, &references));

        let hash = NixHash::of(HashAlgorithm::Sha256, b"archive");
        let path = dir.fixed_path("own", true, &hash, &references, true).unwrap();
        let address = ContentAddress::Fixed { recursive: true, hash };
        let with_itself = BTreeSet::from([other, path.clone()]);
        assert!(address.is_address_of(&dir, &path, &with_itself));
        assert!(!address.is_address_of(&dir, &path, &references));
    }
}
