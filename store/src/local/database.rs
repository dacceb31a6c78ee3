//! The tables, and what is done to them when the machine went down.
//!
//! Rows are written with `synchronous=NORMAL` and objects without `fsync`,
//! since a sync per build costs more than the build. So every row carries
//! whether its files were synced since (`synced`), and the database the boot
//! during which unsynced rows were written. After a crash of a *process*
//! nothing is lost. After a crash of the *machine* the unsynced objects are
//! hashed again and those that lost bytes are dropped; they are rebuilt.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::{Access, LocalStore};
use crate::error::StoreError;
use crate::path::StorePath;

/// 3 added what builds took; before, it was time alone. 4 added signatures.
const LAYOUT: i64 = 4;

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
CREATE TABLE IF NOT EXISTS signatures (
    path TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (path, signature)
) WITHOUT ROWID;
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

/// How long another process may take.
const BUSY: Duration = Duration::from_secs(120);

/// The file's name in the store's home.
pub(super) const FILE: &str = "db.sqlite";

/// Whether objects may be there of which a new database knows nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strangers {
    /// The database was lost: all of them would count as leftovers, which the
    /// next collection removes.
    Refuse,
    /// It is being made anew, or the directory is another program's.
    Ignore,
}

/// Opens the database of the store at `home`, whose objects are in `objects`.
pub(super) fn open(
    home: &Path,
    objects: &Path,
    strangers: Strangers,
    access: Access,
) -> Result<Connection, StoreError> {
    let path = &home.join(FILE);
    let fail = |action| StoreError::database(action, path);
    let connection = match access {
        Access::Write => Connection::open(path).map_err(fail("open the file"))?,
        Access::Read => open_unchanging(path)?,
    };
    connection.busy_timeout(BUSY).map_err(fail("set a time limit"))?;
    let read_layout = || -> Result<i64, StoreError> {
        let layout = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
        layout.map_err(fail("read the layout"))
    };
    let mut layout = read_layout()?;
    if layout == 0 && strangers == Strangers::Refuse && holds_objects(objects)? {
        // Another process may be making the store at this moment: it writes
        // the layout before its first object.
        layout = read_layout()?;
        if layout == 0 {
            let reason = format!("it is empty, but there are objects in {}", objects.display());
            return Err(StoreError::DamagedDatabase { path: path.clone(), reason });
        }
    }
    if layout > LAYOUT {
        return Err(StoreError::Newer { path: path.clone(), found: layout, known: LAYOUT });
    }
    if layout < 0 {
        let reason = format!("it has layout {layout}");
        return Err(StoreError::DamagedDatabase { path: path.clone(), reason });
    }
    if access == Access::Read && layout < LAYOUT {
        // It is brought up to date where it can be written.
        let source = std::io::ErrorKind::ReadOnlyFilesystem.into();
        return Err(StoreError::Io { action: "bring up to date", path: path.clone(), source });
    }
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(fail("set the sync policy"))?;
    if layout < LAYOUT {
        bring_up_to_date(&connection, path, layout)?;
    }
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// To this program's layout; several processes may be at it at the same time.
fn bring_up_to_date(connection: &Connection, path: &Path, layout: i64) -> Result<(), StoreError> {
    let fail = |action| StoreError::database(action, path);
    let is_ours = connection.table_exists(None, "objects").map_err(fail("look for a table"))?;
    if layout > 0 && !is_ours {
        let reason = format!("it has layout {layout}, and no objects");
        return Err(StoreError::DamagedDatabase { path: path.to_owned(), reason });
    }
    // No time limit holds for this: it fails at once while others read.
    let began = Instant::now();
    while let Err(error) = connection.pragma_update(None, "journal_mode", "WAL") {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || began.elapsed() > BUSY {
            return Err(fail("begin a write-ahead log")(error));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let whole = format!("BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {LAYOUT}; COMMIT");
    connection.execute_batch(&whole).map_err(fail("make the tables"))
}

/// Opens a database that nobody changes. SQLite would make files beside it to
/// speak of changes with others, and is told that there is no need; but then
/// it does not look into the log, so that there must be none.
fn open_unchanging(path: &Path) -> Result<Connection, StoreError> {
    use std::os::unix::ffi::OsStrExt;
    let log = path.with_file_name(format!("{FILE}-wal"));
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        let source = std::io::ErrorKind::ReadOnlyFilesystem.into();
        return Err(StoreError::Io { action: "write back the log", path: log, source });
    }
    let mut address = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' => address.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => address.push(byte.into()),
            byte => address.push_str(&format!("%{byte:02x}")),
        }
    }
    address.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(address, flags).map_err(StoreError::database("open the file", path))
}

fn holds_objects(objects: &Path) -> Result<bool, StoreError> {
    for entry in objects.read_dir().map_err(StoreError::io("list", objects))? {
        let name = entry.map_err(StoreError::io("list", objects))?.file_name();
        if name.to_str().is_some_and(|name| StorePath::parse(name).is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl LocalStore {
    /// For `map_err`: what was being done in the database.
    pub(super) fn failed(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError {
        move |source| StoreError::database(action, &self.home().join(FILE))(source)
    }

    /// What the database holds was never written by a store.
    pub(super) fn damaged(&self, reason: String) -> StoreError {
        StoreError::DamagedDatabase { path: self.home().join(FILE), reason }
    }

    /// A path as the database has it.
    pub(super) fn stored_path(&self, text: &str) -> Result<StorePath, StoreError> {
        StorePath::parse(text).map_err(|error| self.damaged(error.to_string()))
    }

    /// Reads every page, index and row of the database: what was overwritten
    /// is met by chance otherwise.
    ///
    /// # Errors
    /// [`StoreError::DamagedDatabase`], or it cannot be read.
    pub(super) fn check_database(&self) -> Result<(), StoreError> {
        let found = self.database().query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        let found = found.map_err(self.failed("check the pages"))?;
        if found != "ok" {
            return Err(self.damaged(found.lines().collect::<Vec<_>>().join(" ")));
        }
        for path in self.all_paths()? {
            self.info(&path)?;
        }
        self.objects()?;
        self.actions()?;
        self.usages()?;
        Ok(())
    }

    /// Makes everything registered so far survive a crash of the machine.
    /// Called once at the end of a command.
    ///
    /// # Errors
    /// The file system or the database refused.
    pub fn sync(&self) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Ok(());
        }
        let unsynced = self.unsynced()?;
        if unsynced.is_empty() {
            return Ok(());
        }
        // What others register while this runs stays marked.
        let home = self.home();
        let directory = std::fs::File::open(home).map_err(StoreError::io("open", home))?;
        rustix::fs::syncfs(&directory).map_err(StoreError::os("sync", home))?;
        let fail = || self.failed("mark objects as synced");
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
        let fail = || self.failed("look for unsynced objects");
        let database = self.database();
        let mut statement = database.prepare("SELECT path FROM objects WHERE synced = 0").map_err(fail())?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail())?;
        rows.map(|row| self.stored_path(&row.map_err(fail())?)).collect()
    }

    /// Checks what was not synced before the machine went down.
    pub(super) fn recover(&self) -> Result<(), StoreError> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim();
        let seen: Option<String> = self
            .database()
            .query_row("SELECT value FROM meta WHERE name = 'boot'", [], |row| row.get(0))
            .optional()
            .map_err(self.failed("read the boot identity"))?;
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
            .map_err(self.failed("write the boot identity"))?;
        Ok(())
    }
}
