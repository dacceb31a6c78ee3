//! One file a command: its arguments with their help, then one function.

pub(crate) mod attest;
pub(crate) mod boot;
pub(crate) mod build;
pub(crate) mod derivation;
pub(crate) mod diff;
pub(crate) mod disk;
pub(crate) mod docs;
pub(crate) mod eval;
pub(crate) mod generate;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod log;
mod passphrase;
pub(crate) mod repl;
pub(crate) mod repo;
pub(crate) mod sbom;
pub(crate) mod shell;
pub(crate) mod sign;
mod signing;
pub(crate) mod size;
pub(crate) mod store;
pub(crate) mod test;
pub(crate) mod verify;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// The output of an image: a directory that holds `file` already, or a target
/// that is built first.
fn image_output(target: &str, file: &str, common: &CommonArguments) -> Result<PathBuf, Failure> {
    let given = Path::new(target);
    if given.join(file).is_file() {
        return Ok(given.to_owned());
    }
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let [output] = build::make(&store, &[target], common)?.try_into().expect("one path a target");
    if !output.join(file).is_file() {
        return Err(no_image(target, file));
    }
    Ok(output)
}

fn no_image(target: &str, file: &str) -> Failure {
    let message = format!("'{target}' is no image: it gives no {file}");
    Failure::usage(&message, "name a variant (`osbuild list variants`) or its output")
}

/// Copies a file to standard output.
fn print_file(path: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::new(Exit::Failed, &format!("cannot read {}: {error}", path.display())))?;
    std::io::stdout().lock().write_all(&bytes)?;
    Ok(())
}

/// Writes a file that appears whole; a device or a pipe is written to as it is.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    put_whole(file, bytes).map_err(|error| {
        Failure::new(Exit::Failed, &format!("cannot write {}: {error}", file.display()))
            .with_hint("the folder has to exist and to be writable")
    })
}

fn put_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if file.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(file)?.write_all(bytes);
    }
    beside(file, bytes, 0o666)?.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// What is to be `file`, in its folder under another name.
fn beside(file: &Path, bytes: &[u8], mode: u32) -> std::io::Result<NamedTempFile> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file: the user's mask takes away what it will.
    let mode = std::fs::Permissions::from_mode(mode);
    let mut beside = tempfile::Builder::new().permissions(mode).tempfile_in(folder)?;
    beside.write_all(bytes)?;
    Ok(beside)
}
