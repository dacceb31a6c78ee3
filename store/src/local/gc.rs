//! Collecting objects that nothing keeps.

use std::time::Duration;

use rustix::fs::FlockOperation;

use super::LocalStore;
use super::objects::Objects;
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
    /// Keep what was used within this time.
    pub unused_for: Option<Duration>,
}

/// Objects that are unregistered in one transaction, then removed. What lies
/// between the two at a crash is a leftover.
const BATCH: usize = 256;

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
        let objects = self.objects()?;
        let nodes = objects.nodes();
        let alive = objects.reachable(self.roots()?.keys());
        let now = self.now()?;
        let mut total: u64 = nodes.iter().map(|node| node.nar_size_bytes).sum();
        let mut dead: Vec<usize> = (0..nodes.len()).filter(|node| !alive[*node]).collect();
        dead.sort_by_key(|node| (nodes[*node].used, &nodes[*node].path));
        let mut gone = vec![false; nodes.len()];
        let mut collected = Collected::default();
        for node in dead {
            if request.max_size_bytes.is_some_and(|bound| total <= bound) {
                break;
            }
            // Times to come are of a clock that was wrong: as good as now.
            let unused = u64::try_from(now.saturating_sub(nodes[node].used)).unwrap_or(0);
            if request.unused_for.is_some_and(|least| unused < least.as_secs()) {
                break;
            }
            // An object goes before what it refers to, never after.
            for node in objects.with_referrers(node, &mut gone) {
                total = total.saturating_sub(nodes[node].nar_size_bytes);
                collected.nar_bytes += nodes[node].nar_size_bytes;
                collected.removed.push(nodes[node].path.clone());
            }
        }
        if !request.dry_run {
            for batch in collected.removed.chunks(BATCH) {
                self.unregister(batch)?;
                for path in batch {
                    remove_tree(&self.physical(path))?;
                }
            }
        }
        collected.leftovers = self.sweep_leftovers(&objects, request.dry_run)?;
        if !request.dry_run {
            self.sweep_links()?;
            self.settle_times_to_come(now)?;
            self.make_reserve();
        }
        Ok(collected)
    }

    fn sweep_leftovers(&self, valid: &Objects, dry_run: bool) -> Result<usize, StoreError> {
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
