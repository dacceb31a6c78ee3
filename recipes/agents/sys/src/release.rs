//! Which release a slot that does not run holds, by its own kernel image.
//!
//! The root's file system is not asked: it is not mapped, and what it says is
//! in the image's `.osrel` section too, word for word.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use osbuild_boot::layout::Role;
use osbuild_boot::uki;

use crate::block::SystemDisk;
use crate::{Failed, Result, ioctl, os_release};

/// What is read of an image before its length is known.
const HEAD_BYTES: usize = 4096;

/// What such an image says of its release: the fields of its os-release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    fields: BTreeMap<String, String>,
}

impl Release {
    fn of(os_release: &str) -> Self {
        Self { fields: os_release::parse(os_release) }
    }

    pub fn version(&self) -> Option<&str> {
        self.fields.get("VERSION_ID").map(String::as_str)
    }

    pub fn rollback_index(&self) -> Option<u64> {
        self.fields.get("OSBUILD_ROLLBACK_INDEX")?.parse().ok()
    }
}

/// The release in the image of a BOOT partition; `None` if there is no image
/// that could start, or it does not say.
///
/// # Errors
/// The partition cannot be read.
pub fn read(disk: &SystemDisk, boot: Role) -> Result<Option<Release>> {
    let image = read_image(&disk.partition(boot))?;
    let text = image.as_deref().and_then(|image| uki::section(image, b".osrel"));
    Ok(text.map(|text| Release::of(&String::from_utf8_lossy(text))))
}

/// Its release index.
///
/// # Errors
/// As [`read`].
pub fn rollback_index(disk: &SystemDisk, boot: Role) -> Result<Option<u64>> {
    Ok(read(disk, boot)?.and_then(|release| release.rollback_index()))
}

fn read_image(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut file = File::open(path).map_err(Failed::at("open", path))?;
    let size = ioctl::device_size(&file).map_err(Failed::at("ask the size of", path))?;
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head).map_err(Failed::at("read", path))?;
    let Ok(length) = uki::image_length(&head, size) else { return Ok(None) };
    let mut image = vec![0; length as usize];
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_exact(&mut image))
        .map_err(Failed::at("read", path))?;
    Ok(Some(image))
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn the_index_is_a_number_or_unknown() {
        let index_in = |text: &str| Release::of(text).rollback_index();
        assert_eq!(index_in("ID=x\nOSBUILD_ROLLBACK_INDEX=7\n"), Some(7));
        assert_eq!(index_in("OSBUILD_ROLLBACK_INDEX=\"12\"\n"), Some(12));
        assert_eq!(index_in("OSBUILD_ROLLBACK_INDEX=soon\n"), None);
        assert_eq!(index_in("ID=x\n"), None);
    }
}
