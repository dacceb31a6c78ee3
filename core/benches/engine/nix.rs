//! Real Nix with a store of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::judge::judge;

/// What makes it comparable: no cache is asked, no helper process is asked
/// whether another machine builds, and builders run in Nix's own sandbox with
/// nothing of the host in it, or not at all.
const SETTINGS: &str = "\
experimental-features = nix-command
substituters =
build-hook =
build-users-group =
sandbox = true
sandbox-fallback = false
sandbox-paths =
";

/// A store below a directory, called `/nix/store` as ours is.
pub(crate) struct Nix {
    root: PathBuf,
    fsync: &'static str,
}

impl Nix {
    /// Which leaves it to the kernel when the database is on the disk, as we do
    /// until the end of a command.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), fsync: "fsync-metadata = false\n" }
    }

    /// As it is by itself: the database is on the disk after every change.
    pub(crate) fn synced(root: &Path) -> Self {
        Self { root: root.to_owned(), fsync: "fsync-metadata = true\n" }
    }

    pub(crate) fn command(&self, tool: &str) -> Command {
        let mut command = judge(tool).expect("a benchmark needs real Nix to compare with");
        command
            .env("NIX_CONFIG", format!("{SETTINGS}{}", self.fsync))
            .env("HOME", &self.root)
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_PATH")
            .args(["--store", &format!("local?root={}", self.root.display())]);
        command
    }

    /// Where its objects lie.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("nix/store")
    }
}
