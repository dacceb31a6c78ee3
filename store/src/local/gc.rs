//! Collecting objects that nothing keeps.

use std::collections::BTreeSet;

use rustix::fs::FlockOperation;

use super::LocalStore;
use super::remove::remove_tree;
use crate::error::StoreError;
use crate::path::StorePath;

/// What to collect.
#[derive(Clone, Copy, Debug, Default)]
pub struct GcRequest {
    /// Say what would go, remove nothing.
    pub dry_run: bool,
    /// Stop as soon as the objects' archive sizes sum up to no more; least
    /// recently used objects go first.
    pub max_size_bytes: Option<u64>,
}

/// What was (or would be) removed.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    pub removed: Vec<StorePath>,
    pub nar_bytes: u64,
    pub leftovers: usize,
}

impl LocalStore {
    /// Removes objects that no root reaches, leftovers of crashes and unused
    /// links. Action rows stay. Waits until no build runs; `waiting` is called
    /// once if it has to.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn collect_garbage(
        &self,
        request: GcRequest,
        waiting: impl FnOnce(),
    ) -> Result<Collected, StoreError> {
        let _lock = match self.lock_with("gc.lock", FlockOperation::NonBlockingLockExclusive)? {
            Some(lock) => lock,
            None => {
                waiting();
                self.lock_with("gc.lock", FlockOperation::LockExclusive)?.expect("a blocking lock is taken")
            }
        };
        let all = self.all_paths()?;
        let roots = self.roots()?;
        let alive = self.reachable(roots.into_keys(), &all)?;
        let mut dead = Vec::new();
        let mut total = 0;
        for path in &all {
            let Some(info) = self.info(path)? else { continue };
            total += info.nar_size_bytes;
            if !alive.contains(path) {
                dead.push(info);
            }
        }
        dead.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut collected = Collected::default();
        let mut gone: BTreeSet<StorePath> = BTreeSet::new();
        for info in &dead {
            if request.max_size_bytes.is_some_and(|bound| total <= bound) {
                break;
            }
            // An object goes before what it refers to, never after.
            for path in self.dead_referrers(&info.path, &gone)? {
                let Some(info) = self.info(&path)? else { continue };
                total = total.saturating_sub(info.nar_size_bytes);
                collected.nar_bytes += info.nar_size_bytes;
                if !request.dry_run {
                    self.unregister(&path)?;
                    remove_tree(&self.physical(&path))?;
                }
                gone.insert(path.clone());
                collected.removed.push(path);
            }
        }
        collected.leftovers = self.sweep_leftovers(&all, request.dry_run)?;
        if !request.dry_run {
            self.sweep_links()?;
            self.make_reserve();
        }
        Ok(collected)
    }

    /// What roots reach, as far as it is there: a store that lost objects can
    /// still be collected.
    fn reachable(
        &self,
        roots: impl IntoIterator<Item = StorePath>,
        all: &BTreeSet<StorePath>,
    ) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut alive = BTreeSet::new();
        let mut queue: Vec<StorePath> = roots.into_iter().collect();
        while let Some(path) = queue.pop() {
            if all.contains(&path) && !alive.contains(&path) {
                queue.extend(self.info(&path)?.map(|info| info.references).unwrap_or_default());
                alive.insert(path);
            }
        }
        Ok(alive)
    }

    /// `path` and everything that refers to it, referrers first.
    fn dead_referrers(
        &self,
        path: &StorePath,
        gone: &BTreeSet<StorePath>,
    ) -> Result<Vec<StorePath>, StoreError> {
        let fail = || StoreError::database("look up referrers");
        let database = self.database();
        let mut statement =
            database.prepare_cached("SELECT path FROM refs WHERE reference = ?1").map_err(fail())?;
        let mut order = Vec::new();
        let mut seen = gone.clone();
        let mut stack = vec![(path.clone(), false)];
        while let Some((path, expanded)) = stack.pop() {
            if expanded {
                order.push(path);
                continue;
            }
            if !seen.insert(path.clone()) {
                continue;
            }
            let rows = statement.query_map([path.as_str()], |row| row.get::<_, String>(0)).map_err(fail())?;
            let referrers: Vec<StorePath> =
                rows.filter_map(Result::ok).filter_map(|p| StorePath::parse(&p).ok()).collect();
            stack.push((path, true));
            stack.extend(referrers.into_iter().map(|referrer| (referrer, false)));
        }
        Ok(order)
    }

    fn sweep_leftovers(&self, valid: &BTreeSet<StorePath>, dry_run: bool) -> Result<usize, StoreError> {
        let mut count = 0;
        let partial = self.home().join("cache/partial");
        for (directory, keeps) in
            [(self.objects_dir(), true), (self.home().join("build"), false), (partial, false)]
        {
            if !directory.exists() {
                continue;
            }
            for entry in directory.read_dir().map_err(StoreError::io("list", &directory))? {
                let entry = entry.map_err(StoreError::io("list", &directory))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if keeps && StorePath::parse(&name).is_ok_and(|path| valid.contains(&path)) {
                    continue;
                }
                count += 1;
                if !dry_run {
                    remove_tree(&entry.path())?;
                }
            }
        }
        Ok(count)
    }
}
