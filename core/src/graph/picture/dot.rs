//! The graph in Graphviz's language.
//!
//! Source: Graphviz's documentation, "DOT Language" and "Attributes".

use std::fmt::Write as _;

use super::escape;
use super::fold::{Folding, Node, fold};
use super::words;
use super::{BuildGraph, State};

/// Writes the graph for Graphviz; lines lead from a step to what it needs.
///
/// What colours say, labels, outlines and line widths say too.
pub fn dot(graph: &BuildGraph, folding: Folding) -> String {
    let folded = fold(graph, folding);
    let mut out = String::from("digraph build {\n");
    let title = escape::dot(&words::title(graph));
    let _ = writeln!(
        out,
        "  graph [rankdir=LR, ranksep=0.8, labelloc=t, fontname=\"sans-serif\", label={title}];"
    );
    out.push_str("  node [shape=box, style=filled, fontname=\"sans-serif\", fontsize=11];\n");
    out.push_str("  edge [color=\"#8a8f98\", arrowsize=0.6];\n");
    for (index, node) in folded.nodes.iter().enumerate() {
        let _ = writeln!(out, "  n{index} [{}];", attributes(node));
    }
    let critical: std::collections::BTreeSet<(usize, usize)> =
        folded.critical.windows(2).map(|pair| (pair[1], pair[0])).collect();
    for edge in &folded.edges {
        let (from, to) = edge;
        let style = if critical.contains(edge) { " [color=\"#b3363b\", penwidth=2.5]" } else { "" };
        let _ = writeln!(out, "  n{from} -> n{to}{style};");
    }
    out.push_str("}\n");
    out
}

fn attributes(node: &Node) -> String {
    let critical = if node.is_critical { " · critical path" } else { "" };
    let label = escape::dot(&format!("{}\n{}{critical}", node.label, node.second_line));
    let (fill, line) = colours(node.state);
    let mut style = vec!["filled"];
    if node.is_fetch {
        style.push("rounded");
    }
    match node.state {
        State::Maybe => style.push("dashed"),
        State::Unneeded => style.push("dotted"),
        _ => {}
    }
    let (line, width) = if node.is_critical { ("#b3363b", "2.5") } else { (line, "1") };
    let style = style.join(",");
    format!("label={label}, style=\"{style}\", fillcolor=\"{fill}\", color=\"{line}\", penwidth={width}")
}

/// Filling and outline, those of the light drawing.
fn colours(state: State) -> (&'static str, &'static str) {
    match state {
        State::Present => ("#e6f1e8", "#5d8f68"),
        State::Substitute => ("#e0f0f2", "#4a8d98"),
        State::Fetch => ("#e6ecf8", "#6480bd"),
        State::Build => ("#fbecd0", "#b9822b"),
        State::Maybe => ("#fdf7e8", "#b9822b"),
        State::Unneeded => ("#f2f2f1", "#9a9a96"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn colours_only_repeat_what_words_and_outlines_say() {
        let text = dot(&sample::image(), Folding::Downloads);
        for line in [
            r##"  n0 [label="image-1\nmaybe · critical path", style="filled,dashed", fillcolor="#fdf7e8", color="#b3363b", penwidth=2.5];"##,
            r##"  n2 [label="tool-0.9\npresent · 0.9 s · 2 KiB", style="filled", fillcolor="#e6f1e8", color="#5d8f68", penwidth=1];"##,
            r##"  n5 [label="3 downloads\n2 present · 1 to download · 4 KiB", style="filled,rounded", fillcolor="#e6ecf8", color="#6480bd", penwidth=1];"##,
            r##"  n1 -> n4 [color="#b3363b", penwidth=2.5];"##,
            "  n1 -> n3;",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\nis not in\n{text}");
        }
    }
}
