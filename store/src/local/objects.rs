//! All objects and what they refer to, read at once: questions about the whole
//! store would otherwise be a query for each object.

use std::collections::{HashMap, VecDeque};

use super::LocalStore;
use crate::error::StoreError;
use crate::path::StorePath;

/// A node of [`Objects`].
pub(super) struct Object {
    pub(super) path: StorePath,
    pub(super) nar_size_bytes: u64,
    pub(super) used: i64,
    /// Indices of the valid ones that it refers to, other than itself.
    pub(super) references: Vec<usize>,
    pub(super) referrers: Vec<usize>,
}

/// A snapshot of the store.
pub struct Objects {
    nodes: Vec<Object>,
    index: HashMap<StorePath, usize>,
}

impl LocalStore {
    /// Reads which objects there are.
    ///
    /// # Errors
    /// The database failed.
    pub fn objects(&self) -> Result<Objects, StoreError> {
        let fail = || self.failed("list objects");
        let mut database = self.database();
        let snapshot = database.transaction().map_err(fail())?;
        let mut nodes = Vec::new();
        let mut index = HashMap::new();
        let mut statement =
            snapshot.prepare_cached("SELECT path, nar_size, used FROM objects").map_err(fail())?;
        let mut rows = statement.query([]).map_err(fail())?;
        while let Some(row) = rows.next().map_err(fail())? {
            let path =
                self.stored_path(row.get_ref(0).and_then(|text| Ok(text.as_str()?)).map_err(fail())?)?;
            let (size, used): (i64, i64) = (row.get(1).map_err(fail())?, row.get(2).map_err(fail())?);
            index.insert(path.clone(), nodes.len());
            let (references, referrers) = (Vec::new(), Vec::new());
            nodes.push(Object { path, nar_size_bytes: size.unsigned_abs(), used, references, referrers });
        }
        let mut statement = snapshot.prepare_cached("SELECT path, reference FROM refs").map_err(fail())?;
        let mut rows = statement.query([]).map_err(fail())?;
        while let Some(row) = rows.next().map_err(fail())? {
            let end = |column| {
                let text = row.get_ref(column).and_then(|text| Ok(text.as_str()?)).map_err(fail())?;
                Ok::<_, StoreError>(index.get(&self.stored_path(text)?).copied())
            };
            if let (Some(from), Some(to)) = (end(0)?, end(1)?)
                && from != to
            {
                nodes[from].references.push(to);
                nodes[to].referrers.push(from);
            }
        }
        Ok(Objects { nodes, index })
    }
}

impl Objects {
    pub(super) fn nodes(&self) -> &[Object] {
        &self.nodes
    }

    pub(super) fn index_of(&self, path: &StorePath) -> Option<usize> {
        self.index.get(path).copied()
    }

    pub fn contains(&self, path: &StorePath) -> bool {
        self.index.contains_key(path)
    }

    /// For each node whether one of `roots` reaches it. Roots that are not
    /// there reach nothing: a store that lost objects can still be collected.
    pub(super) fn reachable<'p>(&self, roots: impl IntoIterator<Item = &'p StorePath>) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        let mut queue: Vec<usize> =
            roots.into_iter().filter_map(|path| self.index.get(path).copied()).collect();
        while let Some(node) = queue.pop() {
            if !std::mem::replace(&mut reached[node], true) {
                queue.extend(&self.nodes[node].references);
            }
        }
        reached
    }

    /// The shortest way from an object to another along references, both
    /// included; `None` if there is none.
    pub fn way(&self, from: &StorePath, to: &StorePath) -> Option<Vec<StorePath>> {
        let (from, to) = (*self.index.get(from)?, *self.index.get(to)?);
        // Backwards, so that the way is read off forwards.
        let mut next = vec![None; self.nodes.len()];
        next[to] = Some(to);
        let mut queue = VecDeque::from([to]);
        while let Some(node) = queue.pop_front() {
            if node == from {
                break;
            }
            for &referrer in &self.nodes[node].referrers {
                if next[referrer].is_none() {
                    next[referrer] = Some(node);
                    queue.push_back(referrer);
                }
            }
        }
        let mut way = vec![self.nodes[from].path.clone()];
        let mut at = from;
        while at != to {
            at = next[at]?;
            way.push(self.nodes[at].path.clone());
        }
        Some(way)
    }

    /// `node` and everything that refers to it, directly or not, each before
    /// what it refers to; those that are `gone` are left out, and all that is
    /// returned is marked so.
    pub(super) fn with_referrers(&self, node: usize, gone: &mut [bool]) -> Vec<usize> {
        let mut order = Vec::new();
        let mut stack = vec![(node, false)];
        while let Some((node, expanded)) = stack.pop() {
            if expanded {
                order.push(node);
            } else if !std::mem::replace(&mut gone[node], true) {
                stack.push((node, true));
                stack.extend(self.nodes[node].referrers.iter().map(|referrer| (*referrer, false)));
            }
        }
        order
    }
}
