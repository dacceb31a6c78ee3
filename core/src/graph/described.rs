//! The graph below what was wanted, as values: what a person, a drawing or
//! another program wants to know of it.

use osbuild_store::StorePath;
use osbuild_store::action::OutputName;

use super::GraphError;
use super::forecast::Prospect;
use super::order::{Usual, longest_chain};
use super::plan::{NodeId, Plan};
use crate::build::run::is_fetch;

/// Steps and what they need.
///
/// # Invariants
/// Indices lie within `steps`. Edges make no cycle, are sorted by their first
/// member, and none is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildGraph {
    /// In the order in which they are found from the targets on, breadth first.
    pub steps: Vec<Step>,
    /// What was wanted, each once.
    pub targets: Vec<usize>,
    /// From a step to one that it needs.
    pub edges: Vec<(usize, usize)>,
    /// The chain of steps that takes a build from nothing longest, in the
    /// order in which they run. More processors do not shorten it.
    pub critical: Vec<usize>,
    pub critical_ms: u64,
}

/// One derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub derivation: StorePath,
    /// A download of a source, rather than a build.
    pub is_fetch: bool,
    /// `x86_64-linux`, or `builtin`; bytes that are no UTF-8 are replaced.
    pub system: String,
    /// A path inside the sandbox, or `builtin:<name>`; replaced likewise.
    pub builder: String,
    pub state: State,
    pub usual: Usual,
    /// In the order of their names.
    pub outputs: Vec<StepOutput>,
}

/// One output of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutput {
    pub name: OutputName,
    /// Where it is or will be, if that is known.
    pub path: Option<StorePath>,
    /// The size of its archive if it is in the store: files without the blocks
    /// that a file system rounds up to.
    pub size_bytes: Option<u64>,
}

/// What there is of a step, and what a build would do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// What is needed of it is in the store.
    Present,
    /// It comes out of a cache.
    Substitute,
    Fetch,
    Build,
    /// It runs only if something below it comes out otherwise than before.
    Maybe,
    /// It is not in the store, and nothing that would run asks for it.
    Unneeded,
}

impl Step {
    /// The derivation's name, without `.drv`.
    pub fn name(&self) -> &str {
        self.derivation.derivation_name()
    }

    /// The size of those outputs that are in the store, if one is.
    pub fn size_bytes(&self) -> Option<u64> {
        self.outputs.iter().filter_map(|output| output.size_bytes).reduce(u64::saturating_add)
    }
}

impl Plan<'_> {
    /// Describes the whole graph.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn describe(&mut self, roots: &[NodeId]) -> Result<BuildGraph, GraphError> {
        let prospects = self.prospects()?;
        let mut described = BuildGraph::default();
        for (id, prospect) in self.graph.node_indices().zip(prospects) {
            described.steps.push(self.describe_step(id, prospect)?);
        }
        for root in roots.iter().map(|root| root.index()) {
            if !described.targets.contains(&root) {
                described.targets.push(root);
            }
        }
        let edges = self.graph.raw_edges().iter();
        described.edges = edges.map(|edge| (edge.source().index(), edge.target().index())).collect();
        let chain = longest_chain(&self.graph);
        described.critical_ms = chain.first().map_or(0, |first| self.graph[*first].distance);
        described.critical = chain.into_iter().map(NodeId::index).collect();
        Ok(described)
    }

    fn describe_step(&self, id: NodeId, prospect: Prospect) -> Result<Step, GraphError> {
        let node = &self.graph[id];
        let state = match prospect {
            Prospect::Reuse => State::Present,
            Prospect::Substitute => State::Substitute,
            Prospect::Fetch => State::Fetch,
            Prospect::Build => State::Build,
            Prospect::Maybe => State::Maybe,
            Prospect::Unneeded if self.is_present(id)? => State::Present,
            Prospect::Unneeded => State::Unneeded,
        };
        let mut outputs = Vec::new();
        for name in node.derivation.outputs.keys() {
            let path = node.outputs.as_ref().and_then(|outputs| outputs.get(name)).cloned();
            let info = path.as_ref().map(|path| self.store.info(path)).transpose()?.flatten();
            let size_bytes = info.map(|info| info.nar_size_bytes);
            outputs.push(StepOutput { name: name.clone(), path, size_bytes });
        }
        Ok(Step {
            derivation: node.path.clone(),
            is_fetch: is_fetch(&node.derivation),
            system: String::from_utf8_lossy(&node.derivation.system).into_owned(),
            builder: String::from_utf8_lossy(&node.derivation.builder).into_owned(),
            state,
            usual: node.usual,
            outputs,
        })
    }
}
