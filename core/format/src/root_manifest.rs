//! `root.manifest`: what a root file system holds, one JSON object a line.
//!
//! It is the only description of a root: squashfs, SBOM, size report and
//! reviewers' snapshots all read it. Owners, modes and extended attributes
//! come from it and never from the disk of whoever builds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hex;

/// A checked manifest.
///
/// # Invariants
/// Entries are sorted by the bytes of their paths, without duplicates. Paths
/// are absolute and clean. The first entry is `/`, and every other entry's
/// parent is a directory in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootManifest {
    entries: Vec<Entry>,
}

/// One file, directory or link of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute, no trailing slash, no empty or dotted component; `/` for the root.
    pub path: String,
    /// The lower twelve bits.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Full names (`security.capability`) and values.
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// The package that brought it; none for what the linker itself made.
    pub package: Option<String>,
    pub node: Node,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Directory,
    Link {
        target: String,
    },
    /// Contents that a store object holds.
    File {
        /// Logical path of the object.
        store: String,
        /// The file's path inside it, relative.
        file: String,
        /// BLAKE3 of the contents.
        blake3: [u8; 32],
        size: u64,
    },
    /// Text that the linker itself wrote (os-release).
    Inline {
        text: String,
    },
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub enum RootManifestError {
    /// A line is no JSON of the right shape.
    #[error("root.manifest:{line}: not a manifest entry")]
    Syntax { line: usize, source: serde_json::Error },
    /// A line's fields contradict each other or the rules of [`RootManifest`].
    #[error("root.manifest:{line}: {path}: {what}")]
    Entry { line: usize, path: String, what: &'static str },
}

impl RootManifest {
    /// Checks entries in any order; sorts them.
    ///
    /// # Errors
    /// [`RootManifestError::Entry`]; `line` is the entry's place after sorting.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, RootManifestError> {
        entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        check(&entries)?;
        Ok(Self { entries })
    }

    /// Parses the lines that [`RootManifest::to_bytes`] writes.
    ///
    /// # Errors
    /// A line that is no entry, or entries that break the invariants.
    pub fn parse(bytes: &[u8]) -> Result<Self, RootManifestError> {
        let mut entries = Vec::new();
        for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let number = index + 1;
            let parsed: Line = serde_json::from_slice(line)
                .map_err(|source| RootManifestError::Syntax { line: number, source })?;
            entries.push(parsed.into_entry(number)?);
        }
        check(&entries)?;
        Ok(Self { entries })
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at an absolute path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let index = self.entries.binary_search_by(|e| e.path.as_bytes().cmp(path.as_bytes())).ok()?;
        Some(&self.entries[index])
    }

    /// The one text form: fields in a fixed order, one entry a line.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in &self.entries {
            serde_json::to_writer(&mut out, &Line::from_entry(entry)).expect("a Vec takes every write");
            out.push(b'\n');
        }
        out
    }
}

/// True for `/` and for `/a/b` without empty or dotted components.
pub fn is_clean_path(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/')
                .all(|c| !c.is_empty() && c != "." && c != ".." && c.len() <= 255 && !c.contains('\0'))
        })
}

/// The parent of a clean path other than `/`, and the last component.
pub fn split_parent(path: &str) -> (&str, &str) {
    let (parent, name) = path.rsplit_once('/').expect("clean paths are absolute");
    (if parent.is_empty() { "/" } else { parent }, name)
}

fn check(entries: &[Entry]) -> Result<(), RootManifestError> {
    let fail = |index: usize, what| RootManifestError::Entry {
        line: index + 1,
        path: entries.get(index).map_or_else(|| "/".to_owned(), |e| e.path.clone()),
        what,
    };
    if entries.first().is_none_or(|e| e.path != "/") {
        return Err(fail(0, "the first entry must be the root directory '/'"));
    }
    let mut directories = std::collections::BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        if !is_clean_path(&entry.path) {
            return Err(fail(index, "not an absolute, clean path"));
        }
        if index > 0 && entries[index - 1].path.as_bytes() >= entry.path.as_bytes() {
            return Err(fail(index, "entries are not sorted, or a path stands twice"));
        }
        if entry.mode > 0o7777 {
            return Err(fail(index, "the mode has more than twelve bits"));
        }
        if index > 0 && !directories.contains(split_parent(&entry.path).0) {
            return Err(fail(index, "its parent is no directory in the manifest"));
        }
        match &entry.node {
            Node::Directory => {
                directories.insert(entry.path.as_str());
            }
            Node::Link { target } if target.is_empty() || target.len() > 65535 => {
                return Err(fail(index, "a link's target is 1 to 65535 bytes"));
            }
            Node::Link { .. } | Node::File { .. } | Node::Inline { .. } => {}
        }
        if index == 0 && entry.node != Node::Directory {
            return Err(fail(index, "the root must be a directory"));
        }
    }
    Ok(())
}

/// An entry as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    kind: Kind,
    mode: String,
    uid: u32,
    gid: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inline: Option<String>,
    package: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Directory,
    File,
    Link,
}

impl Line {
    fn from_entry(entry: &Entry) -> Self {
        let mut line = Self {
            path: entry.path.clone(),
            kind: Kind::Directory,
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            xattrs: entry.xattrs.iter().map(|(name, value)| (name.clone(), hex::encode(value))).collect(),
            target: None,
            store: None,
            file: None,
            blake3: None,
            size: None,
            inline: None,
            package: entry.package.clone(),
        };
        match &entry.node {
            Node::Directory => {}
            Node::Link { target } => {
                line.kind = Kind::Link;
                line.target = Some(target.clone());
            }
            Node::File { store, file, blake3, size } => {
                line.kind = Kind::File;
                line.store = Some(store.clone());
                line.file = Some(file.clone());
                line.blake3 = Some(hex::encode(blake3));
                line.size = Some(*size);
            }
            Node::Inline { text } => {
                line.kind = Kind::File;
                line.inline = Some(text.clone());
            }
        }
        line
    }

    fn into_entry(self, line: usize) -> Result<Entry, RootManifestError> {
        let fail = |what| RootManifestError::Entry { line, path: self.path.clone(), what };
        let mode = u16::from_str_radix(&self.mode, 8).map_err(|_| fail("the mode is not octal"))?;
        let mut xattrs = BTreeMap::new();
        for (name, value) in &self.xattrs {
            let value = hex::decode(value).ok_or_else(|| fail("an attribute's value is not hexadecimal"))?;
            xattrs.insert(name.clone(), value);
        }
        let node = match (self.kind, self.target, self.store, self.file, self.blake3, self.size, self.inline)
        {
            (Kind::Directory, None, None, None, None, None, None) => Node::Directory,
            (Kind::Link, Some(target), None, None, None, None, None) => Node::Link { target },
            (Kind::File, None, Some(store), Some(file), Some(digest), Some(size), None) => {
                let Some(blake3) = hex::decode_array(&digest) else {
                    return Err(RootManifestError::Entry {
                        line,
                        path: self.path,
                        what: "blake3 is not 64 hex digits",
                    });
                };
                Node::File { store, file, blake3, size }
            }
            (Kind::File, None, None, None, None, None, Some(text)) => Node::Inline { text },
            _ => {
                let what = "a directory has none of target, store, file, blake3, size, inline; a link has target; \
                            a file has store, file, blake3 and size, or inline";
                return Err(RootManifestError::Entry { line, path: self.path, what });
            }
        };
        Ok(Entry { path: self.path, mode, uid: self.uid, gid: self.gid, xattrs, package: self.package, node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"{"path":"/","kind":"directory","mode":"0755","uid":0,"gid":0,"package":null}
{"path":"/etc","kind":"link","mode":"0777","uid":0,"gid":0,"target":"usr/etc","package":null}
{"path":"/usr","kind":"directory","mode":"0755","uid":0,"gid":0,"package":null}
{"path":"/usr/a","kind":"file","mode":"0755","uid":0,"gid":5,"xattrs":{"security.capability":"01ff"},"store":"/nix/store/00000000000000000000000000000000-a","file":"usr/a","blake3":"abababababababababababababababababababababababababababababababab","size":7,"package":"a"}
{"path":"/usr/os-release","kind":"file","mode":"0644","uid":0,"gid":0,"inline":"ID=x\n","package":null}
"#;

    #[test]
    fn reads_and_writes_the_golden_lines() {
        let manifest = RootManifest::parse(GOLDEN.as_bytes()).unwrap();
        assert_eq!(manifest.entries().len(), 5);
        assert_eq!(manifest.entry("/usr/a").unwrap().xattrs["security.capability"], [1, 255]);
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), GOLDEN);
    }

    #[test]
    fn refuses_what_breaks_the_rules() {
        let lines: Vec<&str> = GOLDEN.split_inclusive('\n').collect();
        let cases = [
            (lines[1].to_owned(), "first entry"),
            (format!("{}{}", lines[0], lines[3]), "parent"),
            (format!("{}{}{}", lines[0], lines[2], lines[2]), "twice"),
            (lines[0].replace("0755", "0999"), "octal"),
            (lines[0].replace("\"uid\"", "\"target\":\"x\",\"uid\""), "a link has target"),
            (format!("{}{}", lines[0], lines[1].replace("/etc\"", "/etc/\"")), "clean"),
            (lines[0].replace("\"uid\"", "\"new\":1,\"uid\""), "not a manifest entry"),
        ];
        for (text, expected) in cases {
            let error = RootManifest::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }
}
