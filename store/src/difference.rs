//! Comparing trees, and finding what mentions something in one.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use osbuild_nar::kind_name;

use crate::error::StoreError;

/// How one file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    OnlyInFirst,
    OnlyInSecond,
    /// One is a directory, the other a file, and so on.
    Kind {
        first: &'static str,
        second: &'static str,
    },
    Executable {
        first: bool,
    },
    Target,
    /// Sizes, and the first byte that differs, from 0.
    Contents {
        first_bytes: u64,
        second_bytes: u64,
        at: u64,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyInFirst => f.write_str("only in the first"),
            Self::OnlyInSecond => f.write_str("only in the second"),
            Self::Kind { first, second } => write!(f, "a {first} in the first, a {second} in the second"),
            Self::Executable { first } => {
                write!(f, "executable in the {} only", if *first { "first" } else { "second" })
            }
            Self::Target => f.write_str("links elsewhere"),
            Self::Contents { first_bytes, second_bytes, at } if first_bytes == second_bytes => {
                write!(f, "{first_bytes} bytes each, differ from byte {at} on")
            }
            Self::Contents { first_bytes, second_bytes, at } => {
                write!(f, "{first_bytes} and {second_bytes} bytes, differ from byte {at} on")
            }
        }
    }
}

/// What differs between two trees, by path below them (empty: themselves), in
/// the order of bytes. What is below something that only one has is not
/// listed.
///
/// # Errors
/// Something cannot be read.
pub fn differences(first: &Path, second: &Path) -> Result<Vec<(String, Change)>, StoreError> {
    let mut found = Vec::new();
    compare(first, second, "", &mut found)?;
    Ok(found)
}

fn compare(
    first: &Path,
    second: &Path,
    name: &str,
    found: &mut Vec<(String, Change)>,
) -> Result<(), StoreError> {
    let (a, b) = (metadata(first)?, metadata(second)?);
    let kinds = (kind(&a), kind(&b));
    let mut note = |change| found.push((name.to_owned(), change));
    if kinds.0 != kinds.1 {
        note(Change::Kind { first: kinds.0, second: kinds.1 });
        return Ok(());
    }
    if a.is_symlink() {
        let target = |path: &Path| path.read_link().map_err(StoreError::io("read the link", path));
        if target(first)? != target(second)? {
            note(Change::Target);
        }
        return Ok(());
    }
    if a.is_file() {
        let executable = |metadata: &Metadata| metadata.permissions().mode() & 0o100 != 0;
        if executable(&a) != executable(&b) {
            note(Change::Executable { first: executable(&a) });
        }
        if let Some(at) = first_difference(first, second)? {
            note(Change::Contents { first_bytes: a.len(), second_bytes: b.len(), at });
        }
        return Ok(());
    }
    let (left, right) = (names(first)?, names(second)?);
    for member in left.union(&right) {
        let shown = member.to_string_lossy();
        let path = if name.is_empty() { shown.into_owned() } else { format!("{name}/{shown}") };
        match (left.contains(member), right.contains(member)) {
            (true, true) => compare(&first.join(member), &second.join(member), &path, found)?,
            (true, false) => found.push((path, Change::OnlyInFirst)),
            _ => found.push((path, Change::OnlyInSecond)),
        }
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<Metadata, StoreError> {
    path.symlink_metadata().map_err(StoreError::io("read", path))
}

fn kind(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::MetadataExt;
    if metadata.is_dir() {
        "directory"
    } else if metadata.is_symlink() {
        "link"
    } else if metadata.is_file() {
        "file"
    } else {
        kind_name(metadata.mode())
    }
}

fn names(path: &Path) -> Result<BTreeSet<std::ffi::OsString>, StoreError> {
    let entries = path.read_dir().map_err(StoreError::io("list", path))?;
    entries.map(|entry| Ok(entry.map_err(StoreError::io("list", path))?.file_name())).collect()
}

fn first_difference(first: &Path, second: &Path) -> Result<Option<u64>, StoreError> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        Ok::<_, StoreError>(BufReader::with_capacity(1 << 16, file).bytes())
    };
    let (mut a, mut b) = (open(first)?, open(second)?);
    for at in 0.. {
        let left = a.next().transpose().map_err(StoreError::io("read", first))?;
        let right = b.next().transpose().map_err(StoreError::io("read", second))?;
        if left != right {
            return Ok(Some(at));
        }
        if left.is_none() {
            break;
        }
    }
    Ok(None)
}

/// The files and links of a tree that hold `text`, by path below it (empty:
/// the tree itself), with the first byte of it in each.
///
/// # Errors
/// Something cannot be read.
pub fn mentions(tree: &Path, text: &[u8]) -> Result<Vec<(String, u64)>, StoreError> {
    let mut found = Vec::new();
    search(tree, "", text, &mut found)?;
    Ok(found)
}

fn search(path: &Path, name: &str, text: &[u8], found: &mut Vec<(String, u64)>) -> Result<(), StoreError> {
    let metadata = metadata(path)?;
    if metadata.is_dir() {
        for member in names(path)? {
            let shown = member.to_string_lossy();
            let below = if name.is_empty() { shown.into_owned() } else { format!("{name}/{shown}") };
            search(&path.join(&member), &below, text, found)?;
        }
        return Ok(());
    }
    let bytes = if metadata.is_symlink() {
        let target = path.read_link().map_err(StoreError::io("read the link", path))?;
        target.as_os_str().as_bytes().to_vec()
    } else {
        fs::read(path).map_err(StoreError::io("read", path))?
    };
    if let Some(at) = bytes.windows(text.len().max(1)).position(|window| window == text) {
        found.push((name.to_owned(), at as u64));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_difference_is_named() {
        let place = tempfile::tempdir().unwrap();
        let (a, b) = (place.path().join("a"), place.path().join("b"));
        for tree in [&a, &b] {
            fs::create_dir_all(tree.join("same/deep")).unwrap();
            fs::write(tree.join("same/deep/file"), "equal").unwrap();
            fs::write(tree.join("run"), "#!").unwrap();
        }
        fs::write(a.join("text"), "hello").unwrap();
        fs::write(b.join("text"), "help").unwrap();
        fs::set_permissions(b.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(a.join("old"), "").unwrap();
        fs::create_dir(b.join("new")).unwrap();
        fs::write(b.join("new/below"), "").unwrap();
        std::os::unix::fs::symlink("x", a.join("link")).unwrap();
        std::os::unix::fs::symlink("y", b.join("link")).unwrap();
        fs::write(a.join("turned"), "").unwrap();
        fs::create_dir(b.join("turned")).unwrap();
        let shown: Vec<String> =
            differences(&a, &b).unwrap().iter().map(|(name, change)| format!("{name}: {change}")).collect();
        assert_eq!(
            shown,
            [
                "link: links elsewhere",
                "new: only in the second",
                "old: only in the first",
                "run: executable in the second only",
                "text: 5 and 4 bytes, differ from byte 3 on",
                "turned: a file in the first, a directory in the second",
            ]
        );
        assert_eq!(differences(&a, &a).unwrap(), []);
        assert_eq!(mentions(&a, b"ell").unwrap(), [("text".to_owned(), 1)]);
        assert_eq!(mentions(&a.join("link"), b"x").unwrap(), [(String::new(), 0)]);
    }
}
