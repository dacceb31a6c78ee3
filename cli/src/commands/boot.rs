//! `osbuild boot`: runs what was built in QEMU, which itself comes out of the
//! store.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::machine::{Acceleration, Disk, Forward, Machine, Network, copy_sparse, start};

/// Boot a variant in QEMU, its serial console on the terminal
///
/// Builds what is missing. QEMU and its firmware come from pinned packages in
/// the store, so nothing needs to be installed. The image itself is never
/// written: the guest's writes go to a throw-away overlay, or to --disk.
/// Ctrl-A X ends the machine.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, or a folder that holds one
    #[arg(value_name = "TARGET")]
    target: String,
    /// Keep the disk in this raw image; made from TARGET if it does not exist
    #[arg(long, value_name = "FILE")]
    disk: Option<PathBuf>,
    /// Size of a disk that --disk makes, in MiB (default: the image's)
    #[arg(long, value_name = "MIB", requires = "disk")]
    disk_size: Option<u64>,
    /// Another disk, kept in this raw image, which must exist (repeatable)
    #[arg(long, value_name = "FILE")]
    extra_disk: Vec<PathBuf>,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    memory: u32,
    /// Virtual processors
    #[arg(long, value_name = "N", default_value_t = 2)]
    cpus: u32,
    /// Hand this file to the guest as its user data
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Text that the guest's containers answer with SHA-256(text ‖ name)
    #[arg(long, value_name = "TEXT")]
    challenge: Option<String>,
    /// Write the guest's report (JSON lines) to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the serial console to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    serial: Option<PathBuf>,
    /// Boot under firmware that enforces the keys in this variable store (a
    /// copy is used; `osbuild sign` makes disks that it starts)
    #[arg(long, value_name = "VARIABLES")]
    secure_boot: Option<PathBuf>,
    /// End when the guest reboots instead of following it
    #[arg(long)]
    no_reboot: bool,
    /// What the guest's network card is connected to
    #[arg(long, value_enum, default_value_t = Network::User)]
    network: Network,
    /// Reach a port of the guest at one of this host's loopback address, or of
    /// another address of this host's (repeatable)
    #[arg(long, value_name = "[ADDRESS:]HOST:GUEST", value_parser = parse_forward, conflicts_with = "network")]
    forward: Vec<Forward>,
    /// The maker that the machine names: for "Amazon EC2" it counts as an EC2
    /// instance
    #[arg(long, value_name = "NAME", value_parser = parse_manufacturer)]
    manufacturer: Option<String>,
    /// What the machine's clock says at first, in UTC (default: the time)
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SS", value_parser = parse_clock)]
    clock: Option<String>,
    /// Speak QEMU's machine protocol over this socket, at which somebody listens
    #[arg(long, value_name = "SOCKET")]
    qmp: Option<PathBuf>,
    /// Record every write to the disk in this file, as dm-log-writes does
    #[arg(long, value_name = "FILE", requires = "disk")]
    log_writes: Option<PathBuf>,
    /// Hardware virtualisation or emulation
    #[arg(long, value_enum, default_value_t = Acceleration::Auto)]
    accel: Acceleration,
    /// Emulate one processor that takes a nanosecond for each instruction, so
    /// that the guest's times do not depend on this machine's speed
    #[arg(long, conflicts_with_all = ["accel", "cpus"])]
    instruction_clock: bool,
}

/// No comma: QEMU's options end there.
fn parse_manufacturer(text: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if is_name && !text.contains(',') {
        Ok(text.to_owned())
    } else {
        Err("give a name without a comma".to_owned())
    }
}

/// As QEMU reads it, and nothing else of its options.
fn parse_clock(text: &str) -> Result<String, String> {
    let is_time = text.len() == 19
        && text.bytes().zip(b"0000-00-00T00:00:00").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        });
    if is_time { Ok(text.to_owned()) } else { Err("give a time as 1970-01-01T00:00:00".to_owned()) }
}

fn parse_forward(text: &str) -> Result<Forward, String> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let parts: Vec<&str> = text.split(':').collect();
    let (address, ports) = match parts.as_slice() {
        [host, guest] => (Some(Ipv4Addr::LOCALHOST), (port(host), port(guest))),
        [address, host, guest] => (address.parse().ok(), (port(host), port(guest))),
        _ => (None, (None, None)),
    };
    match (address, ports) {
        (Some(address), (Some(host), Some(guest))) => Ok(Forward { address, host, guest }),
        _ => Err("give two ports, 2222:22, or an address before them, 127.0.0.2:2222:22".to_owned()),
    }
}

impl Arguments {
    fn machine(self, disk: Disk) -> Machine {
        Machine {
            disk,
            extra_disks: self.extra_disk,
            memory_mib: self.memory,
            cpus: self.cpus,
            acceleration: self.accel,
            instruction_clock: self.instruction_clock,
            network: self.network,
            forward: self.forward,
            user_data: self.user_data,
            challenge: self.challenge,
            manufacturer: self.manufacturer,
            clock: self.clock,
            secure_boot: self.secure_boot,
            report: self.report,
            serial: self.serial,
            qmp: self.qmp,
            log_writes: self.log_writes,
            no_reboot: self.no_reboot,
        }
    }
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let [image, qemu] = super::build::make(&store, &[&arguments.target, "pkgs.qemu"], common)?
        .try_into()
        .expect("one path a target");
    let factory = image.join("disk.raw");
    if !factory.is_file() {
        return Err(Failure::usage(
            &format!("'{}' makes no raw disk image", arguments.target),
            "boot a variant whose formats include \"raw\"",
        ));
    }
    let disk = match &arguments.disk {
        Some(kept) => {
            if !kept.exists() {
                copy_sparse(&factory, kept, arguments.disk_size)?;
            }
            Disk::Kept(kept.clone())
        }
        None => Disk::Overlay(factory),
    };
    let target = arguments.target.clone();
    let machine = arguments.machine(disk);
    if machine.serial.is_none() && !common.quiet {
        eprintln!("booting {target} ({}); Ctrl-A X ends the machine", machine.how());
    }
    let status = start(&machine, &qemu)?.wait()?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::new(Exit::Failed, &format!("QEMU ended with status {code}"))),
        None => Err(Failure::new(Exit::Failed, "QEMU was ended by a signal")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_in_pairs() {
        let forward = |address, host, guest| Forward { address, host, guest };
        assert_eq!(parse_forward("2222:22"), Ok(forward(Ipv4Addr::LOCALHOST, 2222, 22)));
        let other = Ipv4Addr::new(10, 0, 2, 15);
        assert_eq!(parse_forward("10.0.2.15:1:2"), Ok(forward(other, 1, 2)));
        for bent in [
            "",
            "22",
            ":",
            "22:",
            ":22",
            "0:22",
            "22:0",
            "65536:22",
            "22:a",
            "1:2:3",
            "a:1:2",
            "1.2.3.4:1:2:3",
        ] {
            assert!(parse_forward(bent).is_err(), "{bent}");
        }
    }

    #[test]
    fn a_clock_is_a_time_and_no_other_option() {
        assert_eq!(parse_clock("1970-01-01T00:00:00").as_deref(), Ok("1970-01-01T00:00:00"));
        for bent in ["", "utc", "1970-01-01", "1970-01-01T00:00:0,", "1970-01-01T00:00:00,clock=vm"] {
            assert!(parse_clock(bent).is_err(), "{bent}");
        }
    }

    #[test]
    fn a_manufacturer_is_no_other_option() {
        assert_eq!(parse_manufacturer("Amazon EC2").as_deref(), Ok("Amazon EC2"));
        for bent in ["", "a,serial=b", "a\nb", "ä", &"a".repeat(65)] {
            assert!(parse_manufacturer(bent).is_err(), "{bent}");
        }
    }
}
