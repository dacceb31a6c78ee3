//! Differences at length, by diffoscope, where it is installed: it opens formats
//! that the comparison here has no reader for.

use std::path::Path;
use std::process::{Command, Stdio};

use osbuild_core::verify::verdict::Verdict;
use osbuild_store::LocalStore;

use crate::error::Failure;

const PROGRAM: &str = "diffoscope";

/// Whether there is one.
pub(super) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file())
}

/// Writes a page for each output that differs, into a folder of the report.
///
/// # Errors
/// The folder cannot be made. What the program cannot read is said on standard
/// error, and has no page.
pub(super) fn add(store: &LocalStore, report: &Path, verdicts: &mut [Verdict]) -> Result<(), Failure> {
    for verdict in verdicts {
        for finding in &mut verdict.findings {
            let [first, second] = [&finding.differing.first, &finding.differing.second];
            let file = format!("{PROGRAM}/{}-{}.html", verdict.round + 1, first.as_str());
            super::make_directory(&report.join(PROGRAM))?;
            eprintln!("{PROGRAM}: {}", first.as_str());
            match write(&store.physical(first), &store.physical(second), &report.join(&file)) {
                Ok(()) => finding.long_form = Some(file),
                Err(what) => eprintln!("warning: {PROGRAM} of {}: {what}", first.as_str()),
            }
        }
    }
    Ok(())
}

fn write(first: &Path, second: &Path, page: &Path) -> Result<(), String> {
    let output = Command::new(PROGRAM)
        // Times and owners are the store's, and equal.
        .args(["--exclude-directory-metadata=yes", "--no-progress", "--html"])
        .args([page, first, second])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    match output.status.code() {
        Some(1) => Ok(()),
        Some(0) => Err("it finds no difference".to_owned()),
        // The last line of a traceback says what it was.
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.trim_end().lines().last().unwrap_or("it fails, and does not say why").to_owned())
        }
    }
}
