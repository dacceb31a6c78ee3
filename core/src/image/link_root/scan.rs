//! One pass over a file's contents: digest, store paths, first bytes.

use std::io::Read;
use std::path::Path;

use crate::build::builtin::BuiltinError;
use crate::image::files::{failed, open};

/// What the pass showed.
pub(super) struct Scan {
    pub(super) blake3: blake3::Hash,
    pub(super) size: u64,
    /// Begins with `#!`.
    pub(super) script: bool,
    /// Begins as an ELF file does.
    pub(super) elf: bool,
    /// Offset of the first store path.
    pub(super) store_path: Option<u64>,
}

const NEEDLE: &[u8] = b"/nix/store/";
const CHUNK_BYTES: usize = 256 * 1024;

/// Reads a file once.
///
/// # Errors
/// Reading failed.
pub(super) fn scan(path: &Path) -> Result<Scan, BuiltinError> {
    let mut file = open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut scan = Scan {
        blake3: blake3::Hash::from_bytes([0; 32]),
        size: 0,
        script: false,
        elf: false,
        store_path: None,
    };
    // The tail of the last chunk stays in front, so that a needle across the
    // border is found.
    let mut buffer = vec![0; NEEDLE.len() - 1 + CHUNK_BYTES];
    let mut kept = 0;
    loop {
        let mut filled = kept;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]).map_err(failed("read", path))? {
                0 => break,
                count => filled += count,
            }
        }
        if filled == kept {
            break;
        }
        hasher.update(&buffer[kept..filled]);
        if scan.size == 0 {
            scan.script = buffer[..filled].starts_with(b"#!");
            scan.elf = buffer[..filled].starts_with(b"\x7fELF");
        }
        if scan.store_path.is_none() {
            scan.store_path = find(&buffer[..filled]).map(|at| scan.size - kept as u64 + at as u64);
        }
        scan.size += (filled - kept) as u64;
        kept = filled.min(NEEDLE.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
    scan.blake3 = hasher.finalize();
    Ok(scan)
}

/// Horspool's search: looks at about every eleventh byte.
fn find(haystack: &[u8]) -> Option<usize> {
    const fn shifts() -> [u8; 256] {
        let mut table = [NEEDLE.len() as u8; 256];
        let mut index = 0;
        while index + 1 < NEEDLE.len() {
            table[NEEDLE[index] as usize] = (NEEDLE.len() - 1 - index) as u8;
            index += 1;
        }
        table
    }
    const SHIFTS: [u8; 256] = shifts();
    let mut at = 0;
    while let Some(window) = haystack.get(at..at + NEEDLE.len()) {
        if window == NEEDLE {
            return Some(at);
        }
        at += usize::from(SHIFTS[usize::from(window[NEEDLE.len() - 1])]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_store_paths_across_chunk_borders() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        for at in [0, 1, CHUNK_BYTES - 5, CHUNK_BYTES, CHUNK_BYTES + 7, 2 * CHUNK_BYTES - 1] {
            let mut bytes = vec![b'/'; at];
            bytes.extend_from_slice(b"/nix/store/x");
            // Slashes before the needle are no needle.
            std::fs::write(&path, &bytes).unwrap();
            let scan = scan(&path).unwrap();
            assert_eq!((scan.store_path, scan.size), (Some(at as u64), at as u64 + 12));
            assert_eq!(scan.blake3, blake3::hash(&bytes));
        }
        std::fs::write(&path, b"/nix/stor/ /nix/store").unwrap();
        assert_eq!(scan(&path).unwrap().store_path, None);
    }
}
