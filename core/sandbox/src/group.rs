//! A control group around each build, which counts its processes: what forks
//! without end meets its limit whoever's processes they are, and the limit
//! tells how often it was met.
//!
//! Of version 2 only, and only where the group of this program was given to
//! it: systemd says so by an attribute (`Delegate=yes`), and the root of what
//! a container shows has nobody else. Below any other group somebody else
//! makes groups. Elsewhere the sandbox has `RLIMIT_NPROC` alone. Of version 1,
//! a child would have to be moved into its group, for which the kernel waits
//! for all other processors: 15 ms a build where it was measured, three times
//! what a whole sandbox may take. Here the child is born in it.
//!
//! Groups below a group that holds processes have to be threaded, which the
//! `pids` controller allows. A group is locked while it is used, so that the
//! next run removes what a killed one left.
//!
//! Sources: kernel docs, cgroup-v2, "Threads", "Delegation", "PID"; systemd
//! docs, "Control Group APIs and Delegation".

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, getxattr};

/// Where the kernel shows groups.
const HIERARCHY: &str = "/sys/fs/cgroup";

/// What names of groups begin with.
const PREFIX: &str = "osbuild-";

/// Whether builds get groups on this host.
pub fn has_groups() -> bool {
    place().is_some()
}

/// Our group in the unified hierarchy, relative to its mount point, by what
/// `/proc/self/cgroup` says.
pub fn group_path(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(path))
}

/// This program's own group, once groups can be made below it.
fn place() -> Option<&'static Path> {
    static PLACE: OnceLock<Option<PathBuf>> = OnceLock::new();
    PLACE.get_or_init(prepare).as_deref()
}

fn prepare() -> Option<PathBuf> {
    let own = group_path(&fs::read_to_string("/proc/self/cgroup").ok()?)?;
    let place = Path::new(HIERARCHY).join(&own);
    let is_given = own.as_os_str().is_empty() || is_delegated(&place);
    if !is_given || !lists_pids(&place.join("cgroup.controllers")) {
        return None;
    }
    let passed_on = place.join("cgroup.subtree_control");
    if !lists_pids(&passed_on) {
        fs::write(&passed_on, "+pids").ok()?;
    }
    remove_leftovers(&place);
    Some(place)
}

fn is_delegated(group: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].into_iter().any(|name| {
        let mut value = [0; 1];
        getxattr(group, name, &mut value[..]) == Ok(1) && value == *b"1"
    })
}

fn lists_pids(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|name| name == "pids"))
}

/// Removes groups whose users were killed. Those that are used are locked, and
/// one that holds processes cannot be removed.
fn remove_leftovers(place: &Path) {
    let Ok(entries) = place.read_dir() else { return };
    for entry in entries.flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let lock = File::open(entry.path()).map(|group| (flock(&group, LOCK), group));
        if matches!(lock, Ok((Ok(()), _))) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

const LOCK: FlockOperation = FlockOperation::NonBlockingLockExclusive;

/// A group without processes yet; removed when dropped, by when those that
/// were born in it must have ended.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    handle: File,
}

impl Group {
    /// A group of at most so many processes and threads, where that is
    /// possible.
    pub(crate) fn new(most: u64) -> Option<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = place()?.join(format!("{PREFIX}{}-{count}", std::process::id()));
        fs::create_dir(&directory).ok()?;
        let opened = File::open(&directory).and_then(|handle| {
            flock(&handle, LOCK)?;
            limit(&directory, most)?;
            Ok(handle)
        });
        match opened {
            Ok(handle) => Some(Self { directory, handle }),
            Err(_) => {
                let _ = fs::remove_dir(&directory);
                None
            }
        }
    }

    /// For a child to be born in it.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// How often its limit was met.
    pub(crate) fn refused(&self) -> u64 {
        let events = fs::read_to_string(self.directory.join("pids.events")).unwrap_or_default();
        let met = events.lines().find_map(|line| line.strip_prefix("max "));
        met.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

fn limit(group: &Path, most: u64) -> io::Result<()> {
    if fs::read_to_string(group.join("cgroup.type"))?.trim() != "domain" {
        fs::write(group.join("cgroup.type"), "threaded")?;
    }
    fs::write(group.join("pids.max"), most.to_string())
}

impl Drop for Group {
    fn drop(&mut self) {
        // The last of the processes may still be on their way out.
        for _ in 0..100 {
            match fs::remove_dir(&self.directory) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where this host lets us; it says so where it does not.
    #[test]
    fn a_group_is_there_while_it_is_used() {
        let Some(place) = place() else {
            println!("SKIPPED: no control groups can be made below this program's own");
            return;
        };
        let group = Group::new(10).unwrap();
        let directory = group.directory.clone();
        assert_eq!(fs::read_to_string(directory.join("pids.max")).unwrap(), "10\n");
        assert_eq!((group.refused(), directory.parent()), (0, Some(place)));
        remove_leftovers(place);
        assert!(directory.exists(), "it is in use");
        drop(group);
        assert!(!directory.exists());
        // As a killed run leaves one.
        fs::create_dir(&directory).unwrap();
        remove_leftovers(place);
        assert!(!directory.exists());
    }

    #[test]
    fn what_is_left_and_in_nobodys_use_goes() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            fs::create_dir(place.path().join(name)).unwrap();
            File::open(place.path().join(name)).unwrap()
        };
        make("osbuild-1-0");
        make("another");
        let used = make("osbuild-1-1");
        flock(&used, LOCK).unwrap();
        // As one that holds processes: it cannot be removed.
        make("osbuild-1-2");
        fs::write(place.path().join("osbuild-1-2/x"), "").unwrap();
        let left = || {
            let names = place.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        remove_leftovers(place.path());
        assert_eq!(left(), ["another", "osbuild-1-1", "osbuild-1-2"]);
        drop(used);
        remove_leftovers(place.path());
        assert_eq!(left(), ["another", "osbuild-1-2"]);
    }
}
