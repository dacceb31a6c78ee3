//! Verified metadata on a disk that may tear any write: two files, each with a
//! checksum over all of it, written one after the other. Whatever is lost of
//! one, the other still says how new the repository was.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use osbuild_tuf::client::{Failure, Kept, Store};
use sha2::{Digest, Sha256};

const PLACES: [&str; 2] = ["metadata.0", "metadata.1"];
const MAGIC: &[u8; 8] = b"OSBTUF01";
const DIGEST_BYTES: usize = 32;
/// Far more than any repository has; what is longer is no file of ours.
const MOST_BYTES: u64 = 64 << 20;

pub struct FileStore {
    directory: PathBuf,
}

impl FileStore {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The generations that can be read, the newest first.
    fn read(&self) -> Vec<(u64, Kept, usize)> {
        let mut found: Vec<(u64, Kept, usize)> = (0..PLACES.len())
            .filter_map(|place| {
                let path = self.directory.join(PLACES[place]);
                let size = fs::metadata(&path).ok()?.len();
                let bytes = (size <= MOST_BYTES).then(|| fs::read(&path).ok())??;
                decode(&bytes).map(|(generation, kept)| (generation, kept, place))
            })
            .collect();
        found.sort_by_key(|(generation, ..)| std::cmp::Reverse(*generation));
        found
    }

    fn write(&self, place: usize, bytes: &[u8]) -> io::Result<()> {
        let path = self.directory.join(PLACES[place]);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.directory)?.sync_all()
    }
}

impl Store for FileStore {
    fn load(&mut self) -> Kept {
        self.read().into_iter().next().map(|(_, kept, _)| kept).unwrap_or_default()
    }

    fn save(&mut self, kept: &Kept) -> Result<(), Failure> {
        let found = self.read();
        let (newest, best) = found.first().map_or((0, 1), |(generation, _, place)| (*generation, *place));
        let bytes = encode(newest + 1, kept);
        // First over the one that is worth less.
        for place in [1 - best, best] {
            self.write(place, &bytes)?;
        }
        Ok(())
    }
}

/// Magic, digest of what follows, generation, then each part by its length:
/// roots, timestamp, snapshot, targets by name.
fn encode(generation: u64, kept: &Kept) -> Vec<u8> {
    let mut body = generation.to_le_bytes().to_vec();
    let mut put = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("no file of metadata is that long");
        body.extend(length.to_le_bytes());
        body.extend(bytes);
    };
    let count = |number: usize| u32::try_from(number).expect("so many files are not kept").to_le_bytes();
    put(&count(kept.roots.len()));
    kept.roots.iter().for_each(|root| put(root));
    put(kept.timestamp.as_deref().unwrap_or_default());
    put(kept.snapshot.as_deref().unwrap_or_default());
    put(&count(kept.targets.len()));
    for (role, bytes) in &kept.targets {
        put(role.as_bytes());
        put(bytes);
    }
    let mut file = MAGIC.to_vec();
    file.extend(Sha256::digest(&body));
    file.extend(body);
    file
}

/// `None` if it is not whole.
fn decode(bytes: &[u8]) -> Option<(u64, Kept)> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (digest, mut rest) = rest.split_at_checked(DIGEST_BYTES)?;
    if Sha256::digest(rest).as_slice() != digest {
        return None;
    }
    let (generation, after) = rest.split_at_checked(8)?;
    rest = after;
    let generation = u64::from_le_bytes(generation.try_into().ok()?);
    let mut take = || {
        let (length, after) = rest.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let (bytes, after) = after.split_at_checked(length)?;
        rest = after;
        Some(bytes.to_vec())
    };
    let number = |bytes: Vec<u8>| Some(u32::from_le_bytes(bytes.try_into().ok()?));
    let mut kept = Kept::default();
    for _ in 0..number(take()?)? {
        kept.roots.push(take()?);
    }
    kept.timestamp = take().map(|bytes| (!bytes.is_empty()).then_some(bytes))?;
    kept.snapshot = take().map(|bytes| (!bytes.is_empty()).then_some(bytes))?;
    for _ in 0..number(take()?)? {
        let role = String::from_utf8(take()?).ok()?;
        kept.targets.insert(role, take()?);
    }
    rest.is_empty().then_some((generation, kept))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn kept(version: u8) -> Kept {
        Kept {
            roots: vec![b"root 1".to_vec(), b"root 2".to_vec()],
            timestamp: Some(vec![version; 7]),
            snapshot: None,
            targets: BTreeMap::from([("targets".to_owned(), vec![version; 100])]),
        }
    }

    /// Cut or changed at any byte, one file at a time, in both of them, after
    /// one save and after two: what is loaded is the newest state.
    #[test]
    fn one_spoiled_file_costs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for newest in [kept(1), kept(2)] {
            FileStore::new(directory.path()).save(&newest).unwrap();
            for place in PLACES {
                let path = directory.path().join(place);
                let whole = fs::read(&path).unwrap();
                for at in 0..whole.len() {
                    let mut flipped = whole.clone();
                    flipped[at] ^= 0x40;
                    for spoiled in [&whole[..at], &flipped, &[]] {
                        fs::write(&path, spoiled).unwrap();
                        assert_eq!(FileStore::new(directory.path()).load(), newest, "{place}: {at}");
                    }
                }
                fs::remove_file(&path).unwrap();
                assert_eq!(FileStore::new(directory.path()).load(), newest);
                fs::write(&path, &whole).unwrap();
            }
        }
    }

    /// A power cut between any two steps of a save leaves the old state or the
    /// new one.
    #[test]
    fn a_save_is_whole_or_has_not_happened() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = FileStore::new(directory.path());
        store.save(&kept(1)).unwrap();
        let before: Vec<Vec<u8>> =
            PLACES.iter().map(|p| fs::read(directory.path().join(p)).unwrap()).collect();
        store.save(&kept(2)).unwrap();
        let after: Vec<Vec<u8>> =
            PLACES.iter().map(|p| fs::read(directory.path().join(p)).unwrap()).collect();
        // Which of the two comes first is not for this test to know.
        for (first, second) in [(0, 1), (1, 0)] {
            for at in 0..after[first].len() {
                fs::write(directory.path().join(PLACES[first]), &after[first][..at]).unwrap();
                fs::write(directory.path().join(PLACES[second]), &before[second]).unwrap();
                assert_eq!(FileStore::new(directory.path()).load(), kept(1));
            }
            fs::write(directory.path().join(PLACES[first]), &after[first]).unwrap();
            assert_eq!(FileStore::new(directory.path()).load(), kept(2));
        }
    }
}
