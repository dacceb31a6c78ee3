//! A patch from one text to another: the instructions of [`crate::plan`].
//!
//! From where the two last ran alongside each other, the next place is searched
//! that matches elsewhere in the reference, and better than going on alongside
//! would. Between two such matches, each is stretched towards the other for as
//! long as more than half of its bytes agree; what neither covers is new. The
//! idea is Colin Percival's, as in [`crate::patch`].

use super::suffixes::{LEAST_MATCH, Suffixes};

/// Take `add` bytes of the reference from `from` on, each changed by a
/// difference, then `take` new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) from: usize,
    pub(super) add: usize,
    pub(super) take: usize,
}

/// By how many bytes a match must beat going on alongside. An instruction costs
/// some three bytes, and interrupts the streams.
const ADVANTAGE: usize = LEAST_MATCH - 1;

/// Finds the instructions that make `new` of the reference, which was sorted.
pub(super) fn instructions(suffixes: &Suffixes, new: &[u8]) -> Vec<Instruction> {
    let reference = suffixes.text();
    let mut found = Vec::new();
    // The two run alongside from these places on.
    let (mut old_base, mut new_base) = (0, 0);
    let mut scan = 0;
    while new_base < new.len() {
        let (place, length) = next_match(suffixes, new, (old_base, new_base), &mut scan);
        let ahead = stretch_ahead(&reference[old_base..], &new[new_base..scan]);
        let behind =
            if scan < new.len() { stretch_behind(&reference[..place], &new[new_base..scan]) } else { 0 };
        let (ahead, behind) = settle(reference, new, (old_base, new_base, ahead), (place, scan, behind));
        let take = scan - behind - (new_base + ahead);
        found.push(Instruction { from: old_base, add: ahead, take });
        (old_base, new_base) = (place - behind, scan - behind);
        scan += length;
    }
    found.retain(|instruction| instruction.add + instruction.take > 0);
    found
}

/// Moves on to the next place of `new` whose match is worth an instruction; the
/// match, or nothing at the end.
fn next_match(
    suffixes: &Suffixes,
    new: &[u8],
    (old_base, new_base): (usize, usize),
    scan: &mut usize,
) -> (usize, usize) {
    let reference = suffixes.text();
    let agrees = |at: usize| reference.get(at - new_base + old_base) == new.get(at);
    // How many bytes of the match going on alongside would give as well.
    let (mut alongside, mut counted) = (0, *scan);
    while *scan < new.len() {
        let (place, length) = suffixes.longest(&new[*scan..]);
        let end = *scan + length;
        while counted < end {
            alongside += usize::from(agrees(counted));
            counted += 1;
        }
        if length > alongside + ADVANTAGE {
            return (place, length);
        }
        if length > 0 && length == alongside {
            // Nothing to win before its end.
            *scan = end;
            (alongside, counted) = (0, end);
            continue;
        }
        if counted > *scan {
            alongside -= usize::from(agrees(*scan));
        }
        *scan += 1;
        counted = counted.max(*scan);
    }
    (0, 0)
}

/// How far the texts are worth following from their begins.
fn stretch_ahead(old: &[u8], new: &[u8]) -> usize {
    stretch(old.iter().zip(new))
}

/// How far the texts are worth following from their ends, backwards.
fn stretch_behind(old: &[u8], new: &[u8]) -> usize {
    stretch(old.iter().rev().zip(new.iter().rev()))
}

/// The length at which the agreeing bytes outnumber the others by most.
fn stretch<'b>(pairs: impl Iterator<Item = (&'b u8, &'b u8)>) -> usize {
    let (mut score, mut best, mut length) = (0i64, 0, 0);
    for (index, (old, new)) in pairs.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, length) = (score, index + 1);
        }
    }
    length
}

/// Where two stretches overlap, ends the first and begins the second at the
/// byte at which most bytes agree.
fn settle(
    reference: &[u8],
    new: &[u8],
    (old_base, new_base, ahead): (usize, usize, usize),
    (place, scan, behind): (usize, usize, usize),
) -> (usize, usize) {
    let Some(overlap) = (new_base + ahead + behind).checked_sub(scan) else { return (ahead, behind) };
    let (mut score, mut best, mut kept) = (0i64, 0, 0);
    for index in 0..overlap {
        let at = new_base + ahead - overlap + index;
        score += i64::from(new[at] == reference[old_base + at - new_base]);
        score -= i64::from(new[at] == reference[place + at - scan]);
        if score > best {
            (best, kept) = (score, index + 1);
        }
    }
    (ahead - overlap + kept, behind - kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Follows the instructions, with the differences that they need.
    fn check(reference: &[u8], new: &[u8]) -> (usize, usize) {
        let found = instructions(&Suffixes::new(reference.to_vec()), new);
        let (mut at, mut differing, mut taken) = (0, 0, 0);
        for instruction in &found {
            let old = &reference[instruction.from..][..instruction.add];
            differing += old.iter().zip(&new[at..]).filter(|(old, new)| old != new).count();
            at += instruction.add + instruction.take;
            taken += instruction.take;
        }
        assert_eq!(at, new.len(), "all of it is made");
        (found.len(), differing + taken)
    }

    proptest! {
        #[test]
        fn any_text_is_made_of_any_other(
            reference in prop::collection::vec(0..4u8, 0..400),
            new in prop::collection::vec(0..4u8, 0..400),
        ) {
            check(&reference, &new);
        }

        /// Parts moved around and bytes changed cost little.
        #[test]
        fn what_moved_is_found(seed in any::<u32>(), cut in 200..1800usize, changed in prop::collection::vec(0..2000usize, 0..5)) {
            let mut state = seed;
            let reference: Vec<u8> = (0..2000).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }).collect();
            let mut new = [&reference[cut..], b"something new", &reference[..cut]].concat();
            for place in &changed {
                new[*place] ^= 1;
            }
            let (count, cost) = check(&reference, &new);
            prop_assert!(count <= 4 + 2 * changed.len() && cost <= 13 + 20 * changed.len(), "{count}, {cost}");
        }
    }

    #[test]
    fn the_ends_of_what_there_may_be() {
        for (reference, new) in [(&b""[..], &b""[..]), (b"", b"new"), (b"old", b""), (b"same", b"same")] {
            check(reference, new);
        }
        assert_eq!(check(b"the same bytes", b"the same bytes"), (1, 0));
        let zeros = vec![0; 100_000];
        assert_eq!(check(&zeros[..90_000], &zeros), (2, 0), "the same zeros serve again");
    }
}
