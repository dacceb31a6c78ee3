//! What is known of every derivation, and what that makes necessary.
//!
//! Two facts a node: its outputs are *known* (statically, from a row, or
//! because it was built), and the outputs in use are *had* (valid in the
//! store). Two wishes: somebody needs to know, somebody needs to have. A node
//! is looked at again whenever one of its inputs gained a fact.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use osbuild_store::action::OutputName;
use osbuild_store::{LocalStore, StorePath};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use super::resolve::resolve;
use super::{GraphError, Lookup, Outputs, read_derivation};
use crate::build::Resolved;
use crate::build::run::is_fetch;
use crate::derivation::{Derivation, Output};

/// An index into [`Plan::graph`].
pub(super) type NodeId = NodeIndex;

pub(super) struct Node {
    pub(super) path: StorePath,
    pub(super) derivation: Arc<Derivation>,
    /// Outputs that somebody may mount or asked for.
    used: BTreeSet<OutputName>,
    pub(super) outputs: Option<Outputs>,
    /// The row that the outputs were read from still names them.
    pub(super) have: bool,
    want_known: bool,
    want_have: bool,
    /// All inputs are known and no row is: it has to be built.
    unknown: bool,
    pub(super) status: Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing to do yet, or waiting for inputs.
    Waiting,
    /// Handed out by [`Plan::next_ready`] and not finished.
    Running,
    Finished,
    Failed,
}

/// The graph below what was wanted.
pub struct Plan<'a> {
    pub(super) store: &'a LocalStore,
    /// Edges lead from a step to its inputs.
    pub(super) graph: DiGraph<Node, ()>,
    queue: Vec<NodeId>,
    ready: Vec<(NodeId, Resolved)>,
    /// Build these even if their outputs are there.
    pub(super) rebuild: BTreeSet<NodeId>,
}

impl<'a> Plan<'a> {
    /// Loads the graph below `wanted`.
    ///
    /// # Errors
    /// A derivation is missing or malformed, or lacks an output in use.
    pub(super) fn load(
        store: &'a LocalStore,
        lookup: &Lookup<'_>,
        wanted: &[(StorePath, Option<BTreeSet<OutputName>>)],
    ) -> Result<(Self, Vec<NodeId>), GraphError> {
        let mut plan = Self {
            store,
            graph: DiGraph::new(),
            queue: Vec::new(),
            ready: Vec::new(),
            rebuild: BTreeSet::new(),
        };
        let mut ids: HashMap<StorePath, NodeId> = HashMap::new();
        let mut roots = Vec::new();
        for (path, outputs) in wanted {
            let id = plan.add(lookup, &mut ids, path)?;
            let all = || plan.graph[id].derivation.outputs.keys().cloned().collect();
            let outputs = outputs.clone().unwrap_or_else(all);
            plan.use_outputs(id, &outputs)?;
            roots.push(id);
        }
        // Grows while it is walked: what is added comes up later.
        let mut next = 0;
        while next < plan.graph.node_count() {
            let step = NodeId::new(next);
            let derivation = plan.graph[step].derivation.clone();
            for (input, outputs) in &derivation.input_derivations {
                let id = plan.add(lookup, &mut ids, input)?;
                plan.use_outputs(id, outputs)?;
                plan.graph.add_edge(step, id, ());
            }
            next += 1;
        }
        for &root in &roots {
            plan.wish_have(root);
        }
        Ok((plan, roots))
    }

    fn add(
        &mut self,
        lookup: &Lookup<'_>,
        ids: &mut HashMap<StorePath, NodeId>,
        path: &StorePath,
    ) -> Result<NodeId, GraphError> {
        if let Some(id) = ids.get(path) {
            return Ok(*id);
        }
        let derivation = match lookup(path) {
            Some(derivation) => derivation,
            None => Arc::new(read_derivation(self.store, path)?),
        };
        let id = self.graph.add_node(Node {
            path: path.clone(),
            outputs: static_outputs(&derivation),
            derivation,
            used: BTreeSet::new(),
            have: false,
            want_known: false,
            want_have: false,
            unknown: false,
            status: Status::Waiting,
        });
        ids.insert(path.clone(), id);
        Ok(id)
    }

    fn use_outputs(&mut self, id: NodeId, outputs: &BTreeSet<OutputName>) -> Result<(), GraphError> {
        let node = &mut self.graph[id];
        if let Some(output) = outputs.iter().find(|name| !node.derivation.outputs.contains_key(*name)) {
            let (derivation, output) = (node.path.clone(), output.clone());
            return Err(GraphError::MissingOutput { derivation, output });
        }
        node.used.extend(outputs.iter().cloned());
        Ok(())
    }

    fn inputs(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.graph.neighbors(id)
    }

    fn wish_known(&mut self, id: NodeId) {
        if !self.graph[id].want_known {
            self.graph[id].want_known = true;
            self.queue.push(id);
        }
    }

    fn wish_have(&mut self, id: NodeId) {
        if !self.graph[id].want_have {
            self.graph[id].want_have = true;
            self.queue.push(id);
        }
    }

    /// Follows all consequences of what is known.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn settle(&mut self) -> Result<(), GraphError> {
        while let Some(id) = self.queue.pop() {
            self.examine(id)?;
        }
        Ok(())
    }

    fn examine(&mut self, id: NodeId) -> Result<(), GraphError> {
        if self.graph[id].status != Status::Waiting {
            return Ok(());
        }
        let mut resolved = None;
        if self.graph[id].outputs.is_none() && !self.graph[id].unknown {
            let inputs: Vec<NodeId> = self.inputs(id).collect();
            for &input in &inputs {
                self.wish_known(input);
            }
            if inputs.iter().any(|input| self.graph[*input].outputs.is_none()) {
                return Ok(());
            }
            let step = self.resolve(id);
            match self.known_outputs(id, &step)? {
                Some(outputs) => self.learn(id, outputs),
                // Only building tells; asking again at every input that comes
                // in would cost inputs times inputs.
                None => {
                    self.graph[id].unknown = true;
                    self.graph[id].want_have = true;
                }
            }
            resolved = Some(step);
        }
        if !self.graph[id].want_have {
            return Ok(());
        }
        if self.is_present(id)? && !self.rebuild.contains(&id) {
            self.finish(id);
            return Ok(());
        }
        let inputs: Vec<NodeId> = self.inputs(id).collect();
        for &input in &inputs {
            self.wish_have(input);
        }
        if inputs.iter().all(|input| self.graph[*input].have) {
            // What was known may have been made anew, and come out otherwise.
            let fresh = self.resolve(id);
            if resolved.is_none_or(|old: Resolved| old.key != fresh.key)
                && !self.rebuild.contains(&id)
                && let Some(outputs) = self.known_outputs(id, &fresh)?
            {
                self.graph[id].outputs = Some(outputs);
                if self.is_present(id)? {
                    self.finish(id);
                    return Ok(());
                }
            }
            self.graph[id].status = Status::Running;
            self.ready.push((id, fresh));
        }
        Ok(())
    }

    fn resolve(&self, id: NodeId) -> Resolved {
        let node = &self.graph[id];
        let by_path: HashMap<&StorePath, NodeId> =
            self.inputs(id).map(|input| (&self.graph[input].path, input)).collect();
        resolve(&node.path, &node.derivation, self.store.store_dir(), |path| {
            self.graph[by_path[path]].outputs.as_ref().expect("every input is known here")
        })
    }

    /// Outputs of a resolved step, if they follow from it or from a row.
    fn known_outputs(&self, id: NodeId, resolved: &Resolved) -> Result<Option<Outputs>, GraphError> {
        if let Some(outputs) = static_outputs(&resolved.derivation) {
            return Ok(Some(outputs));
        }
        let row = self.store.action(resolved.key)?;
        let complete = row.filter(|row| {
            self.graph[id].derivation.outputs.keys().all(|name| row.outputs.contains_key(name))
        });
        Ok(complete.map(|row| row.outputs))
    }

    fn is_present(&self, id: NodeId) -> Result<bool, GraphError> {
        let node = &self.graph[id];
        let Some(outputs) = &node.outputs else { return Ok(false) };
        for name in &node.used {
            if !self.store.is_valid(&outputs[name])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn learn(&mut self, id: NodeId, outputs: Outputs) {
        self.graph[id].outputs = Some(outputs);
        self.wake_dependents(id);
    }

    fn finish(&mut self, id: NodeId) {
        self.graph[id].have = true;
        self.graph[id].status = Status::Finished;
        self.wake_dependents(id);
    }

    fn wake_dependents(&mut self, id: NodeId) {
        let Self { graph, queue, .. } = self;
        let dependents = graph.neighbors_directed(id, Direction::Incoming);
        queue.extend(dependents.filter(|id| graph[*id].want_known || graph[*id].want_have));
    }

    /// Takes a step that can run now: downloads if `fetches`, else builds.
    pub(super) fn next_ready(&mut self, fetches: bool) -> Option<(NodeId, Resolved)> {
        let index = self.ready.iter().position(|(_, resolved)| resolved.is_fetch() == fetches)?;
        Some(self.ready.swap_remove(index))
    }

    pub(super) fn built(&mut self, id: NodeId, outputs: Outputs) {
        self.graph[id].outputs = Some(outputs);
        self.rebuild.remove(&id);
        self.finish(id);
    }

    pub(super) fn failed(&mut self, id: NodeId) {
        self.graph[id].status = Status::Failed;
    }

    /// What a run would do, as far as it can be known now: steps that must
    /// run, and those that may have to, depending on what these give.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn forecast(&mut self) -> Result<Forecast, GraphError> {
        self.settle()?;
        let mut forecast = Forecast::default();
        // Everything below a step that must run has to be there for it.
        let mut queue: Vec<NodeId> = self
            .graph
            .node_indices()
            .filter(|id| self.graph[*id].want_have && !self.graph[*id].have)
            .collect();
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if !seen.insert(id) || self.is_present(id)? {
                continue;
            }
            let node = &self.graph[id];
            let list = if is_fetch(&node.derivation) {
                &mut forecast.fetch
            } else if node.status == Status::Running
                || self.inputs(id).all(|input| self.graph[input].outputs.is_some())
            {
                &mut forecast.build
            } else {
                &mut forecast.maybe
            };
            list.push(node.path.clone());
            queue.extend(self.inputs(id));
        }
        for id in self.graph.node_indices() {
            let node = &self.graph[id];
            if node.outputs.is_none() && !seen.contains(&id) {
                forecast.maybe.push(node.path.clone());
            }
        }
        forecast.fetch.sort();
        forecast.build.sort();
        forecast.maybe.sort();
        Ok(forecast)
    }
}

/// See [`Plan::forecast`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    pub fetch: Vec<StorePath>,
    pub build: Vec<StorePath>,
    /// Runs only if something above it comes out otherwise than before.
    pub maybe: Vec<StorePath>,
}

/// Outputs that the derivation itself names.
fn static_outputs(derivation: &Derivation) -> Option<Outputs> {
    derivation
        .outputs
        .iter()
        .map(|(name, output)| match output {
            Output::InputAddressed(path) | Output::Fixed { path, .. } => Some((name.clone(), path.clone())),
            Output::Floating { .. } | Output::Deferred => None,
        })
        .collect()
}
