//! Machines of QEMU's, which itself comes out of the store: what `osbuild boot`
//! and `osbuild test` run, in QEMU's own words. Nothing here judges what a
//! machine does.

mod disk;
mod running;

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use osbuild_core::build::sandbox::HostRun;

use crate::error::{Exit, Failure};

pub(crate) use disk::copy_sparse;
pub(crate) use running::{Running, start};

pub(crate) const QEMU: &str = "/usr/bin/qemu-system-x86_64";
const FIRMWARE: &str = "usr/share/OVMF/OVMF_CODE_4M.fd";
const SECURE_FIRMWARE: &str = "usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "usr/share/OVMF/OVMF_VARS_4M.fd";
/// Where host files appear to QEMU.
const DISK: &str = "/run/disk.raw";
const SCRATCH: &str = "/run/scratch";
const REPORT: &str = "/run/report";
const SERIAL: &str = "/run/serial";
const USER_DATA: &str = "/run/user-data";
const QMP: &str = "/run/qmp";
const WRITES: &str = "/run/writes";
/// What a clock of instructions says at first, if nobody says.
const INSTRUCTIONS_SINCE: &str = "2026-01-01T00:00:00";

/// A machine, as it is described to QEMU.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) disk: Disk,
    /// Others, kept in raw images.
    pub(crate) extra_disks: Vec<PathBuf>,
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
    pub(crate) acceleration: Acceleration,
    /// One processor takes a nanosecond for each instruction.
    pub(crate) instruction_clock: bool,
    pub(crate) network: Network,
    pub(crate) forward: Vec<Forward>,
    /// Given to the guest through the firmware.
    pub(crate) user_data: Option<PathBuf>,
    pub(crate) challenge: Option<String>,
    /// Who made the machine, as its firmware says.
    pub(crate) manufacturer: Option<String>,
    /// What its clock says at first; the time unless given.
    pub(crate) clock: Option<String>,
    /// Firmware variables with keys: the firmware enforces them.
    pub(crate) secure_boot: Option<PathBuf>,
    /// Where the guest's report goes; without it there is no port for it.
    pub(crate) report: Option<PathBuf>,
    /// Where the console goes; the terminal unless given.
    pub(crate) serial: Option<PathBuf>,
    /// Where somebody listens who has power over the machine.
    pub(crate) qmp: Option<PathBuf>,
    /// Where every write to the disk is recorded.
    pub(crate) log_writes: Option<PathBuf>,
    /// It ends when the guest reboots.
    pub(crate) no_reboot: bool,
}

/// Its disk, a raw image.
#[derive(Clone, Debug)]
pub(crate) enum Disk {
    /// Never written: what the guest writes is gone with the machine.
    Overlay(PathBuf),
    Kept(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Network {
    /// The host's network, through QEMU's own address translation
    User,
    /// A network namespace with nothing in it
    Isolated,
    /// No network card
    None,
}

/// From a port of the host's to one of the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) address: Ipv4Addr,
    pub(crate) host: u16,
    pub(crate) guest: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Acceleration {
    Auto,
    Kvm,
    Tcg,
}

impl Machine {
    /// With nothing but what every machine has.
    pub(crate) fn new(disk: Disk) -> Self {
        Self {
            disk,
            extra_disks: Vec::new(),
            memory_mib: 2048,
            cpus: 2,
            acceleration: Acceleration::Auto,
            instruction_clock: false,
            network: Network::User,
            forward: Vec::new(),
            user_data: None,
            challenge: None,
            manufacturer: None,
            clock: None,
            secure_boot: None,
            report: None,
            serial: None,
            qmp: None,
            log_writes: None,
            no_reboot: false,
        }
    }

    /// What enforces nothing, or the keys that are given; below QEMU's root.
    pub(crate) fn firmware(&self) -> &'static str {
        if self.secure_boot.is_some() { SECURE_FIRMWARE } else { FIRMWARE }
    }

    /// The variables that the firmware begins with.
    pub(crate) fn variables(&self, qemu: &Path) -> PathBuf {
        self.secure_boot.clone().unwrap_or_else(|| qemu.join(VARIABLES))
    }

    fn describe(&self, tool: &mut HostRun) -> Result<(), Failure> {
        for word in [
            "-no-user-config",
            "-nodefaults",
            "-display",
            "none",
            // A machine of always the same identity; nothing depends on it.
            "-uuid",
            "6f736275-696c-4d64-8e6f-646500000001",
        ] {
            tool.argument(word);
        }
        let two = |tool: &mut HostRun, option: &str, value: String| {
            tool.argument(option).argument(value);
        };
        let clock = self.clock.as_deref();
        if self.instruction_clock {
            // Always the same at first, and nothing of the host's time later.
            let base = clock.unwrap_or(INSTRUCTIONS_SINCE);
            two(tool, "-rtc", format!("base={base},clock=vm"));
            two(tool, "-icount", "shift=0,sleep=off".to_owned());
        } else {
            two(tool, "-rtc", format!("base={}", clock.unwrap_or("utc")));
        }
        if let Some(name) = &self.manufacturer {
            two(tool, "-smbios", format!("type=1,manufacturer={name}"));
        }
        if self.secure_boot.is_some() {
            // Only code in system management mode may write the variables, or
            // the system could enrol keys of its own.
            two(tool, "-machine", "q35,smm=on".to_owned());
            two(tool, "-global", "driver=cfi.pflash01,property=secure,value=on".to_owned());
        } else {
            two(tool, "-machine", "q35".to_owned());
        }
        if self.uses_kvm() {
            tool.kvm();
            two(tool, "-accel", "kvm".to_owned());
            two(tool, "-cpu", "host".to_owned());
        } else {
            let threads = if self.instruction_clock { "single" } else { "multi" };
            two(tool, "-accel", format!("tcg,thread={threads}"));
            two(tool, "-cpu", "max".to_owned());
        }
        two(tool, "-m", self.memory_mib.to_string());
        let cpus = if self.instruction_clock { 1 } else { self.cpus };
        two(tool, "-smp", cpus.to_string());
        let firmware = |unit: u8, file: String, extra: &str| {
            format!("if=pflash,format=raw,unit={unit},file={file}{extra}")
        };
        two(tool, "-drive", firmware(0, format!("/{}", self.firmware()), ",readonly=on"));
        two(tool, "-drive", firmware(1, format!("{SCRATCH}/variables.fd"), ""));
        self.disks(tool)?;
        self.network(tool);
        for device in ["virtio-rng-pci", "virtio-serial-pci", "i6300esb"] {
            two(tool, "-device", device.to_owned());
        }
        two(tool, "-action", "watchdog=reset".to_owned());
        self.channels(tool)?;
        if self.no_reboot {
            tool.argument("-no-reboot");
        }
        Ok(())
    }

    /// For people.
    pub(crate) fn how(&self) -> &'static str {
        if self.uses_kvm() { "hardware virtualisation" } else { "emulation, which is slow" }
    }

    /// KVM only where it really runs a guest: `/dev/kvm` alone may belong to a
    /// module that cannot.
    pub(crate) fn uses_kvm(&self) -> bool {
        let is_real = || {
            ["kvm_intel", "kvm_amd"].iter().any(|module| Path::new("/sys/module").join(module).exists())
                && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
        };
        match self.acceleration {
            Acceleration::Auto => !self.instruction_clock && is_real(),
            Acceleration::Kvm => true,
            Acceleration::Tcg => false,
        }
    }

    fn disks(&self, tool: &mut HostRun) -> Result<(), Failure> {
        let overlay = match &self.disk {
            Disk::Kept(kept) => {
                tool.bind(kept, DISK, true);
                "off"
            }
            Disk::Overlay(image) => {
                tool.bind(image, DISK, false);
                "on"
            }
        };
        let drive = match &self.log_writes {
            Some(file) => {
                bind_new(tool, file, WRITES)?;
                format!(
                    "driver=blklogwrites,file.driver=file,file.filename={DISK},\
                     log.driver=file,log.filename={WRITES},log-sector-size=512"
                )
            }
            None => format!("format=raw,file={DISK},snapshot={overlay}"),
        };
        tool.argument("-drive").argument(format!("if=none,id=disk,{drive}"));
        tool.argument("-device").argument("virtio-blk-pci,drive=disk,bootindex=0");
        for (number, file) in self.extra_disks.iter().enumerate() {
            if !file.is_file() {
                return Err(Failure::usage(
                    &format!("no disk {}", file.display()),
                    "make it: truncate -s 1G FILE",
                ));
            }
            let inside = format!("/run/extra-{number}.raw");
            tool.bind(file, &inside, true);
            tool.argument("-drive").argument(format!("if=none,id=extra{number},format=raw,file={inside}"));
            tool.argument("-device").argument(format!("virtio-blk-pci,drive=extra{number}"));
        }
        Ok(())
    }

    fn network(&self, tool: &mut HostRun) {
        if self.network == Network::None {
            return;
        }
        if self.network == Network::Isolated {
            tool.isolate_network();
        }
        let mut netdev = "user,id=net".to_owned();
        for Forward { address, host, guest } in &self.forward {
            netdev.push_str(&format!(",hostfwd=tcp:{address}:{host}-:{guest}"));
        }
        tool.argument("-netdev").argument(netdev);
        // No option ROM: the firmware is not to try the network.
        tool.argument("-device").argument("virtio-net-pci,netdev=net,mac=52:54:00:6f:73:62,romfile=");
    }

    fn channels(&self, tool: &mut HostRun) -> Result<(), Failure> {
        match &self.serial {
            Some(file) => {
                bind_new(tool, file, SERIAL)?;
                tool.argument("-serial").argument(format!("file:{SERIAL}"));
            }
            None => {
                tool.argument("-serial").argument("mon:stdio");
            }
        }
        if let Some(file) = &self.report {
            bind_new(tool, file, REPORT)?;
            tool.argument("-chardev").argument(format!("file,id=report,path={REPORT}"));
            tool.argument("-device").argument("virtserialport,chardev=report,name=org.osbuild.report.0");
        }
        if let Some(text) = &self.challenge {
            // QEMU reads `,,` as one comma.
            let text = text.replace(',', ",,");
            tool.argument("-fw_cfg").argument(format!("name=opt/org.osbuild/nonce,string={text}"));
        }
        if let Some(socket) = &self.qmp {
            tool.bind(socket, QMP, true);
            tool.argument("-chardev").argument(format!("socket,id=qmp,path={QMP}"));
            tool.argument("-mon").argument("chardev=qmp,mode=control");
        }
        if let Some(file) = &self.user_data {
            if !file.is_file() {
                return Err(Failure::usage(&format!("no file {}", file.display()), ""));
            }
            tool.bind(file, USER_DATA, false);
            tool.argument("-fw_cfg").argument(format!("name=opt/org.osbuild/user-data,file={USER_DATA}"));
        }
        Ok(())
    }
}

/// A bind needs a file to stand on.
fn bind_new(tool: &mut HostRun, file: &Path, inside: &str) -> Result<(), Failure> {
    File::create(file).map_err(|error| cannot("create", file, &error))?;
    tool.bind(file, inside, true);
    Ok(())
}

pub(crate) fn cannot(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, &format!("cannot {action} {}: {error}", path.display()))
}
