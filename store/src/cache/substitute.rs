//! Taking objects from caches instead of making them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::compress::decoder;
use super::memory::{Memory, Remembered};
use super::place::{Cancelled, PlaceError};
use super::{BinaryCache, CacheError, narinfo_name};
use crate::action::{ActionKey, ActionRow};
use crate::content_address::ContentAddress;
use crate::error::{StoreError, one_line};
use crate::hash::{HashAlgorithm, NixHash};
use crate::local::{Ingest, Ingested, LocalStore};
use crate::nar::dump_path;
use crate::narinfo::{MAX_BYTES, NarInfo, Trust};
use crate::parallel::references_first;
use crate::path::{StoreDir, StorePath};
use crate::signature::{Signature, TrustedKeys};

/// The caches that a user named, and whose word counts.
#[derive(Debug)]
pub struct Substituters {
    caches: Vec<BinaryCache>,
    keys: TrustedKeys,
    store_dir: StoreDir,
    memory: Memory,
    /// Those that answered, lowest priority number first.
    order: OnceLock<Vec<usize>>,
}

/// Questions that are asked at the same time.
const QUESTIONS: usize = 16;

/// An object that a cache has.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which cache, by index.
    cache: usize,
    pub info: NarInfo,
    trust: Trust,
}

/// Who is told, and who may end it.
pub struct Watch<'a> {
    pub cancelled: &'a Cancelled<'a>,
    /// What a user should know and what ends nothing.
    pub warn: &'a (dyn Fn(&str) + Sync),
    /// Of the archive that is being fetched: bytes there are, bytes in all.
    pub progress: &'a (dyn Fn(&StorePath, u64, u64) + Sync),
}

impl Substituters {
    /// `memory` is a directory for what caches said lately.
    pub fn new(caches: Vec<BinaryCache>, keys: TrustedKeys, store_dir: StoreDir, memory: &Path) -> Self {
        Self { caches, keys, store_dir, memory: Memory::open(memory), order: OnceLock::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.caches.is_empty()
    }

    /// Looks for an object; a cache that fails is left alone for the rest of
    /// the run.
    ///
    /// # Errors
    /// [`PlaceError::Interrupted`].
    pub fn find(&self, path: &StorePath, watch: &Watch<'_>) -> Result<Option<Found>, PlaceError> {
        self.in_order(watch, |index, cache| match self.narinfo(cache, path, watch.cancelled)? {
            None => Ok(None),
            Some(info) => match info.trust(&self.store_dir, &self.keys) {
                Some(trust) => Ok(Some(Found { cache: index, info, trust })),
                None => {
                    // It may be signed later, or the user may come to trust.
                    self.memory.forget(cache.address(), &narinfo_name(path));
                    (watch.warn)(&format!(
                        "the cache {} has {path}, but no trusted key signed it",
                        cache.address()
                    ));
                    Ok(None)
                }
            },
        })
    }

    /// Looks for what a build came out as.
    ///
    /// # Errors
    /// [`PlaceError::Interrupted`].
    pub fn action(&self, key: ActionKey, watch: &Watch<'_>) -> Result<Option<ActionRow>, PlaceError> {
        let name = format!("actions/{key}");
        self.in_order(watch, |_, cache| {
            let Some(text) = self.remembered(cache, &name, watch.cancelled)? else { return Ok(None) };
            let (row, signatures) = match ActionRow::from_json(&text, key) {
                Ok(read) => read,
                Err(error) => {
                    self.memory.forget(cache.address(), &name);
                    (watch.warn)(&format!("the cache {} has a malformed {name}: {error}", cache.address()));
                    return Ok(None);
                }
            };
            let signatures: Vec<Signature> =
                signatures.iter().filter_map(|text| Signature::parse(text).ok()).collect();
            let is_trusted = self.keys.accept(row.signed_text(key).as_bytes(), &signatures);
            if !is_trusted {
                self.memory.forget(cache.address(), &name);
            }
            Ok(is_trusted.then_some(row))
        })
    }

    /// Asks each cache until one has it.
    fn in_order<T>(
        &self,
        watch: &Watch<'_>,
        ask: impl Fn(usize, &BinaryCache) -> Result<Option<T>, CacheError>,
    ) -> Result<Option<T>, PlaceError> {
        for &index in self.order(watch)? {
            let cache = &self.caches[index];
            if cache.is_given_up() {
                continue;
            }
            match ask(index, cache) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) => failed(cache, &error, watch)?,
            }
        }
        Ok(None)
    }

    fn order(&self, watch: &Watch<'_>) -> Result<&[usize], PlaceError> {
        if let Some(order) = self.order.get() {
            return Ok(order);
        }
        let mut order = Vec::new();
        for (index, cache) in self.caches.iter().enumerate() {
            match cache.info(&self.store_dir, watch.cancelled) {
                Ok(info) => order.push((info.priority, index)),
                Err(error) => failed(cache, &error, watch)?,
            }
        }
        order.sort_unstable();
        Ok(self.order.get_or_init(|| order.into_iter().map(|(_, index)| index).collect()))
    }

    fn narinfo(
        &self,
        cache: &BinaryCache,
        path: &StorePath,
        cancelled: &Cancelled<'_>,
    ) -> Result<Option<NarInfo>, CacheError> {
        let name = narinfo_name(path);
        let Some(text) = self.remembered(cache, &name, cancelled)? else { return Ok(None) };
        let info = NarInfo::parse(&text, &self.store_dir).map_err(|source| {
            self.memory.forget(cache.address(), &name);
            CacheError::NarInfo { cache: cache.address().to_owned(), path: path.clone(), source }
        })?;
        // The file is named by the digest alone: another name is another object.
        Ok((info.path == *path).then_some(info))
    }

    fn remembered(
        &self,
        cache: &BinaryCache,
        name: &str,
        cancelled: &Cancelled<'_>,
    ) -> Result<Option<Vec<u8>>, CacheError> {
        match self.memory.get(cache.address(), name) {
            Remembered::Present(text) => return Ok(Some(text)),
            Remembered::Absent => return Ok(None),
            Remembered::Nothing => {}
        }
        let text = cache.place.get(name, MAX_BYTES, cancelled)?;
        self.memory.put(cache.address(), name, text.as_deref());
        Ok(text)
    }

    /// Looks for objects and everything that they refer to and that `store`
    /// lacks. What no cache has is not in the result.
    ///
    /// # Errors
    /// Interrupted, or the local store failed.
    pub fn find_closure(
        &self,
        store: &LocalStore,
        roots: &BTreeSet<StorePath>,
        watch: &Watch<'_>,
    ) -> Result<BTreeMap<StorePath, Found>, CacheError> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut wave: Vec<StorePath> = roots.iter().cloned().collect();
        while !wave.is_empty() {
            wave.retain(|path| seen.insert(path.clone()));
            let here = store.valid_among(&wave)?;
            wave.retain(|path| !here.contains(path));
            let mut next = Vec::new();
            for object in self.find_many(&wave, watch)?.into_iter().flatten() {
                next.extend(object.info.references.iter().cloned());
                found.insert(object.info.path.clone(), object);
            }
            wave = next;
        }
        Ok(found)
    }

    /// As [`Substituters::find`], several at a time, in the order asked.
    fn find_many(&self, paths: &[StorePath], watch: &Watch<'_>) -> Result<Vec<Option<Found>>, PlaceError> {
        all_at_once(paths, |path| self.find(path, watch))
    }

    /// As [`Substituters::action`], several at a time, in the order asked.
    ///
    /// # Errors
    /// As there.
    pub fn actions(
        &self,
        keys: &[ActionKey],
        watch: &Watch<'_>,
    ) -> Result<Vec<Option<ActionRow>>, PlaceError> {
        all_at_once(keys, |key| self.action(*key, watch))
    }

    /// Fetches objects, `jobs` at a time, each after those that it refers to.
    ///
    /// # Errors
    /// The first failure; what was fetched by then stays.
    pub fn fetch(
        &self,
        store: &LocalStore,
        objects: &BTreeMap<StorePath, Found>,
        jobs: usize,
        watch: &Watch<'_>,
    ) -> Result<(), CacheError> {
        let references = objects.iter().map(|(path, found)| (path.clone(), found.info.references.clone()));
        references_first(&references.collect(), jobs, |path| self.fetch_one(store, &objects[path], watch))
    }

    fn fetch_one(&self, store: &LocalStore, found: &Found, watch: &Watch<'_>) -> Result<(), CacheError> {
        let info = &found.info;
        if store.is_valid(&info.path)? {
            return Ok(());
        }
        let cache = &self.caches[found.cache];
        let wrong = |reason: String| CacheError::Archive {
            cache: cache.address().to_owned(),
            path: info.path.clone(),
            reason,
        };
        let scratch = store.scratch("fetch")?;
        let target = scratch.path().join("object");
        let mut received = None;
        let read = cache.place.read(&info.url, watch.cancelled, &mut |stream, total| {
            let counted = Counted {
                stream,
                done: 0,
                tell: &|done| (watch.progress)(&info.path, done, total.unwrap_or(0)),
            };
            received = Some(receive_bounded(store, info, counted, &target));
            Ok(())
        });
        let outcome = match (read, received) {
            (_, _) if (watch.cancelled)() => Err(PlaceError::Interrupted.into()),
            (Err(error), _) => Err(error.into()),
            (Ok(false), _) | (Ok(true), None) => {
                self.memory.forget(cache.address(), &narinfo_name(&info.path));
                Err(CacheError::Gone { cache: cache.address().to_owned(), path: info.path.clone() })
            }
            (Ok(true), Some(Err(NotReceived::Archive(reason)))) => Err(wrong(reason)),
            (Ok(true), Some(Err(NotReceived::Here(error)))) => Err(error.into()),
            (Ok(true), Some(Ok(ingested))) => {
                self.register(store, found, &target, ingested).and_then(|problem| match problem {
                    Some(problem) => Err(wrong(problem)),
                    None => Ok(()),
                })
            }
        };
        // A tree without write bits: the plain removal would stumble over it.
        crate::local::remove_tree(&scratch.keep())?;
        outcome
    }

    /// Checks what was received and makes it an object; `Some` says what is
    /// wrong with it.
    fn register(
        &self,
        store: &LocalStore,
        found: &Found,
        tree: &Path,
        ingested: Ingested,
    ) -> Result<Option<String>, CacheError> {
        let info = &found.info;
        if ingested.nar_hash != info.nar_hash || ingested.nar_size_bytes != info.nar_size_bytes {
            return Ok(Some(format!("its hash is {}, promised was {}", ingested.nar_hash, info.nar_hash)));
        }
        if found.trust == Trust::ContentAddressed
            && let Some(address) = &info.content_address
            && let Err(reason) = check_contents(address, info, tree, &ingested)
        {
            return Ok(Some(reason));
        }
        let ingested = Ingested { references: info.references.clone(), ..ingested };
        let content_address = info.content_address.as_ref().map(ToString::to_string);
        let (path, deriver) = (info.path.clone(), info.deriver.clone());
        store.place(tree, &Ingest { path, ingested, content_address, deriver })?;
        Ok(None)
    }
}

/// Asks a question of every item, some at the same time.
fn all_at_once<T: Sync, R: Send + Sync>(
    items: &[T],
    ask: impl Fn(&T) -> Result<Option<R>, PlaceError> + Sync,
) -> Result<Vec<Option<R>>, PlaceError> {
    let answers: Vec<OnceLock<Result<Option<R>, PlaceError>>> =
        items.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..QUESTIONS.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let _ = answers[index].set(ask(item));
                }
            });
        }
    });
    answers.into_iter().map(|answer| answer.into_inner().unwrap_or(Ok(None))).collect()
}

/// Says that a cache failed. One malformed file is a reason to look elsewhere
/// for it; anything else is one to leave the cache alone.
fn failed(cache: &BinaryCache, error: &CacheError, watch: &Watch<'_>) -> Result<(), PlaceError> {
    match error {
        CacheError::Place(PlaceError::Interrupted) => return Err(PlaceError::Interrupted),
        CacheError::NarInfo { .. } => (watch.warn)(&one_line(error)),
        _ if cache.give_up() => (watch.warn)(&format!("{}; it is not asked any more", one_line(error))),
        _ => {}
    }
    Ok(())
}

/// Whose fault it is.
enum NotReceived {
    /// The cache's: what is wrong with its archive.
    Archive(String),
    /// The disk's here, as when it is full.
    Here(StoreError),
}

/// Unpacks an archive that may be anything, into no more than its size.
fn receive_bounded(
    store: &LocalStore,
    info: &NarInfo,
    stream: Counted<'_>,
    target: &Path,
) -> Result<Ingested, NotReceived> {
    let wrong = |reason: &dyn std::fmt::Display| NotReceived::Archive(reason.to_string());
    let decoded = decoder(info.compression, stream).map_err(|error| wrong(&error))?;
    // Most strings of an archive are shorter than a call is worth.
    let mut bounded = BufReader::with_capacity(BUFFER_BYTES, decoded.take(info.nar_size_bytes));
    let ingested = store.receive(&mut bounded, target, &info.references).map_err(|error| match error {
        StoreError::Nar(_) => wrong(&one_line(&error)),
        error => NotReceived::Here(error),
    })?;
    if ingested.nar_size_bytes < info.nar_size_bytes {
        return Err(wrong(&"it is shorter than promised"));
    }
    match bounded.into_inner().into_inner().read(&mut [0]) {
        Ok(0) => Ok(ingested),
        Ok(_) => Err(wrong(&"it is longer than promised")),
        Err(error) => Err(wrong(&error)),
    }
}

/// Few, so that contents go past it: they are asked for in larger pieces.
const BUFFER_BYTES: usize = 8 * 1024;

/// Checks contents against the address that the path was made from.
fn check_contents(
    address: &ContentAddress,
    info: &NarInfo,
    tree: &Path,
    ingested: &Ingested,
) -> Result<(), String> {
    let (expected, actual) = match address {
        ContentAddress::Fixed { recursive: true, hash } => {
            if info.references.contains(&info.path) {
                return Err("it refers to itself, which only a signature vouches for".to_owned());
            }
            let actual = if hash.algorithm() == HashAlgorithm::Sha256 {
                ingested.nar_hash.clone()
            } else {
                let mut archive = Vec::new();
                dump_path(tree, &mut archive).map_err(|error| one_line(&error))?;
                NixHash::of(hash.algorithm(), &archive)
            };
            (hash, actual)
        }
        ContentAddress::Fixed { recursive: false, hash } | ContentAddress::Text(hash) => {
            use std::os::unix::fs::PermissionsExt;
            let metadata = tree.symlink_metadata().map_err(|error| error.to_string())?;
            if !metadata.is_file() || metadata.permissions().mode() & 0o100 != 0 {
                return Err("it is not one plain file".to_owned());
            }
            let bytes = std::fs::read(tree).map_err(|error| error.to_string())?;
            (hash, NixHash::of(hash.algorithm(), &bytes))
        }
    };
    if actual == *expected {
        Ok(())
    } else {
        Err(format!("its contents hash to {actual}, its path says {expected}"))
    }
}

/// A stream that tells how much of it was read.
struct Counted<'a> {
    stream: &'a mut dyn Read,
    done: u64,
    tell: &'a dyn Fn(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.stream.read(buffer)?;
        self.done += got as u64;
        (self.tell)(self.done);
        Ok(got)
    }
}
