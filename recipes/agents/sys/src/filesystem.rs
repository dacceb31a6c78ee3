//! ext4 on PRIVATE and DATA, made and checked with the e2fsprogs of the image.
//!
//! The law (disk, "PRIVATE and DATA"): attribute bit 48 is set after mkfs and
//! sync. Clear: make it again. Set and the check fails: never make it again.

use std::path::Path;
use std::process::{Command, Stdio};

use osbuild_boot::layout::{FORMATTED_BIT, Role};

use crate::block::SystemDisk;
use crate::console::say;
use crate::{Failed, Result};

/// What was found or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Made now.
    Formatted,
    /// Checked, and repaired where that was safe.
    Checked,
    /// Cannot be repaired without a human's word.
    Damaged,
}

/// Makes or checks the file system of a partition.
///
/// # Errors
/// A program could not be run, mkfs failed, or the table could not be written.
pub fn prepare(disk: &SystemDisk, role: Role, who: &str) -> Result<Prepared> {
    let device = disk.partition(role);
    let formatted = 1u64 << FORMATTED_BIT;
    let is_formatted = disk.update_table(|table| {
        (false, table.partition(role).is_some_and(|e| e.attributes & formatted != 0))
    })?;
    if is_formatted {
        return check(&device, who);
    }
    say(who, 5, &format!("formatting {} ({})", role.name(), device.display()));
    make(&device, role.name())?;
    disk.update_table(|table| {
        let Some(mut entry) = table.partition(role) else { return (false, ()) };
        entry.attributes |= formatted;
        table.set_partition(role, &entry);
        (true, ())
    })?;
    Ok(Prepared::Formatted)
}

/// Makes an ext4 file system, and sees to it that it is on the disk.
///
/// # Errors
/// mke2fs could not be run or failed.
pub fn make(device: &Path, label: &str) -> Result<()> {
    // Inode tables are zeroed in the background, so that a large disk does not
    // hold up the first start; no reserved blocks, since nobody logs in.
    let status = run(&[
        "/usr/sbin/mke2fs".as_ref(),
        "-q".as_ref(),
        "-F".as_ref(),
        "-t".as_ref(),
        "ext4".as_ref(),
        "-m".as_ref(),
        "0".as_ref(),
        "-E".as_ref(),
        "lazy_itable_init=1,nodiscard".as_ref(),
        "-L".as_ref(),
        label.as_ref(),
        device.as_os_str(),
    ])?;
    if status != 0 {
        let source = std::io::Error::other(format!("mke2fs ended with status {status}"));
        return Err(Failed { action: "make a file system on", path: device.to_owned(), source });
    }
    let handle = std::fs::File::open(device).map_err(Failed::at("open", device))?;
    handle.sync_all().map_err(Failed::at("sync", device))
}

/// Writes out all of the file system that a path is on: what other programs
/// wrote there without seeing to it that it stays.
///
/// # Errors
/// The path cannot be opened, or something did not reach the disk.
pub fn sync(path: &Path) -> Result<()> {
    let handle = std::fs::File::open(path).map_err(Failed::at("open", path))?;
    rustix::fs::syncfs(&handle).map_err(Failed::at("sync the file system of", path))
}

/// Checks an ext4 file system, and repairs what is safe to repair.
///
/// # Errors
/// e2fsck could not be run.
pub fn check(device: &Path, who: &str) -> Result<Prepared> {
    // e2fsck(8): 0 clean, 1 corrected, 2 corrected and reboot asked; more: not.
    let status = run(&["/usr/sbin/e2fsck".as_ref(), "-p".as_ref(), device.as_os_str()])?;
    match status {
        0 => Ok(Prepared::Checked),
        1 | 2 => {
            say(who, 4, &format!("{}: file system was repaired", device.display()));
            Ok(Prepared::Checked)
        }
        _ => Ok(Prepared::Damaged),
    }
}

/// Grows the file system to its partition; does nothing if it fills it.
///
/// # Errors
/// resize2fs could not be run or failed.
pub fn grow(device: &Path) -> Result<()> {
    let status = run(&["/usr/sbin/resize2fs".as_ref(), device.as_os_str()])?;
    if status == 0 {
        return Ok(());
    }
    let source = std::io::Error::other(format!("resize2fs ended with status {status}"));
    Err(Failed { action: "grow the file system on", path: device.to_owned(), source })
}

fn run(arguments: &[&std::ffi::OsStr]) -> Result<i32> {
    let status = Command::new(arguments[0])
        .args(&arguments[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(Failed::at("run", arguments[0]))?;
    Ok(status.code().unwrap_or(-1))
}
