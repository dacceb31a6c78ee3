//! `osbuild boot`: runs what was built in QEMU, which itself comes out of the
//! store.

mod machine;

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use osbuild_core::build::sandbox::{Child, HostRun, Streams, catch_interrupts};
use rustix::fs::SeekFrom;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

use machine::{Machine, QEMU, SCRATCH, VARIABLES};

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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Network {
    /// The host's network, through QEMU's own address translation
    User,
    /// A network namespace with nothing in it
    Isolated,
    /// No network card
    None,
}

/// From a port of the host's to one of the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forward {
    address: Ipv4Addr,
    host: u16,
    guest: u16,
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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Acceleration {
    Auto,
    Kvm,
    Tcg,
}

const POLL: Duration = Duration::from_millis(20);
/// For QEMU to end before it is killed.
const SWITCHING_OFF: Duration = Duration::from_secs(5);

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
    let scratch =
        tempfile::tempdir().map_err(|e| cannot("make a directory in", &std::env::temp_dir(), &e))?;
    let variables = scratch.path().join("variables.fd");
    let keys = arguments.secure_boot.clone().unwrap_or_else(|| qemu.join(VARIABLES));
    copy_writable(&keys, &variables)?;

    let mut tool = HostRun::new(&qemu, QEMU);
    tool.bind(scratch.path(), SCRATCH, true).environment("TMPDIR", SCRATCH);
    let machine = Machine { arguments: &arguments };
    machine.describe(&mut tool, &factory)?;
    if arguments.serial.is_none() && !common.quiet {
        let how = if machine.uses_kvm() { "hardware virtualisation" } else { "emulation, which is slow" };
        eprintln!("booting {} ({how}); Ctrl-A X ends the machine", arguments.target);
    }
    let status = wait(&mut tool.start(&Streams::default())?)?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::new(Exit::Failed, &format!("QEMU ended with status {code}"))),
        None => Err(Failure::new(Exit::Failed, "QEMU was ended by a signal")),
    }
}

/// Until the machine ends, or until we are asked to: then it is switched off.
fn wait(child: &mut Child) -> Result<ExitStatus, Failure> {
    let interrupted = catch_interrupts();
    let mut patience = SWITCHING_OFF.as_millis() / POLL.as_millis();
    loop {
        if let Some(ended) = child.try_wait()? {
            return Ok(ended.status);
        }
        if interrupted.load(Ordering::Relaxed) {
            match patience {
                0 => child.kill(),
                _ => child.terminate(),
            }
            patience = patience.saturating_sub(1);
        }
        std::thread::sleep(POLL);
    }
}

fn copy_writable(from: &Path, to: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(from).map_err(|error| cannot("read", from, &error))?;
    std::fs::write(to, bytes).map_err(|error| cannot("write", to, &error))
}

/// Copies the data of a sparse file and keeps its holes; `mebibytes` may make
/// the copy longer. It appears whole or not at all.
fn copy_sparse(from: &Path, to: &Path, mebibytes: Option<u64>) -> Result<(), Failure> {
    let source = File::open(from).map_err(|error| cannot("open", from, &error))?;
    let length = source.metadata().map_err(|error| cannot("look at", from, &error))?.len();
    let size = mebibytes.map_or(length, |mebibytes| mebibytes << 20);
    if size < length {
        return Err(Failure::usage(
            &format!(
                "--disk-size {} is smaller than the image, which has {} MiB",
                size >> 20,
                length.div_ceil(1 << 20)
            ),
            "",
        ));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside =
        tempfile::NamedTempFile::new_in(folder).map_err(|error| cannot("write in", folder, &error))?;
    copy_data(&source, beside.as_file(), length)
        .and_then(|()| beside.as_file().set_len(size))
        .map_err(|error| cannot("write", to, &error))?;
    beside.persist(to).map_err(|error| cannot("write", to, &error.error))?;
    Ok(())
}

fn copy_data(source: &File, target: &File, length: u64) -> io::Result<()> {
    let mut buffer = vec![0u8; 1 << 20];
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data beyond.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(start))?;
        at = start;
        while at < end {
            let count = buffer.len().min((end - at) as usize);
            source.read_exact_at(&mut buffer[..count], at)?;
            target.write_all_at(&buffer[..count], at)?;
            at += count as u64;
        }
    }
    Ok(())
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, &format!("cannot {action} {}: {error}", path.display()))
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
