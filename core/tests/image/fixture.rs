//! A store of plain folders, and builders run on it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use osbuild_core::build::builtin::{BUILTINS, BuiltinContext, BuiltinError};
use osbuild_store::action::OutputName;
use serde_json::Value;

pub(crate) struct Fixture {
    directory: tempfile::TempDir,
}

/// What a builder left.
pub(crate) struct Built {
    pub(crate) outputs: BTreeMap<String, PathBuf>,
}

impl Built {
    pub(crate) fn read(&self, output: &str) -> Vec<u8> {
        fs::read(&self.outputs[output]).unwrap()
    }
}

/// A member of a package to be made.
pub(crate) enum Make<'a> {
    File(&'a [u8]),
    Program(&'a [u8]),
    Link(&'a str),
    Directory,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes a package; the result is its logical path.
    pub(crate) fn package(&self, name: &str, members: &[(&str, Make<'_>)]) -> String {
        let logical = logical(name);
        let root = self.physical(&logical);
        fs::create_dir_all(&root).unwrap();
        for (path, make) in members {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match make {
                Make::File(bytes) => fs::write(&path, bytes).unwrap(),
                Make::Program(bytes) => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                }
                Make::Link(target) => symlink(target, &path).unwrap(),
                Make::Directory => fs::create_dir_all(&path).unwrap(),
            }
        }
        logical
    }

    pub(crate) fn physical(&self, logical: &str) -> PathBuf {
        self.directory.path().join(logical.strip_prefix("/nix/store/").unwrap())
    }

    /// Runs a builder; its outputs are store objects named `<name>-<output>`.
    pub(crate) fn build(
        &self,
        builder: &str,
        name: &str,
        outputs: &[&str],
        parameters: Value,
    ) -> Result<Built, BuiltinError> {
        self.build_with_jobs(builder, name, outputs, parameters, 2)
    }

    pub(crate) fn build_with_jobs(
        &self,
        builder: &str,
        name: &str,
        outputs: &[&str],
        parameters: Value,
        jobs: usize,
    ) -> Result<Built, BuiltinError> {
        let place = |output: &&str| {
            let path = self.physical(&logical(&format!("{name}-{output}")));
            (OutputName::new(output).unwrap(), path)
        };
        let paths: BTreeMap<OutputName, PathBuf> = outputs.iter().map(place).collect();
        let builtin = BUILTINS.iter().find(|b| b.name == builder).unwrap();
        let cache = self.path().join("cache");
        fs::create_dir_all(&cache).unwrap();
        (builtin.run)(&BuiltinContext {
            parameters,
            name,
            outputs: &paths,
            physical: &|text| Ok(self.physical(text)),
            cache: &cache,
            jobs,
            log: &|_| {},
            progress: &|_, _| {},
            cancelled: &|| false,
        })?;
        let outputs = paths.into_iter().map(|(name, path)| (name.as_str().to_owned(), path)).collect();
        Ok(Built { outputs })
    }
}

/// A well-formed store path for a name.
pub(crate) fn logical(name: &str) -> String {
    format!("/nix/store/00000000000000000000000000000000-{name}")
}

/// Bytes that look random, always the same.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}
