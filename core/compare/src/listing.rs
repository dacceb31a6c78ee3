//! Lines of two sides, as an excerpt.

use crate::difference::{Class, Difference, Excerpt, Hint, Line, LineSide, What};
use crate::hints;
use crate::limits::Limits;
use crate::line_diff::{Hunk, diff};

/// Pairs of lines that are searched for a cause.
const PAIRS: usize = 256;
/// What is shown of a line, and how much before the place where it differs.
const SHOWN_BYTES: usize = 200;
const SHOWN_BEFORE: usize = 60;

/// Fills in the excerpt, and what the lines tell.
pub(crate) fn describe<L: AsRef<[u8]>>(node: &mut Difference, left: &[L], right: &[L], limits: &Limits) {
    let left: Vec<&[u8]> = left.iter().map(AsRef::as_ref).collect();
    let right: Vec<&[u8]> = right.iter().map(AsRef::as_ref).collect();
    // The shortest edit is not the only one: always the same way round, then
    // swapping the sides swaps the result.
    let hunks = if left <= right {
        diff(&left, &right)
    } else {
        diff(&right, &left).into_iter().map(Hunk::swapped).collect()
    };
    if is_another_sequence(&left, &right, &hunks) {
        node.what = What::Order;
        let evidence = "both sides have the same lines in another sequence".to_owned();
        node.hints.push(Hint { class: Class::Order, evidence });
    } else {
        let pairs = hunks.iter().flat_map(|hunk| hunk.left.clone().zip(hunk.right.clone()));
        node.hints = hints::of_pairs(pairs.take(PAIRS).map(|(a, b)| (left[a], right[b])));
    }
    node.excerpt = Some(excerpt(&left, &right, &hunks, limits.excerpt_lines));
}

/// Only lines of hunks can have moved, so only these are sorted.
fn is_another_sequence(left: &[&[u8]], right: &[&[u8]], hunks: &[Hunk]) -> bool {
    // A last line may lack its end, wherever it stands.
    let line = |line: &&'_ [u8]| line.strip_suffix(b"\n").unwrap_or(line).to_vec();
    if left.len() != right.len() || left.iter().map(line).eq(right.iter().map(line)) {
        return false;
    }
    let of_left = hunks.iter().flat_map(|hunk| &left[hunk.left.clone()]);
    let of_right = hunks.iter().flat_map(|hunk| &right[hunk.right.clone()]);
    let mut of_left: Vec<Vec<u8>> = of_left.map(line).collect();
    let mut of_right: Vec<Vec<u8>> = of_right.map(line).collect();
    of_left.sort_unstable();
    of_right.sort_unstable();
    of_left == of_right
}

fn excerpt(left: &[&[u8]], right: &[&[u8]], hunks: &[Hunk], limit: usize) -> Excerpt {
    let mut lines: Vec<Line> = Vec::new();
    let mut omitted = 0;
    for hunk in hunks {
        let before = hunk.left.start.checked_sub(1).filter(|_| lines.len() < limit);
        lines.extend(before.map(|at| line(LineSide::Both, at, left[at], 0)));
        // Half of what is left for either side, so that both are seen.
        let share = limit.saturating_sub(lines.len()).div_ceil(2);
        let sides = [
            (LineSide::Left, left, &hunk.left, right, &hunk.right),
            (LineSide::Right, right, &hunk.right, left, &hunk.left),
        ];
        for (side, own, range, other, other_range) in sides {
            for (index, at) in range.clone().enumerate() {
                if index >= share {
                    omitted += 1;
                    continue;
                }
                let partner = other_range.clone().nth(index).map_or(&b""[..], |at| other[at]);
                lines.push(line(side, at, own[at], common_prefix(own[at], partner)));
            }
        }
    }
    Excerpt::Lines { lines, omitted }
}

/// A line, from shortly before the place where it differs if it is long.
fn line(side: LineSide, at: usize, text: &[u8], differs_at: usize) -> Line {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut shown = Vec::new();
    let start = if text.len() <= SHOWN_BYTES { 0 } else { differs_at.saturating_sub(SHOWN_BEFORE) };
    let start = start.min(text.len());
    let end = text.len().min(start + SHOWN_BYTES);
    if start != 0 {
        shown.extend_from_slice("…".as_bytes());
    }
    shown.extend_from_slice(&text[start..end]);
    if end != text.len() {
        shown.extend_from_slice("…".as_bytes());
    }
    Line { side, number: at as u64 + 1, text: shown }
}

fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}
