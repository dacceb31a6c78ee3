//! The size report of an image, for people.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::quantities::size;

/// `size.json`, as `builtin:sbom` writes it.
#[derive(Debug, Deserialize)]
pub struct SizeReport {
    pub variant: String,
    pub version: String,
    pub root_bytes: u64,
    pub hash_bytes: u64,
    pub uki_bytes: u64,
    pub loader_bytes: u64,
    pub uncompressed_bytes: u64,
    /// Contents that two packages both bring; segments do not share them.
    pub duplicate_bytes: u64,
    /// The largest in the image first.
    pub packages: Vec<PackageSize>,
    pub largest_files: Vec<FileSize>,
}

#[derive(Debug, Deserialize)]
pub struct PackageSize {
    pub package: String,
    pub files: u64,
    pub bytes: u64,
    pub compressed_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct FileSize {
    pub path: String,
    pub package: Option<String>,
    pub bytes: u64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum SizeError {
    /// The directory is no output of a variant.
    #[error("{path} cannot be read; a size report is part of what building a variant gives")]
    Missing { path: PathBuf, source: std::io::Error },
    #[error("{path} is no size report")]
    Syntax { path: PathBuf, source: serde_json::Error },
}

/// Reads the report of a variant's output.
///
/// # Errors
/// There is none, or it is damaged.
pub fn read(result: &Path) -> Result<SizeReport, SizeError> {
    let path = result.join("size.json");
    let bytes = std::fs::read(&path).map_err(|source| SizeError::Missing { path: path.clone(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| SizeError::Syntax { path, source })
}

/// How many files the text names.
const FILES_SHOWN: usize = 15;

impl fmt::Display for SizeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.variant, self.version)?;
        for (what, bytes) in [
            ("root, compressed", self.root_bytes),
            ("root, as files", self.uncompressed_bytes),
            ("hash tree", self.hash_bytes),
            ("kernel image", self.uki_bytes),
            ("loader", self.loader_bytes),
        ] {
            writeln!(f, "  {what:<18} {:>9}", size(bytes))?;
        }
        if self.duplicate_bytes > 0 {
            writeln!(
                f,
                "  {:<18} {:>9}  in more than one package",
                "equal files",
                size(self.duplicate_bytes)
            )?;
        }
        writeln!(f, "\n{:<28} {:>10} {:>10} {:>7}  share", "package", "compressed", "as files", "files")?;
        for row in &self.packages {
            let share = row.compressed_bytes as f64 * 100.0 / self.root_bytes.max(1) as f64;
            let (compressed, bytes) = (size(row.compressed_bytes), size(row.bytes));
            writeln!(f, "{:<28} {compressed:>10} {bytes:>10} {:>7} {share:>5.1}%", row.package, row.files)?;
        }
        writeln!(f, "\nlargest files")?;
        for row in self.largest_files.iter().take(FILES_SHOWN) {
            writeln!(f, "{:>10}  {}", size(row.bytes), row.path)?;
        }
        Ok(())
    }
}
