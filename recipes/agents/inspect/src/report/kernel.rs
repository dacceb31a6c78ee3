//! The kernel: what it keeps even from root, and how it takes what goes wrong.

use std::collections::BTreeMap;

use super::{Check, Finding, Node};
use crate::system::System;

pub const CHECKS: &[Check] = &[
    Check {
        id: "kernel.lockdown",
        title: "Nobody changes the running kernel, not even root",
        references: &["CIS Bottlerocket 1.5.2"],
        look: lockdown,
    },
    Check {
        id: "kernel.no-modules",
        title: "The kernel loads no modules",
        references: &[],
        look: no_modules,
    },
    Check {
        id: "kernel.parameters",
        title: "Kernel parameters are what image and settings say",
        references: &[],
        look: parameters,
    },
    Check {
        id: "kernel.restrictions",
        title: "Addresses, messages, BPF and other programs' memory are kept from those without privileges",
        references: &["CIS Bottlerocket 1.4.3"],
        look: |node| {
            node.at_least(&[
                ("kernel.kptr_restrict", 1),
                ("kernel.dmesg_restrict", 1),
                ("kernel.unprivileged_bpf_disabled", 1),
                ("kernel.yama.ptrace_scope", 1),
            ])
        },
    },
    Check {
        id: "kernel.randomised-addresses",
        title: "Where programs have their memory cannot be foretold",
        references: &["CIS Bottlerocket 1.4.2"],
        look: |node| node.at_least(&[("kernel.randomize_va_space", 2)]),
    },
    Check {
        id: "kernel.no-privileged-core-dumps",
        title: "Programs with more privileges than their user's leave no core dumps",
        references: &["CIS Bottlerocket 1.4.1"],
        look: |node| node.exactly(&[("fs.suid_dumpable", 0)]),
    },
    Check {
        id: "kernel.protected-links",
        title: "Nobody is led astray by links and files of others in shared directories",
        references: &[],
        look: |node| {
            node.at_least(&[
                ("fs.protected_hardlinks", 1),
                ("fs.protected_symlinks", 1),
                ("fs.protected_fifos", 1),
                ("fs.protected_regular", 1),
            ])
        },
    },
    Check {
        id: "kernel.panics",
        title: "A kernel that went wrong starts anew, and does not go on",
        references: &[],
        look: |node| node.at_least(&[("kernel.panic_on_oops", 1), ("kernel.panic", 1)]),
    },
    Check {
        id: "kernel.no-memory-devices",
        title: "No device shows the memory of the kernel",
        references: &[],
        look: no_memory_devices,
    },
    Check {
        id: "kernel.processor",
        title: "What is known to be wrong with the processor is mitigated",
        references: &[],
        look: processor,
    },
];

fn lockdown(node: &Node) -> Finding {
    const FILE: &str = "/sys/kernel/security/lockdown";
    // `none [integrity] confidentiality`
    let Some(text) = node.system.text(FILE) else { return Finding::Unknown(format!("there is no {FILE}")) };
    match text.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
        Some(("none", _)) => Finding::Fails(format!("{FILE}: {text}")),
        Some((level, _)) => Finding::Holds(format!("lockdown={level}")),
        None => Finding::Unknown(format!("{FILE}: {text}")),
    }
}

fn no_modules(node: &Node) -> Finding {
    if node.system.parameter("kernel.modules_disabled").as_deref() == Some("1") {
        return Finding::Holds("kernel.modules_disabled = 1".to_owned());
    }
    match node.system.kernel_option("MODULES").as_deref() {
        Some("n") if !node.system.exists("/proc/modules") => {
            Finding::Holds("built without CONFIG_MODULES".to_owned())
        }
        Some(_) => Finding::Fails("built with CONFIG_MODULES".to_owned()),
        None => Finding::Unknown("/proc/config.gz cannot be read".to_owned()),
    }
}

/// As `systemd-sysctl` finds them (sysctl.d(5)): files in the order of their
/// names, one in /etc instead of one of the same name in /usr/lib.
fn parameters(node: &Node) -> Finding {
    let mut files = BTreeMap::new();
    for directory in ["/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"] {
        for name in node.system.names(directory).into_iter().filter(|name| name.ends_with(".conf")) {
            files.insert(name.clone(), format!("{directory}/{name}"));
        }
    }
    let mut wanted = BTreeMap::new();
    for text in files.values().filter_map(|file| node.system.text(file)) {
        wanted.extend(text.lines().filter_map(assignment));
    }
    if wanted.is_empty() {
        return Finding::Unknown("no file says what they should be".to_owned());
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let differs = |(name, value): (&String, &String)| {
        let is = node.system.parameter(name).unwrap_or_else(|| "not there".to_owned());
        (words(&is) != words(value)).then(|| format!("{name} is {is} and not {value}"))
    };
    let differing: Vec<String> = wanted.iter().filter_map(differs).collect();
    Finding::without(&differing, format!("{} parameters of {} files", wanted.len(), files.len()))
}

/// `NAME = VALUE`; what stands for several names is left to who sets them.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.trim_start_matches('-').split_once('=')?;
    let name = name.trim();
    (!name.contains(['*', '?', '['])).then(|| (name.to_owned(), value.trim().to_owned()))
}

fn no_memory_devices(node: &Node) -> Finding {
    let found = ["/dev/mem", "/dev/kmem", "/dev/port", "/proc/kcore"];
    let found: Vec<String> =
        found.into_iter().filter(|path| node.system.exists(path)).map(str::to_owned).collect();
    Finding::without(&found, "no /dev/mem, /dev/kmem, /dev/port, /proc/kcore")
}

fn processor(node: &Node) -> Finding {
    const DIRECTORY: &str = "/sys/devices/system/cpu/vulnerabilities";
    let known = node.system.names(DIRECTORY);
    if known.is_empty() {
        return Finding::Unknown(format!("there is no {DIRECTORY}"));
    }
    let open = |name: &String| {
        let text = node.system.text(&format!("{DIRECTORY}/{name}"))?;
        text.starts_with("Vulnerable").then(|| format!("{name}: {text}"))
    };
    let open: Vec<String> = known.iter().filter_map(open).collect();
    Finding::without(&open, format!("{} flaws, each mitigated or not of this processor", known.len()))
}

impl System {
    /// A kernel parameter by the name that sysctl(8) has for it.
    fn parameter(&self, name: &str) -> Option<String> {
        // Whichever separator comes first is the one between parts.
        let is_dotted = name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'.');
        let swapped = |character| match character {
            '.' => '/',
            '/' => '.',
            other => other,
        };
        let path = if is_dotted { name.chars().map(swapped).collect() } else { name.to_owned() };
        self.text(&format!("/proc/sys/{path}"))
    }
}

impl Node {
    fn at_least(&self, parameters: &[(&str, i64)]) -> Finding {
        self.compare(parameters, |is, wanted| is >= wanted)
    }

    pub fn exactly(&self, parameters: &[(&str, i64)]) -> Finding {
        self.compare(parameters, |is, wanted| is == wanted)
    }

    fn compare(&self, parameters: &[(&str, i64)], fits: impl Fn(i64, i64) -> bool) -> Finding {
        let (mut found, mut against) = (Vec::new(), Vec::new());
        for (name, wanted) in parameters {
            let Some(is) = self.system.parameter(name).and_then(|text| text.parse::<i64>().ok()) else {
                return Finding::Unknown(format!("{name} cannot be read"));
            };
            let said = format!("{name} = {is}");
            if fits(is, *wanted) { found.push(said) } else { against.push(said) }
        }
        Finding::without(&against, found.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails_with, holds, look, node};
    use super::*;

    #[test]
    fn the_kernels_word_counts() {
        const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
        const FLAW: &str = "/sys/devices/system/cpu/vulnerabilities/meltdown";
        for (file, text, id, expected) in [
            (LOCKDOWN, "none [integrity] confidentiality", "kernel.lockdown", true),
            (LOCKDOWN, "[none] integrity confidentiality", "kernel.lockdown", false),
            ("/proc/sys/kernel/modules_disabled", "1", "kernel.no-modules", true),
            ("/proc/sys/kernel/randomize_va_space", "2", "kernel.randomised-addresses", true),
            ("/proc/sys/kernel/randomize_va_space", "1", "kernel.randomised-addresses", false),
            ("/proc/sys/fs/suid_dumpable", "0", "kernel.no-privileged-core-dumps", true),
            ("/proc/sys/fs/suid_dumpable", "2", "kernel.no-privileged-core-dumps", false),
            ("/dev/mem", "", "kernel.no-memory-devices", false),
            (FLAW, "Mitigation: PTI", "kernel.processor", true),
            (FLAW, "Vulnerable: no microcode", "kernel.processor", false),
        ] {
            let (_place, node) = node(&[(file, text)]);
            let finding = look(id, &node);
            if expected { holds(finding) } else { fails_with(finding, "") }
        }
    }

    #[test]
    fn parameters_are_compared_with_what_counts() {
        let files = [
            (
                "/usr/lib/sysctl.d/10-a.conf",
                "# x\nkernel.panic = 10\nnet.ipv4.tcp_rmem=1 2 3\n-a/b.c = 1\nx.*.y = 1\n",
            ),
            ("/usr/lib/sysctl.d/50-b.conf", "kernel.panic = 30\n"),
            ("/etc/sysctl.d/50-b.conf", "kernel.panic = 20\n"),
            ("/proc/sys/kernel/panic", "20"),
            ("/proc/sys/net/ipv4/tcp_rmem", "1\t2\t3"),
            ("/proc/sys/a/b.c", "1"),
        ];
        let (_place, node) = node(&files);
        assert_eq!(look("kernel.parameters", &node), Finding::Holds("3 parameters of 2 files".to_owned()));
        std::fs::write(node.system.path("/proc/sys/kernel/panic"), "0").unwrap();
        fails_with(look("kernel.parameters", &node), "kernel.panic is 0 and not 20");
    }

    #[test]
    fn each_of_several_parameters_counts() {
        let names = ["kptr_restrict", "dmesg_restrict", "unprivileged_bpf_disabled", "yama/ptrace_scope"];
        let paths = names.map(|name| format!("/proc/sys/kernel/{name}"));
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "1")).collect();
        let (_place, node) = node(&files);
        holds(look("kernel.restrictions", &node));
        std::fs::write(node.system.path(&paths[3]), "0").unwrap();
        assert_eq!(
            look("kernel.restrictions", &node),
            Finding::Fails("kernel.yama.ptrace_scope = 0".to_owned())
        );
    }
}
