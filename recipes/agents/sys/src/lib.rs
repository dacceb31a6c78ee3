//! What the agents ask of the kernel, behind safe functions.
//!
//! The only unsafe code of the agents besides the loader's is in [`ioctl`].
//! Nothing here decides anything: the law of slots is `osbuild-boot`'s, what
//! to mount is the agents'.

pub mod block;
pub mod clock;
pub mod command;
pub mod console;
pub mod direct;
pub mod dm;
pub mod ending;
pub mod filesystem;
pub mod ioctl;
pub mod lock;
pub mod notify;
pub mod os_release;
pub mod private;
pub mod release;
pub mod signals;
pub mod state;

use std::path::PathBuf;

/// An operation that failed, with what was being done to what.
#[derive(Debug)]
pub struct Failed {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: std::io::Error,
}

impl Failed {
    /// For `map_err`.
    pub fn at<E: Into<std::io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self { action, path, source: source.into() }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.path.display(), self.source)
    }
}

impl std::error::Error for Failed {}

pub type Result<T> = std::result::Result<T, Failed>;
