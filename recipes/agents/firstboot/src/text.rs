//! From the bytes of user data to its text: plain or gzip (RFC 1952), bounded.

use std::io::Read;

use flate2::read::MultiGzDecoder;

/// As it comes; EC2 lets 16 KiB pass.
pub const MOST_BYTES: usize = 256 << 10;
/// Unpacked.
const MOST_TEXT_BYTES: u64 = 512 << 10;

/// # Errors
/// It is too large, no gzip where it says so, or no text; in words.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("it has {} bytes, at most {MOST_BYTES} are taken", bytes.len()));
    }
    let mut text = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut decoder = MultiGzDecoder::new(bytes).take(MOST_TEXT_BYTES + 1);
        decoder.read_to_end(&mut text).map_err(|error| format!("it is no gzip: {error}"))?;
        if text.len() as u64 > MOST_TEXT_BYTES {
            return Err(format!("it unpacks to more than {MOST_TEXT_BYTES} bytes"));
        }
    } else {
        text.extend_from_slice(bytes);
    }
    String::from_utf8(text)
        .map_err(|error| format!("it is no text (UTF-8) from byte {} on", error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_packed_are_read() {
        assert_eq!(decode(b"a = 1\n").unwrap(), "a = 1\n");
        assert_eq!(decode(b"").unwrap(), "");
        assert_eq!(decode(&gzip(b"a = 1\n")).unwrap(), "a = 1\n");
        assert_eq!(decode(&[gzip(b"a"), gzip(b"b")].concat()).unwrap(), "ab");
    }

    #[test]
    fn what_is_too_much_or_torn_is_refused() {
        let packed = gzip(b"some text that is long enough");
        let bomb = gzip(&vec![b'x'; 600 << 10]);
        for (bytes, expected) in [
            (vec![b'x'; MOST_BYTES + 1], "it has 262145 bytes, at most 262144 are taken"),
            (bomb, "it unpacks to more than 524288 bytes"),
            (packed[..packed.len() - 5].to_vec(), "it is no gzip: "),
            (b"\x1f\x8b".to_vec(), "it is no gzip: "),
            (b"ab\xff".to_vec(), "it is no text (UTF-8) from byte 2 on"),
            (gzip(b"\xff"), "it is no text (UTF-8) from byte 0 on"),
        ] {
            let error = decode(&bytes).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
