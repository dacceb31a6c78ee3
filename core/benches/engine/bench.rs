//! What all rows are measured with: how large, how often, where, by which
//! programs.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use osbuild_store::local::remove_tree;

use crate::binary::our_binary;
use crate::nix::Nix;
use crate::place::Directory;

pub(crate) struct Bench {
    /// Times the full sizes.
    scale: f64,
    pub(crate) rounds: usize,
    binary: PathBuf,
    /// On the file system that `TMPDIR` names: a disk, if the figures are to
    /// mean anything.
    place: PathBuf,
    directories: Cell<usize>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Stores have no write bits, which a plain removal would stumble over.
        let _ = remove_tree(&self.place);
    }
}

impl Bench {
    /// `OSBUILD_BENCH_SCALE` (1 by default; 0.02 shows within minutes whether
    /// all rows run) and `OSBUILD_ROUNDS`.
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
        Self {
            scale: number("OSBUILD_BENCH_SCALE").unwrap_or(1.0),
            rounds: number("OSBUILD_ROUNDS").map_or(3, |rounds| rounds as usize).max(1),
            binary: our_binary(),
            place: tempfile::tempdir().expect("a temporary directory").keep(),
            directories: Cell::new(0),
        }
    }

    pub(crate) fn description(&self) -> String {
        let version = |mut command: Command| {
            let output = command.arg("--version").output().expect("it starts");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let (ours, nix) = (Command::new(&self.binary), Nix::new(&self.place).command("nix-store"));
        format!("{} rounds at scale {}, {} against {}", self.rounds, self.scale, version(ours), version(nix))
    }

    /// A full size as this run has it.
    pub(crate) fn scaled(&self, full: usize) -> usize {
        ((full as f64 * self.scale) as usize).max(1)
    }

    /// A quarter, a half and the whole of a full size: how it grows.
    pub(crate) fn sizes(&self, full: usize) -> [usize; 3] {
        [4, 2, 1].map(|part| self.scaled(full).div_ceil(part))
    }

    /// A new directory.
    pub(crate) fn directory(&self) -> Directory {
        let number = self.directories.get();
        self.directories.set(number + 1);
        Directory::make(self.place.join(number.to_string()))
    }

    /// Our command line over a store of its own.
    pub(crate) fn ours(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .env("OSBUILD_HOME", home)
            .env("OSBUILD_CONFIG", "/dev/null")
            .env_remove("OSBUILD_SUBSTITUTERS")
            .env_remove("NIX_PATH");
        command
    }

    /// Builds at a time, for both.
    pub(crate) fn jobs() -> String {
        available_parallelism().map_or(1, std::num::NonZero::get).to_string()
    }
}
