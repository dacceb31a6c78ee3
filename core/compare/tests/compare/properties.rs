//! What holds of every pair.

use osbuild_compare::{Difference, Excerpt, LineSide, What};

use super::common::compared;
use super::samples::all;

#[test]
fn equal_things_do_not_differ() {
    for (name, sample) in all() {
        assert_eq!(compared(&sample, &sample), None, "{name}");
    }
}

#[test]
fn different_things_differ_and_swapping_swaps() {
    let samples = all();
    for (name, left) in &samples {
        for (other, right) in &samples {
            let found = compared(left, right);
            assert_eq!(found.is_some(), left != right, "{name} against {other}");
            assert_eq!(found.map(swapped), compared(right, left).map(unnumbered), "{name} against {other}");
        }
    }
}

#[test]
fn small_changes_are_found_the_same_way_round() {
    for (name, sample) in all() {
        for at in (0..sample.len()).step_by((sample.len() / 97).max(1)) {
            let mut right = sample.clone();
            right[at] ^= 1;
            let (there, back) = (compared(&sample, &right), compared(&right, &sample));
            assert!(there.is_some(), "{name} changed at {at}");
            assert_eq!(there.map(swapped), back.map(unnumbered), "{name} changed at {at}");
        }
    }
}

#[test]
fn the_same_pair_gives_the_same_result() {
    let samples = all();
    for pair in samples.windows(2) {
        assert_eq!(compared(&pair[0].1, &pair[1].1), compared(&pair[0].1, &pair[1].1));
    }
}

/// The difference as it would be with the sides the other way round.
fn swapped(difference: Difference) -> Difference {
    let mut node = unnumbered(difference);
    node.what = match node.what {
        What::OnlyLeft => What::OnlyRight,
        What::OnlyRight => What::OnlyLeft,
        What::Kind(sides) => What::Kind(sides.swapped()),
        What::Value(sides) => What::Value(sides.swapped()),
        other => other,
    };
    node.sizes = node.sizes.swapped();
    node.excerpt = node.excerpt.map(|excerpt| match excerpt {
        Excerpt::Bytes { offset, sides } => Excerpt::Bytes { offset, sides: sides.swapped() },
        Excerpt::Lines { mut lines, omitted } => {
            for line in &mut lines {
                line.side = match line.side {
                    LineSide::Both => LineSide::Both,
                    LineSide::Left => LineSide::Right,
                    LineSide::Right => LineSide::Left,
                };
            }
            // Within a change the left side comes first.
            let mut sorted = Vec::new();
            for run in lines.chunk_by(|a, b| (a.side == LineSide::Both) == (b.side == LineSide::Both)) {
                let (left, right): (Vec<_>, Vec<_>) =
                    run.iter().cloned().partition(|line| line.side != LineSide::Right);
                sorted.extend(left.into_iter().chain(right));
            }
            Excerpt::Lines { lines: sorted, omitted }
        }
    });
    let swap = |note: &String| note.replace("left", "\0").replace("right", "left").replace('\0', "right");
    node.notes = node.notes.iter().map(swap).collect();
    node.notes.sort();
    node.children = node.children.into_iter().map(swapped).collect();
    node
}

/// Without the numbers of lines of both sides, which are the left side's, and
/// with notes in one sequence.
fn unnumbered(mut node: Difference) -> Difference {
    if let Some(Excerpt::Lines { lines, .. }) = &mut node.excerpt {
        lines.iter_mut().filter(|line| line.side == LineSide::Both).for_each(|line| line.number = 0);
    }
    node.notes.sort();
    node.children = node.children.into_iter().map(unnumbered).collect();
    node
}
