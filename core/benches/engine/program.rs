//! The builder of all rows: static, so that a sandbox needs nothing but it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::run;

/// Compiles it to `program` in a directory.
pub(crate) fn compile(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/engine/program.c");
    let program = directory.join("program");
    run(Command::new("cc").args(["-O2", "-static", "-s", "-o"]).args([&program, &source]));
    program
}
