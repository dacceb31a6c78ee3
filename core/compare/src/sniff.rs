//! What bytes are, by their magic. Names are never asked.

use std::io;

use crate::difference::Sides;
use crate::formats;
use crate::source::Source;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    Xz,
    Zstd,
    Tar,
    Cpio,
    Ar,
    Elf,
    Pe,
    Kernel,
    Squashfs,
    Gpt,
    Fat,
    Json,
    Text,
    Bytes,
    Empty,
}

impl Format {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Tar => "tar",
            Self::Cpio => "cpio",
            Self::Ar => "ar",
            Self::Elf => "ELF",
            Self::Pe => "PE",
            Self::Kernel => "bzImage",
            Self::Squashfs => "squashfs",
            Self::Gpt => "GPT disk",
            Self::Fat => "FAT",
            Self::Json => "JSON",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Empty => "empty",
        }
    }

    /// None for plain bytes, which is no format.
    pub(crate) fn word_of_pair(self) -> Option<&'static str> {
        (!matches!(self, Self::Bytes | Self::Empty)).then(|| self.word())
    }

    /// As what both sides are compared; none if they have nothing in common.
    pub(crate) fn of_both(formats: Sides<Self>) -> Option<Self> {
        let is_text = |format| matches!(format, Self::Json | Self::Text | Self::Empty);
        let is_plain = |format| matches!(format, Self::Text | Self::Bytes | Self::Empty);
        match formats {
            Sides { left, right } if left == right => Some(left),
            Sides { left, right } if is_text(left) && is_text(right) => Some(Self::Text),
            Sides { left, right } if is_plain(left) && is_plain(right) => Some(Self::Bytes),
            _ => None,
        }
    }
}

/// As much as is looked at.
const HEAD_BYTES: usize = 8192;

pub(crate) fn sniff(source: &Source) -> io::Result<Format> {
    let head = source.up_to(0, HEAD_BYTES)?;
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let zstd_skippable = head.first_chunk().is_some_and(|m| u32::from_le_bytes(*m) >> 4 == 0x0184_d2a5);
    Ok(if head.is_empty() {
        Format::Empty
    } else if at(0, &[0x1f, 0x8b, 8]) {
        Format::Gzip
    } else if at(0, b"\xfd7zXZ\0") {
        Format::Xz
    } else if at(0, &[0x28, 0xb5, 0x2f, 0xfd]) || zstd_skippable {
        Format::Zstd
    } else if at(0, b"070701") || at(0, b"070702") {
        Format::Cpio
    } else if at(0, b"!<arch>\n") {
        Format::Ar
    } else if at(0, b"\x7fELF") {
        Format::Elf
    } else if at(0, b"hsqs") {
        Format::Squashfs
    } else if at(0x1fe, &[0x55, 0xaa]) && at(0x202, b"HdrS") {
        Format::Kernel
    } else if at(0, b"MZ") && formats::pe::has_header(&head) {
        Format::Pe
    } else if at(512, b"EFI PART") || at(4096, b"EFI PART") {
        Format::Gpt
    } else if at(510, &[0x55, 0xaa]) && formats::fat::has_boot_sector(&head) {
        Format::Fat
    } else if at(257, b"ustar") && formats::tar::has_checksum(&head) {
        Format::Tar
    } else if looks_like_text(&head) {
        let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
        if matches!(first, Some(b'{' | b'[')) { Format::Json } else { Format::Text }
    } else {
        Format::Bytes
    })
}

/// Whether bytes have none of the control characters that text has not.
/// Encodings other than UTF-8 pass: lines are bytes.
pub(crate) fn looks_like_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| !matches!(byte, 0..=6 | 14..=26 | 28..=31 | 127))
}
