//! What a run would do, without doing it.

use std::collections::{BTreeMap, BTreeSet};

use osbuild_store::StorePath;

use super::GraphError;
use super::plan::{NodeId, Plan, Presence, Status};
use super::reason::{Reason, differences};
use crate::build::run::is_fetch;
use crate::derivation::aterm::from_aterm;

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
    /// Why those in the other lists are in them.
    pub reasons: BTreeMap<StorePath, Reason>,
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

impl Prospect {
    pub(super) fn is_certain(self) -> bool {
        matches!(self, Self::Fetch | Self::Substitute | Self::Build)
    }
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
            let id = NodeId::new(node);
            list.push(self.graph[id].path.clone());
            if let Some(reason) = self.reason(id, prospect)? {
                forecast.reasons.insert(self.graph[id].path.clone(), reason);
            }
        }
        let Forecast { fetch, substitute, build, maybe, reuse, .. } = &mut forecast;
        for list in [fetch, substitute, build, maybe, reuse] {
            list.sort();
        }
        Ok(forecast)
    }

    fn reason(&self, id: NodeId, prospect: Prospect) -> Result<Option<Reason>, GraphError> {
        match prospect {
            Prospect::Reuse | Prospect::Unneeded => return Ok(None),
            Prospect::Fetch => return Ok(Some(Reason::Missing)),
            Prospect::Substitute => return Ok(Some(Reason::InCache)),
            Prospect::Build | Prospect::Maybe => {}
        }
        let unknown = self.inputs(id).filter(|input| self.graph[*input].outputs.is_none());
        let mut unknown: Vec<String> = unknown.map(|input| self.graph[input].name().to_owned()).collect();
        if !unknown.is_empty() {
            unknown.sort();
            return Ok(Some(Reason::Waits(unknown)));
        }
        let store_dir = self.store.store_dir();
        let last = self.store.made_from(self.graph[id].name())?;
        let last = last.and_then(|text| from_aterm(&text, store_dir).ok());
        Ok(Some(match last {
            None => Reason::New,
            Some(last) => match differences(&last, &self.resolve(id).derivation, store_dir) {
                same if same.is_empty() => Reason::Gone,
                differences => Reason::Changed(differences),
            },
        }))
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
            .filter(|id| self.graph[*id].presence < self.graph[*id].wanted)
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
            node if node.presence > Presence::Nowhere => Prospect::Reuse,
            node if node.outputs.is_none() => Prospect::Maybe,
            _ => Prospect::Unneeded,
        };
        let nodes = self.graph.node_indices().zip(prospects);
        Ok(nodes.map(|(id, prospect)| prospect.unwrap_or_else(|| untouched(id))).collect())
    }
}
