//! What a builder sees of `/proc`: its own processes, and of the kernel what it
//! would see on one host that never was.
//!
//! Whatever differs from host to host, or from minute to minute, could end up
//! in an output. So each such file is covered by a fixed one or an empty one,
//! each such directory by an empty one, from one small tmpfs that is read-only
//! from birth: some microseconds each.
//!
//! What the kernel tells by system calls (release, clock, number of
//! processors) stays, `/proc/sys` with it but for the identity of this boot;
//! so does what tells of the builder's own namespaces (`net`, `sysvipc`), and
//! what none but the host's root may read.

use super::root::{READ_ONLY, RootPlan};
use crate::Conditions;

/// As one generic host. Builds ask these files how many jobs to run and what
/// the processor can do; they are told one generic processor and are given
/// `NIX_BUILD_CORES` instead. Source: proc(5).
const FIXED: &[(&str, &str)] = &[
    ("cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
    ("cmdline", "\n"),
    ("cpuinfo", "processor\t: 0\nvendor_id\t: Generic\nmodel name\t: Generic processor\nflags\t\t: fpu\n\n"),
    ("devices", "Character devices:\n\nBlock devices:\n"),
    ("filesystems", "nodev\tproc\nnodev\ttmpfs\n\text4\n"),
    ("loadavg", "0.00 0.00 0.00 1/1 1\n"),
    (
        "meminfo",
        "MemTotal:        8388608 kB\nMemFree:         8388608 kB\nMemAvailable:    8388608 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n",
    ),
    ("partitions", "major minor  #blocks  name\n\n"),
    // Who looks for the time of the boot gives up without one.
    (
        "stat",
        "cpu  0 0 0 100 0 0 0 0 0 0\ncpu0 0 0 0 100 0 0 0 0 0 0\nintr 0\nctxt 0\nbtime 1\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
    ),
    ("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    ("sys/kernel/random/boot_id", "00000000-0000-4000-8000-000000000000\n"),
    ("uptime", "1.00 1.00\n"),
    ("version", "Linux version 6.1.0 (builder@localhost) #1 SMP\n"),
];

/// Windows into the kernel: how it was built, what runs on it, what it counts.
const EMPTY_FILES: &[&str] = &[
    "bootconfig",
    "buddyinfo",
    "config.gz",
    "consoles",
    "crypto",
    "diskstats",
    "dma",
    "fb",
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "locks",
    "mdstat",
    "misc",
    "modules",
    "mtrr",
    "sched_debug",
    "schedstat",
    "softirqs",
    "sysrq-trigger",
    "timer_list",
    "version_signature",
    "vmstat",
    "zoneinfo",
];

/// Devices, drivers and the host's load.
const EMPTY_DIRECTORIES: &[&str] =
    &["acpi", "asound", "bus", "driver", "dynamic_debug", "fs", "irq", "pressure", "scsi", "tty", "xen"];

/// The fixed files, with what is told otherwise.
fn fixed(conditions: &Conditions) -> Vec<(&'static str, String)> {
    let told = &conditions.told;
    let mut files: Vec<(&str, String)> =
        FIXED.iter().map(|(name, contents)| (*name, (*contents).to_owned())).collect();
    let mut replace = |file: &str, old: &str, new: &str| {
        for (name, contents) in &mut files {
            if *name == file {
                *contents = contents.replace(old, new);
            }
        }
    };
    if let Some(bytes) = told.memory_bytes {
        replace("meminfo", "8388608", &format!("{:>7}", bytes >> 10));
    }
    if let Some(release) = &told.kernel_release {
        replace("version", "6.1.0", release);
        files.push(("sys/kernel/osrelease", format!("{release}\n")));
    }
    files
}

/// Where the covers are made.
const COVERS: &str = "/.proc";

impl RootPlan {
    /// A fresh `/proc`, covered as above. What this kernel does not have needs
    /// no cover; that one cannot be put on is an error.
    pub(crate) fn masked_proc(&mut self, conditions: &Conditions) {
        self.directory("/proc", 0o555);
        self.mount("proc", "/proc", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC, "");
        self.directory(COVERS, 0o755);
        self.mount("tmpfs", COVERS, libc::MS_NOSUID | libc::MS_NODEV, "mode=755,size=1m");
        let fixed = fixed(conditions);
        for (index, (_, contents)) in fixed.iter().enumerate() {
            self.file(&format!("{COVERS}/{index}"), contents);
        }
        self.file(&format!("{COVERS}/file"), "");
        self.directory(&format!("{COVERS}/directory"), 0o555);
        // As an ordinary user the builder owns them.
        self.restrict(COVERS, READ_ONLY, false);
        for (index, (name, _)) in fixed.iter().enumerate() {
            self.cover(&format!("{COVERS}/{index}"), &format!("/proc/{name}"));
        }
        for (cover, names) in [("file", EMPTY_FILES), ("directory", EMPTY_DIRECTORIES)] {
            for name in names {
                self.cover(&format!("{COVERS}/{cover}"), &format!("/proc/{name}"));
            }
        }
        self.remove_mount(COVERS);
        if let Some(pid) = conditions.first_process_id {
            self.last_process_id(pid.saturating_sub(1));
        }
        let sys = self.outside("/proc/sys");
        self.bind(&sys, "/proc/sys", true);
        self.restrict("/proc/sys", libc::MOUNT_ATTR_RDONLY, true);
    }
}
