//! All suffixes of some bytes in order, and the longest match that they hold.
//!
//! Sorted by induction (Nong, Zhang and Chan, "Linear suffix array construction
//! by almost pure induced-sorting", 2009): linear in time, some twelve bytes a
//! byte at its peak. Crates for it bind C or are unsafe throughout; this is a page.

/// The sorted suffixes of a text.
pub(super) struct Suffixes {
    text: Vec<u8>,
    sorted: Vec<u32>,
    /// Where the suffixes begin that start with these two bytes, and one more.
    buckets: Vec<u32>,
    seen: Seen,
}

/// The shortest match that is found.
pub(super) const LEAST_MATCH: usize = 9;

/// The most bytes that can be sorted: places are 32 bits, one value means none.
pub(super) const MAX_TEXT_BYTES: usize = (u32::MAX - 1) as usize;

const NONE: u32 = u32::MAX;

impl Suffixes {
    /// # Panics
    /// Of more than [`MAX_TEXT_BYTES`].
    pub(super) fn new(text: Vec<u8>) -> Self {
        assert!(text.len() <= MAX_TEXT_BYTES);
        let sorted = sort(&text, 255);
        let mut buckets = vec![0u32; (1 << 16) + 1];
        for pair in text.windows(2) {
            buckets[bucket(pair) + 1] += 1;
        }
        // The last suffix has one byte; it stands before all longer ones that
        // begin with it, and belongs to no bucket.
        let mut below = 0;
        let last = text.last().map_or(usize::MAX, |last| usize::from(*last) << 8);
        for (index, count) in buckets.iter_mut().enumerate() {
            below += *count;
            *count = below + u32::from(index >= last);
        }
        let seen = Seen::new(&text);
        Self { text, sorted, buckets, seen }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Where the longest match with the begin of `wanted` is, and how long;
    /// nothing if that is less than [`LEAST_MATCH`].
    pub(super) fn longest(&self, wanted: &[u8]) -> (usize, usize) {
        if wanted.len() < LEAST_MATCH || !self.seen.may_hold(wanted) {
            return (0, 0);
        }
        let index = bucket(wanted);
        let (mut low, mut high) = (self.buckets[index] as usize, self.buckets[index + 1] as usize);
        let mut best = (0, 0);
        // What all suffixes between the ends share with `wanted`.
        let (mut low_shared, mut high_shared) = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let place = self.sorted[middle] as usize;
            let suffix = &self.text[place..];
            let known = usize::min(low_shared, high_shared);
            let shared = known + common(&suffix[known..], &wanted[known..]);
            if shared > best.1 {
                best = (place, shared);
            }
            if shared == wanted.len() {
                break;
            }
            if suffix.get(shared) < wanted.get(shared) {
                (low, low_shared) = (middle + 1, shared);
            } else {
                (high, high_shared) = (middle, shared);
            }
        }
        if best.1 < LEAST_MATCH { (0, 0) } else { best }
    }
}

/// Which runs of [`LEAST_MATCH`] bytes a text has, by one bit of a hash each. A
/// search misses the processor's caches some twenty times; this spares most of
/// those that find nothing.
struct Seen {
    bits: Vec<u64>,
    shift: u32,
}

impl Seen {
    fn new(text: &[u8]) -> Self {
        // Sixteen bits a byte, so that few are set by chance.
        let log = (text.len().next_power_of_two().trailing_zeros() + 4).clamp(6, 32);
        let mut seen = Self { bits: vec![0; 1 << (log - 6)], shift: 64 - log };
        for run in text.windows(LEAST_MATCH) {
            let (word, bit) = seen.place(run);
            seen.bits[word] |= bit;
        }
        seen
    }

    fn may_hold(&self, run: &[u8]) -> bool {
        let (word, bit) = self.place(run);
        self.bits[word] & bit != 0
    }

    fn place(&self, run: &[u8]) -> (usize, u64) {
        let first = u64::from_le_bytes(run[..8].try_into().expect("eight bytes"));
        let mixed =
            first.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(run[8]).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let hash = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> self.shift;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

fn bucket(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// How many bytes two texts begin with in common.
fn common(one: &[u8], other: &[u8]) -> usize {
    let words = one.chunks_exact(8).zip(other.chunks_exact(8));
    let equal = words.take_while(|(a, b)| a == b).count() * 8;
    equal + one[equal..].iter().zip(&other[equal..]).take_while(|(a, b)| a == b).count()
}

/// A letter of a text: a byte, or the name of a part in the recursion.
trait Letter: Copy + Ord {
    fn index(self) -> usize;
}

impl Letter for u8 {
    fn index(self) -> usize {
        usize::from(self)
    }
}

impl Letter for u32 {
    fn index(self) -> usize {
        self as usize
    }
}

/// Sorts the suffixes of a text whose letters are at most `largest`.
fn sort<L: Letter>(text: &[L], largest: usize) -> Vec<u32> {
    let Some(last) = text.len().checked_sub(1) else { return Vec::new() };
    // A suffix rises if it is smaller than the one behind it. The empty suffix
    // is the smallest, so the last one falls.
    let mut rises = vec![false; text.len()];
    for place in (0..last).rev() {
        rises[place] = match text[place].cmp(&text[place + 1]) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => rises[place + 1],
            std::cmp::Ordering::Greater => false,
        };
    }
    let sorter = Sorter::new(text, &rises, largest);
    // Where suffixes begin to rise. Their order gives that of all others.
    let is_turn = |place: usize| place > 0 && rises[place] && !rises[place - 1];
    let turns: Vec<u32> = (1..text.len()).filter(|place| is_turn(*place)).map(|place| place as u32).collect();
    let mut sorted = sorter.induce(&turns);
    if turns.len() < 2 {
        return sorted;
    }
    // The parts from turn to turn are in order now; equal ones get one name.
    // The last part ends with the text, which no other does.
    sorted.retain(|place| is_turn(*place as usize));
    let part = |turn: u32| {
        let start = turn as usize;
        let next = (start + 1..text.len()).find(|place| is_turn(*place));
        (&text[start..next.map_or(text.len(), |next| next + 1)], next.is_some())
    };
    // Turns are two apart at least, so half their places tell them apart.
    let mut names = vec![NONE; text.len() / 2 + 1];
    let mut name = 0;
    names[sorted[0] as usize / 2] = name;
    for pair in sorted.windows(2) {
        let (one, other) = (part(pair[0]), part(pair[1]));
        if one != other || !one.1 {
            name += 1;
        }
        names[pair[1] as usize / 2] = name;
    }
    drop(sorted);
    names.retain(|name| *name != NONE);
    let order = sort(&names, name as usize);
    drop(names);
    let turns: Vec<u32> = order.into_iter().map(|turn| turns[turn as usize]).collect();
    sorter.induce(&turns)
}

struct Sorter<'t, L> {
    text: &'t [L],
    rises: &'t [bool],
    /// By letter: where the suffixes that begin with it begin, and where those
    /// of them that rise do. One more than there are letters.
    starts: Vec<u32>,
    rising_starts: Vec<u32>,
}

impl<'t, L: Letter> Sorter<'t, L> {
    fn new(text: &'t [L], rises: &'t [bool], largest: usize) -> Self {
        let (mut falling, mut rising) = (vec![0u32; largest + 1], vec![0u32; largest + 1]);
        for (letter, rises) in text.iter().zip(rises) {
            let counts = if *rises { &mut rising } else { &mut falling };
            counts[letter.index()] += 1;
        }
        let (mut starts, mut rising_starts, mut next) = (Vec::new(), Vec::new(), 0);
        for (falling, rising) in falling.into_iter().zip(rising) {
            starts.push(next);
            rising_starts.push(next + falling);
            next += falling + rising;
        }
        starts.push(next);
        Self { text, rises, starts, rising_starts }
    }

    /// Sorts all suffixes from the order of those where they begin to rise.
    fn induce(&self, turns: &[u32]) -> Vec<u32> {
        let mut sorted = vec![NONE; self.text.len()];
        let put = |sorted: &mut [u32], next: &mut [u32], place: u32| {
            let slot = &mut next[self.text[place as usize].index()];
            sorted[*slot as usize] = place;
            *slot += 1;
        };
        let mut next = self.rising_starts.clone();
        for turn in turns {
            put(&mut sorted, &mut next, *turn);
        }
        // A falling suffix follows the one behind it, which is smaller.
        let (starts, ends) = (&self.starts[..next.len()], &self.starts[1..]);
        next.copy_from_slice(starts);
        put(&mut sorted, &mut next, self.text.len() as u32 - 1);
        for index in 0..sorted.len() {
            let before = sorted[index].wrapping_sub(1);
            if before < NONE - 1 && !self.rises[before as usize] {
                put(&mut sorted, &mut next, before);
            }
        }
        // And a rising one comes before the one behind it, from the other end.
        next.copy_from_slice(ends);
        for index in (0..sorted.len()).rev() {
            let before = sorted[index].wrapping_sub(1);
            if before < NONE - 1 && self.rises[before as usize] {
                let slot = &mut next[self.text[before as usize].index()];
                *slot -= 1;
                sorted[*slot as usize] = before;
            }
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &[u8], wanted: &[u8]) {
        let mut expected: Vec<u32> = (0..text.len() as u32).collect();
        expected.sort_by_key(|place| &text[*place as usize..]);
        let suffixes = Suffixes::new(text.to_vec());
        assert_eq!(suffixes.sorted, expected, "{text:?}");
        let longest = (0..text.len()).map(|place| common(&text[place..], wanted)).max().unwrap_or(0);
        let (place, length) = suffixes.longest(wanted);
        let expected = if longest < LEAST_MATCH { 0 } else { longest };
        assert_eq!(length, expected, "{text:?}, {wanted:?}");
        assert_eq!(common(&text[place.min(text.len())..], wanted).min(length), length);
    }

    proptest! {
        #[test]
        fn suffixes_are_sorted_and_matches_longest(
            text in prop::collection::vec(0..3u8, 0..600),
            wanted in prop::collection::vec(0..3u8, 0..20),
        ) {
            check(&text, &wanted);
        }

        #[test]
        fn of_many_letters_too(text in prop::collection::vec(any::<u8>(), 0..300), from in any::<prop::sample::Index>()) {
            let wanted = if text.is_empty() { &[][..] } else { &text[from.index(text.len())..] };
            check(&text, wanted);
        }
    }

    #[test]
    fn of_texts_that_repeat_themselves() {
        for text in [&b""[..], b"a", b"aa", b"ab", b"ba", b"banana", b"mississippi", &[0; 100], &[255; 50]] {
            check(text, b"ananananan");
            check(text, &[255; 60]);
            check(text, &[0; 20]);
        }
        let periodic: Vec<u8> = (0..300).map(|index| (index % 7) as u8).collect();
        check(&periodic, &periodic[3..40]);
    }
}
