//! All that a builder sees: what is not in `seen.txt` is a leak, or a reason to
//! raise the sandbox's ABI.
//!
//! What the kernel shows and nobody can hide without another kernel is listed
//! there, too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::attacks::attack;
use crate::fixture::Fixture;

/// The builder's side: a line for each thing that it found. Hashes are taken
/// out: its own path would be one, and an output must not hold that.
pub(crate) fn look() -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut note = |what: &str, found: &str| {
        lines.push((without_hashes(format!("{what} {found}").trim_end()), "seen".to_owned()));
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| error.kind().to_string());
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    for (name, value) in &variables {
        note(&format!("variable {name}"), value);
    }
    note("working directory", &std::env::current_dir().unwrap().display().to_string());
    // Of this thread: the first one blocks signals while it starts others.
    let status = read("/proc/thread-self/status");
    for line in status.lines() {
        let (name, value) = line.split_once(':').unwrap();
        const KEPT: [&str; 13] = [
            "Umask",
            "TracerPid",
            "Uid",
            "Gid",
            "Groups",
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
            "SigBlk",
        ];
        if KEPT.contains(&name) {
            let words: Vec<&str> = value.split_whitespace().collect();
            note(&format!("status {name}"), &words.join(" "));
        }
    }
    for line in read("/proc/self/limits").lines().skip(1) {
        // The names are padded to this column.
        let (name, values) = line.split_at(26);
        let words: Vec<&str> = values.split_whitespace().take(2).collect();
        note(&format!("limit {}", name.trim_end()), &words.join(" "));
    }
    let groups = read("/proc/self/cgroup");
    let are_roots = groups.lines().all(|line| line.ends_with(":/"));
    note("own cgroup", if are_roots { "roots" } else { &groups });
    for file in ["uid_map", "gid_map", "setgroups", "personality", "oom_score_adj"] {
        let text = read(&format!("/proc/self/{file}"));
        let words: Vec<&str> = text.split_whitespace().collect();
        note(&format!("own {file}"), &words.join(" "));
    }
    for name in ["hostname", "domainname"] {
        note(name, &read(&format!("/proc/sys/kernel/{name}")));
    }
    for line in read("/proc/self/mountinfo").lines() {
        // proc_pid_mountinfo(5): the mount point is the fifth field, its options
        // the sixth; the type is the first behind the hyphen.
        let fields: Vec<&str> = line.split(' ').collect();
        let hyphen = fields.iter().position(|field| *field == "-").unwrap();
        note(&format!("mount {}", fields[4]), &format!("{} {}", fields[hyphen + 1], fields[5]));
    }
    for folder in ["/", "/build", "/dev", "/etc", "/tmp"] {
        list(Path::new(folder), &mut note);
    }
    let mut processes = 0;
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match name.parse::<u32>() {
            Ok(_) => processes += 1,
            Err(_) => note("in /proc", &format!("{name}: {}", shown(&Path::new("/proc").join(&name)))),
        }
    }
    note("processes", &processes.to_string());
    for line in read("/proc/net/dev").lines().skip(2) {
        note("network interface", line.split(':').next().unwrap().trim());
    }
    for table in ["unix", "tcp", "tcp6", "udp", "udp6", "raw", "packet", "netlink", "arp", "route"] {
        let rows = read(&format!("/proc/net/{table}")).lines().count().saturating_sub(1);
        note(&format!("rows of net/{table}"), &rows.to_string());
    }
    for table in ["msg", "sem", "shm"] {
        let rows = read(&format!("/proc/sysvipc/{table}")).lines().count().saturating_sub(1);
        note(&format!("rows of sysvipc/{table}"), &rows.to_string());
    }
    for descriptor in 0..1024 {
        if let Ok(target) = fs::read_link(format!("/proc/self/fd/{descriptor}")) {
            let target = target.display().to_string();
            note(
                &format!("descriptor {descriptor}"),
                target.split_once(':').map_or(&target, |(kind, _)| kind),
            );
        }
    }
    lines
}

/// What there is to be read: a short text word by word, the number of members.
fn shown(path: &Path) -> String {
    let metadata = path.symlink_metadata().unwrap();
    if metadata.is_symlink() {
        return "link".to_owned();
    }
    if metadata.is_dir() {
        return fs::read_dir(path)
            .map_or("closed".to_owned(), |members| format!("{} members", members.count()));
    }
    match fs::read(path) {
        Err(_) => "closed".to_owned(),
        Ok(bytes) if bytes.is_empty() => "empty".to_owned(),
        Ok(bytes) if bytes.len() > 400 => "long".to_owned(),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }
    }
}

fn list(folder: &Path, note: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let (kind, mode) = (metadata.file_type(), metadata.mode() & 0o7777);
        let what = if kind.is_symlink() {
            format!("link to {}", fs::read_link(entry.path()).unwrap().display())
        } else if kind.is_dir() {
            format!("directory {mode:o}")
        } else if kind.is_char_device() {
            let device = metadata.rdev();
            format!("device {}:{} {mode:o}", libc::major(device), libc::minor(device))
        } else {
            format!("file {mode:o}")
        };
        note(&format!("file {}", entry.path().display()), &what);
    }
}

#[test]
fn nothing_that_is_not_on_the_list() {
    let mut fixture = Fixture::new();
    let (_, found) = attack(&mut fixture, "look", &[]);
    let mut wrong = String::new();
    let expected: Vec<&str> =
        include_str!("seen.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for line in found.keys() {
        if !expected.iter().any(|pattern| fits(line, pattern)) {
            writeln!(wrong, "new:  {line}").unwrap();
        }
    }
    for pattern in expected {
        let is_needed = !pattern.starts_with('?');
        if is_needed && !found.keys().any(|line| fits(line, pattern)) {
            writeln!(wrong, "gone: {pattern}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// `?` in front: not on every host. `<host>`: anything.
fn fits(line: &str, pattern: &str) -> bool {
    let pattern = pattern.strip_prefix('?').unwrap_or(pattern);
    let mut parts = pattern.split("<host>");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut is_open = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        is_open = part.is_empty();
    }
    rest.is_empty() || is_open
}

/// `/nix/store/<hash>-name`
fn without_hashes(text: &str) -> String {
    const STORE: &str = "/nix/store/";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(STORE) {
        let end = at + STORE.len();
        out += &rest[..end];
        rest = &rest[end..];
        if rest.len() > 32 && rest.as_bytes()[32] == b'-' {
            out += "<hash>";
            rest = &rest[32..];
        }
    }
    out + rest
}
