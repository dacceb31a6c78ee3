//! The shortest edit from one sequence of lines to another.
//!
//! Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986),
//! the greedy form with the path kept. It costs the square of the number of
//! edits, so past [`MAX_EDITS`] what is left counts as one change: nobody reads
//! a difference of a thousand lines.

use std::collections::BTreeMap;
use std::ops::Range;

/// Lines of one side that stand in place of lines of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    pub(crate) left: Range<usize>,
    pub(crate) right: Range<usize>,
}

impl Hunk {
    pub(crate) fn swapped(self) -> Self {
        Self { left: self.right, right: self.left }
    }
}

const MAX_EDITS: usize = 1000;

/// What differs, in sequence.
pub(crate) fn diff(left: &[&[u8]], right: &[&[u8]]) -> Vec<Hunk> {
    let prefix = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[prefix..], &right[prefix..]);
    let suffix = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[..left.len() - suffix], &right[..right.len() - suffix]);
    // Numbers compare faster than lines.
    let mut numbers: BTreeMap<&[u8], u32> = BTreeMap::new();
    let mut number = |line| {
        let next = numbers.len() as u32;
        *numbers.entry(line).or_insert(next)
    };
    let a: Vec<u32> = left.iter().map(|line| number(*line)).collect();
    let b: Vec<u32> = right.iter().map(|line| number(*line)).collect();
    let Some(kept) = matches(&a, &b) else {
        return vec![Hunk { left: prefix..prefix + a.len(), right: prefix..prefix + b.len() }];
    };
    let mut hunks = Vec::new();
    let (mut x, mut y) = (0, 0);
    for (at_a, at_b) in kept.into_iter().chain([(a.len(), b.len())]) {
        if at_a != x || at_b != y {
            hunks.push(Hunk { left: prefix + x..prefix + at_a, right: prefix + y..prefix + at_b });
        }
        (x, y) = (at_a + 1, at_b + 1);
    }
    hunks
}

/// Pairs of places that the shortest edit leaves alone; none past the limit.
fn matches(a: &[u32], b: &[u32]) -> Option<Vec<(usize, usize)>> {
    let most = (a.len() + b.len()).min(MAX_EDITS);
    // Diagonals from -most to most; each holds how far along `a` it reaches.
    let mut reach = vec![0usize; 2 * most + 3];
    let index = |k: isize| (k + most as isize + 1) as usize;
    let mut trail: Vec<Vec<usize>> = Vec::new();
    let mut edits = None;
    'search: for d in 0..=most as isize {
        trail.push(reach[index(-d - 1)..=index(d + 1)].to_vec());
        for k in (-d..=d).step_by(2) {
            let down = k == -d || (k != d && reach[index(k - 1)] < reach[index(k + 1)]);
            let mut x = if down { reach[index(k + 1)] } else { reach[index(k - 1)] + 1 };
            // Outside of either sequence there is nothing to be found.
            let Ok(mut y) = usize::try_from(x as isize - k) else { continue };
            while x < a.len() && y < b.len() && a[x] == b[y] {
                (x, y) = (x + 1, y + 1);
            }
            reach[index(k)] = x;
            if x == a.len() && y == b.len() {
                edits = Some(d);
                break 'search;
            }
        }
    }
    let mut kept = Vec::new();
    let (mut x, mut y) = (a.len() as isize, b.len() as isize);
    for d in (0..=edits?).rev() {
        // As it was before step `d`: diagonals from -d-1 to d+1.
        let before = &trail[d as usize];
        let reached = |k: isize| before[(k + d + 1) as usize] as isize;
        let k = x - y;
        let down = k == -d || (k != d && reached(k - 1) < reached(k + 1));
        let from = if d == 0 {
            0
        } else if down {
            reached(k + 1)
        } else {
            reached(k - 1) + 1
        };
        while x > from && y > 0 {
            (x, y) = (x - 1, y - 1);
            kept.push((x as usize, y as usize));
        }
        if d != 0 {
            (x, y) = if down { (x, y - 1) } else { (x - 1, y) };
        }
    }
    kept.reverse();
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks() {
        let check = |left: &str, right: &str, expected: &[(Range<usize>, Range<usize>)]| {
            let split = |text: &'static str| text.split(' ').map(str::as_bytes).collect::<Vec<_>>();
            let (left, right) = (split(left.to_owned().leak()), split(right.to_owned().leak()));
            let found: Vec<_> = diff(&left, &right).into_iter().map(|h| (h.left, h.right)).collect();
            assert_eq!(found, expected, "{left:?} {right:?}");
        };
        check("a b c", "a b c", &[]);
        check("a b c", "a x c", &[(1..2, 1..2)]);
        check("a b c", "a c", &[(1..2, 1..1)]);
        check("a c", "a b c", &[(1..1, 1..2)]);
        check("a b c d e", "a x c y z e", &[(1..2, 1..2), (3..4, 3..5)]);
        check("a b c a b b a", "c b a b a c", &[(0..2, 0..0), (3..3, 1..2), (5..6, 4..4), (7..7, 5..6)]);
    }

    /// Every edit must turn one side into the other, whatever its length.
    #[test]
    fn edits_lead_from_one_side_to_the_other() {
        let mut state = 7u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for _ in 0..500 {
            let mut side =
                || (0..next(20)).map(|_| [b"a", b"b", b"c", b"d"][next(4) as usize].as_slice()).collect();
            let (left, right): (Vec<&[u8]>, Vec<&[u8]>) = (side(), side());
            let mut rebuilt: Vec<&[u8]> = Vec::new();
            let mut at = 0;
            for hunk in diff(&left, &right) {
                rebuilt.extend(&left[at..hunk.left.start]);
                assert_eq!(rebuilt.len(), hunk.right.start);
                rebuilt.extend(&right[hunk.right.clone()]);
                at = hunk.left.end;
            }
            rebuilt.extend(&left[at..]);
            assert_eq!(rebuilt, right);
        }
    }
}
