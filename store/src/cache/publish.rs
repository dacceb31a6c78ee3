//! Putting objects into a cache.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::sync::Mutex;

use super::place::{Cancelled, Contents};
use super::{BinaryCache, CACHE_INFO, CacheError, cache_info_text, description, narinfo_name, signed_action};
use crate::action::{ActionKey, ActionRow};
use crate::error::StoreError;
use crate::hash::HashSink;
use crate::local::{LocalStore, ObjectInfo};
use crate::nar::dump_path;
use crate::narinfo::{Compression, MAX_BYTES, NarInfo};
use crate::parallel::references_first;
use crate::path::StorePath;
use crate::signature::SecretKey;

/// Where nothing else is asked for: the level at which zstd still keeps up
/// with a disk.
const DEFAULT_LEVEL: i32 = 3;

/// Of a new cache; silence would mean 50.
const PRIORITY: u32 = 40;

/// Publishes objects of a store.
pub struct Publisher<'a> {
    store: &'a LocalStore,
    cache: &'a BinaryCache,
    keys: &'a [SecretKey],
    compression: Compression,
    level: i32,
    jobs: usize,
}

/// What became of what was to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Those that were sent.
    pub sent: Vec<StorePath>,
    /// Those that the cache had.
    pub present: Vec<StorePath>,
    /// Bytes of archives that were sent.
    pub bytes: u64,
}

impl<'a> Publisher<'a> {
    /// Compresses with zstd, signs with every one of `keys`.
    pub fn new(store: &'a LocalStore, cache: &'a BinaryCache, keys: &'a [SecretKey], jobs: usize) -> Self {
        Self { store, cache, keys, compression: Compression::Zstd, level: DEFAULT_LEVEL, jobs }
    }

    /// As asked for instead of zstd; `None` or `Zstd`, which has a level.
    #[must_use]
    pub fn compressed(self, compression: Compression, level: Option<i32>) -> Self {
        Self { compression, level: level.unwrap_or(DEFAULT_LEVEL), ..self }
    }

    /// Publishes objects and all that they refer to. An object appears after
    /// those that it refers to, so the cache is closed at every moment.
    ///
    /// # Errors
    /// The cache refused, an object is not in the store, or it is damaged.
    pub fn publish(
        &self,
        roots: &BTreeSet<StorePath>,
        cancelled: &Cancelled<'_>,
    ) -> Result<Published, CacheError> {
        self.cache.place.tidy();
        self.write_cache_info(cancelled)?;
        let closure = self.store.closure(roots)?;
        let references: BTreeMap<StorePath, BTreeSet<StorePath>> =
            closure.iter().map(|(path, info)| (path.clone(), info.references.clone())).collect();
        let published = Mutex::new(Published::default());
        references_first(&references, self.jobs, |path| {
            let sent = self.publish_one(&closure[path], cancelled)?;
            let mut published = published.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match sent {
                Some(bytes) => {
                    published.sent.push(path.clone());
                    published.bytes += bytes;
                }
                None => published.present.push(path.clone()),
            }
            Ok::<(), CacheError>(())
        })?;
        Ok(published.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Publishes what a build came out as.
    ///
    /// # Errors
    /// The cache refused.
    pub fn publish_action(
        &self,
        key: ActionKey,
        row: &ActionRow,
        cancelled: &Cancelled<'_>,
    ) -> Result<(), CacheError> {
        let json = signed_action(key, row, self.keys);
        Ok(self.cache.place.put(&format!("actions/{key}"), Contents::Bytes(json.as_bytes()), cancelled)?)
    }

    /// A new cache says whose it is; an old one must be of this store
    /// directory.
    fn write_cache_info(&self, cancelled: &Cancelled<'_>) -> Result<(), CacheError> {
        let store_dir = self.store.store_dir();
        if !self.cache.info(store_dir, cancelled)?.is_written {
            let text = cache_info_text(store_dir, PRIORITY);
            self.cache.place.put(CACHE_INFO, Contents::Bytes(text.as_bytes()), cancelled)?;
        }
        Ok(())
    }

    /// Sends an object unless the cache has it; the bytes sent.
    fn publish_one(&self, object: &ObjectInfo, cancelled: &Cancelled<'_>) -> Result<Option<u64>, CacheError> {
        let store_dir = self.store.store_dir();
        let name = narinfo_name(&object.path);
        if let Some(text) = self.cache.place.get(&name, MAX_BYTES, cancelled)?
            && let Ok(mut info) = NarInfo::parse(&text, store_dir)
            && info.path == object.path
            && info.nar_hash == object.nar_hash
            // Our keys sign what this store knows, not what a cache says.
            && info.nar_size_bytes == object.nar_size_bytes
            && info.references == object.references
            && self.cache.place.exists(&info.url, cancelled)?
        {
            // It may lack a signature of ours, or one that is known here.
            let known = info.signatures.len();
            object.signatures.iter().for_each(|signature| info.add_signature(signature.clone()));
            self.keys.iter().for_each(|key| info.sign(store_dir, key));
            if info.signatures.len() > known {
                self.cache.place.put(
                    &name,
                    Contents::Bytes(info.to_text(store_dir).as_bytes()),
                    cancelled,
                )?;
            }
            return Ok(None);
        }
        let scratch = self.store.scratch("publish")?;
        let file = scratch.path().join("archive");
        let (file_hash, file_size) = self.pack(object, &file)?;
        let url = format!("nar/{}{}", file_hash.to_nix_base32(), self.compression.extension());
        self.cache.place.put(&url, Contents::File(&file), cancelled)?;
        let file = (file_hash, file_size);
        let info = description(store_dir, object, url, self.compression, file, self.keys);
        self.cache.place.put(&name, Contents::Bytes(info.to_text(store_dir).as_bytes()), cancelled)?;
        Ok(Some(file_size))
    }

    /// Writes the compressed archive; its hash and size. An object whose bytes
    /// are no longer those that were registered is not passed on.
    fn pack(&self, object: &ObjectInfo, file: &std::path::Path) -> Result<(crate::NixHash, u64), CacheError> {
        let create = StoreError::io("create", file);
        let out = BufWriter::with_capacity(1 << 17, std::fs::File::create_new(file).map_err(create)?);
        let out = Tee { out, hash: HashSink::default() };
        let (plain, mut out) = match self.compression {
            Compression::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(out, self.level);
                let mut encoder = encoder.map_err(StoreError::io("compress to", file))?;
                encoder.include_checksum(true).map_err(StoreError::io("compress to", file))?;
                let mut tee = Tee { out: encoder, hash: HashSink::default() };
                dump_path(&self.store.physical(&object.path), &mut tee).map_err(StoreError::from)?;
                (tee.hash, tee.out.finish().map_err(StoreError::io("write", file))?)
            }
            _ => {
                let mut tee = Tee { out, hash: HashSink::default() };
                dump_path(&self.store.physical(&object.path), &mut tee).map_err(StoreError::from)?;
                (tee.hash, tee.out)
            }
        };
        out.flush().map_err(StoreError::io("write", file))?;
        let (actual, _) = plain.finish();
        if actual != object.nar_hash {
            let (path, expected) = (object.path.clone(), object.nar_hash.to_string());
            return Err(StoreError::Corrupt { path, expected, actual: actual.to_string() }.into());
        }
        Ok(out.hash.finish())
    }
}

/// Writes, and hashes what it writes.
struct Tee<W> {
    out: W,
    hash: HashSink,
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.write_all(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
