//! Asks a program in a sandbox what it finds there.

use std::collections::BTreeMap;
use std::fs::File as HostFile;
use std::io::Read;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::{Attached, Conditions, File, SandboxError, SandboxSpec};

/// `probe/main.rs`, compiled.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;
    use crate::BUILDER_IDS;

    /// As a child of another build holds what this process writes just then.
    #[test]
    fn a_program_that_is_being_written_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (objects, scratch) = (place.path().join("objects"), place.path().join("scratch"));
        fs::create_dir(&objects).unwrap();
        fs::create_dir(&scratch).unwrap();
        let program = objects.join("program");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let held = fs::OpenOptions::new().append(true).open(&program).unwrap();
        let output = std::os::fd::OwnedFd::from(fs::File::create("/dev/null").unwrap());
        let spec = SandboxSpec {
            package_root: None,
            objects: &objects,
            store_dir: "/nix/store",
            inputs: &["program".to_owned()],
            scratch: &scratch,
            program: b"/nix/store/program",
            arguments: &[],
            environment: &BTreeMap::new(),
            files: &[],
            builder_uid: BUILDER_IDS.start,
            attached: Attached::Output(&output),
            conditions: &Conditions::default(),
        };
        let mut holder = Command::new("sleep").arg("0.3").stdout(held).spawn().unwrap();
        let ended = spec.start().unwrap().wait().unwrap();
        assert!(ended.status.success(), "{}", ended.status);
        assert!(holder.wait().unwrap().success());
    }
}
