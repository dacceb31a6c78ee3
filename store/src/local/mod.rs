//! The store of one user: plain files in a directory of theirs, SQLite beside
//! it. No daemon; any number of processes at once.
//!
//! ```text
//! $OSBUILD_HOME/store/    objects, read-only, by store path
//!               db.sqlite what is valid, references, action rows; one that was
//!                         damaged is kept beside it as db.sqlite.damaged-1
//!               links/    every larger file once, by BLAKE3 and executable bit
//!               log/      build logs
//!               roots/    links that keep objects alive
//!               cache/    accelerators; may be deleted at any time
//!               build/    scratch of running builds
//!               locks/    one file a path or action being made
//!               reserve   room that is given up when the disk is full
//! ```
//!
//! An object exists if the database says so; whatever else lies in `store/` is
//! a leftover of a crash and is replaced or collected. A [`Layout`] may put
//! `store/` elsewhere, and give it another logical name than `/nix/store`.

mod actions;
mod canonical;
mod clock;
mod database;
mod dedup;
mod gc;
mod info;
pub(crate) mod ingest;
mod lock;
mod objects;
mod rebuild;
mod references;
pub(crate) mod remove;
mod reserve;
mod roots;
mod sources;
mod usage;
mod verify;

pub use clock::Clock;
pub use gc::{Collected, GcRequest};
pub use info::{Closure, ObjectInfo};
pub use ingest::{Ingest, Ingested};
pub use lock::PathLock;
pub use objects::Objects;
pub use rebuild::Rebuilt;
pub use remove::remove_tree;
pub use usage::{ProcessUsage, Usage};
pub use verify::{Problem, Verified};

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use database::Strangers;
use rusqlite::Connection;

use crate::error::StoreError;
use crate::path::{StoreDir, StorePath};

/// Where a store's parts lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Everything but the objects.
    pub home: PathBuf,
    /// The objects, on the same file system.
    pub objects: PathBuf,
    /// What paths call the directory of the objects.
    pub store_dir: StoreDir,
}

impl Layout {
    /// All in one directory, called `/nix/store`.
    pub fn below(home: &Path) -> Self {
        Self { home: home.to_owned(), objects: home.join("store"), store_dir: StoreDir::default() }
    }

    /// The store whose objects really lie where paths say.
    pub fn in_place(store_dir: StoreDir, home: &Path) -> Self {
        Self { home: home.to_owned(), objects: PathBuf::from(store_dir.as_str()), store_dir }
    }
}

/// A handle on a store; share it between threads by reference.
#[derive(Debug)]
pub struct LocalStore {
    home: PathBuf,
    objects: PathBuf,
    store_dir: StoreDir,
    database: Mutex<Connection>,
    clock: Clock,
    access: Access,
}

/// What may be done in a store's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everything.
    Write,
    /// Its file system is mounted read-only, so that nobody changes it either:
    /// what is there can be used, and uses are not noted.
    Read,
}

impl LocalStore {
    /// Opens the store at `home`, making it if it is not there, and mends
    /// what a crash of the machine may have left.
    ///
    /// # Errors
    /// A directory cannot be made, or the database is damaged (then
    /// [`LocalStore::rebuild`] makes it anew) or too new.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        Self::open_at(&Layout::below(home))
    }

    /// As [`LocalStore::open`], with its parts where `layout` says.
    ///
    /// # Errors
    /// As [`LocalStore::open`].
    pub fn open_at(layout: &Layout) -> Result<Self, StoreError> {
        let store = Self::open_without_reserve(layout)?;
        store.make_reserve();
        Ok(store)
    }

    fn open_without_reserve(layout: &Layout) -> Result<Self, StoreError> {
        // Only in a home of its own are all objects its own from the first.
        let is_own = layout.objects.starts_with(&layout.home);
        let is_lost = is_own || layout.home.join(database::FILE).exists();
        Self::open_with(layout, if is_lost { Strangers::Refuse } else { Strangers::Ignore })
    }

    fn open_with(layout: &Layout, strangers: Strangers) -> Result<Self, StoreError> {
        let (home, objects) = directories(layout)?;
        let access = access(&home)?;
        let connection = database::open(&home, &objects, strangers, access)?;
        let store_dir = layout.store_dir.clone();
        let store = Self {
            home,
            objects,
            store_dir,
            database: Mutex::new(connection),
            clock: Clock::default(),
            access,
        };
        if access == Access::Write {
            store.recover()?;
        }
        Ok(store)
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// Where the objects lie: what appears as the store in a sandbox.
    pub fn objects_dir(&self) -> PathBuf {
        self.objects.clone()
    }

    /// Where an object lies, whether it is valid or not.
    pub fn physical(&self, path: &StorePath) -> PathBuf {
        self.objects.join(path.as_str())
    }

    /// Reads a store path in either spelling, logical (`/nix/store/…`) or
    /// physical, with what follows the object (empty, or from the slash on).
    pub fn parse_any(&self, text: &str) -> Option<(StorePath, String)> {
        if let Ok((path, rest)) = self.store_dir.split(text) {
            return Some((path, rest.to_owned()));
        }
        let below = Path::new(text).strip_prefix(self.objects_dir()).ok()?.to_str()?;
        let end = below.find('/').unwrap_or(below.len());
        Some((StorePath::parse(&below[..end]).ok()?, below[end..].to_owned()))
    }

    /// Makes a private directory below `build/`; whoever asked removes it.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn scratch(&self, purpose: &str) -> Result<tempfile::TempDir, StoreError> {
        let parent = self.home.join("build");
        tempfile::Builder::new()
            .prefix(&format!("{purpose}-"))
            .tempdir_in(&parent)
            .map_err(StoreError::io("make a scratch directory in", &parent))
    }

    pub(crate) fn database(&self) -> MutexGuard<'_, Connection> {
        // A panic while a statement ran leaves SQLite's own state sound.
        self.database.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// # Errors
/// The home is somebody else's: even reading its database needs files beside
/// it, which only its owner can make.
fn access(home: &Path) -> Result<Access, StoreError> {
    match rustix::fs::access(home, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Ok(Access::Write),
        Err(rustix::io::Errno::ROFS) => Ok(Access::Read),
        Err(errno) => Err(StoreError::os("write to the store in", home)(errno)),
    }
}

/// Makes the directories that are not there yet: the home and that of the
/// objects, links resolved.
fn directories(layout: &Layout) -> Result<(PathBuf, PathBuf), StoreError> {
    let home = made(&layout.home)?;
    let objects = made(&layout.objects)?;
    for name in ["links", "log", "roots", "cache", "build", "locks"] {
        let directory = home.join(name);
        match fs::create_dir(&directory) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("make the directory", &directory)(e));
            }
            _ => {}
        }
    }
    Ok((home, objects))
}

/// A directory that is there now, links resolved.
fn made(directory: &Path) -> Result<PathBuf, StoreError> {
    let absolute = std::path::absolute(directory).map_err(StoreError::io("resolve", directory))?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&absolute)
        .map_err(StoreError::io("make the directory", &absolute))?;
    absolute.canonicalize().map_err(StoreError::io("resolve", &absolute))
}
