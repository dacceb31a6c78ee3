//! What pictures say in words; colours only repeat it.

use std::collections::BTreeMap;

use crate::graph::described::{State, Step};
use crate::graph::{BuildGraph, Usual};
use crate::quantities::{duration, size};

/// Every state in the order of a legend.
pub(super) const STATES: [State; 6] =
    [State::Present, State::Substitute, State::Fetch, State::Build, State::Maybe, State::Unneeded];

impl State {
    /// As a step's label says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Substitute => "from a cache",
            Self::Fetch => "to download",
            Self::Build => "to build",
            Self::Maybe => "maybe",
            Self::Unneeded => "not needed",
        }
    }

    /// As a legend explains it.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Present => "is in the store",
            Self::Substitute => "would be copied out of a binary cache",
            Self::Fetch => "would be downloaded",
            Self::Build => "would be built",
            Self::Maybe => "would be built if what is below it comes out otherwise than before",
            Self::Unneeded => "is not in the store, and nothing that would run needs it",
        }
    }

    /// As programs read it; also the name of its class in style sheets.
    pub fn id(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Substitute => "substitute",
            Self::Fetch => "fetch",
            Self::Build => "build",
            Self::Maybe => "maybe",
            Self::Unneeded => "unneeded",
        }
    }
}

pub(super) const CRITICAL: &str = "thick and numbered: the critical path, the chain of steps that a build from nothing \
     waits for longest, in the order in which they run";
pub(super) const LINES: &str =
    "a line leads from a step to what it needs, on its right; round ends are downloads, square ones builds";

/// What a picture is of.
pub(super) fn title(graph: &BuildGraph) -> String {
    let names: Vec<&str> = graph.targets.iter().map(|target| graph.steps[*target].name()).collect();
    match names.as_slice() {
        [first, second, third, more @ ..] if !more.is_empty() => {
            format!("Build graph of {first}, {second}, {third} and {} more", more.len())
        }
        names => format!("Build graph of {}", names.join(", ")),
    }
}

/// How many steps there are in which state, and how long the critical path is.
pub fn summary(graph: &BuildGraph) -> String {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for step in &graph.steps {
        *counts.entry(step.state).or_default() += 1;
    }
    let steps = if graph.steps.len() == 1 { "step" } else { "steps" };
    let counts: Vec<String> =
        counts.into_iter().map(|(state, count)| format!("{count} {}", state.word())).collect();
    let critical = critical(graph);
    format!("{} {steps}: {}; critical path {critical}", graph.steps.len(), counts.join(", "))
}

/// How long the critical path is, and how much of that is known.
pub(super) fn critical(graph: &BuildGraph) -> String {
    let assumed = graph.critical.iter().filter(|step| !graph.steps[**step].usual.is_measured).count();
    let time = duration(graph.critical_ms);
    match assumed {
        0 => time,
        _ => format!("{time} ({assumed} of {} steps assumed)", graph.critical.len()),
    }
}

/// A step's usual time; an assumption is told as one.
pub(super) fn usual(usual: Usual) -> String {
    let time = duration(usual.ms);
    if usual.is_measured { time } else { format!("never ran here, counted as {time}") }
}

/// The second line of a step: state, time if it is known, size if it is there.
pub(super) fn second_line(step: &Step) -> String {
    let mut parts = vec![step.state.word().to_owned()];
    if step.usual.is_measured {
        parts.push(duration(step.usual.ms));
    }
    parts.extend(step.size_bytes().map(size));
    parts.join(" · ")
}

/// The second line of several downloads: how many are in which state.
pub(super) fn second_line_of_many<'s>(steps: impl Iterator<Item = &'s Step>) -> String {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    let mut bytes = None;
    for step in steps {
        *counts.entry(step.state).or_default() += 1;
        bytes = step.size_bytes().map_or(bytes, |size| Some(bytes.unwrap_or(0u64).saturating_add(size)));
    }
    let is_one = counts.len() == 1;
    let said = |(state, count): (State, usize)| {
        if is_one { state.word().to_owned() } else { format!("{count} {}", state.word()) }
    };
    let mut parts: Vec<String> = counts.into_iter().map(said).collect();
    parts.extend(bytes.map(size));
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumption_is_told_as_one() {
        let check = |is_measured: bool, expected: &str| {
            assert_eq!(usual(Usual { ms: 5_000, is_measured }), expected);
        };
        check(true, "5.0 s");
        check(false, "never ran here, counted as 5.0 s");
    }
}
