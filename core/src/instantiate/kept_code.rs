//! Lowered code on disk, so that files that did not change are not parsed
//! again.
//!
//! Each evaluation that lowered something adds one pack: a file that appears
//! whole, under a name of its own. Packs are never changed; one that is not
//! much larger than what an evaluation adds is taken into the new one, so
//! there are few, and each entry is copied a few times at most. When all
//! together outgrow the limit, those that were written first go.
//!
//! Nothing here is ever needed: what cannot be read, fails its checksum or is
//! gone is lowered again, and what cannot be written is not kept.
//!
//! A pack: the entries end to end; then for each, sorted, its key (32 bytes),
//! offset (u64), length (u32) and the first 16 bytes of its BLAKE3; then the
//! BLAKE3 of these rows, their number (u64), and [`MAGIC`]. Numbers are little
//! endian.

use std::cell::{OnceCell, RefCell};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::lang::portable::CodeKey;

const MAGIC: &[u8; 16] = b"osbuild code 1\n\0";
const SUFFIX: &str = ".pack";
const ROW: usize = 32 + 8 + 4 + 16;
/// Hash of the rows, their number and the magic.
const TRAILER: usize = 32 + 8 + 16;
/// Of all packs together.
const LIMIT_BYTES: u64 = 256 << 20;

/// What was kept below a directory, and what this evaluation adds.
pub(super) struct KeptCode {
    directory: PathBuf,
    packs: OnceCell<Vec<Pack>>,
    fresh: RefCell<Vec<(CodeKey, Vec<u8>)>>,
}

struct Pack {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    modified: SystemTime,
    rows: Vec<u8>,
}

impl KeptCode {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, packs: OnceCell::new(), fresh: RefCell::default() }
    }

    pub(super) fn get(&self, key: &CodeKey) -> Option<Vec<u8>> {
        self.packs().iter().find_map(|pack| pack.get(key))
    }

    pub(super) fn add(&self, key: CodeKey, code: Vec<u8>) {
        self.fresh.borrow_mut().push((key, code));
    }

    fn packs(&self) -> &[Pack] {
        self.packs.get_or_init(|| packs_in(&self.directory))
    }

    /// Writes what was added.
    pub(super) fn flush(&self) {
        let fresh = self.fresh.take();
        if !fresh.is_empty() {
            // Another evaluation will try again.
            let _ = self.write(fresh);
        }
    }

    fn write(&self, mut entries: Vec<(CodeKey, Vec<u8>)>) -> std::io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut packs: Vec<&Pack> = self.packs().iter().collect();
        packs.sort_by_key(|pack| pack.size_bytes);
        let mut size = entries.iter().map(|(_, code)| code.len() as u64).sum::<u64>();
        let mut taken = Vec::new();
        for pack in &packs {
            if pack.size_bytes > 2 * size {
                break;
            }
            size += pack.size_bytes;
            taken.push(*pack);
            entries.extend(pack.entries());
        }
        entries.sort_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.directory)?;
        file.write_all(&pack(&entries))?;
        let name = blake3::hash(&entries.iter().flat_map(|(key, _)| *key).collect::<Vec<u8>>());
        let path = self.directory.join(format!("{}{SUFFIX}", &name.to_hex()[..32]));
        file.persist(&path)?;
        for pack in taken.iter().filter(|pack| pack.path != path) {
            // Another evaluation may have taken it, too.
            let _ = fs::remove_file(&pack.path);
        }
        packs.retain(|pack| taken.iter().all(|other| !std::ptr::eq(*other, *pack)));
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.modified));
        for pack in packs {
            size += pack.size_bytes;
            if size > LIMIT_BYTES {
                let _ = fs::remove_file(&pack.path);
            }
        }
        Ok(())
    }
}

/// Those that are whole; what is none is removed.
fn packs_in(directory: &Path) -> Vec<Pack> {
    let Ok(members) = fs::read_dir(directory) else { return Vec::new() };
    let mut packs = Vec::new();
    for path in members.filter_map(|member| Some(member.ok()?.path())) {
        if !path.as_os_str().as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
            continue;
        }
        match Pack::open(&path) {
            Ok(Some(pack)) => packs.push(pack),
            Ok(None) => drop(fs::remove_file(&path)),
            Err(_) => {}
        }
    }
    packs
}

/// The bytes of a pack of sorted entries.
fn pack(entries: &[(CodeKey, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rows = Vec::with_capacity(entries.len() * ROW);
    for (key, code) in entries {
        rows.extend_from_slice(key);
        rows.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        rows.extend_from_slice(&(code.len() as u32).to_le_bytes());
        rows.extend_from_slice(&checksum(code));
        bytes.extend_from_slice(code);
    }
    bytes.extend_from_slice(&rows);
    bytes.extend_from_slice(blake3::hash(&rows).as_bytes());
    bytes.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    bytes
}

fn checksum(code: &[u8]) -> [u8; 16] {
    *blake3::hash(code).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

impl Pack {
    /// None if the file is no whole pack.
    fn open(path: &Path) -> std::io::Result<Option<Self>> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let size_bytes = metadata.len();
        let Some(trailer_start) = size_bytes.checked_sub(TRAILER as u64) else { return Ok(None) };
        let mut trailer = [0; TRAILER];
        file.read_exact_at(&mut trailer, trailer_start)?;
        let (hash, rest) = trailer.split_at(32);
        let (count, magic) = rest.split_at(8);
        let count = u64::from_le_bytes(count.try_into().expect("split at eight"));
        let rows_size = count.checked_mul(ROW as u64).filter(|size| *size <= trailer_start);
        let Some(rows_size) = rows_size.filter(|_| magic == MAGIC) else { return Ok(None) };
        let mut rows = vec![0; rows_size as usize];
        file.read_exact_at(&mut rows, trailer_start - rows_size)?;
        if blake3::hash(&rows).as_bytes() != hash {
            return Ok(None);
        }
        Ok(Some(Self { path: path.to_owned(), file, size_bytes, modified: metadata.modified()?, rows }))
    }

    fn rows(&self) -> &[[u8; ROW]] {
        self.rows.as_chunks().0
    }

    fn get(&self, key: &CodeKey) -> Option<Vec<u8>> {
        let place = self.rows().binary_search_by(|row| row[..32].cmp(key)).ok()?;
        self.entry(&self.rows()[place])
    }

    fn entry(&self, row: &[u8; ROW]) -> Option<Vec<u8>> {
        let offset = u64::from_le_bytes(*row[32..].first_chunk()?);
        let length = u32::from_le_bytes(*row[40..].first_chunk()?);
        if offset.checked_add(length.into())? > self.size_bytes {
            return None;
        }
        let mut code = vec![0; length as usize];
        self.file.read_exact_at(&mut code, offset).ok()?;
        (checksum(&code) == row[44..]).then_some(code)
    }

    fn entries(&self) -> impl Iterator<Item = (CodeKey, Vec<u8>)> {
        self.rows().iter().filter_map(|row| Some((*row.first_chunk()?, self.entry(row)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> CodeKey {
        [number; 32]
    }

    fn files(directory: &Path) -> Vec<PathBuf> {
        fs::read_dir(directory).unwrap().map(|member| member.unwrap().path()).collect()
    }

    #[test]
    fn what_was_kept_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..20_u8 {
            let kept = KeptCode::new(directory.path().to_owned());
            for earlier in 0..round {
                assert_eq!(kept.get(&key(earlier)), Some(vec![earlier; 1000]), "{round}");
            }
            assert_eq!(kept.get(&key(round)), None);
            kept.add(key(round), vec![round; 1000]);
            kept.flush();
        }
        assert!(files(directory.path()).len() <= 5, "{:?}", files(directory.path()));
    }

    #[test]
    fn damage_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptCode::new(directory.path().to_owned());
        kept.add(key(1), b"code of a text".to_vec());
        kept.add(key(2), b"code of another".to_vec());
        kept.flush();
        let [path] = files(directory.path()).try_into().unwrap();
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let kept = KeptCode::new(directory.path().to_owned());
            for (key, code) in [(key(1), &b"code of a text"[..]), (key(2), b"code of another")] {
                assert!(kept.get(&key).is_none_or(|kept| kept == code), "byte {place}");
            }
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let kept = KeptCode::new(directory.path().to_owned());
            assert_eq!(kept.get(&key(1)), None, "cut to {length}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_fault() {
        let kept = KeptCode::new(PathBuf::from("/proc/none"));
        kept.add(key(1), vec![1]);
        kept.flush();
        assert_eq!(kept.get(&key(1)), None);
    }
}
