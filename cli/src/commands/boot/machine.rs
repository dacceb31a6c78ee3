//! The machine that QEMU makes: its words on QEMU's command line.

use std::fs::{File, OpenOptions};
use std::path::Path;

use osbuild_core::build::sandbox::HostRun;

use super::{Acceleration, Arguments, Forward, Network, cannot, copy_sparse};
use crate::error::Failure;

pub(super) const QEMU: &str = "/usr/bin/qemu-system-x86_64";
const FIRMWARE: &str = "usr/share/OVMF/OVMF_CODE_4M.fd";
const SECURE_FIRMWARE: &str = "usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
pub(super) const VARIABLES: &str = "usr/share/OVMF/OVMF_VARS_4M.fd";
/// Where host files appear to QEMU.
const DISK: &str = "/run/disk.raw";
pub(super) const SCRATCH: &str = "/run/scratch";
const REPORT: &str = "/run/report";
const SERIAL: &str = "/run/serial";
const USER_DATA: &str = "/run/user-data";
const QMP: &str = "/run/qmp";
const WRITES: &str = "/run/writes";
/// What a clock of instructions says at first, if nobody says.
const INSTRUCTIONS_SINCE: &str = "2026-01-01T00:00:00";

pub(super) struct Machine<'a> {
    pub(super) arguments: &'a Arguments,
}

impl Machine<'_> {
    pub(super) fn describe(&self, tool: &mut HostRun, factory: &Path) -> Result<(), Failure> {
        let arguments = self.arguments;
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
        let clock = arguments.clock.as_deref();
        if arguments.instruction_clock {
            // Always the same at first, and nothing of the host's time later.
            let base = clock.unwrap_or(INSTRUCTIONS_SINCE);
            two(tool, "-rtc", format!("base={base},clock=vm"));
            two(tool, "-icount", "shift=0,sleep=off".to_owned());
        } else {
            two(tool, "-rtc", format!("base={}", clock.unwrap_or("utc")));
        }
        if let Some(name) = &arguments.manufacturer {
            two(tool, "-smbios", format!("type=1,manufacturer={name}"));
        }
        if arguments.secure_boot.is_some() {
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
            let threads = if arguments.instruction_clock { "single" } else { "multi" };
            two(tool, "-accel", format!("tcg,thread={threads}"));
            two(tool, "-cpu", "max".to_owned());
        }
        two(tool, "-m", arguments.memory.to_string());
        let cpus = if arguments.instruction_clock { 1 } else { arguments.cpus };
        two(tool, "-smp", cpus.to_string());
        let firmware = |unit: u8, file: String, extra: &str| {
            format!("if=pflash,format=raw,unit={unit},file={file}{extra}")
        };
        let code = if arguments.secure_boot.is_some() { SECURE_FIRMWARE } else { FIRMWARE };
        two(tool, "-drive", firmware(0, format!("/{code}"), ",readonly=on"));
        two(tool, "-drive", firmware(1, format!("{SCRATCH}/variables.fd"), ""));
        self.disk(tool, factory)?;
        self.network(tool);
        for device in ["virtio-rng-pci", "virtio-serial-pci", "i6300esb"] {
            two(tool, "-device", device.to_owned());
        }
        two(tool, "-action", "watchdog=reset".to_owned());
        self.channels(tool)?;
        if arguments.no_reboot {
            tool.argument("-no-reboot");
        }
        Ok(())
    }

    /// KVM only where it really runs a guest: `/dev/kvm` alone may belong to a
    /// module that cannot.
    pub(super) fn uses_kvm(&self) -> bool {
        let is_real = || {
            ["kvm_intel", "kvm_amd"].iter().any(|module| Path::new("/sys/module").join(module).exists())
                && OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
        };
        match self.arguments.accel {
            Acceleration::Auto => !self.arguments.instruction_clock && is_real(),
            Acceleration::Kvm => true,
            Acceleration::Tcg => false,
        }
    }

    fn disk(&self, tool: &mut HostRun, factory: &Path) -> Result<(), Failure> {
        let overlay = match &self.arguments.disk {
            Some(kept) => {
                if !kept.exists() {
                    copy_sparse(factory, kept, self.arguments.disk_size)?;
                }
                tool.bind(kept, DISK, true);
                "off"
            }
            None => {
                tool.bind(factory, DISK, false);
                "on"
            }
        };
        let drive = match &self.arguments.log_writes {
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
        for (number, file) in self.arguments.extra_disk.iter().enumerate() {
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
        if self.arguments.network == Network::None {
            return;
        }
        if self.arguments.network == Network::Isolated {
            tool.isolate_network();
        }
        let mut netdev = "user,id=net".to_owned();
        for Forward { address, host, guest } in &self.arguments.forward {
            netdev.push_str(&format!(",hostfwd=tcp:{address}:{host}-:{guest}"));
        }
        tool.argument("-netdev").argument(netdev);
        // No option ROM: the firmware is not to try the network.
        tool.argument("-device").argument("virtio-net-pci,netdev=net,mac=52:54:00:6f:73:62,romfile=");
    }

    fn channels(&self, tool: &mut HostRun) -> Result<(), Failure> {
        let arguments = self.arguments;
        match &arguments.serial {
            Some(file) => {
                bind_new(tool, file, SERIAL)?;
                tool.argument("-serial").argument(format!("file:{SERIAL}"));
            }
            None => {
                tool.argument("-serial").argument("mon:stdio");
            }
        }
        if let Some(file) = &arguments.report {
            bind_new(tool, file, REPORT)?;
            tool.argument("-chardev").argument(format!("file,id=report,path={REPORT}"));
            tool.argument("-device").argument("virtserialport,chardev=report,name=org.osbuild.report.0");
        }
        if let Some(text) = &arguments.challenge {
            // QEMU reads `,,` as one comma.
            let text = text.replace(',', ",,");
            tool.argument("-fw_cfg").argument(format!("name=opt/org.osbuild/nonce,string={text}"));
        }
        if let Some(socket) = &arguments.qmp {
            tool.bind(socket, QMP, true);
            tool.argument("-chardev").argument(format!("socket,id=qmp,path={QMP}"));
            tool.argument("-mon").argument("chardev=qmp,mode=control");
        }
        if let Some(file) = &arguments.user_data {
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
