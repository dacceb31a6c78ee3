//! The root: verified, read-only, and without what could start a shell.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{Check, Finding, Node};
use crate::system::System;

pub const CHECKS: &[Check] = &[
    Check {
        id: "root.verified",
        title: "The root is verified block by block, and a corrupt block stops the kernel",
        references: &["CIS Bottlerocket 1.3.1"],
        look: verified,
    },
    Check { id: "root.read-only", title: "The root cannot be written", references: &[], look: read_only },
    Check {
        id: "root.no-privileged-programs",
        title: "No program of the root gives privileges to whoever starts it",
        references: &[],
        look: no_privileged_programs,
    },
    Check {
        id: "root.no-shell",
        title: "There is no shell or interpreter in the root, nor a script",
        references: &[],
        look: no_shell,
    },
];

/// What is in the root's files, container images left out: those are contents.
#[derive(Default)]
pub struct Files {
    count: usize,
    privileged: Vec<String>,
    interpreters: Vec<String>,
    unreadable: Vec<String>,
}

const IMAGES: &str = "/usr/share/osbuild/images";
const SET_ID: u32 = 0o6000;
/// By name; the build looks at what they are, too.
const INTERPRETERS: [&str; 24] = [
    "sh", "ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "tcsh", "toybox", "zsh", "awk",
    "gawk", "mawk", "nawk", "gdb", "lua", "node", "perl", "php", "python", "ruby", "tclsh",
];

impl Files {
    pub fn of(system: &System) -> Self {
        let mut files = Self::default();
        files.walk(system, Path::new("/usr"));
        files
    }

    fn walk(&mut self, system: &System, directory: &Path) {
        let Ok(entries) = fs::read_dir(system.path(&directory.to_string_lossy())) else {
            self.unreadable.push(directory.display().to_string());
            return;
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort_unstable();
        for name in names {
            let path = directory.join(name);
            let real = system.path(&path.to_string_lossy());
            let Ok(metadata) = real.symlink_metadata() else { continue };
            if metadata.is_dir() && path != Path::new(IMAGES) {
                self.walk(system, &path);
            } else if metadata.is_file() {
                self.add(&path, &real, metadata.permissions().mode());
            }
        }
    }

    fn add(&mut self, path: &Path, real: &Path, mode: u32) {
        self.count += 1;
        let shown = path.display().to_string();
        if mode & SET_ID != 0 || has_capabilities(real) {
            self.privileged.push(shown.clone());
        }
        if mode & 0o111 != 0 {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // python3.13 is python.
            let name =
                name.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
            if INTERPRETERS.contains(&name) || begins_as_script(real) {
                self.interpreters.push(shown);
            }
        }
    }
}

/// capabilities(7), "File capabilities".
fn has_capabilities(path: &Path) -> bool {
    let mut buffer = [0u8; 64];
    rustix::fs::lgetxattr(path, "security.capability", &mut buffer).is_ok_and(|length| length > 0)
}

fn begins_as_script(path: &Path) -> bool {
    let mut start = [0; 2];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

fn verified(node: &Node) -> Finding {
    let table = match &node.verity_table {
        Ok(table) => table,
        Err(reason) => return Finding::Unknown(reason.clone()),
    };
    let words: Vec<&str> = table.split_whitespace().collect();
    // `0 SECTORS verity VERSION DATA HASH … ROOT-HASH SALT OPTIONS…`
    if words.get(2) != Some(&"verity") {
        return Finding::Fails(format!("the root is mapped otherwise: {table}"));
    }
    if !words.contains(&"panic_on_corruption") {
        return Finding::Fails("the kernel goes on after a corrupt block".to_owned());
    }
    let mount = node.mount("/").map(|mount| mount.device);
    let device = node.system.text("/sys/class/block/dm-0/dev");
    match (mount, device) {
        (Some(mounted), Some(device)) if mounted == device => {
            let root_hash = words.get(11).copied().unwrap_or_default();
            Finding::Holds(format!("dm-verity with root hash {root_hash}, panic_on_corruption"))
        }
        (Some(mounted), Some(device)) => {
            Finding::Fails(format!("{mounted} is mounted, and {device} is what is verified"))
        }
        _ => Finding::Unknown("the kernel does not say what is mounted".to_owned()),
    }
}

fn read_only(node: &Node) -> Finding {
    match node.mount("/") {
        Some(mount) if mount.has("ro") && mount.kind == "squashfs" => {
            Finding::Holds("squashfs, mounted read-only".to_owned())
        }
        Some(mount) => Finding::Fails(format!("{} with {}", mount.kind, mount.options.join(","))),
        None => Finding::Unknown("the kernel does not say what is mounted".to_owned()),
    }
}

fn no_privileged_programs(node: &Node) -> Finding {
    node.files.without(&node.files.privileged, "is setuid, setgid or has capabilities")
}

fn no_shell(node: &Node) -> Finding {
    if node.system.kernel_option("BINFMT_SCRIPT").as_deref() == Some("y") {
        return Finding::Fails("the kernel starts scripts".to_owned());
    }
    node.files.without(&node.files.interpreters, "is one")
}

impl Files {
    fn without(&self, against: &[String], what: &str) -> Finding {
        if self.count == 0 || !self.unreadable.is_empty() {
            return Finding::Unknown(format!("cannot be read: {}", super::listed(&self.unreadable)));
        }
        Finding::without(against, format!("none of {} files {what}", self.count))
    }
}

/// A mount of the first program's view, not of ours (proc(5), mountinfo).
pub struct Mount {
    /// `MAJOR:MINOR`.
    pub device: String,
    pub kind: String,
    /// Of the mount and of the file system.
    pub options: Vec<String>,
}

impl Mount {
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }
}

impl Node {
    pub fn mount(&self, point: &str) -> Option<Mount> {
        let text = self.system.text("/proc/1/mountinfo")?;
        // What was mounted last is on top.
        let line = text.lines().rev().find(|line| line.split(' ').nth(4) == Some(point))?;
        let (before, after) = line.split_once(" - ")?;
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        let options = before.get(5)?.split(',').chain(after.get(2)?.split(','));
        Some(Mount {
            device: (*before.get(2)?).to_owned(),
            kind: (*after.first()?).to_owned(),
            options: options.map(str::to_owned).collect(),
        })
    }

    /// Mode, and whether it is root's and the group's of that number; `None` if
    /// it is not there.
    pub fn owner(&self, path: &str, group: u32) -> Option<(u32, bool)> {
        let metadata = self.system.path(path).symlink_metadata().ok()?;
        Some((metadata.permissions().mode() & 0o7777, metadata.uid() == 0 && metadata.gid() == group))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails_with, holds, look, node};
    use super::*;

    const MOUNTS: &str = "1 0 0:2 / / rw - rootfs rootfs rw\n\
        20 1 254:0 / / ro,relatime - squashfs /dev/root ro,errors=continue\n";

    #[test]
    fn a_root_is_verified_by_what_is_mounted() {
        let (_place, mut node) =
            node(&[("/proc/1/mountinfo", MOUNTS), ("/sys/class/block/dm-0/dev", "254:0\n")]);
        assert!(matches!(look("root.verified", &node), Finding::Unknown(_)));
        let table = "0 8 verity 1 253:3 253:4 4096 4096 1 0 sha256 ROOTHASH SALT 1 panic_on_corruption";
        node.verity_table = Ok(table.to_owned());
        assert_eq!(
            look("root.verified", &node),
            Finding::Holds("dm-verity with root hash ROOTHASH, panic_on_corruption".to_owned())
        );
        holds(look("root.read-only", &node));
        node.verity_table = Ok(table.replace("1 panic_on_corruption", ""));
        fails_with(look("root.verified", &node), "goes on after");
        node.verity_table = Ok("0 8 linear 253:3 0".to_owned());
        fails_with(look("root.verified", &node), "linear");
        node.verity_table = Ok(table.to_owned());
        fs::write(node.system.path("/sys/class/block/dm-0/dev"), "254:1").unwrap();
        fails_with(look("root.verified", &node), "254:0 is mounted");
    }

    #[test]
    fn a_root_that_can_be_written_is_told() {
        let (_place, node) =
            node(&[("/proc/1/mountinfo", "20 1 254:0 / / rw,relatime - ext4 /dev/vda3 rw,errors=panic")]);
        fails_with(look("root.read-only", &node), "ext4 with rw");
    }

    #[test]
    fn programs_are_found_by_what_they_are() {
        let files =
            [("/usr/bin/a", "\x7fELF"), ("/usr/share/osbuild/images/python3", "#!"), ("/usr/lib/sh", "data")];
        let (_place, node_with) = node(&files);
        for id in ["root.no-privileged-programs", "root.no-shell"] {
            holds(look(id, &node_with));
        }
        let mode = |path: &str, mode: u32| {
            fs::set_permissions(node_with.system.path(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        let (_other, mut node) = node(&[]);
        assert!(matches!(look("root.no-shell", &node), Finding::Unknown(_)));
        mode("/usr/bin/a", 0o4755);
        node.files = Files::of(&node_with.system);
        fails_with(look("root.no-privileged-programs", &node), "/usr/bin/a");
        mode("/usr/lib/sh", 0o755);
        node.files = Files::of(&node_with.system);
        fails_with(look("root.no-shell", &node), "/usr/lib/sh");
        mode("/usr/lib/sh", 0o644);
        fs::write(node_with.system.path("/usr/bin/a"), "#!/x").unwrap();
        mode("/usr/bin/a", 0o755);
        node.files = Files::of(&node_with.system);
        fails_with(look("root.no-shell", &node), "/usr/bin/a");
    }
}
