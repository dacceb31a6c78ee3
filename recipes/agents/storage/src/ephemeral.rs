//! A disk for what containers write, which nobody misses when it is gone: made
//! once, used as long as it is there, and never made of somebody else's data.
//!
//! A node without it runs on, on DATA, and says so: no start fails by a disk
//! that only its settings ask for.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osbuild_sys::block::SystemDisk;
use osbuild_sys::console::say;
use osbuild_sys::filesystem::{self, Prepared};
use osbuild_sys::{Failed, Result};
use rustix::mount::{MountFlags, mount, mount_bind};
use serde::Deserialize;

use crate::WHO;

const CONFIGURATION: &str = "/etc/osbuild/ephemeral.json";
const MOUNT: &str = "/run/osbuild/ephemeral";
const LABEL: &str = "osbuild-ephem";
/// For a disk to appear.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of either end is looked at.
const LOOK_BYTES: u64 = 1 << 20;

/// As the settings have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    disk: PathBuf,
    /// Whether somebody else's data may be lost.
    wipe: bool,
    /// Below /var.
    directories: Vec<PathBuf>,
}

/// What is on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// Zeros at both ends.
    Nothing,
    Ours,
    Foreign(String),
}

/// Puts the directories of the settings on the disk of the settings, or leaves
/// them where they are.
pub fn provide() {
    let outcome = read().and_then(|configured| match mounted() {
        None => take(&configured),
        Some(disk) if fs::canonicalize(&configured.disk).is_ok_and(|wanted| wanted == disk) => Ok(disk),
        Some(disk) => Err(format!("{} is in use until the next start", disk.display())),
    });
    match outcome {
        Ok(disk) => say(WHO, 5, &format!("containers write to {}", disk.display())),
        Err(reason) => say(WHO, 3, &format!("the ephemeral disk is not used as the settings say: {reason}")),
    }
}

fn read() -> std::result::Result<Configured, String> {
    let text = fs::read(CONFIGURATION).map_err(|error| format!("{CONFIGURATION}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{CONFIGURATION}: {error}"))
}

/// The disk that is in use (proc(5), mounts).
fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' '));
    fields.find_map(|mut fields| {
        let device = fields.next()?;
        (fields.next()? == MOUNT).then(|| PathBuf::from(device))
    })
}

fn take(configured: &Configured) -> std::result::Result<PathBuf, String> {
    let said = |error: Failed| error.to_string();
    let disk = appeared(&configured.disk)?;
    let system = SystemDisk::find().map_err(said)?.device();
    if disk.to_string_lossy().starts_with(&*system.to_string_lossy()) {
        return Err(format!("{} is the system's own disk", disk.display()));
    }
    prepare(&disk, configured.wipe)?;
    fs::create_dir_all(MOUNT).map_err(|error| format!("{MOUNT}: {error}"))?;
    let flags = MountFlags::NODEV | MountFlags::NOATIME;
    mount(&disk, MOUNT, "ext4", flags, c"").map_err(Failed::at("mount", &disk)).map_err(said)?;
    for directory in &configured.directories {
        bind(directory).map_err(said)?;
    }
    Ok(disk)
}

/// The device behind a path, once it is there.
fn appeared(path: &Path) -> std::result::Result<PathBuf, String> {
    let since = Instant::now();
    loop {
        match fs::canonicalize(path) {
            Ok(device) => return Ok(device),
            Err(_) if since.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(200)),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
}

fn prepare(disk: &Path, may_wipe: bool) -> std::result::Result<(), String> {
    let content = File::open(disk).and_then(|file| look(&file));
    let content = content.map_err(|error| format!("{}: {error}", disk.display()))?;
    let is_good = match content {
        Content::Ours => {
            filesystem::check(disk, WHO).map_err(|error| error.to_string())? == Prepared::Checked
        }
        Content::Nothing => false,
        Content::Foreign(_) if may_wipe => false,
        Content::Foreign(what) => {
            return Err(format!(
                "{} holds {what}; storage.ephemeral.wipe = true gives that up",
                disk.display()
            ));
        }
    };
    if is_good {
        return Ok(());
    }
    say(WHO, 5, &format!("formatting {}", disk.display()));
    filesystem::make(disk, LABEL).map_err(|error| error.to_string())
}

fn look(disk: &File) -> io::Result<Content> {
    let length = rustix::fs::seek(disk, rustix::fs::SeekFrom::End(0))?;
    let count = LOOK_BYTES.min(length);
    let mut start = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
    let mut end = start.clone();
    disk.read_exact_at(&mut start, 0)?;
    disk.read_exact_at(&mut end, length - count)?;
    Ok(content(&start, &end))
}

/// By the first and the last bytes.
fn content(start: &[u8], end: &[u8]) -> Content {
    let holds = |at: usize, sign: &[u8]| start.get(at..at + sign.len()) == Some(sign);
    // ext4's superblock begins at 1024: magic at 56, label at 120.
    if holds(1024 + 56, &[0x53, 0xef]) {
        let label = start.get(1024 + 120..1024 + 136).unwrap_or_default();
        let label = String::from_utf8_lossy(label).trim_end_matches('\0').to_owned();
        return match label.as_str() {
            LABEL => Content::Ours,
            _ => Content::Foreign(format!("an ext file system labelled {label:?}")),
        };
    }
    let what = if holds(512, b"EFI PART") {
        "a partition table (GPT)"
    } else if holds(0, b"XFSB") {
        "an XFS file system"
    } else if holds(0, b"LUKS\xba\xbe") {
        "encrypted data (LUKS)"
    } else if holds(510, &[0x55, 0xaa]) {
        "a partition table or boot sector (MBR)"
    } else if start.iter().chain(end).any(|byte| *byte != 0) {
        "data"
    } else {
        return Content::Nothing;
    };
    Content::Foreign(what.to_owned())
}

/// Puts a directory below /var on the disk, as it is except for its contents.
fn bind(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(Failed::at("create", directory))?;
    let mode = fs::metadata(directory).map_err(Failed::at("look at", directory))?.permissions().mode();
    let name = directory.strip_prefix("/").unwrap_or(directory).to_string_lossy().replace('/', "-");
    let source = Path::new(MOUNT).join(name);
    fs::create_dir_all(&source).map_err(Failed::at("create", &source))?;
    let permissions = fs::Permissions::from_mode(mode & 0o7777);
    fs::set_permissions(&source, permissions).map_err(Failed::at("set the mode of", &source))?;
    mount_bind(&source, directory).map_err(Failed::at("mount a directory on", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(parts: &[(usize, &[u8])]) -> Content {
        let mut bytes = vec![0; 3 << 20];
        for (at, part) in parts {
            bytes[*at..*at + part.len()].copy_from_slice(part);
        }
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        look(&file).unwrap()
    }

    #[test]
    fn nothing_is_taken_for_empty_that_is_not() {
        let foreign = |what: &str| Content::Foreign(what.to_owned());
        let magic = (1024 + 56, &[0x53, 0xef][..]);
        for (parts, expected) in [
            (&[][..], Content::Nothing),
            (&[magic, (1024 + 120, LABEL.as_bytes())], Content::Ours),
            (&[magic, (1024 + 120, b"DATA")], foreign("an ext file system labelled \"DATA\"")),
            (&[magic], foreign("an ext file system labelled \"\"")),
            (&[(512, b"EFI PART")], foreign("a partition table (GPT)")),
            (&[(510, &[0x55, 0xaa])], foreign("a partition table or boot sector (MBR)")),
            (&[(0, b"LUKS\xba\xbe")], foreign("encrypted data (LUKS)")),
            (&[(0, b"XFSB")], foreign("an XFS file system")),
            (&[(70_000, b"x")], foreign("data")),
            // A backup table, or a RAID's mark.
            (&[((3 << 20) - 512, b"x")], foreign("data")),
        ] {
            assert_eq!(disk(parts), expected, "{parts:?}");
        }
    }

    #[test]
    fn foreign_data_is_kept_unless_somebody_says_otherwise() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(2 << 20).unwrap();
        file.as_file().write_all_at(b"EFI PART", 512).unwrap();
        let error = prepare(file.path(), false).unwrap_err();
        assert!(
            error.ends_with("holds a partition table (GPT); storage.ephemeral.wipe = true gives that up"),
            "{error}"
        );
    }
}
