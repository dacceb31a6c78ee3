//! What steps were made from when they last ran, and what that took, by name: a
//! step that changed takes about what it took before.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row};

use super::LocalStore;
use crate::error::StoreError;

/// What a step took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// From its start to its end.
    pub wall_ms: u64,
    /// `None` for what runs inside this program: it has no processes to count.
    pub processes: Option<ProcessUsage>,
}

/// What a builder's processes took, as the kernel counts it for those that were
/// waited for (`getrusage(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Processor time of all of them.
    pub cpu_ms: u64,
    /// The most memory that one of them held.
    pub largest_bytes: u64,
}

impl LocalStore {
    /// # Errors
    /// The database failed, as in the next three.
    pub fn usages(&self) -> Result<HashMap<String, Usage>, StoreError> {
        let fail = || self.failed("look up what builds took");
        let database = self.database();
        let mut statement = database
            .prepare_cached("SELECT wall_ms, cpu_ms, largest_bytes, name FROM usage")
            .map_err(fail())?;
        let rows = statement.query_map([], |row| Ok((row.get(3)?, read(row)?))).map_err(fail())?;
        rows.map(|row| row.map_err(fail())).collect()
    }

    /// What one took.
    pub fn usage(&self, name: &str) -> Result<Option<Usage>, StoreError> {
        let fail = || self.failed("look up what a build took");
        let database = self.database();
        let mut statement = database
            .prepare_cached("SELECT wall_ms, cpu_ms, largest_bytes FROM usage WHERE name = ?1")
            .map_err(fail())?;
        statement.query_row([name], read).optional().map_err(fail())
    }

    /// What the last one of this name was made from, as whoever noted it wrote
    /// it down.
    pub fn made_from(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let fail = || self.failed("look up what a build was made from");
        let database = self.database();
        let mut statement =
            database.prepare_cached("SELECT made_from FROM usage WHERE name = ?1").map_err(fail())?;
        let packed: Option<Option<Vec<u8>>> =
            statement.query_row([name], |row| row.get(0)).optional().map_err(fail())?;
        // It tells a user more than there would be otherwise; nothing needs it.
        Ok(packed.flatten().and_then(|packed| zstd::stream::decode_all(packed.as_slice()).ok()))
    }

    /// Notes what one took. `made_from` is for [`LocalStore::made_from`].
    pub fn note_usage(&self, name: &str, usage: &Usage, made_from: &[u8]) -> Result<(), StoreError> {
        let fail = || self.failed("note what a build took");
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let processes = usage.processes;
        self.database()
            .prepare_cached("INSERT OR REPLACE INTO usage VALUES (?1, ?2, ?3, ?4, ?5)")
            .map_err(fail())?
            .execute(rusqlite::params![
                name,
                number(usage.wall_ms),
                processes.map(|processes| number(processes.cpu_ms)),
                processes.map(|processes| number(processes.largest_bytes)),
                zstd::bulk::compress(made_from, zstd::DEFAULT_COMPRESSION_LEVEL).ok(),
            ])
            .map_err(fail())?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Usage> {
    let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs));
    let processes = number(1)?.zip(number(2)?);
    Ok(Usage {
        wall_ms: number(0)?.unwrap_or_default(),
        processes: processes.map(|(cpu_ms, largest_bytes)| ProcessUsage { cpu_ms, largest_bytes }),
    })
}
