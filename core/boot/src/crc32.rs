//! CRC-32 as GPT uses it (IEEE 802.3, reflected, UEFI 2.10 section 5.3.2).

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// Checksum of the concatenation of `parts`.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut value = !0u32;
    for part in parts {
        for byte in *part {
            value = TABLE[((value ^ u32::from(*byte)) & 0xff) as usize] ^ (value >> 8);
        }
    }
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_polynomial() {
        assert_eq!(crc32(&[b"12345", b"6789"]), 0xcbf4_3926);
    }
}
