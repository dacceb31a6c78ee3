//! Nix's base-32: digits `0-9a-z` without `e o u t`, the last digit first.
//!
//! Source: Nix manual, "Store path", `nix32`.

const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Encodes bytes; the result is `ceil(8n / 5)` ASCII characters.
pub fn to_nix_base32(bytes: &[u8]) -> String {
    let length = (bytes.len() * 8).div_ceil(5);
    let mut text = String::with_capacity(length);
    for digit_index in (0..length).rev() {
        let bit = digit_index * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let low = u16::from(bytes[byte]) >> shift;
        let high = bytes.get(byte + 1).map_or(0, |b| u16::from(*b) << (8 - shift));
        text.push(char::from(ALPHABET[usize::from((low | high) & 0x1f)]));
    }
    text
}

/// Decodes exactly `N` bytes; `None` on a wrong length, a foreign character or
/// bits set beyond the last byte.
pub fn from_nix_base32<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0u8; N];
    for (digit_index, character) in text.bytes().rev().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == character)? as u16;
        let bit = digit_index * 5;
        let (byte, shift) = (bit / 8, bit % 8);
        let wide = digit << shift;
        bytes[byte] |= (wide & 0xff) as u8;
        let carry = (wide >> 8) as u8;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= carry,
            None if carry != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_nix_hash() {
        // nix-hash --type sha256 --to-base32 e3b0…b855
        let digest: [u8; 32] = data_encoding::HEXLOWER
            .decode(b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
            .unwrap()
            .try_into()
            .unwrap();
        let text = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        assert_eq!(to_nix_base32(&digest), text);
        assert_eq!(from_nix_base32::<32>(text), Some(digest));
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        assert_eq!(from_nix_base32::<20>(&"e".repeat(32)), None);
        assert_eq!(from_nix_base32::<20>("0"), None);
        // 52 digits hold 260 bits; the top four must be zero for 32 bytes.
        assert_eq!(from_nix_base32::<32>(&"z".repeat(52)), None);
    }
}
