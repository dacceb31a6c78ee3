//! How Debian orders versions.
//!
//! Source: Debian policy §5.6.12; deb-version(7).

use std::cmp::Ordering;

/// Compares two versions, `[epoch:]upstream[-revision]`.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_upstream, a_revision) = split(a);
    let (b_epoch, b_upstream, b_revision) = split(b);
    a_epoch
        .cmp(&b_epoch)
        .then_with(|| compare_part(a_upstream.as_bytes(), b_upstream.as_bytes()))
        .then_with(|| compare_part(a_revision.as_bytes(), b_revision.as_bytes()))
}

fn split(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Alternates between the longest prefixes without and with digits.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = take(a, |byte| !byte.is_ascii_digit());
        let (b_text, b_rest) = take(b, |byte| !byte.is_ascii_digit());
        let (a_number, a_rest) = take(a_rest, u8::is_ascii_digit);
        let (b_number, b_rest) = take(b_rest, u8::is_ascii_digit);
        let order = compare_text(a_text, b_text).then_with(|| compare_number(a_number, b_number));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

fn take(bytes: &[u8], wanted: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !wanted(byte)).unwrap_or(bytes.len()))
}

/// A tilde sorts before the end, the end before letters, letters before the
/// rest.
fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|i| weight(a.get(i)).cmp(&weight(b.get(i))))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Of any length, so by digits.
fn compare_number(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = take(a, |byte| *byte == b'0');
    let (_, b) = take(b, |byte| *byte == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Whether a version satisfies a relation as control files write it.
pub fn satisfies(version: &str, relation: &str, bound: &str) -> bool {
    let order = compare(version, bound);
    match relation {
        "<<" => order.is_lt(),
        "<=" | "<" => order.is_le(),
        "=" => order.is_eq(),
        ">=" | ">" => order.is_ge(),
        ">>" => order.is_gt(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        // dpkg --compare-versions A lt B
        for (smaller, larger) in [
            ("1.0~rc1", "1.0"),
            ("1.0", "1.0-1"),
            ("1.0-1", "1.0-1+b1"),
            ("1.9", "1.10"),
            ("9:1", "10:0"),
            ("2.41-12", "2.41-12+deb13u4"),
            ("1.0a", "1.0+"),
            ("1.20.2", "1.20.5+really1.20.2"),
            ("1.0-1~bpo13+1", "1.0-1"),
            ("0", "1"),
        ] {
            assert_eq!(compare(smaller, larger), Ordering::Less, "{smaller} {larger}");
            assert_eq!(compare(larger, smaller), Ordering::Greater, "{larger} {smaller}");
        }
        assert_eq!(compare("1.0", "1.00"), Ordering::Equal);
        assert_eq!(compare("0:1-0", "1"), Ordering::Equal);
    }
}
