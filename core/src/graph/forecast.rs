//! What a run would do, without doing it.

use std::collections::BTreeSet;

use osbuild_store::StorePath;

use super::GraphError;
use super::plan::{NodeId, Plan, Status};
use crate::build::run::is_fetch;

/// What a run would do, as far as it can be known now, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Downloads of sources.
    pub fetch: Vec<StorePath>,
    /// Steps whose outputs come out of caches.
    pub substitute: Vec<StorePath>,
    pub build: Vec<StorePath>,
    /// Runs only if something below it comes out otherwise than before.
    pub maybe: Vec<StorePath>,
    /// There already.
    pub reuse: Vec<StorePath>,
}

/// What a run would do about one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prospect {
    /// A download of a source.
    Fetch,
    /// Its outputs come out of caches.
    Substitute,
    Build,
    /// It runs only if something below it comes out otherwise than before.
    Maybe,
    /// Its outputs are there already.
    Reuse,
    /// What it makes is known, and nothing that would run asks for it.
    Unneeded,
}

impl Plan<'_> {
    /// Steps that must run, and those that may have to, depending on what
    /// these give.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn forecast(&mut self) -> Result<Forecast, GraphError> {
        let mut forecast = Forecast::default();
        for (node, prospect) in self.prospects()?.into_iter().enumerate() {
            let list = match prospect {
                Prospect::Fetch => &mut forecast.fetch,
                Prospect::Substitute => &mut forecast.substitute,
                Prospect::Build => &mut forecast.build,
                Prospect::Maybe => &mut forecast.maybe,
                Prospect::Reuse => &mut forecast.reuse,
                Prospect::Unneeded => continue,
            };
            list.push(self.graph[NodeId::new(node)].path.clone());
        }
        let Forecast { fetch, substitute, build, maybe, reuse } = &mut forecast;
        for list in [fetch, substitute, build, maybe, reuse] {
            list.sort();
        }
        Ok(forecast)
    }

    /// What a run would do about each node, by its index.
    ///
    /// # Errors
    /// The database failed.
    pub(super) fn prospects(&mut self) -> Result<Vec<Prospect>, GraphError> {
        self.settle()?;
        let mut prospects = vec![None; self.graph.node_count()];
        // Everything below a step that must run has to be there for it.
        let mut queue: Vec<NodeId> = self
            .graph
            .node_indices()
            .filter(|id| self.graph[*id].want_have && !self.graph[*id].have)
            .collect();
        let substituted: BTreeSet<NodeId> = self
            .ready
            .iter()
            .flatten()
            .filter(|ready| ready.is_substitution())
            .map(|ready| ready.id)
            .collect();
        while let Some(id) = queue.pop() {
            if prospects[id.index()].is_some() {
                continue;
            }
            let node = &self.graph[id];
            let is_known_to_run = node.status == Status::Running
                || self.inputs(id).all(|input| self.graph[input].outputs.is_some());
            let prospect = if self.is_present(id)? {
                Prospect::Reuse
            } else if substituted.contains(&id) {
                Prospect::Substitute
            } else if is_fetch(&node.derivation) {
                Prospect::Fetch
            } else if is_known_to_run {
                Prospect::Build
            } else {
                Prospect::Maybe
            };
            prospects[id.index()] = Some(prospect);
            if !matches!(prospect, Prospect::Reuse | Prospect::Substitute) {
                queue.extend(self.inputs(id));
            }
        }
        let untouched = |id: NodeId| match &self.graph[id] {
            node if node.have => Prospect::Reuse,
            node if node.outputs.is_none() => Prospect::Maybe,
            _ => Prospect::Unneeded,
        };
        let nodes = self.graph.node_indices().zip(prospects);
        Ok(nodes.map(|(id, prospect)| prospect.unwrap_or_else(|| untouched(id))).collect())
    }
}
