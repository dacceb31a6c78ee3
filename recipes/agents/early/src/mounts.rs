//! Mounts that everything after leans on.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use osbuild_sys::{Failed, Result};
use rustix::mount::{MountFlags, mount};

const FACTORY: &str = "/usr/share/factory/etc";

/// /proc, /sys, /dev, /run: systemd takes each over as it finds it.
pub fn kernel_file_systems() -> Vec<Result<()>> {
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let tmp = MountFlags::NOSUID | MountFlags::NODEV;
    let mut steps =
        vec![mount_at("proc", "/proc", "proc", plain, ""), mount_at("sysfs", "/sys", "sysfs", plain, "")];
    // The kernel mounts devtmpfs on its own (DEVTMPFS_MOUNT).
    if !Path::new("/dev/null").exists() {
        steps.push(mount_at("devtmpfs", "/dev", "devtmpfs", MountFlags::NOSUID, "mode=0755"));
    }
    steps.push(mount_at("tmpfs", "/run", "tmpfs", tmp, "mode=0755,size=20%"));
    steps.push(make_directory("/run/osbuild", 0o755));
    steps
}

/// /etc: a tmpfs filled from the image, written again on every start.
pub fn etc() -> Result<()> {
    mount_at("tmpfs", "/etc", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=0755,size=16M")?;
    copy_tree(Path::new(FACTORY), Path::new("/etc"))
}

/// The PRIVATE partition.
pub fn private(device: &Path) -> Result<()> {
    make_directory(osbuild_sys::private::MOUNT, 0o700)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    mount(device, osbuild_sys::private::MOUNT, "ext4", flags, c"")
        .map_err(Failed::at("mount", osbuild_sys::private::MOUNT))?;
    // The mode of the file system's own root, which its maker leaves open.
    std::fs::set_permissions(osbuild_sys::private::MOUNT, std::fs::Permissions::from_mode(0o700))
        .map_err(Failed::at("set the mode of", osbuild_sys::private::MOUNT))
}

/// What stands in for a lost PRIVATE until the next start.
pub fn private_fallback() -> Result<()> {
    make_directory(osbuild_sys::private::MOUNT, 0o700)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_at("tmpfs", osbuild_sys::private::MOUNT, "tmpfs", flags, "mode=0700,size=8M")
}

fn mount_at(source: &str, target: &str, kind: &str, flags: MountFlags, data: &str) -> Result<()> {
    let data = std::ffi::CString::new(data).expect("options are constants without NUL");
    mount(source, target, kind, flags, data.as_c_str()).map_err(Failed::at("mount", target))
}

fn make_directory(path: &str, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(Failed::at("create", path))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(Failed::at("list", from))?.flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(Failed::at("look at", &source))?;
        if kind.is_dir() {
            std::fs::create_dir(&target).map_err(Failed::at("create", &target))?;
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            let link = std::fs::read_link(&source).map_err(Failed::at("read", &source))?;
            std::os::unix::fs::symlink(link, &target).map_err(Failed::at("create", &target))?;
        } else {
            std::fs::copy(&source, &target).map_err(Failed::at("copy", &source))?;
            let mode = std::fs::metadata(&source).map_or(0o644, |meta| meta.permissions().mode() & 0o777);
            // The image's files are read-only; those in /etc are written again
            // by whoever renders them.
            let writable = std::fs::Permissions::from_mode(mode | 0o200);
            std::fs::set_permissions(&target, writable).map_err(Failed::at("set the mode of", &target))?;
        }
    }
    Ok(())
}
