//! An export of the repository that was handed in, for a node that reaches no
//! repository: kept on DATA, whole or not at all.
//!
//! It comes in pieces, over the API, into a file of its own; only when it was
//! looked at and believed does it take the place of the one before. What was
//! left half-way is never read, and is gone at the next start or import.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osbuild_transfer::archive::Archive;
use osbuild_tuf::metadata::{Envelope, TIMESTAMP, Timestamp};
use serde_json::{Value, json};

/// `StateDirectory=` of the unit.
const FOLDER: &str = "/var/lib/osbuild-updater";
const KEPT: &str = "repository.tar";
const COMING: &str = "repository.tar.part";
/// All of it has come, and it is looked at; another one may come meanwhile.
const JUDGED: &str = "repository.tar.new";
/// Of DATA, this part stays free: with less than a tenth left, kubelet puts pods
/// out.
const KEEP_FREE_PART: u64 = 10;
/// Written before it is made to last: what is dirty counts as our memory.
const SYNC_BYTES: u64 = 16 << 20;
/// statfs(2).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// The one archive, and the one that comes.
pub struct Imported {
    folder: PathBuf,
    /// On the node's DATA, unlike in a test.
    is_on_data: bool,
    coming: Mutex<Coming>,
}

#[derive(Default)]
struct Coming {
    /// Of the import that goes on; each has another number.
    number: u64,
    file: Option<File>,
    length: u64,
    synced: u64,
}

/// Where a piece belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Which import goes on; `None` begins one.
    pub number: Option<u64>,
    pub offset: u64,
    /// Of the whole, if whoever sends it knows.
    pub size: Option<u64>,
}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct Room {
    free: u64,
    /// Of that, what stays free.
    kept: u64,
}

type Result<T> = std::result::Result<T, String>;

impl Imported {
    /// Forgets what was left half-way.
    pub fn of_node() -> Self {
        Self { is_on_data: true, ..Self::at(Path::new(FOLDER)) }
    }

    /// Elsewhere, with all the room that there is.
    pub fn at(folder: &Path) -> Self {
        for name in [COMING, JUDGED] {
            let _ = std::fs::remove_file(folder.join(name));
        }
        Self { folder: folder.to_owned(), is_on_data: false, coming: Mutex::default() }
    }

    fn coming(&self) -> MutexGuard<'_, Coming> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a piece in; the number of the import, and how much of it is there.
    ///
    /// # Errors
    /// It has no room, or is not the next piece of this import.
    pub fn put(&self, piece: Piece, bytes: &[u8]) -> Result<Value> {
        let mut coming = self.coming();
        match piece.number {
            None if piece.offset == 0 => self.begin(&mut coming, piece.size)?,
            Some(number) if number == coming.number && coming.file.is_some() => {}
            _ => return Err("this import is over, or another one was begun: begin again".to_owned()),
        }
        if piece.offset != coming.length {
            return Err(format!("{} bytes have come: go on there", coming.length));
        }
        let count = bytes.len() as u64;
        if piece.size.is_some_and(|size| coming.length + count > size) {
            return Err("more bytes come than were said".to_owned());
        }
        has_room(self.room()?, count)?;
        let Coming { file: Some(file), length, synced, .. } = &mut *coming else {
            return Err("no import goes on".to_owned());
        };
        file.write_all_at(bytes, *length).map_err(|error| self.failed(COMING, &error))?;
        *length += count;
        if *length - *synced >= SYNC_BYTES {
            file.sync_data().map_err(|error| self.failed(COMING, &error))?;
            *synced = *length;
        }
        Ok(json!({ "schema": 1, "import": coming.number, "came": coming.length }))
    }

    fn begin(&self, coming: &mut Coming, size: Option<u64>) -> Result<()> {
        let is_memory = || rustix::fs::statfs(&self.folder).is_ok_and(|found| found.f_type == TMPFS_MAGIC);
        if self.is_on_data && is_memory() {
            return Err("DATA is not there: an archive has no place in memory".to_owned());
        }
        has_room(self.room()?, size.unwrap_or(0))?;
        let path = self.folder.join(COMING);
        // Whoever still writes to the one before writes to a file without a name.
        let _ = std::fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| self.failed(COMING, &error))?;
        *coming = Coming { number: coming.number + 1, file: Some(file), ..Coming::default() };
        Ok(())
    }

    /// The archive of an import, all of which has come.
    ///
    /// # Errors
    /// Some is missing, or it is no archive of ours; it is gone then.
    pub fn finish(&self, number: u64, size: u64) -> Result<Arc<Archive>> {
        let mut coming = self.coming();
        if number != coming.number || coming.length != size {
            return Err(format!("{} bytes have come of import {}", coming.length, coming.number));
        }
        let file = coming.file.take().ok_or("no import goes on")?;
        let path = self.folder.join(JUDGED);
        let came = file.sync_all().and_then(|()| std::fs::rename(self.folder.join(COMING), &path));
        came.map_err(|error| self.failed(COMING, &error))?;
        Archive::open(&path).map(Arc::new).map_err(|error| {
            self.refuse();
            error.to_string()
        })
    }

    /// What [`Imported::finish`] opened is not believed.
    pub fn refuse(&self) {
        let _ = std::fs::remove_file(self.folder.join(JUDGED));
    }

    /// What [`Imported::finish`] opened takes the place of the one before.
    ///
    /// # Errors
    /// It could not be made to last.
    pub fn keep(&self) -> Result<()> {
        std::fs::rename(self.folder.join(JUDGED), self.folder.join(KEPT))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|error| self.failed(KEPT, &error))
    }

    /// The archive that is there.
    ///
    /// # Errors
    /// One is there and cannot be read.
    pub fn kept(&self) -> Result<Option<Arc<Archive>>> {
        let path = self.folder.join(KEPT);
        if !path.exists() {
            return Ok(None);
        }
        Archive::open(&path).map(|archive| Some(Arc::new(archive))).map_err(|error| error.to_string())
    }

    /// Whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn forget(&self) -> Result<bool> {
        match std::fs::remove_file(self.folder.join(KEPT)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(KEPT, &error)),
        }
    }

    /// For the status: how large it is and until when it can be believed.
    pub fn told(&self) -> Value {
        match self.kept() {
            Ok(None) => Value::Null,
            Ok(Some(archive)) => {
                let expires = expires(&archive).map(|expires| expires.to_string());
                json!({ "bytes": archive.length(), "expires": expires, "problem": null })
            }
            Err(reason) => json!({ "bytes": null, "expires": null, "problem": reason }),
        }
    }

    fn room(&self) -> Result<Room> {
        let found = rustix::fs::statvfs(&self.folder);
        let found = found.map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let all = found.f_blocks * found.f_frsize;
        let kept = if self.is_on_data { all / KEEP_FREE_PART } else { 0 };
        Ok(Room { free: found.f_bavail * found.f_frsize, kept })
    }

    fn failed(&self, name: &str, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.folder.join(name).display())
    }
}

/// By its own word; what it is worth the signatures say.
fn expires(archive: &Archive) -> Option<osbuild_tuf::time::Time> {
    let limit = osbuild_tuf::client::Limits::default().timestamp_bytes;
    let bytes = archive.metadata("timestamp.json", limit).ok()??;
    let envelope = Envelope::<Timestamp>::parse(TIMESTAMP, &bytes).ok()?;
    Some(envelope.unverified().common.expires)
}

fn has_room(room: Room, bytes: u64) -> Result<()> {
    let left = room.free.saturating_sub(room.kept);
    if bytes <= left {
        return Ok(());
    }
    Err(format!("DATA has room for {} MiB more, not for {} MiB", left >> 20, bytes.div_ceil(1 << 20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = include_bytes!("../samples/new.tar");

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("imported-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Hands bytes in by pieces; the number of the import.
    fn hand_in(imported: &Imported, bytes: &[u8]) -> u64 {
        let mut piece = Piece { size: Some(bytes.len() as u64), ..Piece::default() };
        for part in bytes.chunks(100_000) {
            let answer = imported.put(piece, part).unwrap();
            piece.number = answer["import"].as_u64();
            piece.offset += part.len() as u64;
            assert_eq!(answer["came"].as_u64(), Some(piece.offset));
        }
        piece.number.unwrap()
    }

    #[test]
    fn an_archive_is_kept_whole_or_not_at_all() {
        let folder = Folder::new("whole");
        let imported = Imported::at(&folder.0);
        assert!(imported.kept().unwrap().is_none() && imported.told().is_null());
        let number = hand_in(&imported, SAMPLE);
        assert!(imported.kept().unwrap().is_none(), "not before it was believed");
        let size = SAMPLE.len() as u64;
        assert!(imported.finish(number, size - 1).is_err());
        assert!(imported.finish(number + 1, size).is_err());
        assert!(imported.finish(number, size).unwrap().has("metadata/timestamp.json"));
        // Another one begins while this one is looked at.
        imported.put(Piece::default(), b"half").unwrap();
        imported.keep().unwrap();
        let told = imported.told();
        assert_eq!(told["bytes"].as_u64(), Some(size));
        assert!(told["expires"].as_str().unwrap().starts_with("20"), "{told}");

        // What is no archive, or was left half-way, leaves the one before.
        let number = hand_in(&imported, b"nothing of the kind");
        assert!(imported.finish(number, 19).unwrap_err().contains("ends early"));
        hand_in(&imported, &SAMPLE[..1000]);
        let again = Imported::at(&folder.0);
        assert!(!folder.0.join(COMING).exists());
        assert_eq!(again.kept().unwrap().unwrap().length(), size);
        assert_eq!((again.forget(), again.forget()), (Ok(true), Ok(false)));
        assert!(again.told().is_null());
    }

    #[test]
    fn two_imports_are_not_mixed() {
        let folder = Folder::new("two");
        let imported = Imported::at(&folder.0);
        let first = imported.put(Piece::default(), b"first").unwrap()["import"].as_u64();
        let second = imported.put(Piece::default(), b"other").unwrap()["import"].as_u64();
        let piece = |number, offset| Piece { number, offset, size: Some(10) };
        for (piece, bytes, expected) in [
            (piece(first, 5), &b"12345"[..], "another one was begun"),
            (piece(None, 5), b"12345", "begin again"),
            (piece(second, 4), b"12345", "5 bytes have come"),
            (piece(second, 5), b"123456", "more bytes come than were said"),
        ] {
            let error = imported.put(piece, bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        imported.put(piece(second, 5), b"12345").unwrap();
        assert_eq!(std::fs::read(folder.0.join(COMING)).unwrap(), b"other12345");
    }

    #[test]
    fn some_of_the_disk_stays_free() {
        let room = Room { free: 300 << 20, kept: 100 << 20 };
        assert_eq!(has_room(room, 200 << 20), Ok(()));
        assert!(
            has_room(room, (200 << 20) + 1).unwrap_err().contains("room for 200 MiB more, not for 201 MiB")
        );
        assert!(has_room(Room { free: 99, kept: 100 }, 1).is_err());
        let folder = Folder::new("room");
        let all_there_is = Piece { size: Some(1 << 60), ..Piece::default() };
        assert!(Imported::at(&folder.0).put(all_there_is, b"").unwrap_err().contains("DATA has room"));
        assert!(!folder.0.join(COMING).exists());
    }
}
