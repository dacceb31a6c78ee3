//! DATA: grown to the disk, formatted once, checked, mounted on /var.
//!
//! Runs before anything that writes to /var. A file system that cannot be
//! repaired is never made again by a program: it stays unmounted, /var is a
//! tmpfs, and the node says so. `storage ephemeral` puts what containers write
//! on a disk of its own, if the settings name one.

mod ephemeral;
mod reserve;

use std::path::Path;
use std::process::ExitCode;

use osbuild_boot::gpt::Disk;
use osbuild_boot::layout::{Role, SECTOR_SIZE};
use osbuild_sys::block::{FileDisk, SystemDisk};
use osbuild_sys::console::say;
use osbuild_sys::filesystem::{self, Prepared};
use osbuild_sys::{Failed, Result, ioctl};
use reserve::Reserve;
use rustix::mount::{MountFlags, mount};

const WHO: &str = "storage";
const TARGET: &str = "/var";
const STATE: &str = "/run/osbuild/storage.json";

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| word == "ephemeral") {
        ephemeral::provide();
        return ExitCode::SUCCESS;
    }
    let outcome = prepare();
    let (data, failure) = match &outcome {
        Ok(Prepared::Formatted) => ("fresh", None),
        Ok(Prepared::Checked) => ("kept", None),
        Ok(Prepared::Damaged) => {
            ("lost", Some("DATA has a damaged file system; it is left as it is".to_owned()))
        }
        Err(error) => ("lost", Some(error.to_string())),
    };
    let reserve = outcome.as_ref().is_ok_and(|prepared| *prepared != Prepared::Damaged).then(reserve);
    let state = serde_json::json!({ "schema": 1, "data": data, "failure": failure, "reserve": reserve });
    if let Err(error) = std::fs::write(STATE, format!("{state}\n")) {
        say(WHO, 3, &format!("cannot write {STATE}: {error}"));
    }
    let Some(failure) = failure else { return ExitCode::SUCCESS };
    say(WHO, 3, &failure);
    if let Err(error) = mount("tmpfs", TARGET, "tmpfs", MountFlags::NODEV, c"mode=0755") {
        say(WHO, 3, &format!("cannot mount a tmpfs on {TARGET}: {error}"));
    }
    // A failed unit: the health contract sees it, and so does the operator.
    ExitCode::FAILURE
}

/// What became of the room that is kept for a full DATA.
fn reserve() -> Option<&'static str> {
    match reserve::keep(Path::new(TARGET)) {
        Ok(found) => {
            if let Reserve::GivenUp(bytes) = found {
                let mebibytes = bytes >> 20;
                say(WHO, 3, &format!("DATA is full: its reserve of {mebibytes} MiB is given up; make room"));
            }
            Some(found.name())
        }
        Err(error) => {
            say(WHO, 4, &error.to_string());
            None
        }
    }
}

fn prepare() -> Result<Prepared> {
    let disk = SystemDisk::find()?;
    grow_partition(&disk)?;
    let device = disk.partition(Role::Data);
    let prepared = filesystem::prepare(&disk, Role::Data, WHO)?;
    if prepared == Prepared::Damaged {
        return Ok(prepared);
    }
    mount_data(&device)?;
    // While it is mounted: an unmounted file system is grown only after a full
    // check, which would hold up every start. What was made now fills its
    // partition, and a file system that cannot grow is still a good one.
    if prepared == Prepared::Checked {
        if let Err(error) = filesystem::grow(&device) {
            say(WHO, 4, &error.to_string());
        }
    }
    Ok(prepared)
}

/// Takes up what the disk has grown by: backup table at the new end first.
fn grow_partition(disk: &SystemDisk) -> Result<()> {
    let mut device = FileDisk::open(&disk.device())?;
    let sectors = device.sector_count();
    let grown = disk.update_table(|table| match table.grown_to(sectors) {
        Some(grown) => {
            *table = grown;
            (true, table.partition(Role::Data))
        }
        None => (false, None),
    })?;
    let Some(entry) = grown else { return Ok(()) };
    device.flush().map_err(Failed::at("flush", disk.device()))?;
    let handle = std::fs::File::open(disk.device()).map_err(Failed::at("open", disk.device()))?;
    let (start, length) = (entry.first * SECTOR_SIZE, entry.sector_count() * SECTOR_SIZE);
    ioctl::resize_partition(&handle, Role::Data.number(), start, length)
        .map_err(Failed::at("tell the kernel the new size of", disk.partition(Role::Data)))?;
    say(WHO, 5, &format!("DATA now has {} MiB", length >> 20));
    Ok(())
}

fn mount_data(device: &Path) -> Result<()> {
    let flags = MountFlags::NODEV | MountFlags::NOATIME;
    mount(device, TARGET, "ext4", flags, c"").map_err(Failed::at("mount", TARGET))
}
