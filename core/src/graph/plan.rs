//! What is known of every derivation.
//!
//! Two facts a node: whether its outputs are *known* (statically, from a row,
//! or because it was built), and where the outputs in use *are*. Two wishes:
//! somebody needs to know them, somebody needs them somewhere. What follows is
//! in [`super::settle`].

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use osbuild_store::action::{ActionKey, OutputName};
use osbuild_store::cache::{Found, Substituters, Watch};
use osbuild_store::{LocalStore, StorePath};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use super::budget::Need;
use super::order::{POOLS, Pool, Ready, Usual, longest_first};
use super::resolve::resolve;
use super::{GraphError, Lookup, Outputs, read_derivation};
use crate::build::Resolved;
use crate::derivation::Derivation;
use crate::remote::may_run;

/// An index into [`Plan::graph`].
pub(super) type NodeId = NodeIndex;

pub(super) struct Node {
    pub(super) path: StorePath,
    pub(super) derivation: Arc<Derivation>,
    /// Outputs that somebody may mount or asked for.
    pub(super) used: BTreeSet<OutputName>,
    pub(super) outputs: Option<Outputs>,
    /// Under which a row was looked for.
    pub(super) key: Option<ActionKey>,
    /// Whether caches were asked for that row.
    pub(super) row: Question<()>,
    /// Whether caches were asked for the outputs in use, and what they have.
    pub(super) objects: Question<BTreeMap<StorePath, Found>>,
    /// Where the outputs in use are, and where they have to be.
    pub(super) presence: Presence,
    pub(super) wanted: Presence,
    pub(super) want_known: bool,
    /// A cluster runs it.
    pub(super) is_remote: bool,
    /// How often it found its inputs gone.
    pub(super) losses: u32,
    /// All inputs are known and no row is: it has to be built.
    pub(super) unknown: bool,
    pub(super) status: Status,
    pub(super) usual: Usual,
    /// Milliseconds from its start to the end of all that waits for it, as far
    /// as earlier runs tell.
    pub(super) distance: u64,
    pub(super) need: Need,
}

impl Node {
    /// Where it runs, and so where its inputs have to be at least: what runs
    /// on a cluster finds there what was made there.
    pub(super) fn place(&self) -> Presence {
        if self.is_remote { Presence::Remote } else { Presence::Here }
    }

    /// The derivation's name.
    pub(super) fn name(&self) -> &str {
        self.path.derivation_name()
    }
}

/// Where outputs are, from worse to better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Presence {
    Nowhere,
    /// On the cluster that made them, where steps that run there find them.
    Remote,
    /// Valid in the store.
    Here,
}

/// What caches are asked.
#[derive(Debug)]
pub(super) enum Question<T> {
    NotAsked,
    /// Waits to be asked with others, all at once.
    Waiting,
    Answered(Option<T>),
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
pub(super) struct Plan<'a> {
    pub(super) store: &'a LocalStore,
    /// Edges lead from a step to its inputs.
    pub(super) graph: DiGraph<Node, ()>,
    /// To be looked at again.
    pub(super) queue: Vec<NodeId>,
    /// What can run now, by pool.
    pub(super) ready: [BinaryHeap<Ready>; POOLS],
    /// Build these even if their outputs are there.
    pub(super) rebuild: BTreeSet<NodeId>,
    pub(super) caches: Option<Caches<'a>>,
    /// There is a cluster for what may run there.
    has_cluster: bool,
}

/// Caches, and who is told of what goes wrong with them.
#[derive(Clone, Copy)]
pub(super) struct Caches<'a> {
    pub(super) substituters: &'a Substituters,
    pub(super) watch: &'a Watch<'a>,
}

impl<'a> Plan<'a> {
    /// Loads the graph below `wanted`.
    ///
    /// # Errors
    /// A derivation is missing or malformed, or lacks an output in use.
    pub(super) fn load(
        store: &'a LocalStore,
        caches: Option<Caches<'a>>,
        has_cluster: bool,
        lookup: &Lookup<'_>,
        wanted: &[(StorePath, Option<BTreeSet<OutputName>>)],
    ) -> Result<(Self, Vec<NodeId>), GraphError> {
        let mut plan = Self {
            store,
            graph: DiGraph::new(),
            queue: Vec::new(),
            ready: Default::default(),
            rebuild: BTreeSet::new(),
            caches,
            has_cluster,
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
        longest_first(&mut plan.graph, &store.usages()?);
        for &root in &roots {
            plan.wish(root, Presence::Here);
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
            is_remote: self.has_cluster && may_run(&derivation),
            derivation,
            used: BTreeSet::new(),
            key: None,
            row: Question::NotAsked,
            objects: Question::NotAsked,
            presence: Presence::Nowhere,
            wanted: Presence::Nowhere,
            want_known: false,
            losses: 0,
            unknown: false,
            status: Status::Waiting,
            usual: Usual::default(),
            distance: 0,
            need: Need::of(None),
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

    pub(super) fn inputs(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.graph.neighbors(id)
    }

    pub(super) fn wish_known(&mut self, id: NodeId) {
        if !self.graph[id].want_known {
            self.graph[id].want_known = true;
            self.queue.push(id);
        }
    }

    /// Wants its outputs to be somewhere, or better.
    pub(super) fn wish(&mut self, id: NodeId, presence: Presence) {
        let node = &mut self.graph[id];
        if node.wanted < presence {
            node.wanted = presence;
            if node.status == Status::Finished {
                (node.status, node.objects) = (Status::Waiting, Question::NotAsked);
            }
            self.queue.push(id);
        }
    }

    pub(super) fn resolve(&self, id: NodeId) -> Resolved {
        let node = &self.graph[id];
        let by_path: HashMap<&StorePath, NodeId> =
            self.inputs(id).map(|input| (&self.graph[input].path, input)).collect();
        resolve(&node.path, &node.derivation, self.store.store_dir(), |path| {
            self.graph[by_path[path]].outputs.as_ref().expect("every input is known here")
        })
    }

    /// Outputs of a resolved step, if they follow from it or from a row.
    pub(super) fn known_outputs(
        &self,
        id: NodeId,
        resolved: &Resolved,
    ) -> Result<Option<Outputs>, GraphError> {
        if let Some(outputs) = static_outputs(&resolved.derivation) {
            return Ok(Some(outputs));
        }
        let row = self.store.action(resolved.key)?;
        let complete = row.filter(|row| {
            self.graph[id].derivation.outputs.keys().all(|name| row.outputs.contains_key(name))
        });
        Ok(complete.map(|row| row.outputs))
    }

    pub(super) fn is_present(&self, id: NodeId) -> Result<bool, GraphError> {
        let node = &self.graph[id];
        let Some(outputs) = &node.outputs else { return Ok(false) };
        for name in &node.used {
            if !self.store.is_valid(&outputs[name])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn learn(&mut self, id: NodeId, outputs: Outputs) {
        self.graph[id].outputs = Some(outputs);
        self.wake_dependents(id);
    }

    /// Its outputs got somewhere; where that is not enough, there is more to do.
    pub(super) fn finish(&mut self, id: NodeId, presence: Presence) {
        let node = &mut self.graph[id];
        node.presence = presence;
        if presence < node.wanted {
            (node.status, node.objects) = (Status::Waiting, Question::NotAsked);
            self.queue.push(id);
        } else {
            node.status = Status::Finished;
        }
        self.wake_dependents(id);
    }

    fn wake_dependents(&mut self, id: NodeId) {
        let Self { graph, queue, .. } = self;
        let dependents = graph.neighbors_directed(id, Direction::Incoming);
        queue.extend(dependents.filter(|id| graph[*id].want_known || graph[*id].wanted > Presence::Nowhere));
    }

    /// Of the steps that wait for this one, the one that most waits for.
    pub(super) fn waiting_for(&self, id: NodeId) -> Option<NodeId> {
        let waits = |id: &NodeId| {
            let node = &self.graph[*id];
            node.status == Status::Waiting && (node.want_known || node.wanted > Presence::Nowhere)
        };
        let dependents = self.graph.neighbors_directed(id, Direction::Incoming).filter(waits);
        dependents.max_by_key(|id| (self.graph[*id].distance, std::cmp::Reverse(*id)))
    }

    /// The step of a pool that most waits for.
    pub(super) fn peek_ready(&self, pool: Pool) -> Option<&Ready> {
        self.ready[pool as usize].peek()
    }

    /// Takes it.
    pub(super) fn next_ready(&mut self, pool: Pool) -> Option<Ready> {
        self.ready[pool as usize].pop()
    }

    pub(super) fn built(&mut self, id: NodeId, outputs: Outputs, presence: Presence) {
        self.graph[id].outputs = Some(outputs);
        self.rebuild.remove(&id);
        self.finish(id, presence);
    }

    pub(super) fn failed(&mut self, id: NodeId) {
        self.graph[id].status = Status::Failed;
    }

    /// What a cache promised did not come: the step is made here.
    pub(super) fn not_substituted(&mut self, id: NodeId) {
        let node = &mut self.graph[id];
        (node.status, node.objects) = (Status::Waiting, Question::Answered(None));
        if node.presence == Presence::Remote {
            // A cluster that cannot give what it has would not give it the next time.
            (node.presence, node.is_remote) = (Presence::Nowhere, false);
        }
        self.queue.push(id);
    }

    /// A cluster no longer has inputs that it had: they are made again, and
    /// then the step. Whether there is hope for that.
    pub(super) fn inputs_lost(&mut self, id: NodeId) -> bool {
        self.graph[id].losses += 1;
        if self.graph[id].losses > LOSSES {
            return false;
        }
        let inputs: Vec<NodeId> = self.inputs(id).collect();
        for input in inputs {
            let node = &mut self.graph[input];
            if node.presence == Presence::Remote && node.status == Status::Finished {
                (node.presence, node.status, node.objects) =
                    (Presence::Nowhere, Status::Waiting, Question::NotAsked);
                self.queue.push(input);
            }
        }
        self.graph[id].status = Status::Waiting;
        self.queue.push(id);
        true
    }
}

/// How often a step's inputs may be gone before it fails.
const LOSSES: u32 = 3;

/// Outputs that the derivation itself names.
fn static_outputs(derivation: &Derivation) -> Option<Outputs> {
    derivation.outputs.iter().map(|(name, output)| Some((name.clone(), output.path()?.clone()))).collect()
}
