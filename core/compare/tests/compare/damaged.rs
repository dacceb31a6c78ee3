//! Input that is cut off, damaged or made to do harm: never a panic, and a
//! difference if and only if the bytes differ.

use osbuild_compare::{Difference, Limits, What};

use super::common::{compared, compared_within, leaves};
use super::samples::{File, all, gzip, tar, zstd};

#[test]
fn cut_off_anywhere() {
    for (name, sample) in all() {
        let step = (sample.len() / 60).max(1);
        for length in (0..sample.len()).step_by(step) {
            let cut = &sample[..length];
            let found = compared(cut, &sample);
            assert!(found.is_some(), "{name} cut to {length} bytes");
            assert_eq!(compared(cut, cut), None, "{name} cut to {length} bytes");
        }
    }
}

/// Both sides are damaged at the same place, and one once more.
#[test]
fn bytes_changed_anywhere() {
    let mut random = Random(1);
    for (name, sample) in all() {
        for round in 0..150 {
            let mut left = sample.clone();
            for _ in 0..random.below(4) {
                let at = random.below(left.len());
                left[at] = random.below(256) as u8;
            }
            let mut right = left.clone();
            let at = random.below(right.len());
            right[at] = random.below(256) as u8;
            let found = compared(&left, &right);
            assert_eq!(found.is_some(), left != right, "{name}, round {round}");
        }
    }
}

/// Headers are where numbers lead elsewhere, so their bytes get extremes.
#[test]
fn extremes_in_headers() {
    for (name, sample) in all() {
        for at in 0..sample.len().min(256) {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut left = sample.clone();
                left[at] = byte;
                assert_eq!(compared(&left, &sample).is_some(), left != sample, "{name} with {byte} at {at}");
            }
        }
    }
}

/// A small stream that unpacks to a lot is stopped, and the bytes are named.
#[test]
fn streams_that_unpack_to_too_much() {
    let zeros = vec![0; 4 << 20];
    let mut other = zeros.clone();
    other[77] = 1;
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    let found = compared_within(&zstd(&zeros, 3), &zstd(&other, 3), &limits).unwrap();
    assert_eq!(found.what, What::Bytes);
    let note = |side| {
        format!("compared as bytes: the {side} side is not opened: it unpacks to more than 1048576 bytes")
    };
    assert_eq!(found.notes, [note("left"), note("right")]);
}

#[test]
fn everything_unpacked_together_has_a_limit() {
    let nested = |byte| {
        let inner = gzip(&vec![byte; 3000], 0);
        tar(&[File::new("a", &inner), File::new("b", &inner)])
    };
    let limits = Limits { unpacked_total_bytes: 7000, ..Limits::default() };
    let found = compared_within(&nested(1), &nested(2), &limits).unwrap();
    assert_eq!(leaves(&found), ["a › contents: bytes []", "b: bytes []"]);
}

#[test]
fn containers_nested_too_deep() {
    let nest = |contents: &[u8]| (0..30).fold(contents.to_vec(), |inner, _| gzip(&inner, 0));
    let found = compared(&nest(b"x"), &nest(b"y")).unwrap();
    let mut deepest: &Difference = &found;
    while let Some(child) = deepest.children.first() {
        deepest = child;
    }
    assert_eq!(deepest.notes, ["compared as bytes: it lies 24 containers deep"]);
}

#[test]
fn children_past_the_limit_are_counted() {
    let archive = |contents: &'static [u8]| {
        let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
        let files: Vec<File<'_>> = names.iter().map(|name| File::new(name, contents)).collect();
        tar(&files)
    };
    let limits = Limits { children: 5, ..Limits::default() };
    let found = compared_within(&archive(b"x"), &archive(b"y"), &limits).unwrap();
    assert_eq!((found.children.len(), found.children_omitted), (5, 15));
}

/// A linear congruential generator: the same cases in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}
