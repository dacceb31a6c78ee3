//! Paths, ids, locales and releases of kernels in text.

use std::ops::Range;

/// Runs of bytes of which `is_part` holds.
pub(super) fn split(text: &[u8], is_part: fn(&u8) -> bool) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in text.iter().enumerate() {
        match (is_part(byte), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| from..text.len()));
    words
}

/// Absolute paths of at least two names. Behind `=`, `:` or a comma begins
/// another one, as in `-fdebug-prefix-map=/a=/b` and lists of directories.
pub(super) fn find_paths(text: &[u8]) -> Vec<Range<usize>> {
    let is_part =
        |byte: &u8| (byte.is_ascii_graphic() || *byte >= 0x80) && !b"\"'`:=,;|<>()[]{}".contains(byte);
    let is_path = |word: &Range<usize>| {
        let mut names = text[word.clone()].split(|byte| *byte == b'/');
        names.next() == Some(b"") && names.filter(|name| !name.is_empty()).count() >= 2
    };
    // An option may stand before a path without a sign between (`-I/usr/x`).
    let without_option = |word: Range<usize>| match text[word.clone()] {
        [b'-', letter, b'/', ..] if letter.is_ascii_alphabetic() => word.start + 2..word.end,
        _ => word,
    };
    split(text, is_part).into_iter().map(without_option).filter(is_path).collect()
}

/// `8-4-4-4-12` hexadecimal digits.
pub(super) fn find_uuids(text: &[u8]) -> Vec<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let is_uuid = |word: &Range<usize>| {
        let lengths = text[word.clone()].split(|byte| *byte == b'-').map(<[u8]>::len);
        lengths.eq([8, 4, 4, 4, 12])
    };
    split(text, is_part).into_iter().filter(is_uuid).collect()
}

/// Sixteen hexadecimal digits or more, as a word, at least one of them no
/// decimal digit.
pub(super) fn find_hex_runs(text: &[u8]) -> Vec<Range<usize>> {
    let is_id = |word: &Range<usize>| {
        let word = &text[word.clone()];
        word.len() >= 16
            && word.iter().all(u8::is_ascii_hexdigit)
            && word.iter().any(|byte| !byte.is_ascii_digit())
    };
    split(text, u8::is_ascii_alphanumeric).into_iter().filter(is_id).collect()
}

/// `de_DE`, `de_DE.UTF-8`, `C.UTF-8`, `POSIX`.
pub(super) fn find_locales(text: &[u8]) -> Vec<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-@".contains(byte);
    let is_locale = |word: &Range<usize>| {
        let word = &text[word.clone()];
        let name = word.split(|byte| *byte == b'.').next().unwrap_or_default();
        let has_charset = name.len() < word.len();
        match name {
            b"C" => has_charset,
            b"POSIX" => !has_charset,
            [language @ .., b'_', first, second] => {
                matches!(language.len(), 2 | 3)
                    && language.iter().all(u8::is_ascii_lowercase)
                    && first.is_ascii_uppercase()
                    && second.is_ascii_uppercase()
            }
            _ => false,
        }
    };
    split(text, is_part).into_iter().filter(is_locale).collect()
}

/// Words that distributions put into their kernels' releases. Without one,
/// `6.1.0-56` may as well be a package's version.
const FLAVOURS: [&[u8]; 9] =
    [b"generic", b"amd64", b"cloud", b"aws", b"azure", b"x86_64", b"lts", b"microsoft", b"arm64"];

/// `6.1.0-56-cloud-amd64`.
pub(super) fn find_kernel_releases(text: &[u8]) -> Vec<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-+".contains(byte);
    let is_release = |word: &Range<usize>| {
        let word = &text[word.clone()];
        let Some(dash) = word.iter().position(|byte| *byte == b'-') else { return false };
        let mut numbers = word[..dash].split(|byte| *byte == b'.');
        let has_three = numbers.clone().count() >= 3;
        let are_numbers = numbers.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
        let mut rest = word[dash..].split(|byte| matches!(byte, b'-' | b'.'));
        has_three && are_numbers && rest.any(|part| FLAVOURS.contains(&part))
    };
    split(text, is_part).into_iter().filter(is_release).collect()
}
