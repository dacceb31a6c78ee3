//! The members of a package, in the order of their paths' bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::build::builtin::BuiltinError;

use super::files::failed;
use super::glob::Glob;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Relative to the package, clean.
    pub(super) path: String,
    pub(super) kind: MemberKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    Directory,
    File { size: u64, executable: bool, setuid: bool },
    Link { target: String },
}

/// A package's members, and what its filters took away.
pub(super) struct Members {
    /// Without the package's own directory; a directory whose every member
    /// was excluded is left out too.
    pub(super) kept: Vec<Member>,
    /// Excluded files, for messages that name who could provide a library.
    pub(super) excluded: Vec<String>,
}

/// Lists a package.
///
/// # Errors
/// It is no directory, cannot be read, or holds a name that is not UTF-8 or a
/// file that is neither regular, directory nor link.
pub(super) fn members(root: &Path, exclude: &[Glob]) -> Result<Members, BuiltinError> {
    let mut members = Members { kept: Vec::new(), excluded: Vec::new() };
    walk(root, "", exclude, false, &mut members)?;
    members.kept.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    members.excluded.sort();
    Ok(members)
}

/// Adds what is below `relative`; true if something was kept, or the
/// directory is empty by itself.
fn walk(
    root: &Path,
    relative: &str,
    exclude: &[Glob],
    excluded_above: bool,
    out: &mut Members,
) -> Result<bool, BuiltinError> {
    let directory = root.join(relative);
    let mut any = false;
    let mut kept = false;
    for item in fs::read_dir(&directory).map_err(failed("list", &directory))? {
        let item = item.map_err(failed("list", &directory))?;
        any = true;
        let name = item.file_name();
        let name = name.to_str().ok_or_else(|| {
            BuiltinError::Refused(format!("{}: the name {name:?} is not UTF-8", directory.display()))
        })?;
        let path = if relative.is_empty() { name.to_owned() } else { format!("{relative}/{name}") };
        let full = item.path();
        let metadata = fs::symlink_metadata(&full).map_err(failed("inspect", &full))?;
        let excluded = excluded_above || exclude.iter().any(|glob| glob.matches(&path));
        let kind = if metadata.is_dir() {
            let before = out.kept.len();
            let below = walk(root, &path, exclude, excluded, out)?;
            if excluded || (!below && out.kept.len() == before) {
                continue;
            }
            MemberKind::Directory
        } else if metadata.is_symlink() {
            let target = fs::read_link(&full).map_err(failed("read the link", &full))?;
            let target = target.to_str().ok_or_else(|| {
                BuiltinError::Refused(format!("{}: the link's target is not UTF-8", full.display()))
            })?;
            MemberKind::Link { target: target.to_owned() }
        } else if metadata.is_file() {
            let mode = metadata.permissions().mode();
            MemberKind::File {
                size: metadata.len(),
                executable: mode & 0o111 != 0,
                setuid: mode & 0o6000 != 0,
            }
        } else {
            return Err(BuiltinError::Refused(format!(
                "{}: neither file, directory nor link; images hold only these",
                full.display()
            )));
        };
        if excluded {
            out.excluded.push(path);
        } else {
            kept = true;
            out.kept.push(Member { path, kind });
        }
    }
    Ok(kept || !any)
}
