//! What the loader must know of a unified kernel image without trusting it:
//! how long it is, and which partitions its command line names.

use crate::guid::Guid;

/// Why bytes are no startable image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStartable {
    /// No `MZ` and `PE` signatures, or not a 64-bit image.
    NotPe,
    /// A header or section reaches beyond the partition.
    TooLong,
    /// No `.cmdline` section.
    NoCommandLine,
    /// The command line does not name exactly the slot's own ROOT and HASH.
    ForeignPartitions,
}

/// Length of an image in bytes: the end of its certificate table (data
/// directory 4) if it has one, else the largest end of a section's raw data.
/// Firmware refuses a signed image with padding behind it, so the partition's
/// zeros must not be passed on.
///
/// `head` holds the image's first bytes, at least its headers.
///
/// # Errors
/// [`NotStartable::NotPe`] or [`NotStartable::TooLong`].
pub fn image_length(head: &[u8], partition_bytes: u64) -> Result<u64, NotStartable> {
    let headers = Headers::parse(head)?;
    let (certificates, size) = headers.certificate_table();
    let length = if certificates != 0 && size != 0 {
        u64::from(certificates) + u64::from(size)
    } else {
        let mut end = 0;
        for section in headers.sections() {
            let section = section?;
            end = end.max(u64::from(section.raw_offset) + u64::from(section.raw_size));
        }
        end
    };
    if length == 0 || length > partition_bytes { Err(NotStartable::TooLong) } else { Ok(length) }
}

/// The text of the `.cmdline` section, without padding.
///
/// # Errors
/// The image is no PE file or has no such section.
pub fn command_line(image: &[u8]) -> Result<&[u8], NotStartable> {
    section(image, b".cmdline").ok_or(NotStartable::NoCommandLine)
}

/// The bytes of a section (its virtual size at most), by name.
pub fn section<'i>(image: &'i [u8], name: &[u8]) -> Option<&'i [u8]> {
    let headers = Headers::parse(image).ok()?;
    let mut wanted = [0u8; 8];
    wanted.get_mut(..name.len())?.copy_from_slice(name);
    let found = headers.sections().filter_map(Result::ok).find(|section| section.name == wanted)?;
    let size = found.raw_size.min(found.virtual_size) as usize;
    let start = found.raw_offset as usize;
    let bytes = image.get(start..start.checked_add(size)?)?;
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    Some(if name == b".cmdline" || name == b".osrel" { &bytes[..end] } else { bytes })
}

/// Checks that the command line's `PARTUUID=` words name `root` and `hash`,
/// both of them, and no other partition.
///
/// # Errors
/// [`NotStartable::ForeignPartitions`].
pub fn check_partitions(command_line: &[u8], root: Guid, hash: Guid) -> Result<(), NotStartable> {
    const MARK: &[u8] = b"PARTUUID=";
    let (mut names_root, mut names_hash) = (false, false);
    let mut at = 0;
    while at + MARK.len() + 36 <= command_line.len() {
        if !command_line[at..].starts_with(MARK) {
            at += 1;
            continue;
        }
        at += MARK.len();
        let text =
            core::str::from_utf8(&command_line[at..at + 36]).map_err(|_| NotStartable::ForeignPartitions)?;
        match Guid::parse(text) {
            Some(guid) if guid == root => names_root = true,
            Some(guid) if guid == hash => names_hash = true,
            _ => return Err(NotStartable::ForeignPartitions),
        }
    }
    if names_root && names_hash { Ok(()) } else { Err(NotStartable::ForeignPartitions) }
}

/// PE headers (PE format, "COFF file header" and after), bounds checked.
struct Headers<'i> {
    bytes: &'i [u8],
    optional: usize,
    section_table: usize,
    section_count: usize,
}

struct Section {
    name: [u8; 8],
    virtual_size: u32,
    raw_offset: u32,
    raw_size: u32,
}

const SECTION_HEADER_BYTES: usize = 40;
const PE32_PLUS: u16 = 0x20b;
const CERTIFICATE_DIRECTORY: usize = 4;

impl<'i> Headers<'i> {
    fn parse(bytes: &'i [u8]) -> Result<Self, NotStartable> {
        if bytes.get(0..2) != Some(b"MZ") {
            return Err(NotStartable::NotPe);
        }
        let pe = u32_at(bytes, 0x3c)? as usize;
        if bytes.get(pe..pe.saturating_add(4)) != Some(b"PE\0\0") {
            return Err(NotStartable::NotPe);
        }
        let section_count = usize::from(u16_at(bytes, pe + 6)?);
        let optional_size = usize::from(u16_at(bytes, pe + 20)?);
        let optional = pe + 24;
        if u16_at(bytes, optional)? != PE32_PLUS {
            return Err(NotStartable::NotPe);
        }
        let section_table = optional + optional_size;
        if section_table + section_count * SECTION_HEADER_BYTES > bytes.len() {
            return Err(NotStartable::TooLong);
        }
        Ok(Self { bytes, optional, section_table, section_count })
    }

    /// File offset and size; zeros where there is none.
    fn certificate_table(&self) -> (u32, u32) {
        let count = u32_at(self.bytes, self.optional + 108).unwrap_or(0) as usize;
        if count <= CERTIFICATE_DIRECTORY {
            return (0, 0);
        }
        let at = self.optional + 112 + CERTIFICATE_DIRECTORY * 8;
        (u32_at(self.bytes, at).unwrap_or(0), u32_at(self.bytes, at + 4).unwrap_or(0))
    }

    fn sections(&self) -> impl Iterator<Item = Result<Section, NotStartable>> + '_ {
        (0..self.section_count).map(|index| {
            let at = self.section_table + index * SECTION_HEADER_BYTES;
            let name = self.bytes.get(at..at + 8).ok_or(NotStartable::TooLong)?;
            Ok(Section {
                name: name.try_into().map_err(|_| NotStartable::TooLong)?,
                virtual_size: u32_at(self.bytes, at + 8)?,
                raw_size: u32_at(self.bytes, at + 16)?,
                raw_offset: u32_at(self.bytes, at + 20)?,
            })
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, NotStartable> {
    let field = bytes.get(at..at.saturating_add(2)).ok_or(NotStartable::TooLong)?;
    Ok(u16::from_le_bytes([field[0], field[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, NotStartable> {
    let field = bytes.get(at..at.saturating_add(4)).ok_or(NotStartable::TooLong)?;
    Ok(u32::from_le_bytes([field[0], field[1], field[2], field[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A PE32+ file with one `.cmdline` section at 0x200.
    fn image(text: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![0u8; 0x400];
        bytes[0..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x40;
        bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
        bytes[0x46] = 1;
        bytes[0x54] = 240;
        bytes[0x58..0x5a].copy_from_slice(&PE32_PLUS.to_le_bytes());
        bytes[0x58 + 108] = 16;
        let section = 0x58 + 240;
        bytes[section..section + 8].copy_from_slice(b".cmdline");
        bytes[section + 8..section + 12].copy_from_slice(&(text.len() as u32).to_le_bytes());
        bytes[section + 16..section + 20].copy_from_slice(&0x200u32.to_le_bytes());
        bytes[section + 20..section + 24].copy_from_slice(&0x200u32.to_le_bytes());
        bytes[0x200..0x200 + text.len()].copy_from_slice(text);
        bytes
    }

    #[test]
    fn length_is_the_sections_or_the_certificates() {
        let mut bytes = image(b"quiet");
        assert_eq!(image_length(&bytes, 4096), Ok(0x400));
        assert_eq!(image_length(&bytes, 0x300), Err(NotStartable::TooLong));
        let directory = 0x58 + 112 + 32;
        bytes[directory..directory + 4].copy_from_slice(&0x400u32.to_le_bytes());
        bytes[directory + 4] = 16;
        assert_eq!(image_length(&bytes, 4096), Ok(0x410));
    }

    #[test]
    fn partitions_must_be_the_slots_own() {
        let (root, hash) = (Guid::from_text_bytes([1; 16]), Guid::from_text_bytes([2; 16]));
        let text = std::format!("ro dm-mod.create=\"x PARTUUID={root} PARTUUID={hash} 1\" quiet");
        let bytes = image(text.as_bytes());
        let line = command_line(&bytes).unwrap();
        assert_eq!(line, text.as_bytes());
        assert_eq!(check_partitions(line, root, hash), Ok(()));
        assert_eq!(check_partitions(line, hash, root), Ok(()));
        let foreign = Guid::from_text_bytes([3; 16]);
        assert_eq!(check_partitions(line, root, foreign), Err(NotStartable::ForeignPartitions));
        assert_eq!(check_partitions(b"quiet", root, hash), Err(NotStartable::ForeignPartitions));
    }

    #[test]
    fn truncated_images_are_refused_not_read_beyond() {
        let bytes = image(b"quiet");
        for length in 0..0x200 {
            let head = &bytes[..length];
            assert!(command_line(head).is_err());
            let _ = image_length(head, 4096);
        }
    }
}
