//! `builtin:write-tree` version 1: a tree of generated files.
//!
//! Parameters, all keyed by relative path: `files` ({text} or {source}, and
//! `executable`), `links` (target), `copies` (a path at or below a store
//! object); `directories` is a list. Parents are made as needed; a path given
//! twice is an error.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use osbuild_store::action::OutputName;
use serde::Deserialize;

use super::link_tree::link_tree;
use super::{BuiltinContext, BuiltinError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    files: BTreeMap<String, FileParameters>,
    #[serde(default)]
    links: BTreeMap<String, String>,
    #[serde(default)]
    directories: Vec<String>,
    #[serde(default)]
    copies: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileParameters {
    text: Option<String>,
    source: Option<String>,
    #[serde(default)]
    executable: bool,
}

pub(super) fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = serde_json::from_value(context.parameters.clone())
        .map_err(|source| BuiltinError::Parameters { builder: "write-tree", source })?;
    let out = &context.outputs[&OutputName::out()];
    fs::create_dir(out).map_err(BuiltinError::io("make the directory", out))?;
    // Copies first: they bring directories that others may add to.
    for (path, source) in &parameters.copies {
        link_tree(&(context.physical)(source)?, &place(out, path)?)?;
    }
    for path in &parameters.directories {
        let directory = checked(out, path)?;
        fs::create_dir_all(&directory).map_err(BuiltinError::io("make the directory", &directory))?;
    }
    for (path, file) in &parameters.files {
        let target = place(out, path)?;
        match (&file.text, &file.source) {
            (Some(text), None) => fs::write(&target, text).map_err(BuiltinError::io("write", &target))?,
            (None, Some(source)) => {
                let source = (context.physical)(source)?;
                let bytes = fs::read(&source).map_err(BuiltinError::io("read", &source))?;
                fs::write(&target, bytes).map_err(BuiltinError::io("write", &target))?;
            }
            _ => {
                return Err(BuiltinError::Refused(format!("file '{path}' needs either text or source")));
            }
        }
        let mode = fs::Permissions::from_mode(if file.executable { 0o755 } else { 0o644 });
        fs::set_permissions(&target, mode).map_err(BuiltinError::io("set the mode of", &target))?;
    }
    for (path, target) in &parameters.links {
        let link = place(out, path)?;
        std::os::unix::fs::symlink(target, &link).map_err(BuiltinError::io("make the link", &link))?;
    }
    Ok(())
}

/// Where a new file goes: its parents are made, it must not be there.
fn place(out: &Path, path: &str) -> Result<PathBuf, BuiltinError> {
    let target = checked(out, path)?;
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(BuiltinError::io("make the directory", parent))?;
    }
    if target.symlink_metadata().is_ok() {
        return Err(BuiltinError::Refused(format!("'{path}' is given twice")));
    }
    Ok(target)
}

/// A clean relative path that no link on its way leads elsewhere.
fn checked(out: &Path, path: &str) -> Result<PathBuf, BuiltinError> {
    let mut target = out.to_owned();
    for part in path.split('/') {
        if part.is_empty() || part == "." || part == ".." || part.contains('\0') {
            return Err(BuiltinError::Refused(format!("'{path}' is no clean relative path")));
        }
        if target.is_symlink() {
            return Err(BuiltinError::Refused(format!("'{path}' goes through a link")));
        }
        target.push(part);
    }
    Ok(target)
}
