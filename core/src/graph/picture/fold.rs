//! Which steps become which nodes of a picture.
//!
//! Most steps of a system are downloads that one step unpacks: hundreds, which
//! say more as a number.

use std::collections::BTreeMap;

use super::words;
use super::{BuildGraph, State};

/// Whether a picture shows each download by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folding {
    /// Downloads that the same steps need are one node, but for those on the
    /// critical path.
    Downloads,
    /// Each step is shown; a drawing puts downloads of the same steps into one
    /// frame.
    Nothing,
}

/// What is drawn: nodes, and edges between them, as indices into them.
pub(super) struct Folded {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<(usize, usize)>,
    /// In the order in which they run.
    pub(super) critical: Vec<usize>,
    /// The node that shows a step.
    pub(super) node_of: Vec<usize>,
}

/// One node of a picture.
pub(super) struct Node {
    /// The step, or several downloads; ascending.
    pub(super) steps: Vec<usize>,
    pub(super) label: String,
    pub(super) second_line: String,
    /// Of several, what most is left to do for.
    pub(super) state: State,
    pub(super) is_fetch: bool,
    pub(super) is_critical: bool,
    pub(super) is_target: bool,
}

/// Decides what is drawn. Linear in steps and edges, but for sorting.
pub(super) fn fold(graph: &BuildGraph, folding: Folding) -> Folded {
    let count = graph.steps.len();
    let (mut needed_by, mut has_inputs) = (vec![Vec::new(); count], vec![false; count]);
    for &(from, to) in &graph.edges {
        needed_by[to].push(from);
        has_inputs[from] = true;
    }
    let (mut is_critical, mut is_target) = (vec![false; count], vec![false; count]);
    graph.critical.iter().for_each(|step| is_critical[*step] = true);
    graph.targets.iter().for_each(|step| is_target[*step] = true);

    let mut together: BTreeMap<&[usize], usize> = BTreeMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut node_of = Vec::with_capacity(count);
    for (step, described) in graph.steps.iter().enumerate() {
        let may_fold = folding == Folding::Downloads
            && described.is_fetch
            && !(has_inputs[step] || is_critical[step] || is_target[step]);
        let new = members.len();
        let node = if may_fold { *together.entry(&needed_by[step]).or_insert(new) } else { new };
        if node == new {
            members.push(Vec::new());
        }
        members[node].push(step);
        node_of.push(node);
    }
    let nodes = members.into_iter().map(|steps| {
        let (is_critical, is_target) = (is_critical[steps[0]], is_target[steps[0]]);
        node(graph, steps, is_critical, is_target)
    });
    let mut edges: Vec<(usize, usize)> =
        graph.edges.iter().map(|(from, to)| (node_of[*from], node_of[*to])).collect();
    edges.sort_unstable();
    edges.dedup();
    Folded {
        nodes: nodes.collect(),
        edges,
        critical: graph.critical.iter().map(|step| node_of[*step]).collect(),
        node_of,
    }
}

fn node(graph: &BuildGraph, steps: Vec<usize>, is_critical: bool, is_target: bool) -> Node {
    let first = &graph.steps[steps[0]];
    let described = || steps.iter().map(|step| &graph.steps[*step]);
    let (label, second_line) = match steps.len() {
        1 => (first.name().to_owned(), words::second_line(first)),
        many => (format!("{many} downloads"), words::second_line_of_many(described())),
    };
    let state = described().map(|step| step.state).max_by_key(|state| to_do(*state)).expect("not empty");
    Node { label, second_line, state, is_fetch: first.is_fetch, is_critical, is_target, steps }
}

fn to_do(state: State) -> u8 {
    match state {
        State::Unneeded => 0,
        State::Present => 1,
        State::Maybe => 2,
        State::Substitute => 3,
        State::Fetch | State::Build => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn labels(graph: &BuildGraph, folding: Folding) -> Vec<String> {
        fold(graph, folding)
            .nodes
            .into_iter()
            .map(|node| format!("{}: {}", node.label, node.second_line))
            .collect()
    }

    #[test]
    fn downloads_of_the_same_steps_are_one_node() {
        let graph = sample::image();
        let expected = [
            "image-1: maybe",
            "linux-6.12: to build · 12 min",
            "tool-0.9: present · 0.9 s · 2 KiB",
            "sdk-c: present · 8.0 s · 2 KiB",
            // On the critical path, and alone anyway.
            "linux-6.12.tar.xz: to download · 20 s",
            "3 downloads: 2 present · 1 to download · 4 KiB",
        ];
        assert_eq!(labels(&graph, Folding::Downloads), expected);
        assert_eq!(labels(&graph, Folding::Nothing).len(), graph.steps.len());

        let folded = fold(&graph, Folding::Downloads);
        assert_eq!(folded.edges, [(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (3, 5)]);
        assert_eq!((folded.critical, folded.nodes[5].state), (vec![4, 1, 0], State::Fetch));
        assert_eq!(folded.node_of, [0, 1, 2, 3, 4, 5, 5, 5]);
    }

    #[test]
    fn what_stands_out_is_not_folded() {
        let check = |change: &dyn Fn(&mut BuildGraph), expected: usize| {
            let mut graph = sample::image();
            change(&mut graph);
            assert_eq!(fold(&graph, Folding::Downloads).nodes.len(), expected);
        };
        check(&|_| (), 6);
        check(&|graph| graph.critical = vec![5, 3, 1, 0], 7);
        check(&|graph| graph.targets.push(6), 7);
        // A step of its own needs it, too.
        check(&|graph| graph.edges.push((2, 7)), 7);
        // It is not a source itself.
        check(&|graph| graph.edges.push((7, 4)), 7);
        check(&|graph| graph.steps[5].is_fetch = false, 7);
    }
}
