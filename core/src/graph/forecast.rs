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

impl Plan<'_> {
    /// Steps that must run, and those that may have to, depending on what
    /// these give.
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
        let substituted: BTreeSet<NodeId> = self
            .ready
            .iter()
            .flatten()
            .filter(|ready| ready.is_substitution())
            .map(|ready| ready.id)
            .collect();
        let mut seen: BTreeSet<NodeId> = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = &self.graph[id];
            if self.is_present(id)? {
                forecast.reuse.push(node.path.clone());
                continue;
            }
            let is_substituted = substituted.contains(&id);
            let is_known_to_run = node.status == Status::Running
                || self.inputs(id).all(|input| self.graph[input].outputs.is_some());
            let list = if is_substituted {
                &mut forecast.substitute
            } else if is_fetch(&node.derivation) {
                &mut forecast.fetch
            } else if is_known_to_run {
                &mut forecast.build
            } else {
                &mut forecast.maybe
            };
            list.push(node.path.clone());
            if !is_substituted {
                queue.extend(self.inputs(id));
            }
        }
        for id in self.graph.node_indices() {
            let node = &self.graph[id];
            if seen.contains(&id) {
                continue;
            }
            if node.have {
                forecast.reuse.push(node.path.clone());
            } else if node.outputs.is_none() {
                forecast.maybe.push(node.path.clone());
            }
        }
        let Forecast { fetch, substitute, build, maybe, reuse } = &mut forecast;
        for list in [fetch, substitute, build, maybe, reuse] {
            list.sort();
        }
        Ok(forecast)
    }
}
