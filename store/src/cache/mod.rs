//! Binary caches in Nix's layout: `nix-cache-info`, `<digest>.narinfo`,
//! `nar/…`; beside them `actions/<key>`, what builds came out as.
//!
//! A cache is never believed: what it says counts if a trusted key signed it
//! or if it follows from the contents, and contents count once their hash was
//! checked. Whatever a cache does, the worst that follows is that something
//! is fetched elsewhere or built.
//!
//! Source: Nix manual, "Serving a Nix store via HTTP", "HTTP Binary Cache
//! Store".

mod beside;
mod compress;
mod directory;
mod http;
mod memory;
pub mod place;
mod publish;
mod s3;
mod serve;
mod serve_files;
mod substitute;

use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::action::{ActionKey, ActionRow};
use crate::content_address::ContentAddress;
use crate::error::StoreError;
use crate::hash::NixHash;
use crate::local::ObjectInfo;
use crate::narinfo::{Compression, NarInfo, NarInfoError};
use crate::path::{StoreDir, StorePath};
use crate::signature::SecretKey;
use crate::transport::Http;
use place::{Cancelled, Place, PlaceError};

pub use directory::Directory;
pub use http::Server;
pub use publish::{Published, Publisher};
pub use s3::S3Keys;
pub use serve::StoreServer;
pub use serve_files::FileServer;
pub use substitute::{Found, Substituters, Watch};

/// What is wrong with a cache, or with what it gave.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// An address of no kind that is known.
    #[error("'{0}' is no such place: expected a directory, file://, http://, https:// or s3://")]
    Address(String),
    /// The cache holds objects of another store directory.
    #[error("the cache {cache} is for the store directory {theirs}, this store is {ours}")]
    StoreDir { cache: String, theirs: String, ours: String },
    /// `nix-cache-info` is malformed.
    #[error("the cache {cache} has a malformed nix-cache-info: {reason}")]
    CacheInfo { cache: String, reason: String },
    /// What it says of an object cannot be read.
    #[error("the cache {cache} has a malformed .narinfo of {path}")]
    NarInfo { cache: String, path: StorePath, source: NarInfoError },
    /// The archive is another one than it said, or none.
    #[error("the cache {cache} has a wrong archive of {path}: {reason}")]
    Archive { cache: String, path: StorePath, reason: String },
    /// The cache no longer has an archive that it had a moment ago.
    #[error("the cache {cache} has no archive of {path}")]
    Gone { cache: String, path: StorePath },
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What reaching a cache takes.
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub http: Arc<Http>,
    /// For `s3://`.
    pub s3: Option<S3Keys>,
}

/// The name of the file that says what a cache is.
const CACHE_INFO: &str = "nix-cache-info";
/// Bytes that a small file of a cache has at most.
const SMALL_BYTES: usize = 64 << 10;
/// Where nothing says otherwise, as in Nix.
const DEFAULT_PRIORITY: u32 = 50;

/// One cache.
#[derive(Debug)]
pub struct BinaryCache {
    place: Box<dyn Place>,
    info: OnceLock<CacheInfo>,
    /// It failed, and is left alone for the rest of the run.
    given_up: AtomicBool,
}

/// What a cache says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheInfo {
    /// Lower is asked earlier.
    pub priority: u32,
    /// Whether it says anything; a new cache does not.
    pub is_written: bool,
}

/// The place at an address: a directory, `file://`, `http://`, `https://`, or
/// `s3://BUCKET[/PREFIX][?endpoint=ADDRESS&region=NAME]`.
///
/// # Errors
/// [`CacheError::Address`].
pub fn place_at(address: &str, access: &Access) -> Result<Box<dyn Place>, CacheError> {
    let http = &access.http;
    Ok(match address.split_once("://") {
        Some(("http" | "https", _)) => Box::new(Server::new(Arc::clone(http), address)),
        Some(("s3", _)) => Box::new(s3::at(address, access.s3.as_ref(), http)?),
        Some(("file", path)) if path.starts_with('/') => Box::new(Directory::new(Path::new(path))),
        None if !address.is_empty() => {
            let path = std::path::absolute(address).map_err(|_| CacheError::Address(address.to_owned()))?;
            Box::new(Directory::new(&path))
        }
        _ => return Err(CacheError::Address(address.to_owned())),
    })
}

impl BinaryCache {
    /// The cache at an address; see [`place_at`].
    ///
    /// # Errors
    /// [`CacheError::Address`].
    pub fn at(address: &str, access: &Access) -> Result<Self, CacheError> {
        place_at(address, access).map(Self::of)
    }

    pub fn of(place: Box<dyn Place>) -> Self {
        Self { place, info: OnceLock::new(), given_up: AtomicBool::new(false) }
    }

    pub fn address(&self) -> &str {
        self.place.address()
    }

    /// What the cache says of itself, asked once.
    ///
    /// # Errors
    /// It cannot be reached, or is for another store directory.
    pub fn info(&self, store_dir: &StoreDir, cancelled: &Cancelled<'_>) -> Result<&CacheInfo, CacheError> {
        if let Some(info) = self.info.get() {
            return Ok(info);
        }
        let text = self.place.get(CACHE_INFO, SMALL_BYTES, cancelled)?;
        let info = match text {
            Some(text) => parse_cache_info(self.address(), &text, store_dir)?,
            None => CacheInfo { priority: DEFAULT_PRIORITY, is_written: false },
        };
        Ok(self.info.get_or_init(|| info))
    }

    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Whether this is the first time.
    fn give_up(&self) -> bool {
        !self.given_up.swap(true, Ordering::Relaxed)
    }
}

fn parse_cache_info(cache: &str, text: &[u8], store_dir: &StoreDir) -> Result<CacheInfo, CacheError> {
    let malformed =
        |reason: &str| CacheError::CacheInfo { cache: cache.to_owned(), reason: reason.to_owned() };
    let text = std::str::from_utf8(text).map_err(|_| malformed("not UTF-8"))?;
    let mut info = CacheInfo { priority: DEFAULT_PRIORITY, is_written: true };
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        match (name, value.trim()) {
            ("StoreDir", theirs) if theirs != store_dir.as_str() => {
                let (cache, theirs) = (cache.to_owned(), theirs.to_owned());
                return Err(CacheError::StoreDir { cache, theirs, ours: store_dir.as_str().to_owned() });
            }
            ("Priority", number) => {
                info.priority = number.parse().map_err(|_| malformed("its priority is no number"))?;
            }
            _ => {}
        }
    }
    Ok(info)
}

/// What a cache says of an object, with the signatures that the object came
/// with and those of every one of `keys`; `file` is the archive as the cache
/// keeps it.
fn description(
    store_dir: &StoreDir,
    object: &ObjectInfo,
    url: String,
    compression: Compression,
    file: (NixHash, u64),
    keys: &[SecretKey],
) -> NarInfo {
    let mut info = NarInfo {
        path: object.path.clone(),
        url,
        compression,
        file_hash: Some(file.0),
        file_size_bytes: Some(file.1),
        nar_hash: object.nar_hash.clone(),
        nar_size_bytes: object.nar_size_bytes,
        references: object.references.clone(),
        deriver: object.deriver.clone(),
        signatures: object.signatures.iter().cloned().collect(),
        content_address: object.content_address.as_deref().and_then(|text| ContentAddress::parse(text).ok()),
    };
    keys.iter().for_each(|key| info.sign(store_dir, key));
    info
}

/// What a build came out as, as caches publish it.
fn signed_action(key: ActionKey, row: &ActionRow, keys: &[SecretKey]) -> String {
    let text = row.signed_text(key);
    let signatures: Vec<String> =
        keys.iter().map(|secret| secret.sign(text.as_bytes()).to_string()).collect();
    row.to_json(key, &signatures)
}

/// What a cache of ours says of itself.
fn cache_info_text(store_dir: &StoreDir, priority: u32) -> String {
    format!("StoreDir: {}\nWantMassQuery: 1\nPriority: {priority}\n", store_dir.as_str())
}

/// The name of what a cache says of an object.
fn narinfo_name(path: &StorePath) -> String {
    format!("{}.narinfo", path.hash_part())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_info_is_read_as_nix_does() {
        let dir = StoreDir::default();
        let parse = |text: &str| parse_cache_info("c", text.as_bytes(), &dir);
        assert_eq!(parse("").unwrap().priority, 50);
        assert_eq!(parse("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n").unwrap().priority, 30);
        assert!(matches!(parse("StoreDir: /gnu/store\n"), Err(CacheError::StoreDir { .. })));
        assert!(matches!(parse("Priority: high\n"), Err(CacheError::CacheInfo { .. })));
    }

    #[test]
    fn addresses_name_their_kind() {
        let http = Access::default();
        for (address, shown) in [
            ("https://h.invalid/cache/", "https://h.invalid/cache"),
            ("file:///srv/cache", "file:///srv/cache"),
            ("/srv/cache", "file:///srv/cache"),
            ("s3://bucket/below/?region=eu-1&endpoint=h.invalid", "s3://bucket/below"),
        ] {
            assert_eq!(BinaryCache::at(address, &http).unwrap().address(), shown);
        }
        for address in ["", "ftp://h.invalid/", "file://relative", "s3://", "s3://b?profile=x"] {
            assert!(matches!(BinaryCache::at(address, &http), Err(CacheError::Address(_))), "{address}");
        }
    }
}
