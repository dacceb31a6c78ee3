//! Finding which store paths a stream of bytes mentions, by their digests.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

/// The length of a store path's digest, in base 32.
pub const DIGEST_BYTES: usize = 32;

const LENGTH: usize = DIGEST_BYTES;

/// Finds candidates by their digests in what is written to it, also across
/// the borders of chunks.
#[derive(Debug)]
pub struct MentionScanner<C> {
    candidates: HashMap<[u8; LENGTH], C>,
    found: BTreeSet<C>,
    tail: Vec<u8>,
}

impl<C: Clone + Ord> MentionScanner<C> {
    pub fn new(candidates: impl IntoIterator<Item = ([u8; DIGEST_BYTES], C)>) -> Self {
        let candidates = candidates.into_iter().collect();
        Self { candidates, found: BTreeSet::new(), tail: Vec::with_capacity(2 * LENGTH) }
    }

    /// What was found.
    pub fn finish(self) -> BTreeSet<C> {
        self.found
    }

    fn search(candidates: &HashMap<[u8; LENGTH], C>, found: &mut BTreeSet<C>, bytes: &[u8]) {
        let mut start = 0;
        while start + LENGTH <= bytes.len() {
            let window: &[u8; LENGTH] =
                bytes[start..start + LENGTH].try_into().expect("the slice has this length");
            // The last byte that is no base-32 digit rules out every window
            // that holds it: most of a binary is skipped 32 bytes at a time.
            if let Some(foreign) = window.iter().rposition(|byte| !IS_DIGIT[usize::from(*byte)]) {
                start += foreign + 1;
                continue;
            }
            if let Some(candidate) = candidates.get(window) {
                if !found.contains(candidate) {
                    found.insert(candidate.clone());
                }
                start += LENGTH;
            } else {
                start += 1;
            }
        }
    }
}

impl<C: Clone + Ord> Write for MentionScanner<C> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.candidates.is_empty() {
            return Ok(bytes.len());
        }
        let border = bytes.len().min(LENGTH - 1);
        self.tail.extend_from_slice(&bytes[..border]);
        Self::search(&self.candidates, &mut self.found, &self.tail);
        if bytes.len() >= LENGTH {
            Self::search(&self.candidates, &mut self.found, bytes);
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - (LENGTH - 1)..]);
        } else {
            let keep = self.tail.len().saturating_sub(LENGTH - 1);
            self.tail.drain(..keep);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const IS_DIGIT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let letter = b >= b'a' && b <= b'z' && b != b'e' && b != b'o' && b != b'u' && b != b't';
        table[byte] = letter || (b >= b'0' && b <= b'9');
        byte += 1;
    }
    table
};
