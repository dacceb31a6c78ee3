//! Where nodes stand and lines run: columns from the targets on the left to
//! what everything else is made of on the right.
//!
//! After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of
//! Hierarchical System Structures" (1981): layers by the longest distance, few
//! crossings by barycentres, then places. What differs: all lines that lead to
//! one node from afar join into one *trunk* before it. A compiler that thirty
//! steps need is one line with thirty ends, where thirty would hide the rest;
//! and there are as many pieces of line as nodes times columns, not edges
//! times columns.

use std::collections::VecDeque;

/// Everything is in the drawing's own pixels, `y` downwards.
pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) height: i32,
    /// By node.
    pub(super) places: Vec<Place>,
    /// One per edge, in the order of the edges.
    pub(super) legs: Vec<Line>,
    /// By node: the pieces that all who need it from afar share, the leftmost
    /// first; the last one ends at the node.
    pub(super) trunks: Vec<Vec<Line>>,
}

/// A node's rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) column: usize,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// From left to right; level as far as `bend`, then a curve to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The column in which it begins.
    pub(super) column: usize,
    pub(super) from: (i32, i32),
    pub(super) bend: i32,
    pub(super) to: (i32, i32),
}

const NODE_GAP: f64 = 12.0;
const TRUNK_HEIGHT: f64 = 4.0;
const COLUMN_GAP: i32 = 56;
/// Room for lines to part from each other, per line, and at most.
const GAP_PER_LINE: i32 = 2;
const GAP_MAX: i32 = 150;
const MARGIN: i32 = 24;
/// A trunk that went through more columns would make a long chain whose every
/// member one step needs quadratic; lines from farther away join it directly.
const TRUNK_MAX: usize = 24;
const ORDER_SWEEPS: usize = 16;
const PLACE_SWEEPS: usize = 10;

/// Lays out nodes of these widths and heights. Edges lead from a step to its inputs, make
/// no cycle, and none is there twice.
pub(super) fn layout(sizes: &[(i32, i32)], edges: &[(usize, usize)]) -> Layout {
    let mut grid = Grid::new(sizes.len(), edges);
    grid.order();
    grid.place(sizes);
    grid.draw(sizes, edges)
}

/// Nodes, then the pieces of trunks, in columns.
struct Grid {
    nodes: usize,
    /// By item.
    column: Vec<usize>,
    /// By node: its trunk's first column, and the item that is there.
    trunk: Vec<(usize, usize)>,
    /// By item: neighbours one column to the left and to the right.
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
    /// By column: items from top to bottom.
    columns: Vec<Vec<usize>>,
    /// By item: its centre.
    y: Vec<f64>,
}

impl Grid {
    fn new(nodes: usize, edges: &[(usize, usize)]) -> Self {
        let mut column = longest_distances(nodes, edges);
        let mut first = column.clone();
        for &(from, to) in edges {
            first[to] = first[to].min(column[from] + 1);
        }
        let mut trunk = Vec::with_capacity(nodes);
        for node in 0..nodes {
            let end = column[node];
            let start = first[node].max(end.saturating_sub(TRUNK_MAX));
            trunk.push((start, column.len()));
            column.extend(start..end);
        }
        let items = column.len();
        let count = column.iter().max().map_or(0, |last| last + 1);
        let (left, right) = (vec![Vec::new(); items], vec![Vec::new(); items]);
        let columns = vec![Vec::new(); count];
        let mut grid = Self { nodes, column, trunk, left, right, columns, y: vec![0.0; items] };
        for &(from, to) in edges {
            grid.link(from, grid.entry(from, to));
        }
        for node in 0..nodes {
            for at in grid.trunk[node].0..grid.column[node] {
                grid.link(grid.item(node, at), grid.item(node, at + 1));
            }
        }
        grid
    }

    /// The item that stands for a node in a column, if it is one of its own.
    fn item(&self, node: usize, column: usize) -> usize {
        let (start, first) = self.trunk[node];
        if column == self.column[node] { node } else { first + (column - start) }
    }

    /// Where a line between two nodes joins what leads to the second one.
    fn entry(&self, from: usize, to: usize) -> usize {
        self.item(to, (self.column[from] + 1).max(self.trunk[to].0))
    }

    fn link(&mut self, left: usize, right: usize) {
        // A line that joins a trunk from too far away has no say.
        if self.column[left] + 1 == self.column[right] {
            self.right[left].push(right);
            self.left[right].push(left);
        }
    }

    /// Orders each column so that few lines cross.
    fn order(&mut self) {
        self.order_by_descent();
        let mut rank = vec![0.0; self.column.len()];
        for column in &self.columns {
            column.iter().enumerate().for_each(|(index, item)| rank[*item] = index as f64);
        }
        let mut best = (self.crossings(&rank), self.columns.clone());
        for sweep in 0..ORDER_SWEEPS {
            let count = self.columns.len();
            for step in 1..count {
                let (column, neighbours) =
                    if sweep % 2 == 0 { (step, &self.left) } else { (count - 1 - step, &self.right) };
                let items = &mut self.columns[column];
                let mut keyed: Vec<(f64, usize)> = items
                    .iter()
                    .map(|item| {
                        (mean(neighbours[*item].iter().map(|n| rank[*n])).unwrap_or(rank[*item]), *item)
                    })
                    .collect();
                // Stable, so equal ones stay as they were.
                keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
                for (index, (_, item)) in keyed.into_iter().enumerate() {
                    items[index] = item;
                    rank[item] = index as f64;
                }
            }
            let crossings = self.crossings(&rank);
            if crossings < best.0 {
                best = (crossings, self.columns.clone());
            }
        }
        self.columns = best.1;
    }

    /// What belongs to one step comes together: a walk from the left on.
    fn order_by_descent(&mut self) {
        let mut seen = vec![false; self.column.len()];
        for start in (0..self.column.len()).filter(|item| self.left[*item].is_empty()) {
            let mut waiting = vec![start];
            while let Some(item) = waiting.pop() {
                if !std::mem::replace(&mut seen[item], true) {
                    self.columns[self.column[item]].push(item);
                    waiting.extend(self.right[item].iter().rev());
                }
            }
        }
    }

    fn crossings(&self, rank: &[f64]) -> u64 {
        let between = |column: &Vec<usize>| {
            let mut ends: Vec<usize> = Vec::new();
            for item in column {
                let from = ends.len();
                ends.extend(self.right[*item].iter().map(|right| rank[*right] as usize));
                ends[from..].sort_unstable();
            }
            inversions(&ends)
        };
        self.columns.iter().map(between).sum()
    }

    /// Gives every item a centre near those of its neighbours.
    fn place(&mut self, sizes: &[(i32, i32)]) {
        for column in &self.columns {
            let offsets = offsets(column, sizes);
            let middle = offsets.last().map_or(0.0, |last| last / 2.0);
            column.iter().zip(&offsets).for_each(|(item, offset)| self.y[*item] = offset - middle);
        }
        let count = self.columns.len();
        for sweep in 0..PLACE_SWEEPS {
            for step in 0..count {
                let column = if sweep % 2 == 0 { step } else { count - 1 - step };
                let is_last = sweep + 2 >= PLACE_SWEEPS;
                let wish = |item: &usize| {
                    let (left, right) = (self.left[*item].iter(), self.right[*item].iter());
                    let centres = |items: std::slice::Iter<'_, usize>| mean(items.map(|n| self.y[*n]));
                    match (sweep % 2 == 0, is_last) {
                        (_, true) => mean(centres(left).into_iter().chain(centres(right))),
                        (true, false) => centres(left),
                        (false, false) => centres(right),
                    }
                    .unwrap_or(self.y[*item])
                };
                let items = &self.columns[column];
                let wishes: Vec<f64> = items.iter().map(wish).collect();
                let weights: Vec<f64> =
                    items.iter().map(|item| if *item < self.nodes { 1.0 } else { 4.0 }).collect();
                let settled = settle(&wishes, &weights, &offsets(items, sizes));
                items.iter().zip(settled).for_each(|(item, y)| self.y[*item] = y);
            }
        }
    }

    fn draw(&self, sizes: &[(i32, i32)], edges: &[(usize, usize)]) -> Layout {
        let mut column_width = vec![0; self.columns.len()];
        for (node, (width, _)) in sizes.iter().enumerate() {
            column_width[self.column[node]] = column_width[self.column[node]].max(*width);
        }
        let mut x = Vec::new();
        let mut end = MARGIN;
        for (items, width) in self.columns.iter().zip(&column_width) {
            x.push(end);
            let lines: usize = items.iter().map(|item| self.right[*item].len()).sum();
            let lines = i32::try_from(lines).unwrap_or(i32::MAX).saturating_mul(GAP_PER_LINE);
            end += width + COLUMN_GAP.saturating_add(lines).min(GAP_MAX);
        }
        let width = x.last().zip(column_width.last()).map_or(0, |(x, width)| x + width) + MARGIN;
        let half = |item: usize| sizes.get(item).map_or(0, |(_, height)| height / 2);
        let tops = self.y.iter().enumerate().map(|(item, y)| y - f64::from(half(item)));
        let top = tops.fold(f64::INFINITY, f64::min);
        let centre = |item: usize| (self.y[item] - top).round() as i32 + MARGIN;
        let place = |node: usize| {
            let (column, (width, height)) = (self.column[node], sizes[node]);
            Place { column, x: x[column], y: centre(node) - half(node), width, height }
        };
        let places: Vec<Place> = (0..self.nodes).map(place).collect();
        let line = |from: usize, to: usize| {
            let column = self.column[from];
            let begin = x[column] + sizes.get(from).map_or(0, |(width, _)| *width);
            let bend = x[column] + column_width[column];
            Line { column, from: (begin, centre(from)), bend, to: (x[self.column[to]], centre(to)) }
        };
        let legs = edges.iter().map(|&(from, to)| line(from, self.entry(from, to))).collect();
        let trunk = |node: usize| {
            let columns = self.trunk[node].0..self.column[node];
            columns.map(|at| line(self.item(node, at), self.item(node, at + 1))).collect()
        };
        let height = places.iter().map(|place| place.y + place.height).max().unwrap_or(0) + MARGIN;
        Layout { width, height, legs, trunks: (0..self.nodes).map(trunk).collect(), places }
    }
}

/// How far apart the centres of a column's items must be at least, from the
/// first one on.
fn offsets(items: &[usize], sizes: &[(i32, i32)]) -> Vec<f64> {
    let half = |item: usize| sizes.get(item).map_or(TRUNK_HEIGHT, |(_, height)| f64::from(*height)) / 2.0;
    let mut offsets = Vec::with_capacity(items.len());
    let mut previous: Option<(f64, f64)> = None;
    for item in items {
        let offset = previous.map_or(0.0, |(at, half_before)| at + half_before + NODE_GAP + half(*item));
        offsets.push(offset);
        previous = Some((offset, half(*item)));
    }
    offsets
}

/// Each node's longest distance from nodes that nothing leads to.
fn longest_distances(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let (mut waits_for, mut inputs) = (vec![0usize; nodes], vec![Vec::new(); nodes]);
    for &(from, to) in edges {
        waits_for[to] += 1;
        inputs[from].push(to);
    }
    let mut distance = vec![0; nodes];
    let mut ready: VecDeque<usize> = (0..nodes).filter(|node| waits_for[*node] == 0).collect();
    while let Some(node) = ready.pop_front() {
        for &input in &inputs[node] {
            distance[input] = distance[input].max(distance[node] + 1);
            waits_for[input] -= 1;
            if waits_for[input] == 0 {
                ready.push_back(input);
            }
        }
    }
    distance
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Pairs in the wrong order, counted in a Fenwick tree.
fn inversions(ends: &[usize]) -> u64 {
    let size = ends.iter().max().map_or(0, |max| max + 1);
    let mut tree = vec![0u64; size + 1];
    let mut count = 0;
    for (seen, &end) in ends.iter().enumerate() {
        let (mut at, mut not_above) = (end + 1, 0);
        while at > 0 {
            not_above += tree[at];
            at &= at - 1;
        }
        count += seen as u64 - not_above;
        let mut at = end + 1;
        while at <= size {
            tree[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    count
}

/// The places nearest to the wishes, by weighted squares, that keep the order
/// and the distances: isotonic regression by pooling neighbours that would
/// stand in each other's way.
fn settle(wishes: &[f64], weights: &[f64], offsets: &[f64]) -> Vec<f64> {
    // Sum of weighted wishes, sum of weights, how many.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((wish, weight), offset) in wishes.iter().zip(weights).zip(offsets) {
        let mut pool = ((wish - offset) * weight, *weight, 1);
        while let Some(above) = pools.last().filter(|above| above.0 / above.1 > pool.0 / pool.1) {
            pool = (pool.0 + above.0, pool.1 + above.1, pool.2 + above.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let level = pools.iter().flat_map(|(sum, weight, count)| std::iter::repeat_n(sum / weight, *count));
    level.zip(offsets).map(|(level, offset)| level + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(nodes: usize, edges: &[(usize, usize)]) -> Layout {
        layout(&vec![(100, 42); nodes], edges)
    }

    /// What must hold of every drawing.
    fn is_readable(layout: &Layout, edges: &[(usize, usize)]) {
        for (index, one) in layout.places.iter().enumerate() {
            assert!(one.x >= 0 && one.y >= 0, "{one:?}");
            assert!(one.x + one.width <= layout.width && one.y + one.height <= layout.height, "{one:?}");
            for other in &layout.places[index + 1..] {
                let apart = one.x + one.width <= other.x
                    || other.x + other.width <= one.x
                    || one.y + one.height < other.y
                    || other.y + other.height < one.y;
                assert!(apart, "{one:?} {other:?}");
            }
        }
        let middle = |place: &Place| place.y + place.height / 2;
        for (&(from, to), leg) in edges.iter().zip(&layout.legs) {
            let (from, to_place) = (&layout.places[from], &layout.places[to]);
            assert_eq!(leg.from, (from.x + from.width, middle(from)));
            // The leg ends at the node, or at a piece that leads there.
            let mut end = leg.to;
            for piece in &layout.trunks[to] {
                if piece.from == end {
                    end = piece.to;
                }
            }
            assert_eq!(end, (to_place.x, middle(to_place)));
        }
        for line in layout.legs.iter().chain(layout.trunks.iter().flatten()) {
            assert!(line.from.0 <= line.bend && line.bend < line.to.0, "{line:?}");
        }
    }

    #[test]
    fn columns_are_longest_distances() {
        let check = |nodes: usize, edges: &[(usize, usize)], expected: &[usize]| {
            let layout = laid_out(nodes, edges);
            is_readable(&layout, edges);
            let columns: Vec<usize> = layout.places.iter().map(|place| place.column).collect();
            assert_eq!(columns, expected);
        };
        check(0, &[], &[]);
        check(1, &[], &[0]);
        check(3, &[(0, 1), (1, 2)], &[0, 1, 2]);
        // A short way does not draw a step nearer.
        check(4, &[(0, 1), (0, 2), (1, 2), (2, 3), (0, 3)], &[0, 1, 2, 3]);
        // Two targets, one above the other.
        check(3, &[(0, 2), (1, 0)], &[1, 0, 2]);
    }

    #[test]
    fn lines_to_one_node_from_afar_are_one_line() {
        // A chain of which every step needs the last one.
        let mut edges: Vec<(usize, usize)> = (0..9).map(|step| (step, step + 1)).collect();
        edges.extend((0..8).map(|step| (step, 9)));
        let layout = laid_out(10, &edges);
        is_readable(&layout, &edges);
        let pieces: Vec<usize> = layout.trunks.iter().map(Vec::len).collect();
        assert_eq!(pieces, [0, 0, 0, 0, 0, 0, 0, 0, 0, 8]);
    }

    #[test]
    fn a_tangle_comes_apart() {
        // Two chains, crosswise as they are named.
        let edges = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 6), (4, 5)];
        let layout = laid_out(7, &edges);
        is_readable(&layout, &edges);
        let y = |node: usize| layout.places[node].y;
        let order = |one: usize, other: usize| y(one) < y(other);
        assert!(order(1, 2) == order(4, 3) && order(4, 3) == order(5, 6));
        // A chain of single neighbours is straight.
        assert_eq!((y(1), y(2)), (y(5), y(6)));
    }

    #[test]
    fn inversions_are_counted() {
        let check = |ends: &[usize], expected: u64| assert_eq!(inversions(ends), expected);
        check(&[], 0);
        check(&[0, 0, 1, 1], 0);
        check(&[3, 2, 1, 0], 6);
        check(&[1, 0, 1, 0], 3);
    }

    #[test]
    fn places_keep_order_and_distance_and_else_follow_wishes() {
        let check = |wishes: &[f64], weights: &[f64], expected: &[f64]| {
            let offsets: Vec<f64> = (0..wishes.len()).map(|index| index as f64 * 10.0).collect();
            assert_eq!(settle(wishes, weights, &offsets), expected);
        };
        check(&[0.0, 50.0, 60.0], &[1.0; 3], &[0.0, 50.0, 60.0]);
        check(&[0.0, 0.0], &[1.0; 2], &[-5.0, 5.0]);
        check(&[0.0, 0.0], &[3.0, 1.0], &[-2.5, 7.5]);
        check(&[30.0, 20.0, 10.0], &[1.0; 3], &[10.0, 20.0, 30.0]);
    }
}
