//! What a program says of itself below `/run/osbuild`, for others to read.

use std::fs;
use std::path::Path;

use crate::{Failed, Result};

/// Replaces such a file: who reads it sees the old text or the new.
///
/// # Errors
/// Writing failed.
pub fn write(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text).map_err(Failed::at("write", &new))?;
    fs::rename(&new, path).map_err(Failed::at("replace", path))
}
