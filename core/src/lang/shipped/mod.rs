//! Files that are part of the language: `<nix/fetchurl.nix>`.
//!
//! They lie in a file system of their own, in which they have paths like any
//! other. As values these are told apart by being written `<nix/fetchurl.nix>`;
//! paths of the host begin with a slash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use osbuild_store::store::SourceTree;

use super::host::{FileKind, Host, HostError, HostResult};
use super::lower;

const FILES: &[(&str, &str)] = &[("/fetchurl.nix", include_str!("fetchurl.nix"))];

/// The path that `<nix/name>` is, whether it exists or not; none for names
/// that do not begin with `nix/`.
pub(super) fn path(name: &[u8]) -> Option<Vec<u8>> {
    let within = name.strip_prefix(b"nix").filter(|rest| rest.starts_with(b"/"))?;
    Some(at(&lower::normal(Path::new(OsStr::from_bytes(within)))))
}

/// The path of a place in the file system of the language.
pub(super) fn at(within: &[u8]) -> Vec<u8> {
    [b"<nix", within, b">"].concat()
}

/// Where such a path is in its own file system; none for one of the host.
pub(super) fn within(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(b"<nix")?.strip_suffix(b">")
}

/// The path without its file system, which is what most functions see.
pub(super) fn plain(path: &[u8]) -> &[u8] {
    within(path).unwrap_or(path)
}

/// What is called `name` in the directory `path`.
pub(super) fn member(path: &Path, name: &[u8]) -> PathBuf {
    let name = Path::new(OsStr::from_bytes(name));
    match within(path.as_os_str().as_bytes()) {
        None => path.join(name),
        Some(within) => {
            let member = Path::new(OsStr::from_bytes(within)).join(name);
            PathBuf::from(OsStr::from_bytes(&at(member.as_os_str().as_bytes())))
        }
    }
}

/// The last part of a path, which names what is copied from it.
pub(super) fn base_name(path: &Path) -> String {
    let plain = Path::new(OsStr::from_bytes(plain(path.as_os_str().as_bytes())));
    plain.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

enum Shipped {
    Directory,
    File(&'static str),
    Nothing,
}

fn find(path: &Path) -> Option<Shipped> {
    let within = within(path.as_os_str().as_bytes())?;
    if within == b"/" {
        return Some(Shipped::Directory);
    }
    let file = FILES.iter().find(|(name, _)| name.as_bytes() == within);
    Some(file.map_or(Shipped::Nothing, |(_, contents)| Shipped::File(contents)))
}

fn failed<T>(path: &Path, what: &str) -> HostResult<T> {
    Err(HostError::new(format!("file '{}' {what}", path.display())))
}

/// Files of the host and of the language.
impl dyn Host {
    pub(super) fn file(&self, path: &Path) -> HostResult<Vec<u8>> {
        match find(path) {
            None => self.read_file(path),
            Some(Shipped::File(contents)) => Ok(contents.as_bytes().to_vec()),
            Some(Shipped::Directory) => failed(path, "is not a regular file"),
            Some(Shipped::Nothing) => failed(path, "does not exist"),
        }
    }

    pub(super) fn kind(&self, path: &Path) -> HostResult<Option<FileKind>> {
        Ok(match find(path) {
            None => self.file_kind(path)?,
            Some(Shipped::File(_)) => Some(FileKind::Regular { executable: false }),
            Some(Shipped::Directory) => Some(FileKind::Directory),
            Some(Shipped::Nothing) => None,
        })
    }

    pub(super) fn members(&self, path: &Path) -> HostResult<Vec<(Vec<u8>, FileKind)>> {
        match find(path) {
            None => self.read_dir(path),
            Some(Shipped::Directory) => {
                let kind = FileKind::Regular { executable: false };
                Ok(FILES.iter().map(|(name, _)| (name.as_bytes()[1..].to_vec(), kind)).collect())
            }
            Some(Shipped::File(_)) => failed(path, "is not a directory"),
            Some(Shipped::Nothing) => failed(path, "does not exist"),
        }
    }

    /// A file as the leaf of a tree to be added.
    pub(super) fn leaf(&self, path: &Path, executable: bool) -> HostResult<SourceTree> {
        match find(path) {
            None => self.source_file(path, executable),
            Some(_) => Ok(SourceTree::Bytes { contents: self.file(path)?, executable }),
        }
    }
}
