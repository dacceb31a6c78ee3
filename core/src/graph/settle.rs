//! What follows from what is known of a graph: what has to be made, what
//! caches have, what can run now.
//!
//! A node is looked at whenever it, or one of its inputs, gained a fact. What
//! only caches can say is gathered until nothing else is left to look at, and
//! asked all at once.

use std::collections::{BTreeMap, BTreeSet};

use osbuild_store::StorePath;
use osbuild_store::cache::Found;

use super::GraphError;
use super::order::{Ready, Work};
use super::plan::{Caches, NodeId, Plan, Presence, Question, Status};

impl Plan<'_> {
    /// Follows all consequences of what is known.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn settle(&mut self) -> Result<(), GraphError> {
        loop {
            let (mut rows, mut objects) = (Vec::new(), Vec::new());
            while let Some(id) = self.queue.pop() {
                self.examine(id)?;
                let node = &self.graph[id];
                if matches!(node.row, Question::Waiting) {
                    rows.push(id);
                }
                if matches!(node.objects, Question::Waiting) {
                    objects.push(id);
                }
            }
            let Some(caches) = self.caches.filter(|_| !rows.is_empty() || !objects.is_empty()) else {
                return Ok(());
            };
            self.ask_for_rows(caches, rows)?;
            self.ask_for_objects(caches, objects)?;
        }
    }

    fn examine(&mut self, id: NodeId) -> Result<(), GraphError> {
        if self.graph[id].status != Status::Waiting {
            return Ok(());
        }
        if self.graph[id].outputs.is_none() && !self.graph[id].unknown && !self.find_outputs(id)? {
            return Ok(());
        }
        let wanted = self.graph[id].wanted;
        if wanted == Presence::Nowhere {
            return Ok(());
        }
        if self.is_present(id)? && !self.rebuild.contains(&id) {
            self.finish(id, Presence::Here);
            return Ok(());
        }
        if self.may_be_substituted(id) {
            match std::mem::replace(&mut self.graph[id].objects, Question::Answered(None)) {
                Question::NotAsked | Question::Waiting => {
                    self.graph[id].objects = Question::Waiting;
                    return Ok(());
                }
                Question::Answered(Some(found)) if wanted == Presence::Remote && all_ours(&found) => {
                    self.finish(id, Presence::Remote);
                    return Ok(());
                }
                Question::Answered(Some(found)) => {
                    self.run(id, Work::Substitute(found));
                    return Ok(());
                }
                Question::Answered(None) => {}
            }
        }
        let inputs: Vec<NodeId> = self.inputs(id).collect();
        let needed = self.graph[id].place();
        for &input in &inputs {
            self.wish(input, needed);
        }
        if inputs.iter().any(|input| self.graph[*input].presence < needed) {
            return Ok(());
        }
        let resolved = self.resolve(id);
        if self.graph[id].key.is_some_and(|key| key != resolved.key) && !self.rebuild.contains(&id) {
            // An input was made anew and came out otherwise than its row said.
            let node = &mut self.graph[id];
            (node.outputs, node.unknown, node.key) = (None, false, None);
            (node.row, node.objects) = (Question::NotAsked, Question::NotAsked);
            self.queue.push(id);
            return Ok(());
        }
        let work = if self.graph[id].is_remote { Work::MakeRemotely(resolved) } else { Work::Make(resolved) };
        self.run(id, work);
        Ok(())
    }

    fn run(&mut self, id: NodeId, work: Work) {
        self.graph[id].status = Status::Running;
        let ready = Ready::new(id, &self.graph[id], work);
        self.ready[ready.pool() as usize].push(ready);
    }

    /// Finds out a node's outputs, if that can be done now; whether anything
    /// is left to do for it.
    fn find_outputs(&mut self, id: NodeId) -> Result<bool, GraphError> {
        let inputs: Vec<NodeId> = self.inputs(id).collect();
        for &input in &inputs {
            self.wish_known(input);
        }
        if inputs.iter().any(|input| self.graph[*input].outputs.is_none()) {
            return Ok(false);
        }
        let step = self.resolve(id);
        if self.graph[id].key != Some(step.key) {
            self.graph[id].key = Some(step.key);
            self.graph[id].row = Question::NotAsked;
        }
        if let Some(outputs) = self.known_outputs(id, &step)? {
            self.learn(id, outputs);
            return Ok(true);
        }
        if self.caches.is_some() && !matches!(self.graph[id].row, Question::Answered(_)) {
            self.graph[id].row = Question::Waiting;
            return Ok(false);
        }
        // Only building tells; asking again at every input that comes in would
        // cost inputs times inputs.
        let node = &mut self.graph[id];
        (node.unknown, node.wanted) = (true, node.wanted.max(node.place()));
        Ok(true)
    }

    fn may_be_substituted(&self, id: NodeId) -> bool {
        let node = &self.graph[id];
        // As in Nix: a step that says so is always made here.
        let refuses = node.derivation.environment_text("allowSubstitutes").is_some_and(str::is_empty);
        let may_be_copied = !refuses || node.presence == Presence::Remote;
        self.caches.is_some() && node.outputs.is_some() && may_be_copied && !self.rebuild.contains(&id)
    }

    fn ask_for_rows(&mut self, caches: Caches<'_>, mut ids: Vec<NodeId>) -> Result<(), GraphError> {
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<_> = ids.iter().filter_map(|id| self.graph[*id].key).collect();
        let rows = caches.substituters.actions(&keys, caches.watch)?;
        for ((id, key), row) in ids.into_iter().zip(keys).zip(rows) {
            if let Some(row) = row {
                self.store.set_action(key, &row)?;
            }
            self.graph[id].row = Question::Answered(None);
            self.queue.push(id);
        }
        Ok(())
    }

    fn ask_for_objects(&mut self, caches: Caches<'_>, mut ids: Vec<NodeId>) -> Result<(), GraphError> {
        ids.sort_unstable();
        ids.dedup();
        let mut all = BTreeSet::new();
        for id in &ids {
            all.extend(self.missing(*id)?);
        }
        let found = caches.substituters.find_closure(self.store, &all, caches.watch)?;
        for id in ids {
            let whole = self.closed(&self.missing(id)?, &found)?;
            self.graph[id].objects = Question::Answered(whole);
            self.queue.push(id);
        }
        Ok(())
    }

    /// The outputs in use that are not valid.
    fn missing(&self, id: NodeId) -> Result<BTreeSet<StorePath>, GraphError> {
        let node = &self.graph[id];
        let outputs = node.outputs.iter().flatten().filter(|(name, _)| node.used.contains(*name));
        let paths: BTreeSet<StorePath> = outputs.map(|(_, path)| path.clone()).collect();
        let valid = self.store.valid_among(&paths)?;
        Ok(paths.difference(&valid).cloned().collect())
    }

    /// What has to be fetched for these paths, if caches have all of it.
    fn closed(
        &self,
        paths: &BTreeSet<StorePath>,
        found: &BTreeMap<StorePath, Found>,
    ) -> Result<Option<BTreeMap<StorePath, Found>>, GraphError> {
        let mut needed = BTreeMap::new();
        let mut queue: Vec<StorePath> = paths.iter().cloned().collect();
        while let Some(path) = queue.pop() {
            if needed.contains_key(&path) {
                continue;
            }
            match found.get(&path) {
                Some(object) => {
                    queue.extend(object.info.references.iter().cloned());
                    needed.insert(path, object.clone());
                }
                None if self.store.is_valid(&path)? => {}
                None => return Ok(None),
            }
        }
        Ok(Some(needed))
    }
}

/// Whether all of it is where this store left it.
fn all_ours(found: &BTreeMap<StorePath, Found>) -> bool {
    found.values().all(Found::is_ours)
}
