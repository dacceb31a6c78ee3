//! Store paths and how their digests are computed.
//!
//! Source: Nix manual, "Complete Store Path Calculation".

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::base32::{from_nix_base32, to_nix_base32};
use crate::hash::{HashAlgorithm, NixHash};

/// The logical store directory that is hashed into every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir(String);

impl StoreDir {
    /// # Panics
    /// If the directory is not absolute or ends in a slash.
    pub fn new(directory: &str) -> Self {
        assert!(directory.starts_with('/') && !directory.ends_with('/'));
        Self(directory.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute logical path, as derivations and expressions spell it.
    pub fn display(&self, path: &StorePath) -> String {
        let mut text = String::with_capacity(self.0.len() + 1 + path.base_name.len());
        self.append(path, &mut text);
        text
    }

    /// As [`StoreDir::display`], at the end of a text.
    pub fn append(&self, path: &StorePath, text: &mut String) {
        text.push_str(&self.0);
        text.push('/');
        text.push_str(&path.base_name);
    }

    /// Parses `<store dir>/<digest>-<name>`; nothing may follow.
    ///
    /// # Errors
    /// [`StorePathError::Outside`] or what is wrong with the base name.
    pub fn parse(&self, text: &str) -> Result<StorePath, StorePathError> {
        let base = text
            .strip_prefix(&self.0)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| StorePathError::Outside(text.to_owned()))?;
        StorePath::parse(base)
    }

    /// Splits a path at or below a store object into the object and the rest
    /// (empty, or beginning with a slash).
    ///
    /// # Errors
    /// As [`StoreDir::parse`].
    pub fn split<'t>(&self, text: &'t str) -> Result<(StorePath, &'t str), StorePathError> {
        let start = self.0.len() + 1;
        let end = text.get(start..).and_then(|rest| rest.find('/')).map_or(text.len(), |i| start + i);
        Ok((self.parse(&text[..end])?, &text[end..]))
    }

    fn make(&self, kind: &str, inner: &[u8], name: &str) -> Result<StorePath, StorePathError> {
        let mut text = String::with_capacity(kind.len() + self.0.len() + name.len() + 80);
        text.push_str(kind);
        text.push_str(":sha256:");
        data_encoding::HEXLOWER.encode_append(inner, &mut text);
        for part in [":", &self.0, ":", name] {
            text.push_str(part);
        }
        let full = Sha256::digest(text.as_bytes());
        let mut digest = [0u8; 20];
        for (index, byte) in full.iter().enumerate() {
            digest[index % 20] ^= byte;
        }
        StorePath::new(digest, name)
    }

    fn make_with_references(
        &self,
        kind: &str,
        references: &BTreeSet<StorePath>,
        self_reference: bool,
        inner: &[u8],
        name: &str,
    ) -> Result<StorePath, StorePathError> {
        let mut kind = kind.to_owned();
        for reference in references {
            kind.push(':');
            self.append(reference, &mut kind);
        }
        if self_reference {
            kind.push_str(":self");
        }
        self.make(&kind, inner, name)
    }

    /// The path of a text object (`toFile`, `.drv`): contents plus references.
    ///
    /// # Errors
    /// If `name` is no store path name.
    pub fn text_path(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, StorePathError> {
        self.text_path_of(name, &NixHash::sha256(Sha256::digest(contents).into()), references)
    }

    /// As [`StoreDir::text_path`], from the SHA-256 of the contents.
    ///
    /// # Errors
    /// If `name` is no store path name.
    pub fn text_path_of(
        &self,
        name: &str,
        hash: &NixHash,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, StorePathError> {
        self.make_with_references("text", references, false, hash.digest(), name)
    }

    /// The path of a content-addressed object.
    ///
    /// `recursive` means that `hash` is over the NAR, otherwise over the file.
    /// `references` excludes the object itself; those other than of a
    /// recursive SHA-256 object must be empty.
    ///
    /// # Errors
    /// If `name` is no store path name.
    pub fn fixed_path(
        &self,
        name: &str,
        recursive: bool,
        hash: &NixHash,
        references: &BTreeSet<StorePath>,
        self_reference: bool,
    ) -> Result<StorePath, StorePathError> {
        if recursive && hash.algorithm() == HashAlgorithm::Sha256 {
            return self.make_with_references("source", references, self_reference, hash.digest(), name);
        }
        let method = if recursive { "r:" } else { "" };
        let inner = format!("fixed:out:{method}{}:{}:", hash.algorithm().name(), hash.to_hex());
        self.make("output:out", &Sha256::digest(inner.as_bytes()), name)
    }

    /// The path of an input-addressed output, from the derivation's hash
    /// modulo its fixed outputs.
    ///
    /// # Errors
    /// If the resulting name is no store path name.
    pub fn output_path(
        &self,
        output: &str,
        hash_modulo: &[u8; 32],
        derivation_name: &str,
    ) -> Result<StorePath, StorePathError> {
        self.make(&format!("output:{output}"), hash_modulo, &output_path_name(derivation_name, output))
    }
}

/// `/nix/store`, which binary caches and real Nix share with us.
impl Default for StoreDir {
    fn default() -> Self {
        Self::new("/nix/store")
    }
}

/// The name of an output's store object: the derivation's, plus `-<output>`
/// unless it is `out`.
pub fn output_path_name(derivation_name: &str, output: &str) -> String {
    if output == "out" { derivation_name.to_owned() } else { format!("{derivation_name}-{output}") }
}

/// `<digest>-<name>`, without the store directory.
///
/// # Invariants
/// The name is 1–211 characters of `[0-9a-zA-Z+._?=-]`, not `.` or `..` nor
/// beginning with `.-` or `..-`.
///
/// `Ord` is that of the base name's text, since ATerm sorts by it and so the
/// hash of a derivation depends on it. (Nix base-32 digits are in ASCII order,
/// but the encoding is last digit first, so comparing digests would be wrong.)
///
/// Clones share the text: graphs and string contexts are made of clones.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StorePath {
    base_name: Arc<str>,
}

/// Text that is no store path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorePathError {
    /// The path is not directly inside the store directory.
    #[error("path '{0}' is not in the store")]
    Outside(String),
    /// The first 32 characters are no base-32 digest, or no dash follows.
    #[error("'{0}' is not a store path: it does not begin with a 32-character digest and a dash")]
    BadDigest(String),
    /// An object cannot refer to others, or to itself, and be addressed so.
    #[error("'{0}' cannot have references and be addressed by its contents in this way")]
    References(String),
    /// The name breaks the rules of [`StorePath`].
    #[error("{0}")]
    BadName(String),
}

const DIGEST_CHARACTERS: usize = 32;

impl StorePath {
    /// # Errors
    /// [`StorePathError::BadName`].
    pub fn new(digest: [u8; 20], name: &str) -> Result<Self, StorePathError> {
        check_name(name)?;
        let mut base_name = to_nix_base32(&digest);
        base_name.reserve_exact(1 + name.len());
        base_name.push('-');
        base_name.push_str(name);
        Ok(Self { base_name: base_name.into() })
    }

    /// Parses a base name.
    ///
    /// # Errors
    /// [`StorePathError::BadDigest`] or [`StorePathError::BadName`].
    pub fn parse(base_name: &str) -> Result<Self, StorePathError> {
        let bad = || StorePathError::BadDigest(base_name.to_owned());
        let digest = base_name.get(..DIGEST_CHARACTERS).ok_or_else(bad)?;
        from_nix_base32::<20>(digest).ok_or_else(bad)?;
        let name = base_name[DIGEST_CHARACTERS..].strip_prefix('-').ok_or_else(bad)?;
        check_name(name)?;
        Ok(Self { base_name: base_name.into() })
    }

    /// The 32 characters that reference scanning looks for.
    pub fn hash_part(&self) -> &str {
        &self.base_name[..DIGEST_CHARACTERS]
    }

    pub fn name(&self) -> &str {
        &self.base_name[DIGEST_CHARACTERS + 1..]
    }

    pub fn as_str(&self) -> &str {
        &self.base_name
    }

    pub fn is_derivation(&self) -> bool {
        self.base_name.ends_with(".drv")
    }

    /// The name without the `.drv` that a derivation's has.
    pub fn derivation_name(&self) -> &str {
        self.name().strip_suffix(".drv").unwrap_or(self.name())
    }
}

/// Checks a name against the grammar of store path names.
///
/// # Errors
/// [`StorePathError::BadName`].
pub fn check_name(name: &str) -> Result<(), StorePathError> {
    match name_problem(name) {
        Some(problem) => Err(StorePathError::BadName(problem)),
        None => Ok(()),
    }
}

/// What is wrong with a name, in the words of Nix.
fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("name must not be empty".to_owned());
    }
    if name.len() > 211 {
        return Some(format!("name '{name}' must be no longer than 211 characters"));
    }
    if let Some(dots @ ("." | "..")) = name.split('-').next() {
        return Some(if dots == name {
            format!("name '{name}' is not valid")
        } else {
            format!("name '{name}' is not valid: first dash-separated component must not be '{dots}'")
        });
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "+-._?=".contains(*c);
    let illegal = name.chars().find(|c| !allowed(c))?;
    Some(format!("name '{name}' contains illegal character '{illegal}'"))
}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.base_name.cmp(&other.base_name)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base_name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_path_is_that_of_real_nix() {
        // nix-instantiate --eval -E 'builtins.toFile "hello" "world"'
        let path = StoreDir::default().text_path("hello", b"world", &BTreeSet::new()).unwrap();
        assert_eq!(path.as_str(), TO_FILE_HELLO_WORLD);
    }

    const TO_FILE_HELLO_WORLD: &str = "a8pm5wln4zaphc7x9iaqrgm9fravifib-hello";

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "a.b", ".config", "x-1.0+b?=_"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".-x", "..-x", "a/b", "a b", &"x".repeat(212)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn splits_paths_below_an_object() {
        let dir = StoreDir::default();
        let text = format!("/nix/store/{TO_FILE_HELLO_WORLD}/bin/x");
        let (path, rest) = dir.split(&text).unwrap();
        assert_eq!((path.as_str(), rest), (TO_FILE_HELLO_WORLD, "/bin/x"));
        assert!(matches!(dir.split("/etc/passwd"), Err(StorePathError::Outside(_))));
    }
}
