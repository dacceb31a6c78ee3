//! What every image builder needs of its context: parameters, outputs, files
//! whose failures name the path.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use osbuild_store::action::OutputName;
use rustix::fs::{SeekFrom, seek};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::build::builtin::{BuiltinContext, BuiltinError};

/// Reads the parameters; unknown ones are refused with their names.
///
/// # Errors
/// [`BuiltinError::Parameters`].
pub(super) fn parameters<T: DeserializeOwned>(
    context: &BuiltinContext<'_>,
    builder: &'static str,
) -> Result<T, BuiltinError> {
    let mut value = context.parameters.clone();
    if let Some(fields) = value.as_object_mut() {
        // The version was checked by whoever chose this builder.
        fields.remove("builtinVersion");
    }
    serde_json::from_value(value).map_err(|source| BuiltinError::Parameters { builder, source })
}

/// Where the output of this name goes.
///
/// # Errors
/// The recipe does not declare it.
pub(super) fn output<'c>(context: &'c BuiltinContext<'_>, name: &str) -> Result<&'c Path, BuiltinError> {
    let found = OutputName::new(name).and_then(|name| context.outputs.get(&name));
    found
        .map(PathBuf::as_path)
        .ok_or_else(|| BuiltinError::Refused(format!("the recipe must declare an output named '{name}'")))
}

pub(super) fn failed<'p>(
    action: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> BuiltinError + 'p {
    move |source| BuiltinError::Io { action, path: path.to_owned(), source }
}

pub(super) fn open(path: &Path) -> Result<File, BuiltinError> {
    File::open(path).map_err(failed("open", path))
}

pub(super) fn create(path: &Path) -> Result<File, BuiltinError> {
    File::create_new(path).map_err(failed("create", path))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, BuiltinError> {
    std::fs::read(path).map_err(failed("read", path))
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), BuiltinError> {
    std::fs::write(path, bytes).map_err(failed("write", path))
}

/// Opens the input at a logical path.
pub(super) fn open_input(
    context: &BuiltinContext<'_>,
    logical: &str,
) -> Result<(File, PathBuf), BuiltinError> {
    let path = (context.physical)(logical)?;
    Ok((open(&path)?, path))
}

/// Reads the input at a logical path.
pub(super) fn read_input(context: &BuiltinContext<'_>, logical: &str) -> Result<Vec<u8>, BuiltinError> {
    read(&(context.physical)(logical)?)
}

/// A part of a file, as [`read_sparse`] hands it on.
pub(super) enum Part<'b> {
    Data(&'b [u8]),
    /// So many zeros that are not on the disk.
    Hole(u64),
}

/// Hands a whole file on, in order. Holes are not read: those of a disk image
/// would fill the page cache with zeros.
///
/// # Errors
/// Reading failed, or the receiver did.
pub(super) fn read_sparse(file: &File, mut sink: impl FnMut(Part<'_>) -> io::Result<()>) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < size {
        // Where the file system knows no holes, all of it is data.
        let data = match seek(file, SeekFrom::Data(offset)) {
            Ok(data) => data.min(size),
            Err(rustix::io::Errno::NXIO) => size,
            Err(_) => offset,
        };
        if data > offset {
            sink(Part::Hole(data - offset))?;
            offset = data;
            continue;
        }
        let hole = seek(file, SeekFrom::Hole(offset)).unwrap_or(size).clamp(offset + 1, size);
        while offset < hole {
            let count = (hole - offset).min(buffer.len() as u64) as usize;
            file.read_exact_at(&mut buffer[..count], offset)?;
            sink(Part::Data(&buffer[..count]))?;
            offset += count as u64;
        }
    }
    Ok(size)
}

/// A file's SHA-256, holes included. `go_on` is asked between parts.
///
/// # Errors
/// Reading failed, or `go_on` said no.
pub(crate) fn sha256_sparse(file: &File, go_on: impl Fn() -> bool) -> io::Result<[u8; 32]> {
    let zeros = vec![0; 1 << 20];
    let mut hasher = Sha256::new();
    read_sparse(file, |part| {
        match part {
            Part::Data(bytes) => hasher.update(bytes),
            Part::Hole(mut left) => {
                while left > 0 && go_on() {
                    let count = left.min(zeros.len() as u64);
                    hasher.update(&zeros[..count as usize]);
                    left -= count;
                }
            }
        }
        if go_on() { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    })?;
    Ok(hasher.finalize().into())
}

/// Threads for the builder's parallel parts.
pub(super) fn pool(context: &BuiltinContext<'_>) -> Result<rayon::ThreadPool, BuiltinError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(context.jobs.max(1))
        .build()
        .map_err(|error| BuiltinError::Refused(format!("cannot start threads: {error}")))
}

pub(super) fn check_cancelled(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    if (context.cancelled)() { Err(BuiltinError::Interrupted) } else { Ok(()) }
}
