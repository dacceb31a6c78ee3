//! Who asked for what, and what came of it: lines that are only added.
//!
//! Two files of a bounded size each; the older goes when the newer is full. A
//! line that a power cut tore is left out when they are read.

use std::io;

use osbuild_schema::Change;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::Files;
use crate::generation::Who;
use crate::store::Moment;

/// One thing that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub at: i64,
    pub uptime_ms: u64,
    pub boot_id: String,
    pub who: Who,
    /// Method and path.
    pub asked: String,
    /// The status of the answer.
    pub status: u16,
    /// The settings' generation afterwards.
    pub generation: u64,
    /// What changed, without secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Value>,
}

const NOW: &str = "audit";
const BEFORE: &str = "audit.1";
/// Of each file.
const MOST_BYTES: usize = 512 << 10;

/// The lines, and where they are.
pub struct Audit<F> {
    files: F,
    text: Vec<u8>,
}

impl<F: Files> Audit<F> {
    /// # Errors
    /// Of the system.
    pub fn open(files: F) -> io::Result<Self> {
        let text = read(&files, NOW)?;
        Ok(Self { files, text })
    }

    /// # Errors
    /// Of the system.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry).expect("an entry serialises");
        line.push(b'\n');
        // What was torn must not become part of this line.
        if self.text.last().is_some_and(|byte| *byte != b'\n') {
            line.insert(0, b'\n');
        }
        if self.text.len() + line.len() > MOST_BYTES && !self.text.is_empty() {
            self.files.rename(NOW, BEFORE)?;
            self.text.clear();
        }
        self.text.extend_from_slice(&line);
        self.files.append(NOW, &line)?;
        self.files.sync(NOW)
    }

    /// The newest entries, newest first.
    ///
    /// # Errors
    /// Of the system.
    pub fn newest(&self, most: usize) -> io::Result<Vec<Entry>> {
        let older = read(&self.files, BEFORE)?;
        let lines = self.text.rsplit(|byte| *byte == b'\n').chain(older.rsplit(|byte| *byte == b'\n'));
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).take(most).collect())
    }
}

fn read(files: &impl Files, name: &str) -> io::Result<Vec<u8>> {
    match files.read(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// An entry without an outcome yet.
pub fn entry(now: &Moment, who: &Who, asked: String) -> Entry {
    Entry {
        at: now.at,
        uptime_ms: now.uptime_ms,
        boot_id: now.boot_id.clone(),
        who: who.clone(),
        asked,
        status: 0,
        generation: 0,
        changes: Vec::new(),
    }
}

/// Changes as they are told.
pub fn told(changes: &[Change]) -> Vec<Value> {
    changes.iter().map(|change| serde_json::to_value(change).expect("a change serialises")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::memory::Memory;

    fn numbered(number: u64) -> Entry {
        let now = Moment { at: 0, uptime_ms: number, boot_id: "b".to_owned() };
        entry(&now, &Who { name: "test".to_owned(), uid: 0 }, "PATCH /v1/settings".to_owned())
    }

    fn uptimes(audit: &Audit<Memory>, most: usize) -> Vec<u64> {
        audit.newest(most).unwrap().iter().map(|entry| entry.uptime_ms).collect()
    }

    #[test]
    fn the_newest_comes_first_and_the_oldest_goes() {
        let mut audit = Audit::open(Memory::default()).unwrap();
        for number in 0..9000 {
            audit.add(&numbered(number)).unwrap();
        }
        assert_eq!(uptimes(&audit, 2), [8999, 8998]);
        let all = uptimes(&audit, usize::MAX);
        assert!(all.windows(2).all(|pair| pair[0] == pair[1] + 1));
        assert!(all.len() > 3000 && all.len() < 9000, "{}", all.len());
        let again = Audit::open(audit.files.clone()).unwrap();
        assert_eq!(uptimes(&again, usize::MAX), all);
        assert!(audit.files.read(BEFORE).unwrap().len() <= MOST_BYTES);
    }

    #[test]
    fn a_torn_line_is_left_out_and_spoils_no_other() {
        let mut audit = Audit::open(Memory::default()).unwrap();
        audit.add(&numbered(1)).unwrap();
        audit.add(&numbered(2)).unwrap();
        let text = audit.files.read(NOW).unwrap();
        audit.files.spoil(NOW, &text[..text.len() - 5]);
        let mut again = Audit::open(audit.files.clone()).unwrap();
        again.add(&numbered(3)).unwrap();
        assert_eq!(uptimes(&again, 9), [3, 1]);
        // As whoever opens it next finds it.
        assert_eq!(uptimes(&Audit::open(again.files.clone()).unwrap(), 9), [3, 1]);
    }
}
