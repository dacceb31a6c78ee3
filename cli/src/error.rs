//! How the command ends: the only place where an error becomes a kind, a hint
//! and an exit code.

use std::process::ExitCode;

/// The exit codes, which scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked was done.
    Done = 0,
    /// What was asked failed: an evaluation, a build, a boot.
    Failed = 1,
    /// The command line or the configuration is wrong.
    UsedWrongly = 2,
    /// A hash, a signature or a comparison was refused, at whatever depth.
    Refused = 3,
    /// A bug in this program.
    Bug = 70,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
