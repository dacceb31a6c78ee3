//! What the database knows of objects.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::OptionalExtension;

use super::{Access, LocalStore};
use crate::error::StoreError;
use crate::hash::NixHash;
use crate::narinfo::fingerprint;
use crate::path::{StoreDir, StorePath};
use crate::signature::{SecretKey, Signature};

/// One valid object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub path: StorePath,
    pub nar_hash: NixHash,
    pub nar_size_bytes: u64,
    /// All objects whose digests occur in it, itself included if so.
    pub references: BTreeSet<StorePath>,
    /// `fixed:r:sha256:…` or `text:…` in Nix's spelling, if content-addressed.
    pub content_address: Option<String>,
    pub deriver: Option<StorePath>,
    /// Those that the cache that it came from had, for whoever gets it from
    /// here. They count for nothing until they are verified.
    pub signatures: BTreeSet<Signature>,
    /// Seconds since 1970.
    pub registered: i64,
    pub used: i64,
}

impl ObjectInfo {
    /// The text that its signatures cover.
    pub fn fingerprint(&self, store_dir: &StoreDir) -> String {
        fingerprint(store_dir, &self.path, &self.nar_hash, self.nar_size_bytes, &self.references)
    }
}

/// A set of objects with everything that they refer to.
pub type Closure = BTreeMap<StorePath, ObjectInfo>;

impl LocalStore {
    /// # Errors
    /// The database failed, as in every function here.
    pub fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        let database = self.database();
        let mut statement = database
            .prepare_cached("SELECT 1 FROM objects WHERE path = ?1")
            .map_err(self.failed("look up an object"))?;
        statement.exists([path.as_str()]).map_err(self.failed("look up an object"))
    }

    /// Those of `paths` that are valid, in one transaction.
    pub fn valid_among<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        let fail = || self.failed("look up objects");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        let mut valid = BTreeSet::new();
        {
            let mut statement =
                transaction.prepare_cached("SELECT 1 FROM objects WHERE path = ?1").map_err(fail())?;
            for path in paths {
                if statement.exists([path.as_str()]).map_err(fail())? {
                    valid.insert(path.clone());
                }
            }
        }
        Ok(valid)
    }

    pub fn info(&self, path: &StorePath) -> Result<Option<ObjectInfo>, StoreError> {
        let fail = || self.failed("look up an object");
        let database = self.database();
        let mut statement = database
            .prepare_cached(
                "SELECT nar_hash, nar_size, content_address, deriver, registered, used
                 FROM objects WHERE path = ?1",
            )
            .map_err(fail())?;
        let found = statement
            .query_row([path.as_str()], |row| {
                Ok(ObjectInfo {
                    path: path.clone(),
                    nar_hash: NixHash::sha256(row.get(0)?),
                    nar_size_bytes: row.get::<_, i64>(1)?.unsigned_abs(),
                    references: BTreeSet::new(),
                    content_address: row.get(2)?,
                    deriver: row.get::<_, Option<String>>(3)?.and_then(|d| StorePath::parse(&d).ok()),
                    signatures: BTreeSet::new(),
                    registered: row.get(4)?,
                    used: row.get(5)?,
                })
            })
            .optional()
            .map_err(fail())?;
        let Some(mut info) = found else { return Ok(None) };
        let mut statement =
            database.prepare_cached("SELECT reference FROM refs WHERE path = ?1").map_err(fail())?;
        let rows = statement.query_map([path.as_str()], |row| row.get::<_, String>(0)).map_err(fail())?;
        for row in rows {
            info.references.insert(self.stored_path(&row.map_err(fail())?)?);
        }
        let mut statement =
            database.prepare_cached("SELECT signature FROM signatures WHERE path = ?1").map_err(fail())?;
        let rows = statement.query_map([path.as_str()], |row| row.get::<_, String>(0)).map_err(fail())?;
        for row in rows {
            let signature = Signature::parse(&row.map_err(fail())?);
            info.signatures.insert(signature.map_err(|error| self.damaged(error.to_string()))?);
        }
        Ok(Some(info))
    }

    /// The object whose base name begins with these 32 characters.
    pub fn info_by_hash_part(&self, digest: &str) -> Result<Option<ObjectInfo>, StoreError> {
        let fail = || self.failed("look up an object");
        let found = {
            let database = self.database();
            let mut statement = database
                .prepare_cached(
                    "SELECT path FROM objects WHERE path > ?1 || '-' AND path < ?1 || '.' LIMIT 1",
                )
                .map_err(fail())?;
            statement.query_row([digest], |row| row.get::<_, String>(0)).optional().map_err(fail())?
        };
        let Some(path) = found.map(|text| self.stored_path(&text)).transpose()? else { return Ok(None) };
        if path.hash_part() == digest { self.info(&path) } else { Ok(None) }
    }

    /// Everything that `roots` refer to, directly or not, themselves included.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if one of them is not valid.
    pub fn closure<'p>(&self, roots: impl IntoIterator<Item = &'p StorePath>) -> Result<Closure, StoreError> {
        let mut closure = Closure::new();
        let mut queue: Vec<StorePath> = roots.into_iter().cloned().collect();
        while let Some(path) = queue.pop() {
            if closure.contains_key(&path) {
                continue;
            }
            let info = self.info(&path)?.ok_or_else(|| StoreError::Missing(path.clone()))?;
            queue.extend(info.references.iter().filter(|r| !closure.contains_key(*r)).cloned());
            closure.insert(path, info);
        }
        Ok(closure)
    }

    /// The base names of everything that `roots` refer to: what a sandbox
    /// mounts. Much cheaper than [`LocalStore::closure`].
    ///
    /// # Errors
    /// [`StoreError::Missing`] if one of the roots is not valid.
    pub fn closure_paths<'p>(
        &self,
        roots: impl IntoIterator<Item = &'p StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        let fail = || self.failed("follow references");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        let mut exists =
            transaction.prepare_cached("SELECT 1 FROM objects WHERE path = ?1").map_err(fail())?;
        let mut references =
            transaction.prepare_cached("SELECT reference FROM refs WHERE path = ?1").map_err(fail())?;
        let mut closure = BTreeSet::new();
        let mut queue: Vec<StorePath> = roots.into_iter().cloned().collect();
        while let Some(path) = queue.pop() {
            if closure.contains(&path) {
                continue;
            }
            if !exists.exists([path.as_str()]).map_err(fail())? {
                return Err(StoreError::Missing(path));
            }
            let rows = references.query_map([path.as_str()], |row| row.get::<_, String>(0)).map_err(fail())?;
            for row in rows {
                queue.push(self.stored_path(&row.map_err(fail())?)?);
            }
            closure.insert(path);
        }
        Ok(closure)
    }

    /// All valid objects.
    pub fn all_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        let fail = || self.failed("list objects");
        let database = self.database();
        let mut statement = database.prepare("SELECT path FROM objects").map_err(fail())?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fail())?;
        rows.map(|row| self.stored_path(&row.map_err(fail())?)).collect()
    }

    /// Enters an object whose files are in place. The references need not be
    /// valid yet where a whole closure is being copied; `verify` checks them.
    pub(super) fn register(&self, info: &ObjectInfo) -> Result<(), StoreError> {
        let fail = || self.failed("register an object");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)")
            .map_err(fail())?
            .execute(rusqlite::params![
                info.path.as_str(),
                info.nar_hash.digest(),
                i64::try_from(info.nar_size_bytes).expect("no archive reaches 2^63 bytes"),
                info.content_address,
                info.deriver.as_ref().map(StorePath::as_str),
                info.registered,
                info.used,
            ])
            .map_err(fail())?;
        for reference in &info.references {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO refs VALUES (?1, ?2)")
                .map_err(fail())?
                .execute([info.path.as_str(), reference.as_str()])
                .map_err(fail())?;
        }
        add_signatures(&transaction, &info.path, &info.signatures).map_err(fail())?;
        transaction.commit().map_err(fail())
    }

    /// Signs an object with every one of `keys`, once its bytes were found to
    /// be those that were registered; how many signatures are new.
    ///
    /// # Errors
    /// It is not there or damaged, or the database failed.
    pub fn sign(&self, path: &StorePath, keys: &[SecretKey]) -> Result<usize, StoreError> {
        let info = self.info(path)?.ok_or_else(|| StoreError::Missing(path.clone()))?;
        self.check_object(path)?;
        let text = info.fingerprint(self.store_dir());
        let signatures: Vec<Signature> = keys.iter().map(|key| key.sign(text.as_bytes())).collect();
        let database = self.database();
        add_signatures(&database, path, &signatures).map_err(self.failed("sign an object"))
    }

    /// Takes objects out of the database; their files stay.
    pub(super) fn unregister(&self, paths: &[StorePath]) -> Result<(), StoreError> {
        let fail = || self.failed("forget an object");
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        for table in ["objects", "refs", "signatures"] {
            let text = format!("DELETE FROM {table} WHERE path = ?1");
            let mut statement = transaction.prepare_cached(&text).map_err(fail())?;
            for path in paths {
                statement.execute([path.as_str()]).map_err(fail())?;
            }
        }
        transaction.commit().map_err(fail())
    }

    /// Drops an object that turned out to be damaged.
    pub fn forget(&self, path: &StorePath) -> Result<(), StoreError> {
        let _lock = self.lock(path.as_str())?;
        self.unregister(std::slice::from_ref(path))?;
        super::remove::remove_tree(&self.physical(path))
    }

    /// Notes that objects were used now, for collection by last use.
    pub fn touch<'p>(&self, paths: impl IntoIterator<Item = &'p StorePath>) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Ok(());
        }
        let fail = || self.failed("note a use");
        let now = self.now()?;
        let mut database = self.database();
        let transaction = database.transaction().map_err(fail())?;
        {
            // Once an hour is exact enough, and a run without news writes nothing.
            let mut statement = transaction
                .prepare_cached("UPDATE objects SET used = ?2 WHERE path = ?1 AND used < ?2 - 3600")
                .map_err(fail())?;
            for path in paths {
                statement.execute(rusqlite::params![path.as_str(), now]).map_err(fail())?;
            }
        }
        transaction.commit().map_err(fail())
    }
}

/// How many of them are new.
fn add_signatures<'s>(
    database: &rusqlite::Connection,
    path: &StorePath,
    signatures: impl IntoIterator<Item = &'s Signature>,
) -> rusqlite::Result<usize> {
    let mut statement = database.prepare_cached("INSERT OR IGNORE INTO signatures VALUES (?1, ?2)")?;
    let mut added = 0;
    for signature in signatures {
        added += statement.execute([path.as_str(), &signature.to_string()])?;
    }
    Ok(added)
}
