//! The node's programs: what they keep, who may reach them, whether they are
//! well, and who notices if they are not.

use std::path::{Path, PathBuf};

use super::{Check, Finding, Node};
use crate::boot;
use crate::services::number;

pub const CHECKS: &[Check] = &[
    Check {
        id: "node.mounts",
        title: "What can be written holds no devices and no privileged programs",
        references: &[],
        look: mounts,
    },
    Check {
        id: "node.private",
        title: "PRIVATE is on the disk, and root's alone",
        references: &[],
        look: private,
    },
    Check {
        id: "node.secrets",
        title: "Files with keys or tokens are root's alone",
        references: &[],
        look: secrets,
    },
    Check {
        id: "node.sockets",
        title: "The sockets of container runtimes are root's alone, the API's its group's, too",
        references: &[],
        look: control_sockets,
    },
    Check { id: "node.no-login", title: "Nobody can log in to the host", references: &[], look: no_login },
    Check {
        id: "node.secure-boot",
        title: "The firmware starts signed programs only",
        references: &[],
        look: secure_boot,
    },
    Check {
        id: "node.committed",
        title: "The version that runs has held its health contract, and does",
        references: &[],
        look: committed,
    },
    Check { id: "node.units", title: "No unit has failed", references: &[], look: units },
    Check {
        id: "node.watchdog",
        title: "A watchdog resets the node if the service manager hangs",
        references: &[],
        look: watchdog,
    },
    Check {
        id: "node.watchdog-at-start",
        title: "A watchdog resets the node if the kernel hangs before the first program",
        references: &[],
        look: watchdog_at_start,
    },
    Check {
        id: "node.time",
        title: "The clock follows a time server",
        references: &["CIS Bottlerocket 2.1.1.1"],
        look: time,
    },
];

const PRIVATE: &str = "/run/osbuild/private";

fn mounts(node: &Node) -> Finding {
    let wanted: [(&str, &[&str]); 6] = [
        ("/etc", &["nosuid", "nodev"]),
        ("/run", &["nosuid", "nodev"]),
        ("/tmp", &["nosuid", "nodev"]),
        ("/dev/shm", &["nosuid", "nodev"]),
        // Containers' files are devices of their own mounts, never of this.
        ("/var", &["nodev"]),
        (PRIVATE, &["nosuid", "nodev", "noexec"]),
    ];
    let mut against = Vec::new();
    for (point, options) in wanted {
        match node.mount(point) {
            None => against.push(format!("nothing is mounted on {point}")),
            Some(mount) => {
                let lacking = options.iter().filter(|option| !mount.has(option));
                against.extend(lacking.map(|option| format!("{point} without {option}")));
            }
        }
    }
    if against.len() == wanted.len() && node.mount("/").is_none() {
        return Finding::Unknown("the kernel does not say what is mounted".to_owned());
    }
    Finding::without(&against, wanted.map(|(point, _)| point).join(", "))
}

fn private(node: &Node) -> Finding {
    let Some(early) = node.system.json("/run/osbuild/early.json") else {
        return Finding::Unknown("the first program left no word".to_owned());
    };
    match early["private"].as_str() {
        Some("fresh" | "kept") => {}
        Some("lost") => {
            return Finding::Fails("it is lost: a file system in memory stands in for it".to_owned());
        }
        _ => return Finding::Unknown("the first program does not say".to_owned()),
    }
    node.is_roots_alone(&[PRIVATE.into()], 0o077)
}

/// Below /etc, whatever looks like one; elsewhere where they are kept.
fn secrets(node: &Node) -> Finding {
    let mut found = Vec::new();
    for directory in ["/etc", "/var/lib/kubelet/pki", "/var/lib/osbuild/host-containers"] {
        node.find_secrets(Path::new(directory), &mut found);
    }
    if found.is_empty() && !node.system.exists("/etc/passwd") {
        return Finding::Unknown("/etc cannot be read".to_owned());
    }
    if found.is_empty() {
        return Finding::Holds("there are none".to_owned());
    }
    node.is_roots_alone(&found, 0o077)
}

fn control_sockets(node: &Node) -> Finding {
    let sockets = [
        "/run/osbuild/inspect.socket",
        "/run/containerd/containerd.sock",
        "/run/host-containerd/containerd.sock",
    ];
    let there: Vec<PathBuf> =
        sockets.into_iter().filter(|path| node.system.exists(path)).map(PathBuf::from).collect();
    if there.is_empty() {
        return Finding::Unknown("there are none".to_owned());
    }
    // Its group is root's, too.
    let others = node.is_roots_alone(&there, 0o007);
    if !matches!(others, Finding::Holds(_)) {
        return others;
    }
    // Agents that are not root belong to a group that may ask.
    let group = node.system.text("/etc/group").and_then(|text| group_number(&text, "osbuild-api"));
    match node.is_roots_and(group.unwrap_or(0), &[PathBuf::from("/run/osbuild/api/socket")], 0o007) {
        Finding::Holds(api) => Finding::Holds(super::listed(&[api, super::listed(&shown(&there))])),
        other => other,
    }
}

/// Of a group, as group(5) has it.
fn group_number(text: &str, name: &str) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&name))?.get(2)?.parse().ok()
}

fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn no_login(node: &Node) -> Finding {
    let Some(users) = node.system.text("/etc/passwd") else {
        return Finding::Unknown("/etc/passwd cannot be read".to_owned());
    };
    let mut against = Vec::new();
    for line in users.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let shell = fields.get(6).copied().unwrap_or_default();
        if shell.is_empty() || (node.system.exists(shell) && !shell.ends_with("/nologin")) {
            against.push(format!("{} has the shell '{shell}'", fields[0]));
        }
        if fields.get(1).is_none_or(|password| password.is_empty()) {
            against.push(format!("{} needs no password", fields[0]));
        }
    }
    if node.system.exists("/etc/shadow") {
        against.push("/etc/shadow holds passwords".to_owned());
    }
    Finding::without(&against, format!("{} users, none with a shell or a password", users.lines().count()))
}

fn secure_boot(node: &Node) -> Finding {
    /// UEFI 2.10, section 3.3: four bytes of attributes, then the value.
    const VARIABLE: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    const VARIABLES: &str = "/sys/firmware/efi/efivars";
    match node.system.bytes(&format!("{VARIABLES}/{VARIABLE}")).as_deref() {
        Some([_, _, _, _, 1]) => Finding::Holds("SecureBoot = 1".to_owned()),
        Some([_, _, _, _, _]) => Finding::Fails("SecureBoot = 0".to_owned()),
        Some(_) => Finding::Unknown("the firmware's variable SecureBoot has another form".to_owned()),
        None if node.system.names(VARIABLES).is_empty() => {
            Finding::Unknown("the firmware's variables cannot be read".to_owned())
        }
        None => Finding::Fails("the firmware can do no Secure Boot".to_owned()),
    }
}

fn committed(node: &Node) -> Finding {
    let state = match &node.slot {
        Ok(state) => *state,
        Err(reason) => return Finding::Unknown(reason.clone()),
    };
    let Some(health) = node.system.json("/run/osbuild/health.json") else {
        return match state {
            "GOOD" => Finding::Unknown("it has before, and is not judged yet in this start".to_owned()),
            state => Finding::Fails(format!("the slot is {state}, and not judged yet")),
        };
    };
    if health["well"] == false {
        return Finding::Fails(format!("the slot is {state}, and fails: {}", health["failing"]));
    }
    match state {
        "GOOD" => Finding::Holds("the slot is GOOD, and nothing fails".to_owned()),
        state => Finding::Fails(format!("the slot is {state}")),
    }
}

fn units(node: &Node) -> Finding {
    match &node.failed_units {
        Ok(failed) => Finding::without(failed, "none has"),
        Err(reason) => Finding::Unknown(reason.clone()),
    }
}

fn watchdog(node: &Node) -> Finding {
    /// Twice what the service manager has.
    const SILENCE_MS: u64 = 120_000;
    let manager = match &node.manager {
        Ok(manager) => manager,
        Err(reason) => return Finding::Unknown(reason.clone()),
    };
    let watchdog = boot::watchdog(&node.system, manager);
    let Some(device) = watchdog["keptDevice"].as_str() else {
        return Finding::Fails("the service manager keeps none".to_owned());
    };
    let pinged = number(manager, "WatchdogLastPingTimestampMonotonic").filter(|us| *us > 0);
    match pinged.map(|us| node.uptime_ms.saturating_sub(us / 1000)) {
        Some(ago_ms) if ago_ms <= SILENCE_MS => {
            Finding::Holds(format!("{device}, fed {} s ago", ago_ms / 1000))
        }
        Some(ago_ms) => Finding::Fails(format!("{device} was fed {} s ago", ago_ms / 1000)),
        None => Finding::Fails(format!("{device} was never fed")),
    }
}

fn watchdog_at_start(node: &Node) -> Finding {
    let manager = match &node.manager {
        Ok(manager) => manager,
        Err(reason) => return Finding::Unknown(reason.clone()),
    };
    let watchdog = boot::watchdog(&node.system, manager);
    let why = watchdog["why"].as_str().unwrap_or_default().to_owned();
    if watchdog["coversBeforeFirstProgram"] == true { Finding::Holds(why) } else { Finding::Fails(why) }
}

fn time(node: &Node) -> Finding {
    // Touched by systemd-timesyncd when a server answered.
    if node.system.exists("/run/systemd/timesync/synchronized") {
        return Finding::Holds("systemd-timesyncd has set it".to_owned());
    }
    if node.system.exists("/run/systemd/timesync") {
        return Finding::Fails("no time server has answered since the start".to_owned());
    }
    Finding::Unknown("systemd-timesyncd left no word".to_owned())
}

impl Node {
    /// Whether these belong to root and have none of these bits.
    pub fn is_roots_alone(&self, paths: &[PathBuf], bits: u32) -> Finding {
        self.is_roots_and(0, paths, bits)
    }

    /// The same of what is also a group's.
    fn is_roots_and(&self, group: u32, paths: &[PathBuf], bits: u32) -> Finding {
        let mut against = Vec::new();
        for path in paths {
            let shown = path.display();
            match self.owner(&path.to_string_lossy(), group) {
                None => against.push(format!("{shown} is gone")),
                Some((mode, _)) if mode & bits != 0 => against.push(format!("{shown} has mode {mode:04o}")),
                Some((_, false)) => against.push(format!("{shown} is not root's")),
                Some(_) => {}
            }
        }
        Finding::without(&against, super::listed(&shown(paths)))
    }

    fn find_secrets(&self, directory: &Path, found: &mut Vec<PathBuf>) {
        const MOST_FILES: usize = 1000;
        for name in self.system.names(&directory.to_string_lossy()) {
            let path = directory.join(name);
            let Ok(metadata) = self.system.path(&path.to_string_lossy()).symlink_metadata() else { continue };
            if metadata.is_dir() {
                self.find_secrets(&path, found);
            } else if metadata.is_file() && found.len() < MOST_FILES {
                let text = self.system.text(&path.to_string_lossy()).unwrap_or_default();
                if holds_secret(&text) {
                    found.push(path);
                }
            }
        }
    }
}

/// A private key (RFC 7468), or a token as Kubernetes' files have them.
fn holds_secret(text: &str) -> bool {
    let is_token = |line: &str| {
        let line = line.trim_start_matches([' ', '-', '"']);
        line.strip_prefix("token")
            .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with(':'))
    };
    text.contains("PRIVATE KEY-----") || text.lines().any(is_token)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::{fails_with, holds, look, node};
    use super::*;

    /// Tests need not be run by root, whose files these should be.
    fn ignoring_owner(finding: Finding) -> Finding {
        match finding {
            Finding::Fails(why) if why.contains("is not root's") && !why.contains("mode") => {
                Finding::Holds(why)
            }
            finding => finding,
        }
    }

    #[test]
    fn a_group_has_the_number_of_its_line() {
        let text = "root:x:0:\nosbuild-api-x:x:7:\nosbuild-api:x:195:\nbroken\n";
        assert_eq!(group_number(text, "osbuild-api"), Some(195));
        assert_eq!(group_number(text, "broken"), None);
        assert_eq!(group_number(text, "nobody"), None);
    }

    #[test]
    fn files_with_secrets_are_found_by_what_they_hold() {
        for (text, expected) in [
            ("-----BEGIN EC PRIVATE KEY-----\nx", true),
            ("  token: abcdef.0123", true),
            ("- \"token\" : \"x\"", true),
            ("tokens: 3\nx-token: 1\n", false),
            ("-----BEGIN CERTIFICATE-----", false),
            ("", false),
        ] {
            assert_eq!(holds_secret(text), expected, "{text}");
        }
        let (_place, node) = node(&[("/etc/passwd", ""), ("/etc/a/b", "token: x"), ("/etc/c", "open")]);
        let mode = |mode: u32| {
            let path = node.system.path("/etc/a/b");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o600);
        holds(ignoring_owner(look("node.secrets", &node)));
        mode(0o644);
        fails_with(look("node.secrets", &node), "/etc/a/b has mode 0644");
    }

    #[test]
    fn private_is_roots_and_on_the_disk() {
        const EARLY: &str = "/run/osbuild/early.json";
        let (_place, node) = node(&[(EARLY, r#"{"private":"kept"}"#), ("/run/osbuild/private/x", "")]);
        let mode = |mode: u32| {
            let path = node.system.path(PRIVATE);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o700);
        holds(ignoring_owner(look("node.private", &node)));
        mode(0o755);
        fails_with(look("node.private", &node), "mode 0755");
        fs::write(node.system.path(EARLY), r#"{"private":"lost"}"#).unwrap();
        fails_with(look("node.private", &node), "it is lost");
    }

    #[test]
    fn users_have_no_shell_and_no_password() {
        let shells = [("/bin/real", ""), ("/usr/sbin/nologin", "")];
        for (line, part) in [
            ("a:x:1:1::/:/bin/real", "a has the shell '/bin/real'"),
            ("a:x:1:1::/:", "a has the shell ''"),
            ("a::1:1::/:/usr/sbin/nologin", "a needs no password"),
        ] {
            let (_place, node) = node(&[&shells[..], &[("/etc/passwd", line)]].concat());
            fails_with(look("node.no-login", &node), part);
        }
        let (_place, node) = node(&[("/etc/passwd", "a:x:1:1::/:/usr/sbin/nologin\nb:x:2:2::/:/bin/gone\n")]);
        holds(look("node.no-login", &node));
    }

    #[test]
    fn a_committed_version_is_well() {
        const HEALTH: &str = "/run/osbuild/health.json";
        let (_place, mut node) = node(&[(HEALTH, r#"{"well":true,"failing":[]}"#)]);
        node.slot = Ok("GOOD");
        holds(look("node.committed", &node));
        node.slot = Ok("TRIAL");
        fails_with(look("node.committed", &node), "TRIAL");
        fs::write(node.system.path(HEALTH), r#"{"well":false,"failing":["x"]}"#).unwrap();
        fails_with(look("node.committed", &node), r#"["x"]"#);
    }

    #[test]
    fn a_watchdog_is_fed() {
        let (_place, mut node) = node(&[("/sys/class/watchdog/watchdog0/dev", "")]);
        let mut say = |device: &str, fed_us: &str| {
            let pairs = [("WatchdogDevice", device), ("WatchdogLastPingTimestampMonotonic", fed_us)];
            node.manager = Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
            node.uptime_ms = 200_000;
            look("node.watchdog", &node)
        };
        assert_eq!(say("/dev/watchdog0", "180000000"), Finding::Holds("watchdog0, fed 20 s ago".to_owned()));
        fails_with(say("/dev/watchdog0", "1000000"), "199 s ago");
        fails_with(say("/dev/watchdog0", "0"), "never");
        fails_with(say("", "180000000"), "keeps none");
    }

    #[test]
    fn mounts_keep_out_devices_and_privileges() {
        let lines = |private: &str| {
            let mut text = String::from("1 0 0:1 / / ro - squashfs x ro\n");
            for point in ["/etc", "/run", "/tmp", "/dev/shm"] {
                text.push_str(&format!("2 1 0:2 / {point} rw,nosuid,nodev - tmpfs tmpfs rw\n"));
            }
            text.push_str("3 1 0:3 / /var rw,nodev - ext4 x rw\n");
            text + &format!("4 1 0:4 / {PRIVATE} rw,{private} - ext4 x rw\n")
        };
        let (_place, node) = node(&[("/proc/1/mountinfo", &lines("nosuid,nodev,noexec"))]);
        holds(look("node.mounts", &node));
        fs::write(node.system.path("/proc/1/mountinfo"), lines("nosuid,nodev")).unwrap();
        fails_with(look("node.mounts", &node), "private without noexec");
    }

    #[test]
    fn secure_boot_is_what_the_firmware_says() {
        let file = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
        let (_place, with) = node(&[(file, "\u{6}\0\0\0\u{1}")]);
        holds(look("node.secure-boot", &with));
        let (_place, without) = node(&[(file, "\u{6}\0\0\0\0")]);
        fails_with(look("node.secure-boot", &without), "SecureBoot = 0");
        let (_place, other) = node(&[("/sys/firmware/efi/efivars/BootOrder-x", "")]);
        fails_with(look("node.secure-boot", &other), "can do no Secure Boot");
    }
}
