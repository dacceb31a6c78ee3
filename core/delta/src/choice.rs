//! Which way to a new image costs the fewest bytes.

/// A way to the new image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Whole,
    Chunks,
    Delta,
}

/// What is known of the ways before any is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Size of the image as it is.
    pub whole_bytes: u64,
    /// What is missing by chunks, if that has been looked at.
    pub chunks: Option<ChunksOffer>,
    /// Size of the delta from the very image that the node has, if there is one.
    pub delta_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunksOffer {
    /// Size of the index; 0 if it is here already.
    pub index_bytes: u64,
    /// See [`crate::chunks::Fetch::download_bytes`].
    pub missing_bytes: u64,
}

/// The way chosen, and exactly how many bytes it downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub way: Way,
    pub download_bytes: u64,
}

/// Picks the way that downloads least; of equal ones the simpler, in the order
/// of [`Way`].
pub fn choose(offers: &Offers) -> Choice {
    let missing = |offer: ChunksOffer| offer.index_bytes.saturating_add(offer.missing_bytes);
    let others = [(Way::Chunks, offers.chunks.map(missing)), (Way::Delta, offers.delta_bytes)];
    let mut best = Choice { way: Way::Whole, download_bytes: offers.whole_bytes };
    for (way, bytes) in others {
        if let Some(download_bytes) = bytes.filter(|bytes| *bytes < best.download_bytes) {
            best = Choice { way, download_bytes };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_download_wins_and_the_simpler_of_equals() {
        let chunks = |index_bytes, missing_bytes| Some(ChunksOffer { index_bytes, missing_bytes });
        for (chunks, delta_bytes, way, download_bytes) in [
            (None, None, Way::Whole, 100),
            (None, Some(99), Way::Delta, 99),
            (None, Some(100), Way::Whole, 100),
            (chunks(3, 40), None, Way::Chunks, 43),
            (chunks(3, 40), Some(43), Way::Chunks, 43),
            (chunks(3, 40), Some(42), Way::Delta, 42),
            (chunks(0, 40), Some(42), Way::Chunks, 40),
            (chunks(90, 40), Some(101), Way::Whole, 100),
            (chunks(u64::MAX, 40), None, Way::Whole, 100),
        ] {
            let offers = Offers { whole_bytes: 100, chunks, delta_bytes };
            assert_eq!(choose(&offers), Choice { way, download_bytes }, "{offers:?}");
        }
    }
}
