//! Which targets a delegation is for (§4.5, "paths"), and where a file is.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What a role's name keeps in a request: all else could lead elsewhere.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Whether a pattern is for a path: part by part, so that no `*` crosses a `/`.
pub fn matches(pattern: &str, path: &str) -> bool {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    patterns.len() == parts.len()
        && patterns.iter().zip(parts).all(|(pattern, part)| {
            // Two stars mean one here, where the library would refuse them.
            let mut single = String::with_capacity(pattern.len());
            for c in pattern.chars() {
                if c != '*' || !single.ends_with('*') {
                    single.push(c);
                }
            }
            glob::Pattern::new(&single).is_ok_and(|pattern| pattern.matches_with(part, options))
        })
}

/// SHA-256 of a path in hexadecimal, which delegations by hash prefix compare.
pub fn hash(path: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(path.as_bytes()))
}

/// A role's file: `VERSION.ROLE.json`, or without the version.
pub fn metadata_name(role: &str, version: Option<u64>) -> String {
    let role = utf8_percent_encode(role, PLAIN);
    version.map_or_else(|| format!("{role}.json"), |version| format!("{version}.{role}.json"))
}

/// A target's file in a repository with consistent snapshots: the digest goes
/// before the last part of the path.
pub fn target_name(path: &str, digest: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{digest}.{name}"),
        None => format!("{digest}.{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_inside_their_part() {
        for (pattern, path, expected) in [
            ("*.tgz", "a.tgz", true),
            ("*.tgz", "b/a.tgz", false),
            ("foo/*", "foo/a", true),
            ("foo/*", "foo/a/b", false),
            ("foo/**", "foo/a", true),
            ("a**b", "axxb", true),
            ("a?c", "abc", true),
            ("a[bc]d", "acd", true),
            ("a[!b]d", "abd", false),
            ("*", "", true),
            ("A", "a", false),
            ("[", "[", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_roles_name_leads_nowhere_else() {
        assert_eq!(metadata_name("../x", Some(3)), "3...%2Fx.json");
        assert_eq!(metadata_name("?", None), "%3F.json");
        assert_eq!(target_name("a/b", "00"), "a/00.b");
    }
}
