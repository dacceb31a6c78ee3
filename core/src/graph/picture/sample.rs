//! Graphs for the tests of this room.

use osbuild_store::StorePath;
use osbuild_store::action::OutputName;

use super::{BuildGraph, State};
use crate::graph::Usual;
use crate::graph::described::{Step, StepOutput};

pub(super) fn step(name: &str, is_fetch: bool, state: State, usual_ms: Option<u64>) -> Step {
    let mut digest = [0; 20];
    for (index, byte) in name.bytes().enumerate() {
        digest[index % 20] ^= byte.rotate_left(u32::try_from(index % 8).unwrap());
    }
    let ms = usual_ms.unwrap_or(if is_fetch { 1_000 } else { 5_000 });
    let path = StorePath::new(digest, name).unwrap();
    let size_bytes = (state == State::Present).then_some(2048);
    Step {
        derivation: StorePath::new(digest, &format!("{name}.drv")).unwrap(),
        is_fetch,
        system: "x86_64-linux".to_owned(),
        builder: if is_fetch { "builtin:fetchurl" } else { "/bin/sh" }.to_owned(),
        state,
        usual: Usual { ms, is_measured: usual_ms.is_some() },
        outputs: vec![StepOutput { name: OutputName::out(), path: Some(path), size_bytes }],
    }
}

/// An image of a kernel and a tool, which share a compiler of three packages.
pub(super) fn image() -> BuildGraph {
    BuildGraph {
        steps: vec![
            step("image-1", false, State::Maybe, None),
            step("linux-6.12", false, State::Build, Some(720_000)),
            step("tool-0.9", false, State::Present, Some(900)),
            step("sdk-c", false, State::Present, Some(8_000)),
            step("linux-6.12.tar.xz", true, State::Fetch, Some(20_000)),
            step("gcc_14_amd64.deb", true, State::Present, None),
            step("make_4_amd64.deb", true, State::Present, None),
            step("libc_2_amd64.deb", true, State::Fetch, None),
        ],
        targets: vec![0],
        edges: vec![(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (3, 5), (3, 6), (3, 7)],
        critical: vec![4, 1, 0],
        critical_ms: 745_000,
    }
}

/// `chains` chains of ten builds each, which all need what the last step
/// makes; each build has a download of its own, and two that are shared.
pub(super) fn large(chains: usize) -> BuildGraph {
    let mut graph = BuildGraph { targets: vec![0], ..BuildGraph::default() };
    graph.steps.push(step("target", false, State::Maybe, None));
    let base = 1;
    graph.steps.push(step("base", false, State::Build, Some(1_000)));
    for chain in 0..chains {
        let mut above = 0;
        for depth in 0..10 {
            let build = graph.steps.len();
            let name = format!("step-{chain}-{depth}");
            graph.steps.push(step(&name, false, State::Maybe, Some(100)));
            graph.edges.extend([(above, build), (build, base)]);
            for source in 0..3 {
                graph.edges.push((build, graph.steps.len()));
                graph.steps.push(step(&format!("{name}-{source}.tar"), true, State::Fetch, None));
            }
            above = build;
        }
    }
    graph.edges.sort_unstable();
    graph
}
