//! User data that is on the machine: handed in by the hypervisor, or on a disk.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use data_encoding::BASE64;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::text::MOST_BYTES;

/// There is user data, and it cannot be had; why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// What QEMU was started with: `-fw_cfg name=opt/org.osbuild/user-data,file=…`
/// (QEMU docs, fw_cfg, "opt/" names).
pub(crate) const FW_CFG: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/org.osbuild/user-data/raw";

/// Tables of the firmware, by type and number.
pub(crate) const DMI_ENTRIES: &str = "/sys/firmware/dmi/entries";
/// What an OEM string of ours begins with; base64 of user data follows.
const OEM_PREFIX: &str = "org.osbuild.user-data:";

/// A disk or partition that is called so.
const CONFIG_DISK: &str = "/dev/disk/by-label/OSBUILD-CFG";
const CONFIG_MOUNT: &str = "/run/osbuild/config-disk";
/// On it.
const CONFIG_FILE: &str = "user-data.toml";

type Found = Result<Option<Vec<u8>>, Refused>;

pub(crate) fn fw_cfg(file: &Path) -> Found {
    read_bounded(file)
}

/// The strings of type 11 (SMBIOS 3.6, 7.12, "OEM Strings").
pub(crate) fn smbios(entries: &Path) -> Found {
    let Ok(listed) = entries.read_dir() else { return Ok(None) };
    let mut found = Vec::new();
    for entry in listed.flatten() {
        if entry.file_name().to_string_lossy().starts_with("11-") {
            let raw = fs::read(entry.path().join("raw")).unwrap_or_default();
            found.extend(
                strings(&raw).into_iter().filter_map(|text| Some(text.strip_prefix(OEM_PREFIX)?.to_owned())),
            );
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => BASE64
            .decode(one.as_bytes())
            .map(Some)
            .map_err(|_| Refused("its OEM string is no base64".to_owned())),
        _ => Err(Refused(format!("{} OEM strings begin with {OEM_PREFIX}", found.len()))),
    }
}

/// The set of strings that follows a structure's fixed part, whose length is
/// its second byte (6.1.3).
fn strings(raw: &[u8]) -> Vec<String> {
    let set = raw.get(1).and_then(|length| raw.get(usize::from(*length)..)).unwrap_or_default();
    let texts = set.split(|byte| *byte == 0).take_while(|text| !text.is_empty());
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// A file on a disk, mounted read-only for as long as it takes to read it.
pub(crate) fn config_disk() -> Found {
    if !Path::new(CONFIG_DISK).exists() {
        return Ok(None);
    }
    let wrong =
        |action: &str, error: std::io::Error| Refused(format!("cannot {action} {CONFIG_DISK}: {error}"));
    fs::create_dir_all(CONFIG_MOUNT).map_err(|error| wrong("make a place for", error))?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID | MountFlags::NOEXEC;
    let mounted = ["vfat", "iso9660", "ext4", "squashfs"]
        .into_iter()
        .map(|kind| mount(CONFIG_DISK, CONFIG_MOUNT, kind, flags, c""))
        .reduce(|done, next| done.or(next));
    if let Some(Err(error)) = mounted {
        return Err(wrong("mount", error.into()));
    }
    let found = read_bounded(&Path::new(CONFIG_MOUNT).join(CONFIG_FILE));
    let _ = unmount(CONFIG_MOUNT, UnmountFlags::DETACH);
    match found {
        Ok(None) => Err(Refused(format!("there is no {CONFIG_FILE} on the config disk"))),
        other => other,
    }
}

/// `None` if there is no such file.
fn read_bounded(file: &Path) -> Found {
    let opened = match fs::File::open(file) {
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(None);
        }
        opened => opened,
    };
    let mut bytes = Vec::new();
    // One more than is taken, so that too much is seen to be.
    let read = opened.and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| Refused(format!("cannot read {}: {error}", file.display())))?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oem_string_of_ours_is_found() {
        let place = tempfile::tempdir().unwrap();
        let entry = |number: u32, texts: &[&str]| {
            let directory = place.path().join(format!("11-{number}"));
            fs::create_dir_all(&directory).unwrap();
            let mut raw = vec![11, 5, 0, 0, texts.len() as u8];
            texts.iter().for_each(|text| raw.extend([text.as_bytes(), b"\0"].concat()));
            raw.push(0);
            fs::write(directory.join("raw"), raw).unwrap();
        };
        let found = || smbios(place.path()).map_err(|refused| refused.0);
        assert_eq!(found(), Ok(None));
        entry(0, &["somebody else's", "org.osbuild.user-data:YSA9IDE="]);
        assert_eq!(found(), Ok(Some(b"a = 1".to_vec())));
        entry(1, &["org.osbuild.user-data:"]);
        assert_eq!(found(), Err("2 OEM strings begin with org.osbuild.user-data:".to_owned()));
        entry(0, &[]);
        assert_eq!(found(), Ok(Some(Vec::new())));
        entry(1, &["org.osbuild.user-data:x"]);
        assert_eq!(found(), Err("its OEM string is no base64".to_owned()));
        // As no firmware should have it.
        for raw in [&b""[..], b"\x0b", b"\x0b\xff\0\0", b"\x0b\x05\0\0\x01"] {
            fs::write(place.path().join("11-1/raw"), raw).unwrap();
            assert_eq!(found(), Ok(None));
        }
        assert_eq!(smbios(&place.path().join("none")).map_err(|refused| refused.0), Ok(None));
    }

    #[test]
    fn a_file_that_is_not_there_is_no_user_data() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(fw_cfg(&place.path().join("none")).map_err(|refused| refused.0), Ok(None));
        let file = place.path().join("raw");
        fs::write(&file, vec![b'x'; MOST_BYTES + 100]).unwrap();
        assert_eq!(fw_cfg(&file).map_err(|refused| refused.0).unwrap().unwrap().len(), MOST_BYTES + 1);
        assert!(fw_cfg(place.path()).is_err());
    }
}
