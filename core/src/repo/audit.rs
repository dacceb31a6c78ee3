//! `audit.jsonl`: every signing, one line each, and each line with the digest
//! of the one before it, so that nothing in the middle can be changed or taken
//! out. (Its end can be cut off by whoever writes here; the newest digest,
//! printed by `osbuild repo audit`, is what to note elsewhere.)

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use osbuild_format::hex;
use osbuild_tuf::time::Time;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::{RepoError, io_error};

pub const FILE: &str = "audit.jsonl";
const BEGINNING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One signing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub schema: u32,
    /// SHA-256 of the line before this one, without its end.
    pub previous: String,
    pub time: Time,
    /// What was asked for: `publish`, `refresh`, …, and of what.
    pub action: String,
    pub role: String,
    pub version: u64,
    /// Of the file of metadata.
    pub sha256: String,
    pub keys: Vec<String>,
}

/// What is about to be written into it.
pub struct Signing<'a> {
    pub role: &'a str,
    pub version: u64,
    pub bytes: &'a [u8],
    pub keys: Vec<String>,
}

pub fn path(repository: &Path) -> PathBuf {
    repository.join(FILE)
}

/// Reads the whole of it and follows the chain.
///
/// # Errors
/// [`RepoError::Audit`]: where it breaks.
pub fn read(repository: &Path) -> Result<Vec<Entry>, RepoError> {
    let path = path(repository);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(io_error("read", &path))?,
    };
    let mut previous = BEGINNING.to_owned();
    let mut entries = Vec::new();
    // A line without its end was torn while it was written, before what it is
    // about took effect.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (index, line) in whole.lines().enumerate() {
        let broken = |problem: String| RepoError::Audit { path: path.clone(), line: index + 1, problem };
        let entry: Entry = serde_json::from_str(line).map_err(|error| broken(error.to_string()))?;
        if entry.previous != previous {
            return Err(broken(
                "it does not follow the line before it, so one of them was changed".to_owned(),
            ));
        }
        previous = digest(line.as_bytes());
        entries.push(entry);
    }
    Ok(entries)
}

/// The digest that the next line will have.
pub fn head(repository: &Path) -> Result<String, RepoError> {
    let path = path(repository);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole.lines().last().map_or_else(|| BEGINNING.to_owned(), |line| digest(line.as_bytes())))
}

/// Adds what is about to take effect, and makes it last.
pub(super) fn append(
    repository: &Path,
    action: &str,
    now: Time,
    signings: &[Signing<'_>],
) -> Result<(), RepoError> {
    read(repository)?;
    let mut previous = head(repository)?;
    let path = path(repository);
    let mut text = String::new();
    for signing in signings {
        let entry = Entry {
            schema: 1,
            previous,
            time: now,
            action: action.to_owned(),
            role: signing.role.to_owned(),
            version: signing.version,
            sha256: digest(signing.bytes),
            keys: signing.keys.clone(),
        };
        let line = serde_json::to_string(&entry).expect("an entry is plain data");
        previous = digest(line.as_bytes());
        text += &line;
        text.push('\n');
    }
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    // Over what a torn write left of a line.
    let kept = std::fs::read(&path).map_err(io_error("read", &path))?;
    let end = kept.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    file.set_len(end as u64).map_err(io_error("mend", &path))?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(io_error("write", &path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error("write", &path))
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(directory: &Path, version: u64) {
        let signing = Signing { role: "targets", version, bytes: b"x", keys: vec!["k".to_owned()] };
        append(directory, "publish", Time(version), &[signing]).unwrap();
    }

    #[test]
    fn a_changed_or_missing_line_is_named_and_a_torn_one_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        for version in 1..=3 {
            add(directory.path(), version);
        }
        let file = path(directory.path());
        let whole = std::fs::read_to_string(&file).unwrap();
        assert_eq!(read(directory.path()).unwrap().len(), 3);

        let lines: Vec<&str> = whole.lines().collect();
        for (spoiled, line) in [
            (whole.replacen("\"version\":1", "\"version\":9", 1), 2),
            (format!("{}\n{}\n", lines[0], lines[2]), 2),
            (format!("{}\n{}\n", lines[1], lines[2]), 1),
        ] {
            std::fs::write(&file, spoiled).unwrap();
            match read(directory.path()) {
                Err(RepoError::Audit { line: found, .. }) => assert_eq!(found, line),
                other => panic!("{other:?}"),
            }
        }
        // Torn at any byte of the last line: two lines, and the next one follows.
        let start = lines[0].len() + lines[1].len() + 2;
        for at in start..whole.len() {
            std::fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(read(directory.path()).unwrap().len(), 2, "{at}");
        }
        add(directory.path(), 4);
        assert_eq!(
            read(directory.path()).unwrap().iter().map(|entry| entry.version).collect::<Vec<_>>(),
            [1, 2, 4]
        );
    }
}
