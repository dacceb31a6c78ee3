//! How much memory this process and what it starts may still take.

use std::fs;
use std::path::Path;

use super::sandbox::group_path;

/// In bytes: what the machine has left without swapping, or what the tightest
/// of the control groups around us does. `u64::MAX` where nothing tells.
///
/// Sources: `MemAvailable` of proc_meminfo(5); `memory.max`, `memory.current`
/// and `memory.stat` of the kernel's cgroup v2 documentation.
pub fn available_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_bytes(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| group_path(&text));
    let groups = group.map(|path| in_groups(Path::new("/sys/fs/cgroup"), &path));
    machine.unwrap_or(u64::MAX).min(groups.unwrap_or(u64::MAX))
}

fn meminfo_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The tightest limit on the way from our group up to the root.
fn in_groups(root: &Path, group: &Path) -> u64 {
    group.ancestors().filter_map(|group| in_group(&root.join(group))).min().unwrap_or(u64::MAX)
}

/// `None` where there is no limit.
fn in_group(directory: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let current: u64 = read("memory.current")?.trim().parse().ok()?;
    // Files that were read and can be dropped count as used, and are not.
    let cache = read("memory.stat").and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()
    });
    Some(limit.saturating_sub(current.saturating_sub(cache.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_is_left() {
        let text = "MemTotal:       16384 kB\nMemFree:         1024 kB\nMemAvailable:    8192 kB\n";
        assert_eq!(meminfo_bytes(text), Some(8 << 20));
        assert_eq!(meminfo_bytes("MemTotal: 1 kB\n"), None);
        assert!(available_bytes() > 0);
    }

    #[test]
    fn the_tightest_group_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("a/b");
        fs::create_dir_all(&group).unwrap();
        let write = |directory: &Path, max: &str, current: &str| {
            fs::write(directory.join("memory.max"), format!("{max}\n")).unwrap();
            fs::write(directory.join("memory.current"), format!("{current}\n")).unwrap();
        };
        let path = group_path("1:name=x:/other\n0::/a/b\n").unwrap();
        assert_eq!(in_groups(root.path(), &path), u64::MAX);
        write(&group, "max", "50");
        assert_eq!(in_groups(root.path(), &path), u64::MAX);
        write(&root.path().join("a"), "1000", "900");
        assert_eq!(in_groups(root.path(), &path), 100);
        fs::write(root.path().join("a/memory.stat"), "anon 1\ninactive_file 300\n").unwrap();
        assert_eq!(in_groups(root.path(), &path), 400);
        write(&group, "60", "80");
        assert_eq!(in_groups(root.path(), &path), 0);
        assert_eq!(group_path("1:name=x:/other\n"), None);
    }
}
