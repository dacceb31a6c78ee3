//! What bytes tell of why they differ.
//!
//! Only what stands in the bytes counts: both sides must have a thing of the
//! same class where they differ, and not the same one. Nothing is concluded
//! from names of files.

mod times;
mod words;

use std::io;
use std::ops::Range;

use crate::difference::{Class, Hint, printable};
use crate::scan::Scan;
use crate::source::Source;

/// Finds things of one class in a text.
type Detector = fn(&[u8]) -> Vec<Range<usize>>;

/// With what a thing of the class is called in the evidence.
const DETECTORS: [(Class, &str, Detector); 8] = [
    (Class::Timestamp, "are dates or times", times::find_dates),
    (Class::Timestamp, "are counts of seconds since 1970", times::find_seconds),
    (Class::Zone, "are time zones", times::find_zones),
    (Class::Path, "are absolute paths", words::find_paths),
    (Class::RandomId, "have the form of a UUID", words::find_uuids),
    (Class::RandomId, "are ids or digests in hexadecimal", words::find_hex_runs),
    (Class::Locale, "are locales", words::find_locales),
    (Class::Host, "are releases of a kernel", words::find_kernel_releases),
];

/// Longer texts are not searched: nothing is a date over a kilobyte.
const TEXT_BYTES: usize = 4096;
/// Bytes around a run that are looked at.
const AROUND: u64 = 256;

/// From two texts of which one stands in place of the other.
pub(crate) fn of_texts(left: &[u8], right: &[u8]) -> Vec<Hint> {
    let prefix = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let behind = left[prefix..].iter().rev().zip(right[prefix..].iter().rev());
    let suffix = behind.take_while(|(a, b)| a == b).count();
    let left = window(left, prefix..left.len() - suffix);
    let right = window(right, prefix..right.len() - suffix);
    let mut hints = Vec::new();
    for (class, are, find) in DETECTORS {
        let (a, b) = (touching(&left, find), touching(&right, find));
        if let Some((a, b)) = a.into_iter().zip(b).find(|(a, b)| a != b) {
            push(&mut hints, class, are, a, b);
        }
    }
    hints
}

/// From many pairs of texts, one hint a class.
pub(crate) fn of_pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<Hint> {
    one_each(pairs.flat_map(|(left, right)| of_texts(left, right)))
}

/// From runs of bytes that differ.
pub(crate) fn of_bytes(left: &Source, right: &Source, scan: &Scan) -> io::Result<Vec<Hint>> {
    let mut hints = Vec::new();
    for span in &scan.spans {
        let start = span.start.saturating_sub(AROUND);
        // A long run is no text in one piece; its begin tells as much.
        let end = span.end.min(span.start + TEXT_BYTES as u64);
        let count = (end + AROUND - start) as usize;
        let (a, b) = (left.up_to(start, count)?, right.up_to(start, count)?);
        let run = (span.start - start) as usize..(end - start) as usize;
        match (text_around(&a, &run), text_around(&b, &run)) {
            (Some(a), Some(b)) => hints.extend(of_texts(a, b)),
            _ => hints.extend(times::of_numbers(&a, &b, &run, span.start)),
        }
    }
    Ok(one_each(hints.into_iter()))
}

fn one_each(hints: impl Iterator<Item = Hint>) -> Vec<Hint> {
    let mut kept: Vec<Hint> = Vec::new();
    for hint in hints {
        if kept.iter().all(|known| known.class != hint.class) {
            kept.push(hint);
        }
    }
    kept.sort();
    kept
}

/// The pair is named in the sequence of its bytes, so that the evidence does
/// not depend on which side is called left.
fn push(hints: &mut Vec<Hint>, class: Class, are: &str, a: &[u8], b: &[u8]) {
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let evidence = format!("'{}' and '{}' {are}", printable(cut(a)), printable(cut(b)));
    if hints.iter().all(|known: &Hint| known.class != class) {
        hints.push(Hint { class, evidence });
    }
}

fn cut(token: &[u8]) -> &[u8] {
    &token[..token.len().min(120)]
}

/// A text around the part of it that differs.
struct Window<'a> {
    text: &'a [u8],
    changed: Range<usize>,
}

fn window(text: &[u8], changed: Range<usize>) -> Window<'_> {
    let start = changed.start.saturating_sub(AROUND as usize);
    let end = text.len().min(start + TEXT_BYTES);
    let changed = changed.start - start..changed.end.min(end) - start;
    Window { text: &text[start..end], changed }
}

/// What a detector finds where the text differs or next to it.
fn touching<'a>(window: &Window<'a>, find: Detector) -> Vec<&'a [u8]> {
    let is_near =
        |found: &Range<usize>| found.start <= window.changed.end && found.end >= window.changed.start;
    find(window.text).into_iter().filter(is_near).map(|found| &window.text[found]).collect()
}

/// The text that holds a run, if all of the run is text.
fn text_around<'a>(bytes: &'a [u8], run: &Range<usize>) -> Option<&'a [u8]> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let run = run.start..run.end.min(bytes.len());
    if run.is_empty() || !bytes[run.clone()].iter().all(is_text) {
        return None;
    }
    let start = bytes[..run.start].iter().rposition(|byte| !is_text(byte)).map_or(0, |at| at + 1);
    let end = bytes[run.end..].iter().position(|byte| !is_text(byte)).map_or(bytes.len(), |at| run.end + at);
    (end - start >= 4).then(|| &bytes[start..end])
}

#[cfg(test)]
mod tests;
