use super::*;

/// The words of the hints that two texts give.
#[track_caller]
fn check(left: &str, right: &str, expected: &[&str]) {
    let classes = |a: &str, b: &str| {
        let mut words: Vec<_> = of_texts(a.as_bytes(), b.as_bytes()).iter().map(|h| h.class.word()).collect();
        words.sort_unstable();
        words
    };
    assert_eq!(classes(left, right), expected, "{left:?} {right:?}");
    assert_eq!(classes(right, left), expected, "{right:?} {left:?}");
}

#[test]
fn dates_and_times() {
    check("built Nov 29 2026 01:02:03", "built Nov 30 2026 01:02:03", &["timestamp"]);
    check("Nov  9 2026", "Nov 10 2026", &["timestamp"]);
    check("12:30:00", "12:31:00", &["timestamp"]);
    check("2026-11-29T01:02:03Z", "2026-11-29T01:02:04Z", &["timestamp"]);
    check("on 2026-11-29.", "on 2025-11-29.", &["timestamp"]);
    check("Sun Nov 29 01:02:03 2026", "Sun Nov 29 01:02:03 2027", &["timestamp"]);
    check("29 Nov 2026", "28 Nov 2026", &["timestamp"]);
    check("20261129", "20261130", &["timestamp"]);
    check("20261129T010203Z", "20261129T010204Z", &["timestamp"]);
    check("t=1700000000;", "t=1700000001;", &["timestamp"]);
    check("14524566400", "14524566401", &["timestamp"]);
    check("0x6553f100", "0x6553f101", &["timestamp"]);
}

#[test]
fn what_only_looks_like_a_time() {
    check("version 1.2.3", "version 1.2.4", &[]);
    check("12:30", "12:31", &[]);
    check("9700000000", "9700000001", &[]);
    check("2026-13-29", "2026-14-29", &[]);
    check("May be", "May bee", &[]);
    check("", "2026-11-29", &[]);
}

#[test]
fn zones_and_locales() {
    check("2026-11-29 01:02:03 +0200", "2026-11-29 01:02:03 +0000", &["zone"]);
    check("01:02:03 UTC", "01:02:03 CEST", &["zone"]);
    check("LANG=de_DE.UTF-8", "LANG=C.UTF-8", &["locale"]);
    check("LANG=de_DE.UTF-8", "LANG=", &[]);
}

#[test]
fn paths() {
    check("/build/a/x.c", "/build/b/x.c", &["path"]);
    check("-I/tmp/one/include", "-I/tmp/two/include", &["path"]);
    check("prefix=/usr/x", "prefix=/usr/y", &["path"]);
    check("a/b/c", "a/b/d", &[]);
    check("/a", "/b", &[]);
}

#[test]
fn ids_and_hosts() {
    let (a, b) = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "c12a7328-f81f-11d2-ba4b-00a0c93ec93c");
    check(a, b, &["random-id"]);
    check("id 0123456789abcdef", "id 0123456789abcdee", &["random-id"]);
    check("id 0123456789abcde", "id 0123456789abcdf", &[]);
    check("Linux 6.1.0-56-cloud-amd64", "Linux 6.1.0-57-cloud-amd64", &["host"]);
    check("pkg 6.1.0-56", "pkg 6.1.0-57", &[]);
}

/// Several causes in one text are all named.
#[test]
fn several_at_once() {
    check("/build/a/x 12:30:00", "/build/b/x 12:31:00", &["path", "timestamp"]);
}

#[test]
fn seconds_in_numbers() {
    let check = |left: &[u8], right: &[u8], expected: usize| {
        let (a, b) = (Source::of_bytes(left.to_vec()), Source::of_bytes(right.to_vec()));
        let scan = crate::scan::scan(&a, &b).unwrap().unwrap();
        assert_eq!(of_bytes(&a, &b, &scan).unwrap().len(), expected, "{left:x?} {right:x?}");
    };
    let at = |seconds: u32, order: fn(u32) -> [u8; 4]| [[0; 8].as_slice(), &order(seconds), &[0; 8]].concat();
    check(&at(1_700_000_000, u32::to_le_bytes), &at(1_700_000_300, u32::to_le_bytes), 1);
    check(&at(1_700_000_000, u32::to_be_bytes), &at(1_600_000_000, u32::to_be_bytes), 1);
    check(&at(77, u32::to_le_bytes), &at(78, u32::to_le_bytes), 0);
    check(&at(1_000_000_000, u32::to_le_bytes), &at(2_000_000_000, u32::to_le_bytes), 0);
}
