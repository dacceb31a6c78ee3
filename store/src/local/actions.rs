//! The action table on disk. Rows outlive the objects they name.

use std::collections::BTreeMap;

use super::LocalStore;
use crate::action::{ActionKey, ActionRow, OutputName};
use crate::error::StoreError;

impl LocalStore {
    /// # Errors
    /// The database failed.
    pub fn action(&self, key: ActionKey) -> Result<Option<ActionRow>, StoreError> {
        let fail = || self.failed("look up an action");
        let database = self.database();
        let mut statement =
            database.prepare_cached("SELECT output, path FROM actions WHERE key = ?1").map_err(fail())?;
        let rows = statement
            .query_map([key.digest()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(fail())?;
        let mut outputs = BTreeMap::new();
        for row in rows {
            let (output, path) = row.map_err(fail())?;
            let output = OutputName::new(&output)
                .ok_or_else(|| self.damaged(format!("'{output}' is no output of a build")))?;
            outputs.insert(output, self.stored_path(&path)?);
        }
        Ok((!outputs.is_empty()).then_some(ActionRow { outputs }))
    }

    /// All rows.
    ///
    /// # Errors
    /// The database failed.
    pub fn actions(&self) -> Result<Vec<(ActionKey, ActionRow)>, StoreError> {
        let fail = || self.failed("list actions");
        let keys: Vec<[u8; 32]> = {
            let database = self.database();
            let mut statement =
                database.prepare("SELECT DISTINCT key FROM actions ORDER BY key").map_err(fail())?;
            let rows = statement.query_map([], |row| row.get(0)).map_err(fail())?;
            rows.collect::<Result<_, _>>().map_err(fail())?
        };
        let mut actions = Vec::new();
        for key in keys.into_iter().map(ActionKey::from_digest) {
            actions.extend(self.action(key)?.map(|row| (key, row)));
        }
        Ok(actions)
    }

    /// Writes a row, replacing one whose objects are gone and came out
    /// differently this time.
    ///
    /// # Errors
    /// The database failed.
    pub fn set_action(&self, key: ActionKey, row: &ActionRow) -> Result<(), StoreError> {
        let fail = || self.failed("write an action");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        transaction.execute("DELETE FROM actions WHERE key = ?1", [key.digest()]).map_err(fail())?;
        for (output, path) in &row.outputs {
            transaction
                .execute(
                    "INSERT INTO actions VALUES (?1, ?2, ?3)",
                    rusqlite::params![key.digest(), output.as_str(), path.as_str()],
                )
                .map_err(fail())?;
        }
        transaction.commit().map_err(fail())
    }
}
