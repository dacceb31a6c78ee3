//! The first program: from the verified root to the service manager.
//!
//! It never gives up. What fails is named on the console and handed on in
//! `/run/osbuild/early.json`; a node without its PRIVATE partition still
//! starts, and says so. It does nothing that can wait: DATA is `storage`'s,
//! settings are `settings`'.

mod machine_id;
mod mounts;
mod state;

use std::os::unix::process::CommandExt;
use std::process::Command;

use osbuild_boot::layout::Role;
use osbuild_sys::block::SystemDisk;
use osbuild_sys::console::say;
use osbuild_sys::filesystem::{self, Prepared};
use osbuild_sys::{clock, ioctl};
use state::{PrivateState, State};

const WHO: &str = "early";
const SERVICE_MANAGER: &str = "/usr/lib/systemd/systemd";

fn main() {
    let mut state = State::default();
    for step in mounts::kernel_file_systems() {
        state.note(step);
    }
    // Not before /proc is there to ask.
    state.began_ms = clock::uptime_ms();
    let watchdog = open_watchdog();
    state.watchdog = watchdog.is_some();
    state.watchdog_identity = watchdog.as_ref().and_then(|device| ioctl::watchdog_identity(device).ok());

    let disk = match SystemDisk::find() {
        Ok(disk) => Some(disk),
        Err(error) => {
            state.note(Err(error));
            None
        }
    };
    state.slot = disk.as_ref().map(|disk| disk.slot.name());
    state.disk = disk.as_ref().map(|disk| disk.name.clone());
    state.private = mount_private(disk.as_ref(), &mut state);
    state.note(mounts::etc());
    let id = machine_id::settle(&mut state);
    state.note(machine_id::install(&id));
    state.write();

    // The descriptor closes on exec without the magic close, so the timer runs
    // on until the service manager opens the device again.
    drop(watchdog);
    let error = Command::new(SERVICE_MANAGER).env_clear().exec();
    say(WHO, 2, &format!("cannot start {SERVICE_MANAGER}: {error}"));
    // Returning from the first program is a panic, and a panic is a reboot:
    // the loader's turn.
    std::process::exit(1);
}

/// Opens the hardware watchdog, which arms it if the loader has not.
fn open_watchdog() -> Option<std::fs::File> {
    std::fs::OpenOptions::new().write(true).open("/dev/watchdog0").ok()
}

fn mount_private(disk: Option<&SystemDisk>, state: &mut State) -> PrivateState {
    let prepared =
        disk.ok_or(PrivateState::Lost).and_then(|disk| match filesystem::prepare(disk, Role::Private, WHO) {
            Ok(Prepared::Formatted) => Ok((disk, PrivateState::Fresh)),
            Ok(Prepared::Checked) => Ok((disk, PrivateState::Kept)),
            Ok(Prepared::Damaged) => Err(PrivateState::Lost),
            Err(error) => {
                state.note(Err(error));
                Err(PrivateState::Lost)
            }
        });
    let mounted = prepared.and_then(|(disk, kind)| match mounts::private(&disk.partition(Role::Private)) {
        Ok(()) => Ok(kind),
        Err(error) => {
            state.note(Err(error));
            Err(PrivateState::Lost)
        }
    });
    mounted.unwrap_or_else(|lost| {
        say(WHO, 3, "PRIVATE is lost: what was refused and the floor are forgotten until it is reset");
        state.note(mounts::private_fallback());
        lost
    })
}
