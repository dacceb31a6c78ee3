//! The command line that is measured.

use std::path::{Path, PathBuf};

/// `osbuild` of the same build profile, or what `OSBUILD_BINARY` names.
pub(crate) fn our_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("OSBUILD_BINARY") {
        return path.into();
    }
    let here = std::env::current_exe().expect("a running program has a path");
    let profile = here.parent().and_then(Path::parent).expect("benches are in deps/ of their profile");
    let binary = profile.join("osbuild");
    assert!(binary.exists(), "build it first: cargo build --release -p osbuild");
    binary
}
