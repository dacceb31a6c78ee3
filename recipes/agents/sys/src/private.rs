//! PRIVATE's two-generation record on its file system.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use osbuild_boot::private::Private;

use crate::{Failed, Result};

/// Where `early` mounts PRIVATE, or a tmpfs if it is lost.
pub const MOUNT: &str = "/run/osbuild/private";

fn place(index: usize) -> PathBuf {
    Path::new(MOUNT).join(format!("slots.{index}"))
}

/// The record that counts; the default if there is none.
pub fn read() -> Private {
    let bytes = |index| std::fs::read(place(index)).unwrap_or_default();
    Private::newest(&bytes(0), &bytes(1))
}

/// Writes the next generation over the older one.
///
/// # Errors
/// Writing or syncing failed; the generation before is intact.
pub fn write(mut state: Private) -> Result<()> {
    let path = place(state.next_place());
    state.generation += 1;
    let mut file = File::create(&path).map_err(Failed::at("create", &path))?;
    file.write_all(&state.encode()).map_err(Failed::at("write", &path))?;
    file.sync_all().map_err(Failed::at("sync", &path))?;
    let directory = File::open(MOUNT).map_err(Failed::at("open", MOUNT))?;
    directory.sync_all().map_err(Failed::at("sync", MOUNT))
}
