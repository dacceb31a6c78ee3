//! Asks a program in a sandbox what it finds there.

use std::collections::BTreeMap;
use std::fs::File as HostFile;
use std::io::Read;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::{Attached, Conditions, File, SandboxError, SandboxSpec};

/// `probe/main.rs`, compiled: a program that needs nothing but a kernel.
pub const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

/// What the probe says: names, each with what it found there.
pub type Particulars = BTreeMap<String, String>;

/// Runs the probe in a sandbox of its own. `scratch` is an empty directory on
/// the store's file system; the environment is that of the builder.
///
/// # Errors
/// There can be no sandbox of these conditions, or no program runs in it.
pub fn probe(
    objects: &Path,
    scratch: &Path,
    builder_uid: u32,
    environment: &BTreeMap<Vec<u8>, Vec<u8>>,
    conditions: &Conditions,
) -> Result<Particulars, SandboxError> {
    let setup = |action| move |source: std::io::Error| SandboxError::Setup { action, source };
    let path = format!("{}/.probe-program", conditions.build_directory);
    let files = [File { path: path.clone(), contents: PROGRAM.to_vec(), is_executable: true }];
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| setup("make a pipe")(e.into()))?;
    let spec = SandboxSpec {
        package_root: None,
        objects,
        store_dir: "/nix/store",
        inputs: &[],
        scratch,
        program: path.as_bytes(),
        arguments: &[],
        environment,
        files: &files,
        builder_uid,
        attached: Attached::Output(&write),
        conditions,
    };
    let mut child = spec.start()?;
    drop(write);
    let mut text = String::new();
    HostFile::from(read).read_to_string(&mut text).map_err(setup("hear from the probe"))?;
    let ended = child.wait()?;
    if !ended.status.success() {
        return Err(setup("ask the probe")(std::io::Error::other(format!("it ended with {}", ended.status))));
    }
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect())
}
