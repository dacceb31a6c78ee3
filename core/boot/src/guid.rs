//! GUIDs: 16 bytes as the text form prints them, mixed-endian on disk.
//!
//! Source: UEFI 2.10, appendix A.

use core::fmt;

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
}
