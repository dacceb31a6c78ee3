//! `audit.jsonl`: every signing, one line each, and each line with the digest
//! of the one before it, so that nothing in the middle can be changed or taken
//! out. (Its end can be cut off by whoever writes here; the newest digest,
//! printed by `osbuild repo audit`, is what to note elsewhere.)

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
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

/// The record as it is.
pub struct Chain {
    pub entries: Vec<Entry>,
    /// The digest that the next line will have.
    pub head: String,
    /// Bytes of whole lines. What follows was torn while it was written, before
    /// what it is about took effect.
    whole_bytes: u64,
}

/// Reads the whole of it and follows the chain.
///
/// # Errors
/// [`RepoError::Audit`]: where it breaks.
pub fn read(repository: &Path) -> Result<Chain, RepoError> {
    let path = path(repository);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(io_error("read", &path))?,
    };
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut chain =
        Chain { entries: Vec::new(), head: BEGINNING.to_owned(), whole_bytes: whole.len() as u64 };
    for (index, line) in whole.lines().enumerate() {
        let broken = |problem: String| RepoError::Audit { path: path.clone(), line: index + 1, problem };
        let entry: Entry = serde_json::from_str(line).map_err(|error| broken(error.to_string()))?;
        if entry.previous != chain.head {
            return Err(broken(
                "it does not follow the line before it, so one of them was changed".to_owned(),
            ));
        }
        chain.head = digest(line.as_bytes());
        chain.entries.push(entry);
    }
    Ok(chain)
}

/// Adds what is about to take effect, and makes it last.
pub(super) fn append(
    repository: &Path,
    action: &str,
    now: Time,
    signings: &[Signing<'_>],
) -> Result<(), RepoError> {
    let Chain { head: mut previous, whole_bytes, .. } = read(repository)?;
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
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
    let mut file = file.map_err(io_error("open", &path))?;
    file.set_len(whole_bytes)
        .and_then(|()| file.seek(SeekFrom::End(0)))
        .and_then(|_| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .map_err(io_error("write", &path))
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
        assert_eq!(read(directory.path()).unwrap().entries.len(), 3);

        let lines: Vec<&str> = whole.lines().collect();
        for (spoiled, line) in [
            (whole.replacen("\"version\":1", "\"version\":9", 1), 2),
            (format!("{}\n{}\n", lines[0], lines[2]), 2),
            (format!("{}\n{}\n", lines[1], lines[2]), 1),
        ] {
            std::fs::write(&file, spoiled).unwrap();
            match read(directory.path()) {
                Err(RepoError::Audit { line: found, .. }) => assert_eq!(found, line),
                other => panic!("{:?}", other.map(|chain| chain.entries)),
            }
        }
        // Torn at any byte of the last line: two lines, and the next one follows.
        let start = lines[0].len() + lines[1].len() + 2;
        for at in start..whole.len() {
            std::fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(read(directory.path()).unwrap().entries.len(), 2, "{at}");
        }
        add(directory.path(), 4);
        assert_eq!(
            read(directory.path()).unwrap().entries.iter().map(|entry| entry.version).collect::<Vec<_>>(),
            [1, 2, 4]
        );
    }
}
