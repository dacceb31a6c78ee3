//! What runs first: the step that most time waits for.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use osbuild_store::StorePath;
use osbuild_store::cache::Found;
use osbuild_store::local::Usage;
use petgraph::Direction;
use petgraph::graph::DiGraph;

use super::budget::Need;
use super::plan::{Node, NodeId};
use crate::build::Resolved;
use crate::build::run::is_fetch;

/// Steps that run at the same time without being in each other's way: builds
/// take processors, downloads wait for a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    Build,
    Download,
    /// Builds on a cluster, which has processors of its own.
    Remote,
}

/// How many pools there are.
pub(super) const POOLS: usize = 3;

/// Something that can run now.
pub(super) struct Ready {
    pub(super) id: NodeId,
    pub(super) work: Work,
    distance: u64,
}

/// What there is to do for a step.
pub(super) enum Work {
    /// Run its builder, or download what it names.
    Make(Resolved),
    /// Have a cluster run its builder.
    MakeRemotely(Resolved),
    /// Take its outputs from caches, with what they refer to.
    Substitute(BTreeMap<StorePath, Found>),
}

impl Ready {
    pub(super) fn new(id: NodeId, node: &Node, work: Work) -> Self {
        Self { id, work, distance: node.distance }
    }

    pub(super) fn is_substitution(&self) -> bool {
        matches!(self.work, Work::Substitute(_))
    }

    pub(super) fn pool(&self) -> Pool {
        match &self.work {
            Work::Make(resolved) if !resolved.is_fetch() => Pool::Build,
            Work::MakeRemotely(_) => Pool::Remote,
            Work::Make(_) | Work::Substitute(_) => Pool::Download,
        }
    }
}

/// The longest distance first; of equal ones the one that was found first, so
/// that the order does not depend on anything else.
impl Ord for Ready {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.cmp(&other.distance).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ready {}

/// How long a step takes, as far as earlier runs tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usual {
    pub ms: u64,
    /// It ran here; otherwise the time is an assumption.
    pub is_measured: bool,
}

/// Assumed of steps that never ran here.
const UNKNOWN_BUILD_MS: u64 = 5_000;
const UNKNOWN_FETCH_MS: u64 = 1_000;

fn usual(node: &Node, usage: Option<&Usage>) -> Usual {
    if let Some(usage) = usage {
        return Usual { ms: usage.wall_ms, is_measured: true };
    }
    let ms = if is_fetch(&node.derivation) { UNKNOWN_FETCH_MS } else { UNKNOWN_BUILD_MS };
    Usual { ms, is_measured: false }
}

/// Writes each node's usual time, what it will need, and its distance. Edges lead from a step to
/// its inputs; the graph has no cycles, since a derivation is named by its
/// inputs.
pub(super) fn longest_first(graph: &mut DiGraph<Node, ()>, usages: &HashMap<String, Usage>) {
    let order = petgraph::algo::toposort(&*graph, None).expect("derivations do not need themselves");
    for id in order {
        let above = graph.neighbors_directed(id, Direction::Incoming).map(|id| graph[id].distance).max();
        let usage = usages.get(graph[id].name());
        let usual = usual(&graph[id], usage);
        graph[id].usual = usual;
        graph[id].need = Need::of(usage);
        graph[id].distance = usual.ms.saturating_add(above.unwrap_or(0));
    }
}

/// The chain that takes longest, in the order in which its steps run, once
/// distances are written; of equal ones the one that was found first.
pub(super) fn longest_chain(graph: &DiGraph<Node, ()>) -> Vec<NodeId> {
    let farthest =
        |one: &NodeId, other: &NodeId| graph[*one].distance.cmp(&graph[*other].distance).then(other.cmp(one));
    let first = graph.node_indices().max_by(farthest);
    let next = |id: &NodeId| graph.neighbors_directed(*id, Direction::Incoming).max_by(farthest);
    std::iter::successors(first, next).collect()
}
