//! What files of a store's objects have in common.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, Timespec, Timestamps, fchmod, flistxattr, fremovexattr, futimens};

use crate::TreeError;

/// Time stamps of every object, as Nix has them: 0 confuses some programs.
pub const TIMES: Timestamps = {
    let one = Timespec { tv_sec: 1, tv_nsec: 0 };
    Timestamps { last_access: one, last_modification: one }
};

/// Gives a file or directory that was just made its mode, its time and no
/// attributes: a new file inherits some from the directory that it is in.
/// `root` is for messages.
///
/// # Errors
/// The system refused.
pub fn settle(made: impl AsFd, mode: u32, root: &Path) -> Result<(), TreeError> {
    let mut names = [0u8; 4096];
    if let Ok(length) = flistxattr(&made, &mut names[..]) {
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            // Those that the kernel sets itself stay, and do no harm.
            let _ = fremovexattr(&made, name);
        }
    }
    fchmod(&made, Mode::from_raw_mode(mode)).map_err(TreeError::os("set a mode below", root))?;
    futimens(&made, &TIMES).map_err(TreeError::os("set a time below", root))
}
