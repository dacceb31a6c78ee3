//! Reading what a device's medium has.
//!
//! The kernel keeps pages of what was read once and does not ask the medium for
//! them again: whoever reads through them learns how the medium was, not how it
//! is, and pushes out what others need. `O_DIRECT` (open(2)) passes them by;
//! what was written through them and is still there is written out first.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result as IoResult, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::{Failed, Result};

/// One transfer.
pub const PIECE_BYTES: usize = 1 << 20;
/// Memory, places and lengths are multiples of a block: of a mapped root that
/// is verity's, 4096.
const ALIGNMENT: usize = 4096;

/// A device or file, to be read past the kernel's pages.
pub struct Direct {
    file: File,
    length: u64,
    /// Of which the piece begins where memory is aligned.
    memory: Vec<u8>,
    begin: usize,
}

impl Direct {
    /// # Errors
    /// It cannot be opened, or not in this way.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = i32::try_from(OFlags::DIRECT.bits()).expect("open's flags are of that type");
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .map_err(Failed::at("open past the page cache", path))?;
        let length = file.seek(SeekFrom::End(0)).map_err(Failed::at("ask the size of", path))?;
        let memory = vec![0; PIECE_BYTES + ALIGNMENT];
        let begin = memory.as_ptr().align_offset(ALIGNMENT);
        Ok(Self { file, length, memory, begin })
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes from a place on: as many as are asked for.
    ///
    /// # Errors
    /// The medium cannot be read there, or ends before.
    ///
    /// # Panics
    /// If more than a piece is asked for.
    pub fn read_at(&mut self, place: u64, count: usize) -> IoResult<&[u8]> {
        assert!(count <= PIECE_BYTES, "one piece at a time");
        let piece = &mut self.memory[self.begin..][..count];
        let mut came = 0;
        while came < count {
            match self.file.read_at(&mut piece[came..], place + came as u64) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(more) => came += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let at = place + came as u64;
                    return Err(Error::new(error.kind(), format!("at byte {at}: {error}")));
                }
            }
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Below the build's own directory: not every file system of memory can be
    /// read in this way.
    fn file(name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let around = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let path = around.join(format!("direct-{name}-{}", std::process::id()));
        File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_piece_by_piece() {
        let bytes: Vec<u8> = (0..PIECE_BYTES + 3 * 4096).map(|at| (at / 512 % 251) as u8).collect();
        let path = file("pieces", &bytes);
        let mut direct = Direct::open(&path).unwrap();
        assert_eq!(direct.length(), bytes.len() as u64);
        for (place, count) in [(0, 4096), (4096, PIECE_BYTES), (512, 512), (PIECE_BYTES as u64, 3 * 4096)] {
            let found = direct.read_at(place, count).unwrap();
            assert!(found == &bytes[place as usize..][..count], "{count} at {place}");
        }
        let error = direct.read_at(direct.length() - 4096, 8192).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        std::fs::remove_file(path).unwrap();
    }
}
