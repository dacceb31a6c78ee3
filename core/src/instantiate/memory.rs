//! How much memory an evaluation may take if nobody says.
//!
//! Values are not freed before the process ends, so a program that makes data
//! without end would take the machine's memory until the kernel ends some
//! process, perhaps another one. The ceiling is three quarters of what this
//! process could have: the machine's memory, or the least limit of the control
//! groups it is in. The last quarter is for everything else that runs, and for
//! what evaluation holds outside of values. Real programs stay far below: a
//! whole system's configuration takes one to two gigabytes.

use std::fs;
use std::path::Path;

/// Less than this ends programs that are in order.
const LEAST: u64 = 256 << 20;
/// Where the machine does not say.
const UNKNOWN: u64 = 4 << 30;

/// The ceiling for this process on this machine.
pub fn default_ceiling() -> usize {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| {
        let group = text.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
        least_limit(Path::new("/sys/fs/cgroup"), &group)
    });
    let limit = machine.into_iter().chain(groups).min().unwrap_or(UNKNOWN);
    usize::try_from((limit / 4 * 3).max(LEAST)).unwrap_or(usize::MAX)
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The least `memory.max` from a group up to the root.
fn least_limit(root: &Path, group: &str) -> Option<u64> {
    let limits = Path::new(group).ancestors().map(|group| root.join(group).join("memory.max"));
    limits.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

/// A size as people write it: bytes, or with K, M, G or T in powers of 1024.
pub fn parse_size(text: &str) -> Option<usize> {
    let unit = text.chars().last()?;
    let (digits, shift) = match unit.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 10),
        'M' => (&text[..text.len() - 1], 20),
        'G' => (&text[..text.len() - 1], 30),
        'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: usize = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, size) in [("1", Some(1)), ("2K", Some(2048)), ("3m", Some(3 << 20)), ("1G", Some(1 << 30))]
        {
            assert_eq!(parse_size(text), size, "{text}");
        }
        for text in ["", "G", "0", "-1", "1.5G", "1GB", "99999999999T", "é"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn the_least_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).expect("it is writable");
        fs::write(root.path().join("a/memory.max"), "1000\n").expect("it is writable");
        fs::write(inner.join("memory.max"), "max\n").expect("it is writable");
        assert_eq!(least_limit(root.path(), "a/b"), Some(1000));
        fs::write(inner.join("memory.max"), "500\n").expect("it is writable");
        assert_eq!(least_limit(root.path(), "a/b"), Some(500));
        assert_eq!(least_limit(root.path(), "a"), Some(1000));
        assert_eq!(least_limit(root.path(), ""), None);
        assert_eq!(total("MemTotal:       24689572 kB\nMemFree: 1 kB\n"), Some(24_689_572 << 10));
    }
}
