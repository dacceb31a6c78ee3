//! Dates and times in text, and seconds in numbers.

use std::ops::Range;

use crate::difference::{Class, Hint};
use crate::fields;

/// 2001-01-01 to 2038-01-01: what a build of our days may have stamped. Ten
/// decimal digits begin in September 2001.
const SECONDS: Range<u64> = 978_307_200..2_145_916_800;
/// How far two stamps of one byte run may be apart: twelve years. Counters and
/// sizes that fall into [`SECONDS`] by chance rarely are as near.
const APART_SECONDS: u64 = 12 * 365 * 86_400;

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Dates, times of day, or both: RFC 3339, `__DATE__`, `__TIME__`, asctime,
/// RFC 2822, and digits without signs.
pub(super) fn find_dates(text: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let is_start = at == 0 || !text[at - 1].is_ascii_alphanumeric() || !text[at].is_ascii_alphanumeric();
        let length = if is_start { stamp(&text[at..]) } else { None };
        match length {
            Some(length) => {
                found.push(at..at + length);
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// The length of the date, with a time behind it, or of the time that begins
/// here.
fn stamp(text: &[u8]) -> Option<usize> {
    if let Some(time) = clock(text) {
        return Some(time);
    }
    if let Some(length) = compact(text) {
        return Some(length);
    }
    let date = iso_date(text).or_else(|| named_date(text))?;
    let rest = &text[date..];
    let between = usize::from(matches!(rest.first(), Some(b'T' | b't' | b' ' | b'_')));
    match clock(&rest[between..]) {
        Some(time) if between == 1 => {
            // asctime has its year last.
            let end = date + 1 + time;
            let year = text[end..].strip_prefix(b" ").and_then(|rest| number(rest, 4, 1970..2100));
            Some(end + if year.is_some() { 5 } else { 0 })
        }
        _ if has_year(&text[..date]) => ends_word(rest).then_some(date),
        _ => None,
    }
}

fn has_year(date: &[u8]) -> bool {
    date.windows(4).any(|part| part.iter().all(u8::is_ascii_digit))
}

fn ends_word(rest: &[u8]) -> bool {
    rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric())
}

/// Two digits, colon, two digits; seconds must follow, since `12:30` is often
/// something else.
fn clock(text: &[u8]) -> Option<usize> {
    let part = |at: usize, below: u64| text.get(at..).and_then(|rest| number(rest, 2, 0..below));
    part(0, 24)?;
    part(3, 60)?;
    part(6, 61)?;
    (text[2] == b':' && text[5] == b':' && text.get(8).is_none_or(|byte| !byte.is_ascii_digit())).then_some(8)
}

/// `2026-11-29` or `2026/11/29`.
fn iso_date(text: &[u8]) -> Option<usize> {
    number(text, 4, 1970..2100)?;
    let sign = *text.get(4)?;
    number(&text[5..], 2, 1..13)?;
    let is_date = matches!(sign, b'-' | b'/') && text.get(7) == Some(&sign);
    number(text.get(8..)?, 2, 1..32)?;
    (is_date && text.get(10).is_none_or(|byte| !byte.is_ascii_digit())).then_some(10)
}

/// `Nov 29 2026`, `Nov  9 2026`, `Nov 29` (before a time), `29 Nov 2026`.
fn named_date(text: &[u8]) -> Option<usize> {
    if let Some(rest) = month(text) {
        let rest = rest.strip_prefix(b" ")?;
        let spaces = usize::from(rest.first() == Some(&b' '));
        let digits = if spaces == 1 { 1 } else { digits(rest).min(2) };
        number(&rest[spaces..], digits, 1..32)?;
        let day = 4 + spaces + digits;
        let behind = text[day..].strip_prefix(b",").unwrap_or(&text[day..]);
        let year = behind.strip_prefix(b" ").and_then(|rest| number(rest, 4, 1970..2100));
        return Some(if year.is_some() { text.len() - behind.len() + 5 } else { day });
    }
    let day = digits(text).clamp(1, 2);
    number(text, day, 1..32)?;
    let rest = month(text[day..].strip_prefix(b" ")?)?;
    number(rest.strip_prefix(b" ")?, 4, 1970..2100)?;
    Some(day + 9)
}

fn month(text: &[u8]) -> Option<&[u8]> {
    MONTHS.iter().find_map(|month| text.strip_prefix(*month))
}

/// `20261129`, `20261129T235959Z`, `20261129235959`.
fn compact(text: &[u8]) -> Option<usize> {
    number(text, 4, 1990..2060)?;
    number(text.get(4..)?, 2, 1..13)?;
    number(text.get(6..)?, 2, 1..32)?;
    let rest = &text[8..];
    let sign = usize::from(matches!(rest.first(), Some(b'T' | b'-')));
    let has_time = rest.get(sign..).is_some_and(|time| {
        let part = |at: usize, below| time.get(at..).and_then(|t| number(t, 2, 0..below)).is_some();
        part(0, 24) && part(2, 60) && part(4, 61)
    });
    let length = if has_time { 14 + sign } else { 8 };
    let length = length + usize::from(text.get(length) == Some(&b'Z'));
    ends_word(&text[length..]).then_some(length)
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A number of so many decimal digits.
fn number(text: &[u8], count: usize, within: Range<u64>) -> Option<u64> {
    let digits = text.get(..count).filter(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit))?;
    let value = digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    within.contains(&value).then_some(value)
}

/// Seconds since 1970 in decimal, in octal as archives have them, or in
/// hexadecimal behind `0x`.
pub(super) fn find_seconds(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for word in super::words::split(text, u8::is_ascii_alphanumeric) {
        let token = &text[word.clone()];
        let value = match token {
            [b'0', b'x' | b'X', rest @ ..] if rest.len() == 8 => radix(rest, 16),
            _ if token.len() == 10 => radix(token, 10),
            _ if matches!(token.len(), 11 | 12) => radix(token, 8),
            _ => None,
        };
        if value.is_some_and(|value| SECONDS.contains(&value)) {
            found.push(word);
        }
    }
    found
}

fn radix(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// What stands behind a time of day: `+0200`, `-05:00`, `Z`, `CEST`.
pub(super) fn find_zones(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in 0..text.len().saturating_sub(8) {
        if clock(&text[at..]).is_none() {
            continue;
        }
        let mut start = at + 8;
        if text.get(start) == Some(&b'.') {
            start += 1 + digits(&text[start + 1..]);
        }
        start += usize::from(text.get(start) == Some(&b' '));
        let rest = text.get(start..).unwrap_or_default();
        let length = match rest.first() {
            Some(b'+' | b'-') => {
                let hours = digits(&rest[1..]);
                let colon = hours == 2 && rest.get(3) == Some(&b':') && digits(&rest[4..]) == 2;
                if colon {
                    6
                } else if hours == 4 {
                    5
                } else {
                    0
                }
            }
            _ => rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count(),
        };
        if (1..=6).contains(&length) && ends_word(&rest[length..]) {
            found.push(start..start + length);
        }
    }
    found
}

/// A run of at most four bytes that are one number of four bytes, at an even
/// place for it, and seconds of near times on both sides. The upper half of a
/// time in eight bytes does not differ.
pub(super) fn of_numbers(left: &[u8], right: &[u8], run: &Range<usize>, offset: u64) -> Option<Hint> {
    // Letters are a word, whatever number they make.
    let is_word =
        |bytes: &[u8]| bytes.get(run.clone()).is_some_and(|run| run.iter().all(u8::is_ascii_alphanumeric));
    if run.len() > 4 || (run.len() > 1 && is_word(left) && is_word(right)) {
        return None;
    }
    let start = run.start.checked_sub((offset % 4) as usize)?;
    if start + 4 < run.end {
        return None;
    }
    let numbers = |bytes: &[u8]| {
        let number = *bytes.get(start..)?.first_chunk::<4>()?;
        Some([u32::from_le_bytes(number), u32::from_be_bytes(number)])
    };
    let (left, right) = (numbers(left)?, numbers(right)?);
    let mut orders = ["little-endian", "big-endian"].into_iter().zip(left.into_iter().zip(right));
    let is_time = |(a, b): (u32, u32)| {
        let (a, b) = (u64::from(a), u64::from(b));
        // A small number in the other byte order ends in zeros.
        let is_stamp = |value: u64| SECONDS.contains(&value) && value & 0xffff != 0;
        is_stamp(a) && is_stamp(b) && a.abs_diff(b) <= APART_SECONDS
    };
    let (order, (a, b)) = orders.find(|(_, pair)| is_time(*pair))?;
    let (first, second) = (a.min(b), a.max(b));
    let shown = |number: u32| fields::seconds(i64::from(number));
    let evidence = format!("as {order} numbers the bytes are {} and {}", shown(first), shown(second));
    Some(Hint { class: Class::Timestamp, evidence })
}
