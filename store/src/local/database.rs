//! The tables, and what is done to them when the machine went down.
//!
//! Rows are written with `synchronous=NORMAL` and objects without `fsync`,
//! since a sync per build costs more than the build. So every row carries
//! whether its files were synced since (`synced`), and the database the boot
//! during which unsynced rows were written. After a crash of a *process*
//! nothing is lost. After a crash of the *machine* the unsynced objects are
//! hashed again and those that lost bytes are dropped; they are rebuilt.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::LocalStore;
use crate::error::StoreError;
use crate::path::StorePath;

/// 3 added what builds took; before, it was time alone.
const LAYOUT: i64 = 3;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS objects (
    path TEXT PRIMARY KEY NOT NULL,
    nar_hash BLOB NOT NULL,
    nar_size INTEGER NOT NULL,
    content_address TEXT,
    deriver TEXT,
    registered INTEGER NOT NULL,
    used INTEGER NOT NULL,
    synced INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsynced ON objects (synced) WHERE synced = 0;
CREATE TABLE IF NOT EXISTS refs (
    path TEXT NOT NULL,
    reference TEXT NOT NULL,
    PRIMARY KEY (path, reference)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS referrers ON refs (reference);
CREATE TABLE IF NOT EXISTS actions (
    key BLOB NOT NULL,
    output TEXT NOT NULL,
    path TEXT NOT NULL,
    PRIMARY KEY (key, output)
) WITHOUT ROWID;
DROP TABLE IF EXISTS durations;
CREATE TABLE IF NOT EXISTS usage (
    name TEXT PRIMARY KEY NOT NULL,
    wall_ms INTEGER NOT NULL,
    cpu_ms INTEGER,
    largest_bytes INTEGER,
    made_from BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
";

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let fail = StoreError::database;
    let connection = Connection::open(path).map_err(fail("open the file"))?;
    connection.busy_timeout(Duration::from_secs(120)).map_err(fail("set a time limit"))?;
    let layout: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail("read the layout"))?;
    if layout > LAYOUT {
        return Err(StoreError::Newer { path: path.to_owned(), found: layout, known: LAYOUT });
    }
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(fail("set the sync policy"))?;
    if layout < LAYOUT {
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fail("begin a write-ahead log"))?;
        connection.execute_batch(SCHEMA).map_err(fail("make the tables"))?;
        connection.pragma_update(None, "user_version", LAYOUT).map_err(fail("write the layout"))?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

impl LocalStore {
    /// Makes everything registered so far survive a crash of the machine.
    /// Called once at the end of a command.
    ///
    /// # Errors
    /// The file system or the database refused.
    pub fn sync(&self) -> Result<(), StoreError> {
        let unsynced = self.unsynced()?;
        if unsynced.is_empty() {
            return Ok(());
        }
        // What others register while this runs stays marked.
        let home = self.home();
        let directory = std::fs::File::open(home).map_err(StoreError::io("open", home))?;
        rustix::fs::syncfs(&directory).map_err(StoreError::os("sync", home))?;
        let fail = || StoreError::database("mark objects as synced");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        for path in &unsynced {
            transaction
                .prepare_cached("UPDATE objects SET synced = 1 WHERE path = ?1")
                .map_err(fail())?
                .execute([path.as_str()])
                .map_err(fail())?;
        }
        transaction.commit().map_err(fail())
    }

    fn unsynced(&self) -> Result<Vec<StorePath>, StoreError> {
        let fail = || StoreError::database("look for unsynced objects");
        let database = self.database();
        let mut statement = database.prepare("SELECT path FROM objects WHERE synced = 0").map_err(fail())?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail())?;
        rows.map(|row| Ok(StorePath::parse(&row.map_err(fail())?)?)).collect()
    }

    /// Checks what was not synced before the machine went down.
    pub(super) fn recover(&self) -> Result<(), StoreError> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim();
        let seen: Option<String> = self
            .database()
            .query_row("SELECT value FROM meta WHERE name = 'boot'", [], |row| row.get(0))
            .optional()
            .map_err(StoreError::database("read the boot identity"))?;
        if seen.as_deref() == Some(boot) {
            return Ok(());
        }
        if seen.is_some() {
            let suspects = self.unsynced()?;
            if !suspects.is_empty() {
                // A link whose bytes were lost would spread to new objects.
                let links = self.home().join("links");
                super::remove::remove_tree(&links)?;
                std::fs::create_dir(&links).map_err(StoreError::io("make the directory", &links))?;
            }
            for path in suspects {
                if self.check_object(&path).is_err() {
                    self.forget(&path)?;
                }
            }
        }
        self.database()
            .execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?1)", [boot])
            .map_err(StoreError::database("write the boot identity"))?;
        Ok(())
    }
}
