//! A disk's writes in the order in which they came, and what a power cut may
//! leave of them.
//!
//! Source: the kernel's Documentation/admin-guide/device-mapper/log-writes.rst.
//! A disk with a volatile cache may lose any of the writes since the last flush,
//! and of the last one any sectors.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const SECTOR: u64 = 512;
const FLUSH: u64 = 1;
const FORCED: u64 = 2;
const DISCARD: u64 = 4;

/// One write: where on the disk, where in the log.
#[derive(Clone, Copy, Debug)]
struct Write {
    sector: u64,
    count: u64,
    data: u64,
    /// What it does to those before it, and to itself.
    flags: u64,
}

pub(crate) struct WriteLog {
    file: File,
    writes: Vec<Write>,
}

impl WriteLog {
    /// Reads a log; an entry that was not written to its end is left out.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        let mut head = [0; 32];
        let mut at = 0;
        let mut read = |at: u64| file.read_exact_at(&mut head, at).map(|()| head).map_err(|e| e.to_string());
        let superblock = read(at)?;
        if word(&superblock, 0) != MAGIC || word(&superblock, 1) != 1 {
            return Err(format!("{}: no log of writes", path.display()));
        }
        at += SECTOR;
        let mut writes = Vec::new();
        while at + SECTOR <= length {
            let entry = read(at)?;
            let [sector, count, flags] = [0, 1, 2].map(|index| word(&entry, index));
            let data = at + SECTOR;
            let stored = if flags & DISCARD == 0 { count * SECTOR } else { 0 };
            if data + stored > length {
                break;
            }
            if flags & DISCARD != 0 {
                return Err("the guest discards: this is not replayed".to_owned());
            }
            writes.push(Write { sector, count, data, flags });
            at = data + stored;
        }
        Ok(Self { file, writes })
    }

    pub(crate) fn len(&self) -> usize {
        self.writes.len()
    }

    /// How many of the writes had been logged when the log was so long.
    pub(crate) fn at_length(&self, length: u64) -> usize {
        self.writes.partition_point(|write| write.data + write.count * SECTOR <= length)
    }

    /// The writes that a cut before write `cut` leaves for certain: those
    /// before the last flush.
    fn certain(&self, cut: usize) -> usize {
        let flush = self.writes[..cut].iter().rposition(|write| write.flags & FLUSH != 0);
        // A flush is for those before it; its own data follow it.
        flush.unwrap_or(0)
    }

    /// Makes of `disk`, which is as it was before write `from`, what a cut
    /// before write `cut` may leave: all that is certain, and of the rest what
    /// `chance` (true: kept) says, sector by sector for the last. Only what is
    /// within `range` of the disk, in bytes, and put from its beginning.
    pub(crate) fn replay(
        &self,
        disk: &File,
        from: usize,
        cut: usize,
        range: (u64, u64),
        mut chance: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let certain = self.certain(cut);
        for (number, write) in self.writes.iter().enumerate().take(cut).skip(from) {
            let is_certain = number < certain || write.flags & FORCED != 0;
            let is_last = number + 1 == cut;
            if !is_certain && !is_last && !chance() {
                continue;
            }
            for sector in 0..write.count {
                let to = (write.sector + sector) * SECTOR;
                if to < range.0 || to >= range.0 + range.1 || (!is_certain && is_last && !chance()) {
                    continue;
                }
                let mut bytes = [0; SECTOR as usize];
                self.file
                    .read_exact_at(&mut bytes, write.data + sector * SECTOR)
                    .and_then(|()| disk.write_all_at(&bytes, to - range.0))
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

fn word(bytes: &[u8; 32], index: usize) -> u64 {
    u64::from_le_bytes(bytes[index * 8..][..8].try_into().expect("eight bytes"))
}

/// Chances that are the same in every run (xorshift64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of writes of one sector each: sector, flags, byte.
    fn log(writes: &[(u64, u64, u8)]) -> (tempfile::TempDir, WriteLog) {
        let place = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        let sector = |words: &[u64]| {
            let mut sector: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            sector.resize(SECTOR as usize, 0);
            sector
        };
        bytes.extend(sector(&[MAGIC, 1, writes.len() as u64, SECTOR]));
        for (at, flags, byte) in writes {
            let count = u64::from(*byte != 0);
            bytes.extend(sector(&[*at, count, *flags, 0]));
            bytes.extend(vec![*byte; (count * SECTOR) as usize]);
        }
        let path = place.path().join("log");
        std::fs::write(&path, bytes).unwrap();
        let log = WriteLog::read(&path).unwrap();
        (place, log)
    }

    fn after(log: &WriteLog, cut: usize, kept: bool) -> [u8; 3] {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(3 * SECTOR).unwrap();
        log.replay(&disk, 0, cut, (0, 3 * SECTOR), || kept).unwrap();
        [0, 1, 2].map(|sector| {
            let mut byte = [0];
            disk.read_exact_at(&mut byte, sector * SECTOR).unwrap();
            byte[0]
        })
    }

    #[test]
    fn what_was_flushed_stays_and_the_rest_may_go() {
        let (_place, log) = log(&[(0, 0, 1), (0, FLUSH, 0), (1, 0, 2), (2, FORCED, 3), (0, 0, 4)]);
        assert_eq!((log.len(), log.at_length(3 * SECTOR)), (5, 1));
        assert_eq!(after(&log, 1, false), [0, 0, 0]);
        assert_eq!(after(&log, 1, true), [1, 0, 0]);
        assert_eq!(after(&log, 2, false), [1, 0, 0]);
        assert_eq!(after(&log, 5, false), [1, 0, 3]);
        assert_eq!(after(&log, 5, true), [4, 2, 3]);
    }

    #[test]
    fn no_log_is_an_error_and_a_torn_entry_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        std::fs::write(&path, [0; 512]).unwrap();
        assert!(WriteLog::read(&path).is_err_and(|error| error.contains("no log")));
        let (place, _) = log(&[(0, 0, 1), (1, 0, 2)]);
        let path = place.path().join("log");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(WriteLog::read(&path).unwrap().len(), 1);
    }
}
