//! GUIDs: 16 bytes as the text form prints them, mixed-endian on disk.
//!
//! Source: UEFI 2.10, appendix A.

use core::fmt;

use crate::sha256::sha256;

/// A GUID, its bytes in the order of the text form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    pub const NIL: Self = Self([0; 16]);

    /// From the bytes as the text form prints them: the first 128 bits of a
    /// digest, say.
    pub const fn from_text_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The ROOT partition's GUID: the root hash's first 128 bits.
    pub fn of_root(root_hash: &[u8; 32]) -> Self {
        Self(half(&root_hash[..16]))
    }

    /// The HASH partition's GUID: the root hash's last 128 bits.
    pub fn of_hash(root_hash: &[u8; 32]) -> Self {
        Self(half(&root_hash[16..]))
    }

    /// The GUID of a partition that no root hash names, and the blank one of
    /// an empty slot: SHA-256(disk GUID ‖ name), cut to 128 bits.
    pub fn of_partition(disk: Self, name: &str) -> Self {
        Self(half(&sha256(&[&disk.0, name.as_bytes()])[..16]))
    }

    /// The factory disk's GUID. It depends on what is on the disk, and on a
    /// seed that tells apart disks of one image in one machine.
    pub fn of_disk(root_hash: &[u8; 32], seed: &str) -> Self {
        Self(half(&sha256(&[b"osbuild disk 1", root_hash, seed.as_bytes()])[..16]))
    }

    pub const fn to_text_bytes(self) -> [u8; 16] {
        self.0
    }

    /// From the form on disk: the first three fields little-endian.
    pub fn from_disk(bytes: &[u8; 16]) -> Self {
        Self(swap(*bytes))
    }

    pub fn to_disk(self) -> [u8; 16] {
        swap(self.0)
    }

    /// Parses `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` in either case.
    pub const fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut bytes = [0u8; 16];
        let (mut at, mut index) = (0, 0);
        while at < 36 {
            if at == 8 || at == 13 || at == 18 || at == 23 {
                if text[at] != b'-' {
                    return None;
                }
                at += 1;
                continue;
            }
            let (high, low) = (nibble(text[at]), nibble(text[at + 1]));
            if high > 15 || low > 15 {
                return None;
            }
            bytes[index] = high << 4 | low;
            index += 1;
            at += 2;
        }
        Some(Self(bytes))
    }
}

fn half(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(bytes);
    half
}

const fn nibble(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        b'A'..=b'F' => character - b'A' + 10,
        _ => 255,
    }
}

fn swap(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

/// Lower case, as the kernel prints `PARTUUID`.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_and_disk_forms() {
        let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        let guid = Guid::parse(text).unwrap();
        assert_eq!(guid.to_string(), text);
        assert_eq!(guid.to_disk()[..8], [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]);
        assert_eq!(Guid::from_disk(&guid.to_disk()), guid);
        assert_eq!(Guid::parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93"), None);
        assert_eq!(Guid::parse("c12a7328xf81f-11d2-ba4b-00a0c93ec93b"), None);
    }

    #[test]
    fn derivations_are_fixed_for_ever() {
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = index as u8;
        }
        assert_eq!(Guid::of_root(&hash).to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(Guid::of_hash(&hash).to_string(), "10111213-1415-1617-1819-1a1b1c1d1e1f");
        let disk = Guid::of_disk(&hash, "seed");
        assert_eq!(disk.to_string(), "4c25f94a-b65a-172b-f15a-5a56235a1553");
        assert_eq!(Guid::of_partition(disk, "DATA").to_string(), "275e4039-1bb2-9534-6481-36558ff8b7f9");
    }
}
