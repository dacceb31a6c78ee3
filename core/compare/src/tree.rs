//! Two paths: files, or trees of them.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::difference::{Class, Difference, Sides, Step, StepKind, What};
use crate::engine::{Children, Engine, joined, value};
use crate::limits::Limits;
use crate::source::{Scratch, Source};

/// Two paths that cannot be compared. What is inside of files is never an
/// error: a damaged archive is a file of bytes.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// A file could not be read further, or a scratch file not be written.
    #[error("cannot compare {} with {}", left.display(), right.display())]
    Contents { left: PathBuf, right: PathBuf, source: io::Error },
    /// Nested deeper than 1024 directories.
    #[error("{} is nested more than {MAX_DIRECTORIES} directories deep", path.display())]
    TooDeep { path: PathBuf },
}

/// How deep directories may nest: as deep as in an archive of the store. Each
/// costs stack.
const MAX_DIRECTORIES: usize = 1024;

/// Compares two files or trees; none if they are equal.
///
/// Of a tree counts what the store keeps: names, kinds, permission bits, links'
/// targets and contents; not owners or times. Links are never followed, not
/// even where a given path itself is one. What has to be unpacked goes to
/// files without a name in `scratch`. The result is a function of the trees
/// and the limits alone.
///
/// # Errors
/// See [`CompareError`].
pub fn compare(
    left: &Path,
    right: &Path,
    limits: &Limits,
    scratch: &Path,
) -> Result<Option<Difference>, CompareError> {
    let engine = Engine { limits, scratch: Scratch::new(scratch, limits) };
    let step = Step::new(StepKind::Root, "");
    paths(&engine, step, Sides { left, right }, 0)
}

fn paths(
    engine: &Engine<'_>,
    step: Step,
    paths: Sides<&Path>,
    depth: usize,
) -> Result<Option<Difference>, CompareError> {
    if depth > MAX_DIRECTORIES {
        return Err(CompareError::TooDeep { path: paths.left.to_owned() });
    }
    let (left, right) = (look(paths.left)?, look(paths.right)?);
    let kinds = Sides { left: kind(&left), right: kind(&right) };
    if kinds.left != kinds.right {
        let mut node = Difference::new(step, What::Kind(kinds));
        node.sizes = Sides { left: size(&left), right: size(&right) };
        return Ok(Some(node));
    }
    let mut fields = Vec::new();
    let field = |name: &str| Step::new(StepKind::Field, name);
    let mode = |metadata: &Metadata| format!("{:04o}", metadata.permissions().mode() & 0o7777);
    // Links have no permissions of their own.
    if kinds.left != LINK && mode(&left) != mode(&right) {
        let (a, b) = (mode(&left), mode(&right));
        fields.push(value(field("mode"), a.as_bytes(), b.as_bytes(), Some(Class::Mode)));
    }
    let content = match kinds.left {
        DIRECTORY => directories(engine, step.clone(), paths, depth)?,
        FILE => {
            let (a, b) = (open(paths.left)?, open(paths.right)?);
            let compared = engine.contents(step.clone(), &a, &b, 0);
            compared.map_err(|source| CompareError::Contents {
                left: paths.left.to_owned(),
                right: paths.right.to_owned(),
                source,
            })?
        }
        LINK => {
            let target = |path: &Path| io_at("read the link", path, fs::read_link(path));
            let (a, b) = (target(paths.left)?, target(paths.right)?);
            let (a, b) = (a.as_os_str().as_bytes(), b.as_os_str().as_bytes());
            fields.extend((a != b).then(|| value(field("target"), a, b, None)));
            None
        }
        _ => {
            let (a, b) = (left.rdev().to_string(), right.rdev().to_string());
            fields.extend((a != b).then(|| value(field("device"), a.as_bytes(), b.as_bytes(), None)));
            None
        }
    };
    Ok(joined(step, fields, content))
}

fn directories(
    engine: &Engine<'_>,
    step: Step,
    paths: Sides<&Path>,
    depth: usize,
) -> Result<Option<Difference>, CompareError> {
    let mut names: BTreeMap<Vec<u8>, Sides<bool>> = BTreeMap::new();
    let neither = Sides { left: false, right: false };
    for name in list(paths.left)? {
        names.entry(name).or_insert(neither).left = true;
    }
    for name in list(paths.right)? {
        names.entry(name).or_insert(neither).right = true;
    }
    let mut children = Children::new(engine.limits);
    for (name, on) in names {
        let of_name = std::ffi::OsString::from_vec(name.clone());
        let (left, right) = (paths.left.join(&of_name), paths.right.join(&of_name));
        let step = Step::new(StepKind::Entry, name);
        match on {
            // Past the limit every tree is still looked through, because only
            // that tells whether it differs.
            Sides { left: true, right: true } => {
                let child = self::paths(engine, step, Sides { left: &left, right: &right }, depth + 1)?;
                child.into_iter().for_each(|child| children.push(child));
            }
            Sides { left: true, .. } => children.push(alone(step, What::OnlyLeft, &left)?),
            Sides { right: true, .. } => children.push(alone(step, What::OnlyRight, &right)?),
            Sides { left: false, right: false } => {}
        }
    }
    if children.is_empty() {
        return Ok(None);
    }
    let mut node = Difference::new(step, What::Inside);
    node.format = Some(DIRECTORY);
    children.hand_to(&mut node);
    Ok(Some(node))
}

fn alone(step: Step, what: What, path: &Path) -> Result<Difference, CompareError> {
    let metadata = look(path)?;
    let mut node = Difference::new(step, what);
    node.notes.push(format!("it is a {}", kind(&metadata)));
    let side = if node.what == What::OnlyLeft { &mut node.sizes.left } else { &mut node.sizes.right };
    *side = size(&metadata);
    Ok(node)
}

const DIRECTORY: &str = "directory";
const FILE: &str = "file";
const LINK: &str = "symbolic link";

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        DIRECTORY
    } else if kind.is_file() {
        FILE
    } else if kind.is_symlink() {
        LINK
    } else if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_block_device() {
        "block device"
    } else {
        "character device"
    }
}

fn size(metadata: &Metadata) -> Option<u64> {
    metadata.is_file().then_some(metadata.len())
}

fn look(path: &Path) -> Result<Metadata, CompareError> {
    io_at("look at", path, path.symlink_metadata())
}

fn open(path: &Path) -> Result<Source, CompareError> {
    let file = io_at("open", path, File::open(path))?;
    let size = io_at("look at", path, file.metadata())?.len();
    Ok(Source::of_file(file, size))
}

fn list(path: &Path) -> Result<Vec<Vec<u8>>, CompareError> {
    let entries = io_at("list", path, fs::read_dir(path))?;
    entries.map(|entry| Ok(io_at("list", path, entry)?.file_name().into_vec())).collect()
}

fn io_at<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T, CompareError> {
    result.map_err(|source| CompareError::Io { action, path: path.to_owned(), source })
}
