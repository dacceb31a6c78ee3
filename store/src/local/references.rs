//! Finding which store paths a stream of bytes mentions, by their digests.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};

use crate::path::StorePath;

/// The digest's length in base 32.
const LENGTH: usize = 32;

/// Finds candidates' digests in what is written to it, also across the
/// borders of chunks.
#[derive(Debug)]
pub struct ReferenceScanner {
    candidates: HashMap<[u8; LENGTH], StorePath>,
    found: BTreeSet<StorePath>,
    tail: Vec<u8>,
}

impl ReferenceScanner {
    pub fn new<'p>(candidates: impl IntoIterator<Item = &'p StorePath>) -> Self {
        let candidates = candidates
            .into_iter()
            .map(|path| {
                (path.hash_part().as_bytes().try_into().expect("a hash part has 32 characters"), path.clone())
            })
            .collect();
        Self { candidates, found: BTreeSet::new(), tail: Vec::with_capacity(2 * LENGTH) }
    }

    /// What was found.
    pub fn finish(self) -> BTreeSet<StorePath> {
        self.found
    }

    fn search(candidates: &HashMap<[u8; LENGTH], StorePath>, found: &mut BTreeSet<StorePath>, bytes: &[u8]) {
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
            if let Some(path) = candidates.get(window) {
                if !found.contains(path) {
                    found.insert(path.clone());
                }
                start += LENGTH;
            } else {
                start += 1;
            }
        }
    }
}

impl Write for ReferenceScanner {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_digests_whatever_the_chunks() {
        let here = StorePath::new([7; 20], "here").unwrap();
        let absent = StorePath::new([8; 20], "absent").unwrap();
        let text = format!("xx0{}-here/bin\0", here.hash_part());
        for chunk in 1..text.len() {
            let mut scanner = ReferenceScanner::new([&here, &absent]);
            for part in text.as_bytes().chunks(chunk) {
                scanner.write_all(part).unwrap();
            }
            assert_eq!(scanner.finish(), BTreeSet::from([here.clone()]), "chunks of {chunk}");
        }
    }

    #[test]
    fn a_digest_cut_short_is_none() {
        let here = StorePath::new([7; 20], "here").unwrap();
        let mut scanner = ReferenceScanner::new([&here]);
        scanner.write_all(&here.hash_part().as_bytes()[..31]).unwrap();
        scanner.write_all(b"!").unwrap();
        assert!(scanner.finish().is_empty());
    }
}
