//! Two runs of bytes, block by block.

use std::io;
use std::ops::Range;

use crate::difference::Place;
use crate::source::Source;

/// Where two sources differ.
pub(crate) struct Scan {
    pub(crate) place: Place,
    /// The first few runs that differ; both sides have them.
    pub(crate) spans: Vec<Range<u64>>,
}

/// Equal bytes that end a run. A date or an id of which some characters agree
/// by chance is still one run.
const RUN_ENDS_AFTER: u64 = 16;
/// Runs that are looked at for a cause.
const SPANS: usize = 32;
const BLOCK_BYTES: usize = 256 * 1024;

/// None if both are equal.
pub(crate) fn scan(left: &Source, right: &Source) -> io::Result<Option<Scan>> {
    if left.is_same_range(right) {
        return Ok(None);
    }
    let common = left.size().min(right.size());
    let (mut bytes, mut runs) = (0, 0);
    let mut spans: Vec<Range<u64>> = Vec::new();
    let mut run: Option<Range<u64>> = None;
    let mut first = None;
    blocks(left, right, |at, a, b| {
        if a == b {
            return true;
        }
        for (index, _) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b) {
            let offset = at + index as u64;
            first.get_or_insert(offset);
            bytes += 1;
            match &mut run {
                Some(run) if offset - run.end < RUN_ENDS_AFTER => run.end = offset + 1,
                _ => {
                    runs += 1;
                    let done = run.replace(offset..offset + 1);
                    spans.extend(done.filter(|_| spans.len() < SPANS));
                }
            }
        }
        true
    })?;
    spans.extend(run.filter(|_| spans.len() < SPANS));
    let Some(first_offset) = first.or((left.size() != right.size()).then_some(common)) else {
        return Ok(None);
    };
    Ok(Some(Scan { place: Place { first_offset, bytes, runs }, spans }))
}

/// Stops at the first difference.
pub(crate) fn is_equal(left: &Source, right: &Source) -> io::Result<bool> {
    if left.size() != right.size() {
        return Ok(false);
    }
    if left.is_same_range(right) {
        return Ok(true);
    }
    let mut is_equal = true;
    blocks(left, right, |_, a, b| {
        is_equal = a == b;
        is_equal
    })?;
    Ok(is_equal)
}

/// Hands over blocks of the common part until `visit` wants no more.
fn blocks(left: &Source, right: &Source, mut visit: impl FnMut(u64, &[u8], &[u8]) -> bool) -> io::Result<()> {
    let common = left.size().min(right.size());
    let capacity = common.min(BLOCK_BYTES as u64) as usize;
    let (mut a, mut b) = (vec![0; capacity], vec![0; capacity]);
    let mut at = 0;
    while at < common {
        let count = (common - at).min(capacity as u64) as usize;
        left.read_at(at, &mut a[..count])?;
        right.read_at(at, &mut b[..count])?;
        if !visit(at, &a[..count], &b[..count]) {
            break;
        }
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_places() {
        let check = |left: &[u8], right: &[u8], expected: Option<(u64, u64, u64)>| {
            let found = scan(&Source::of_bytes(left.to_vec()), &Source::of_bytes(right.to_vec())).unwrap();
            assert_eq!(found.map(|f| (f.place.first_offset, f.place.bytes, f.place.runs)), expected);
        };
        check(b"", b"", None);
        check(b"same", b"same", None);
        check(b"same", b"same and more", Some((4, 0, 0)));
        check(b"abcdef", b"aXcXef", Some((1, 2, 1)));
        let mut far = vec![0; 600_000];
        let zeros = far.clone();
        far[10] = 1;
        far[599_999] = 1;
        check(&zeros, &far, Some((10, 2, 2)));
    }
}
