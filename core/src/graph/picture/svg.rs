//! The graph as a drawing.
//!
//! Source: SVG 2; style sheets as in CSS Color Adjustment 1 for the dark one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::fold::{Folded, Folding, Node, fold};
use super::layout::{Layout, Line, Place, layout};
use super::words;
use super::{BuildGraph, State};
use crate::html::xml;

/// How the parts of a drawing look, light or dark as the reader has it.
pub(super) const STYLE: &str = include_str!("drawing.css");

/// Draws the graph into a file of its own, which needs nothing else.
pub fn svg(graph: &BuildGraph, folding: Folding) -> String {
    let drawing = Drawing::new(graph, folding);
    let (width, height) =
        (drawing.layout.width.max(LEGEND_WIDTH), drawing.layout.height + HEAD + LEGEND_HEIGHT);
    let title = xml(&words::title(graph));
    let summary = xml(&words::summary(graph));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"drawing\" role=\"img\" \
         aria-labelledby=\"title summary\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n<title id=\"title\">{title}</title>\n\
         <desc id=\"summary\">{summary}</desc>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"24\" y=\"38\">{title}</text>\n\
         <text class=\"second\" x=\"24\" y=\"58\">{summary}</text>\n"
    );
    legend(&mut out);
    let _ = writeln!(out, "<g transform=\"translate(0 {})\">", HEAD + LEGEND_HEIGHT);
    drawing.write(&mut out);
    out.push_str("</g>\n</svg>\n");
    out
}

/// Room above the drawing, and what the longest line there takes.
const HEAD: i32 = 66;
const LEGEND_ROW: i32 = 22;
const LEGEND_HEIGHT: i32 = 8 * LEGEND_ROW + 16;
const LEGEND_WIDTH: i32 = 640;

fn legend(out: &mut String) {
    let mut row = |index: usize, class: &str, text: &str| {
        let y = HEAD + index as i32 * LEGEND_ROW;
        let middle = y + 14;
        let radius = if class == State::Fetch.id() { 7 } else { 2 };
        let _ = writeln!(
            out,
            "<g class=\"{class}\"><rect class=\"box\" x=\"25\" y=\"{}\" width=\"32\" height=\"14\" rx=\"{radius}\"/>\
             <text class=\"second\" x=\"68\" y=\"{}\">{}</text></g>",
            middle - 7,
            middle + 4,
            xml(text)
        );
    };
    for (index, state) in words::STATES.into_iter().enumerate() {
        row(index, state.id(), &format!("{}: {}", state.word(), state.meaning()));
    }
    row(6, "critical", words::CRITICAL);
    let y = HEAD + 7 * LEGEND_ROW + 18;
    let _ = writeln!(out, "<text class=\"second\" x=\"25\" y=\"{y}\">{}</text>", xml(words::LINES));
}

/// A graph with places, to be written into a file or a page.
pub(super) struct Drawing<'g> {
    graph: &'g BuildGraph,
    pub(super) folded: Folded,
    pub(super) layout: Layout,
    folding: Folding,
}

impl<'g> Drawing<'g> {
    /// Downloads that belong together stand together either way: a drawing
    /// that folds nothing shows them in a frame, since a column of hundreds is
    /// of no use to anybody.
    pub(super) fn new(graph: &'g BuildGraph, folding: Folding) -> Self {
        let folded = fold(graph, Folding::Downloads);
        let sizes: Vec<(i32, i32)> = folded
            .nodes
            .iter()
            .map(|node| {
                Members::of(graph, node, folding).map_or((width(node), HEIGHT), |members| members.size(node))
            })
            .collect();
        let layout = layout(&sizes, &folded.edges);
        Self { graph, folded, layout, folding }
    }

    /// Lines, then nodes. `data-node` numbers those, `data-step` what is in a
    /// frame; a line's `data-to` is
    /// whom it leads to, `data-from` who alone uses it, `data-column` where it
    /// begins.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str("<g class=\"lines\">\n");
        let critical: BTreeSet<(usize, usize)> =
            self.folded.critical.windows(2).map(|pair| (pair[1], pair[0])).collect();
        // By node: the column from which on the critical path uses its trunk.
        let mut critical_from = vec![usize::MAX; self.folded.nodes.len()];
        for &(from, to) in &critical {
            critical_from[to] = self.layout.places[from].column + 1;
        }
        // Critical ones last, above the others.
        for above in [false, true] {
            for (edge, leg) in self.folded.edges.iter().zip(&self.layout.legs) {
                if critical.contains(edge) == above {
                    line(out, leg, Some(edge.0), edge.1, above);
                }
            }
            for (node, trunk) in self.layout.trunks.iter().enumerate() {
                for piece in trunk.iter().filter(|piece| (piece.column >= critical_from[node]) == above) {
                    line(out, piece, None, node, above);
                }
            }
        }
        out.push_str("</g>\n<g class=\"nodes\">\n");
        let mut number = vec![None; self.folded.nodes.len()];
        for (index, node) in self.folded.critical.iter().enumerate() {
            number[*node] = Some(index + 1);
        }
        for (index, (node, place)) in self.folded.nodes.iter().zip(&self.layout.places).enumerate() {
            write_node(out, index, node, *place, number[index], Members::of(self.graph, node, self.folding));
        }
        out.push_str("</g>\n");
    }
}

fn line(out: &mut String, line: &Line, from: Option<usize>, to: usize, is_critical: bool) {
    let class = if is_critical { " class=\"critical\"" } else { "" };
    let from = from.map(|from| format!(" data-from=\"{from}\"")).unwrap_or_default();
    let Line { column, from: (x, y), bend, to: (to_x, to_y) } = line;
    let half = (to_x - bend) / 2;
    let _ = writeln!(
        out,
        "<path{class}{from} data-to=\"{to}\" data-column=\"{column}\" \
         d=\"M{x} {y}H{bend}C{} {y} {} {to_y} {to_x} {to_y}\"/>",
        bend + half,
        to_x - half
    );
}

fn write_node(
    out: &mut String,
    index: usize,
    node: &Node,
    place: Place,
    number: Option<usize>,
    members: Option<Members<'_>>,
) {
    let mut class = format!("node {}", node.state.id());
    for (applies, name) in [(node.is_critical, " critical"), (node.is_target, " target")] {
        if applies {
            class.push_str(name);
        }
    }
    let Place { x, y, width, height, column } = place;
    let radius = if node.is_fetch { HEIGHT / 2 } else { 4 };
    let spoken = match number {
        Some(number) => format!("{}, {}, number {number} of the critical path", node.label, node.second_line),
        None => format!("{}, {}", node.label, node.second_line),
    };
    let (label, second, spoken) = (xml(&shortened(&node.label)), xml(&node.second_line), xml(&spoken));
    let (text_x, name_y, second_y) = (x + PADDING, y + 18, y + 33);
    let _ = write!(
        out,
        "<g class=\"{class}\" data-node=\"{index}\" data-column=\"{column}\"><title>{spoken}</title>\
         <rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>\
         <text class=\"name\" x=\"{text_x}\" y=\"{name_y}\">{label}</text>\
         <text class=\"second\" x=\"{text_x}\" y=\"{second_y}\">{second}</text>"
    );
    if let Some(members) = members {
        members.write(out, node, place);
    }
    if let Some(number) = number {
        let (at_x, text_y) = (x + width - 6, y + 4);
        let _ = write!(
            out,
            "<g class=\"badge\"><circle cx=\"{at_x}\" cy=\"{y}\" r=\"9\"/>\
             <text x=\"{at_x}\" y=\"{text_y}\">{number}</text></g>"
        );
    }
    out.push_str("</g>\n");
}

/// Downloads in their frame, row by row.
struct Members<'g> {
    graph: &'g BuildGraph,
    columns: usize,
    cell_width: i32,
}

const CELL_HEIGHT: i32 = 24;
const CELL_GAP: i32 = 6;

impl<'g> Members<'g> {
    /// None of a node that is one step, or that stays folded.
    fn of(graph: &'g BuildGraph, node: &Node, folding: Folding) -> Option<Self> {
        if folding == Folding::Downloads || node.steps.len() < 2 {
            return None;
        }
        let letters = |step: &usize| letters(&shortened(graph.steps[*step].name()));
        let longest = node.steps.iter().map(letters).max().unwrap_or(0);
        let cell_width = longest * SECOND_LETTER / 10 + 2 * PADDING + CELL_GAP;
        // About as high as wide.
        let count = node.steps.len() as f64;
        let columns = (count * f64::from(CELL_HEIGHT) / f64::from(cell_width)).sqrt().ceil() as usize;
        Some(Self { graph, columns, cell_width })
    }

    fn size(&self, node: &Node) -> (i32, i32) {
        let side = |count: usize| i32::try_from(count).expect("a graph fits into memory");
        let rows = side(node.steps.len().div_ceil(self.columns));
        let inner = side(self.columns) * self.cell_width + 2 * PADDING - CELL_GAP;
        (inner.max(width(node)), HEIGHT + rows * CELL_HEIGHT + PADDING - CELL_GAP)
    }

    fn write(&self, out: &mut String, node: &Node, frame: Place) {
        for (index, &step) in node.steps.iter().enumerate() {
            let (row, column) = (index / self.columns, index % self.columns);
            let x = frame.x + PADDING + column as i32 * self.cell_width;
            let y = frame.y + HEIGHT + row as i32 * CELL_HEIGHT;
            let (width, height) = (self.cell_width - CELL_GAP, CELL_HEIGHT - CELL_GAP);
            let described = &self.graph.steps[step];
            let state = described.state.id();
            let name = xml(&shortened(described.name()));
            let spoken = xml(&format!("{}, {}", described.name(), words::second_line(described)));
            let (text_x, text_y, radius) = (x + PADDING, y + 13, height / 2);
            let _ = write!(
                out,
                "\n<g class=\"member {state}\" data-step=\"{step}\"><title>{spoken}</title>\
                 <rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>\
                 <text class=\"second\" x=\"{text_x}\" y=\"{text_y}\">{name}</text></g>"
            );
        }
    }
}

const HEIGHT: i32 = 42;
const PADDING: i32 = 14;
/// Of the two sizes of letters: what one takes on average, in tenths of a
/// pixel. Nothing is measured here, so both are on the wide side of what
/// browsers have as their usual font; bold ones are wider by a tenth.
const LETTER: i32 = 82;
const SECOND_LETTER: i32 = 68;
/// A longer name loses its middle: the ends tell names apart.
const LABEL_MAX: usize = 38;
const WIDTH_MIN: i32 = 96;

fn width(node: &Node) -> i32 {
    let letter = if node.is_target { LETTER * 11 / 10 } else { LETTER };
    let (label, second) =
        (letters(&shortened(&node.label)) * letter, letters(&node.second_line) * SECOND_LETTER);
    (label.max(second) / 10 + 2 * PADDING).max(WIDTH_MIN)
}

fn letters(text: &str) -> i32 {
    i32::try_from(text.chars().count().min(200)).expect("at most 200")
}

fn shortened(label: &str) -> String {
    let letters: Vec<char> = label.chars().collect();
    if letters.len() <= LABEL_MAX {
        return label.to_owned();
    }
    let (head, tail) = (LABEL_MAX * 2 / 3, LABEL_MAX / 3);
    let ends = letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]);
    ends.collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::sample;
    use super::*;

    #[test]
    fn words_say_what_colours_do() {
        let text = svg(&sample::image(), Folding::Downloads);
        for part in [
            "<title id=\"title\">Build graph of image-1</title>",
            "8 steps: 4 present, 2 to download, 1 to build, 1 maybe; critical path 12 min 25 s (1 of 3 steps assumed)",
            "<title>linux-6.12, to build · 12 min, number 2 of the critical path</title>",
            "class=\"node fetch\" data-node=\"5\" data-column=\"3\"><title>3 downloads, 2 present",
            "class=\"node maybe critical target\"",
            "maybe: would be built if what is below it comes out otherwise than before",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
        // Inside XML its style sheet must be text, not markup.
        assert!(!STYLE.contains(['<', '&']));
    }

    #[test]
    fn foreign_text_stays_text() {
        let (mut out, label) = (String::new(), "</title><script>\"&'".to_owned());
        let node = Node {
            second_line: label.clone(),
            label,
            steps: vec![0],
            state: State::Build,
            is_fetch: false,
            is_critical: false,
            is_target: false,
        };
        write_node(&mut out, 0, &node, Place { column: 0, x: 0, y: 0, width: 1, height: 1 }, None, None);
        let shown = "&lt;/title&gt;&lt;script&gt;&quot;&amp;&#39;";
        assert_eq!((out.matches(shown).count(), out.contains("<script")), (4, false), "{out}");
    }

    #[test]
    fn long_names_lose_their_middle() {
        let check = |name: &str, expected: &str| assert_eq!(shortened(name), expected);
        check("zlib-1.3", "zlib-1.3");
        check(
            "golang-github-google-gnostic-models-dev_0.6.8-3_all.deb",
            "golang-github-google-gnos….8-3_all.deb",
        );
        check(&"ü".repeat(38), &"ü".repeat(38));
    }

    #[test]
    fn four_times_the_steps_take_four_times_the_room_and_time() {
        let draw = |chains: usize| {
            let graph = sample::large(chains);
            let best = (0..3).map(|_| {
                let began = Instant::now();
                let drawn = svg(&graph, Folding::Nothing).len();
                (began.elapsed(), drawn)
            });
            best.min().expect("three runs")
        };
        let ((time, size), (time_4, size_4)) = (draw(25), draw(100));
        assert!(size_4 < size * 5, "{size} bytes became {size_4}");
        // Squares would be sixteen times; clocks of busy machines are not exact.
        let bound = time.max(Duration::from_millis(20)) * 10;
        assert!(time_4 < bound, "{time:?} became {time_4:?}");
    }
}
