//! What caches said lately: asking a server for hundreds of objects that it
//! does not have would be most of the time of a run that builds them.
//!
//! Accelerator only: it may be deleted at any time, and when it cannot be
//! read or written everything is asked again.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension};

/// How long "there is none" holds: others may publish it any minute.
const ABSENCE: Duration = Duration::from_secs(3600);
/// How long an answer holds. It is a promise about contents that cannot
/// change, and what is gone by then is noticed when it is fetched.
const PRESENCE: Duration = Duration::from_secs(30 * 24 * 3600);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS answers (
    cache TEXT NOT NULL,
    name TEXT NOT NULL,
    text BLOB,
    asked INTEGER NOT NULL,
    PRIMARY KEY (cache, name)
) WITHOUT ROWID;
";

/// See the module.
#[derive(Debug)]
pub(super) struct Memory {
    database: Option<Mutex<Connection>>,
}

/// What is remembered of one file of a cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Nothing,
    Absent,
    Present(Vec<u8>),
}

impl Memory {
    /// Keeps its file in `directory`, which is made if need be.
    pub(super) fn open(directory: &Path) -> Self {
        let file = directory.join("caches.sqlite");
        let database = connect(directory, &file).or_else(|_| {
            // Damaged, or of another program: it is worth nothing.
            let _ = std::fs::remove_file(&file);
            connect(directory, &file)
        });
        Self { database: database.ok().map(Mutex::new) }
    }

    fn database(&self) -> Option<MutexGuard<'_, Connection>> {
        self.database.as_ref().map(|database| database.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn get(&self, cache: &str, name: &str) -> Remembered {
        let Some(database) = self.database() else { return Remembered::Nothing };
        let row: Option<(Option<Vec<u8>>, i64)> = database
            .prepare_cached("SELECT text, asked FROM answers WHERE cache = ?1 AND name = ?2")
            .and_then(|mut statement| {
                statement.query_row([cache, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .ok()
            .flatten();
        let Some((text, asked)) = row else { return Remembered::Nothing };
        // A clock that was set back makes answers of the future: they count as
        // old, since nobody knows how old they are.
        let age = u64::try_from(now() - asked).ok().map(Duration::from_secs);
        match (text, age) {
            (Some(text), Some(age)) if age < PRESENCE => Remembered::Present(text),
            (None, Some(age)) if age < ABSENCE => Remembered::Absent,
            _ => Remembered::Nothing,
        }
    }

    pub(super) fn put(&self, cache: &str, name: &str, text: Option<&[u8]>) {
        if let Some(database) = self.database() {
            let statement = "INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4)";
            let _ = database
                .prepare_cached(statement)
                .and_then(|mut statement| statement.execute(rusqlite::params![cache, name, text, now()]));
        }
    }

    pub(super) fn forget(&self, cache: &str, name: &str) {
        if let Some(database) = self.database() {
            let _ = database.execute("DELETE FROM answers WHERE cache = ?1 AND name = ?2", [cache, name]);
        }
    }
}

fn connect(directory: &Path, file: &Path) -> Result<Connection, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(directory)?;
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.execute_batch(SCHEMA)?;
    let oldest = now() - i64::try_from(PRESENCE.as_secs())?;
    // Those of a time to come are of a clock that was wrong, and count as old.
    connection.execute("DELETE FROM answers WHERE asked < ?1 OR asked > ?2", [oldest, now()])?;
    Ok(connection)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_for_their_time() {
        let place = tempfile::tempdir().unwrap();
        let memory = Memory::open(place.path());
        assert_eq!(memory.get("c", "a"), Remembered::Nothing);
        memory.put("c", "a", Some(b"text"));
        memory.put("c", "b", None);
        let again = Memory::open(place.path());
        assert_eq!(again.get("c", "a"), Remembered::Present(b"text".to_vec()));
        assert_eq!(again.get("c", "b"), Remembered::Absent);
        assert_eq!(again.get("d", "a"), Remembered::Nothing);
        let age = |seconds: i64| {
            let database = memory.database().unwrap();
            database.execute("UPDATE answers SET asked = ?1", [now() - seconds]).unwrap();
        };
        age(7200);
        assert_eq!(again.get("c", "b"), Remembered::Nothing);
        assert_eq!(again.get("c", "a"), Remembered::Present(b"text".to_vec()));
        age(-7200);
        assert_eq!(again.get("c", "a"), Remembered::Nothing);
        // What nobody asks for again goes as well.
        age(-7200);
        drop(Memory::open(place.path()));
        age(0);
        assert_eq!(again.get("c", "a"), Remembered::Nothing);
        memory.put("c", "a", Some(b"text"));
        memory.forget("c", "a");
        assert_eq!(again.get("c", "a"), Remembered::Nothing);
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("caches.sqlite"), "x".repeat(5000)).unwrap();
        let memory = Memory::open(place.path());
        memory.put("c", "a", None);
        assert_eq!(memory.get("c", "a"), Remembered::Absent);
    }
}
