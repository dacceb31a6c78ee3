//! What of a new image is to be fetched, and what is there already.

use std::collections::HashMap;
use std::ops::Range;

use super::cutter::Chunk;
use super::index::{Digest, Index};

/// A part of the new image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes of the new image that are to be downloaded, by their range in it.
    Download(Range<u64>),
    /// Bytes that the old image has from `old_start` on.
    Copy { old_start: u64, new: Range<u64> },
}

/// All parts of the new image, in order, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    pub parts: Vec<Part>,
}

impl Part {
    pub fn range(&self) -> &Range<u64> {
        match self {
            Self::Download(range) | Self::Copy { new: range, .. } => range,
        }
    }
}

impl Fetch {
    pub fn download_bytes(&self) -> u64 {
        self.downloads().map(|range| range.end - range.start).sum()
    }

    /// The ranges to ask for: one request each, or several in one.
    pub fn downloads(&self) -> impl Iterator<Item = &Range<u64>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Download(range) => Some(range),
            Part::Copy { .. } => None,
        })
    }
}

/// Plans how a new image comes together.
///
/// `seeds` are the chunks of the old image, cut with the index's sizes. A copy
/// of at most `gap_bytes` between two downloads is downloaded with them: a
/// request has a price of its own.
pub fn plan(new: &Index, seeds: impl IntoIterator<Item = Chunk>, gap_bytes: u64) -> Fetch {
    let mut known: HashMap<(Digest, u32), u64> = HashMap::new();
    for chunk in seeds {
        known.entry((chunk.digest, chunk.bytes)).or_insert(chunk.start);
    }
    let (mut parts, mut end): (Vec<Part>, u64) = (Vec::new(), 0);
    for entry in new.entries() {
        let range = end..end + u64::from(entry.bytes);
        end = range.end;
        match known.get(&(entry.digest, entry.bytes)) {
            Some(old_start) => copy(&mut parts, *old_start, range),
            None => download(&mut parts, range, gap_bytes),
        }
    }
    Fetch { parts }
}

fn copy(parts: &mut Vec<Part>, old: u64, range: Range<u64>) {
    if let Some(Part::Copy { old_start, new }) = parts.last_mut() {
        if *old_start + (new.end - new.start) == old {
            new.end = range.end;
            return;
        }
    }
    parts.push(Part::Copy { old_start: old, new: range });
}

fn download(parts: &mut Vec<Part>, mut range: Range<u64>, gap_bytes: u64) {
    // Back over copies to the download before, if that is near.
    let before = parts.iter().rposition(|part| matches!(part, Part::Download(_)));
    if let Some(before) = before {
        let start = parts[before].range();
        if range.start - start.end <= gap_bytes {
            range.start = start.start;
            parts.truncate(before);
        }
    }
    parts.push(Part::Download(range));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunks::noise::noise;
    use crate::chunks::{Cutter, Sizes};
    use proptest::prelude::*;

    fn sizes() -> Sizes {
        Sizes::new(128, 512, 2048).unwrap()
    }

    fn fetch(old: &[u8], new: &[u8], gap_bytes: u64) -> Fetch {
        let (mut cutter, mut seeds) = (Cutter::new(sizes()), Vec::new());
        cutter.push(old, &mut |chunk| seeds.push(chunk));
        cutter.finish(&mut |chunk| seeds.push(chunk));
        plan(&Index::of(new, sizes()).unwrap(), seeds, gap_bytes)
    }

    /// Does what the parts say.
    fn made(fetch: &Fetch, old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut made = Vec::new();
        for part in &fetch.parts {
            let range = part.range();
            assert_eq!(range.start, made.len() as u64, "parts follow each other");
            let (from, start) = match part {
                Part::Download(range) => (new, range.start),
                Part::Copy { old_start, .. } => (old, *old_start),
            };
            made.extend_from_slice(&from[start as usize..][..(range.end - range.start) as usize]);
        }
        made
    }

    proptest! {
        #[test]
        fn the_parts_are_the_new_image(
            seed in any::<u64>(), cuts in prop::collection::vec((0..30_000usize, 0..600usize), 0..6), gap_bytes in 0..9000u64,
        ) {
            let old = noise(seed, 30_000);
            let mut new = old.clone();
            for (at, inserted) in cuts {
                let at = at.min(new.len());
                new.splice(at..at, noise(at as u64, inserted));
            }
            let (near, far) = (fetch(&old, &new, 0), fetch(&old, &new, gap_bytes));
            prop_assert!(made(&near, &old, &new) == new && made(&far, &old, &new) == new);
            prop_assert!(near.download_bytes() <= far.download_bytes());
            prop_assert!(near.downloads().count() >= far.downloads().count());
            let downloads: Vec<_> = far.downloads().collect();
            prop_assert!(downloads.windows(2).all(|pair| pair[1].start - pair[0].end > gap_bytes));
        }
    }

    #[test]
    fn ends_of_what_there_may_be() {
        let image = noise(1, 30_000);
        assert_eq!(fetch(&image, &image, 0).parts, [Part::Copy { old_start: 0, new: 0..30_000 }]);
        assert_eq!(fetch(&[], &image, 0).parts, [Part::Download(0..30_000)]);
        assert_eq!(fetch(&image, &[], 0).parts, []);
    }
}
