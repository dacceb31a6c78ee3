//! When objects were used last, by clocks that may be wrong.
//!
//! A clock that is behind (a machine without a battery begins in 1970) must
//! not make what is used now look old, and one that was ahead for a while must
//! not make what was used then look new for ever. Nothing here reaches an
//! object's bytes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::OptionalExtension;

use super::LocalStore;
use crate::error::StoreError;

/// Where the time comes from: seconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that says what `read` returns.
    pub fn new(read: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

/// The machine's.
impl Default for Clock {
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        })
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", (self.0)())
    }
}

/// 2026-01-01: this program is younger, so that every earlier time is wrong.
const EARLIEST: i64 = 1_767_225_600;
/// How long times to come are left as they are: if it is the clock that is
/// wrong now, somebody sets it right within a week.
const PATIENCE_SECONDS: i64 = 7 * 24 * 3600;

impl LocalStore {
    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Seconds since 1970, as far as anybody knows: while the clock is
    /// certainly wrong, the last use that was noted.
    pub(super) fn now(&self) -> Result<i64, StoreError> {
        let now = (self.clock.0)();
        if now >= EARLIEST {
            return Ok(now);
        }
        let last = self.database().query_row("SELECT MAX(used) FROM objects", [], |row| row.get(0));
        let last: Option<i64> = last.map_err(self.failed("look up the last use"))?;
        Ok(last.unwrap_or(EARLIEST).max(EARLIEST))
    }

    /// Corrects uses that are noted for a time to come, once the clock has
    /// been behind them for long enough to be believed. They then count as of
    /// when that was first seen, so that they age like all others.
    pub(super) fn settle_times_to_come(&self, now: i64) -> Result<(), StoreError> {
        let fail = || self.failed("correct the times of uses");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        let are_there: bool = transaction
            .query_row("SELECT EXISTS (SELECT 1 FROM objects WHERE used > ?1)", [now], |row| row.get(0))
            .map_err(fail())?;
        let since: Option<i64> = transaction
            .query_row("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'behind'", [], |row| row.get(0))
            .optional()
            .map_err(fail())?;
        match since.filter(|since| *since <= now) {
            Some(since) if are_there && now - since < PATIENCE_SECONDS => return Ok(()),
            Some(since) if are_there => {
                transaction
                    .execute("UPDATE objects SET used = ?1 WHERE used > ?2", [since, now])
                    .map_err(fail())?;
                transaction.execute("DELETE FROM meta WHERE name = 'behind'", []).map_err(fail())?;
            }
            None if are_there => {
                transaction
                    .execute("INSERT OR REPLACE INTO meta VALUES ('behind', ?1)", [now.to_string()])
                    .map_err(fail())?;
            }
            _ if since.is_none() => return Ok(()),
            _ => {
                transaction.execute("DELETE FROM meta WHERE name = 'behind'", []).map_err(fail())?;
            }
        }
        transaction.commit().map_err(fail())
    }
}
