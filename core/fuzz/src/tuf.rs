//! What a fuzzer asserts about metadata of repositories, whoever serves them.

use std::collections::BTreeMap;

use osbuild_tuf::client::{Client, Failure, Kept, Limits, Store, Transport};
use osbuild_tuf::metadata::{
    Envelope, ROOT, Role, Root, SNAPSHOT, Snapshot, TARGETS, TIMESTAMP, Targets, Timestamp,
};
use osbuild_tuf::time::Time;

/// A repository, of which nobody who fuzzes has the keys.
const FILES: [(&str, &[u8]); 6] = [
    ("1.root.json", include_bytes!("../images/repository/1.root.json")),
    ("2.root.json", include_bytes!("../images/repository/2.root.json")),
    ("timestamp.json", include_bytes!("../images/repository/timestamp.json")),
    ("1.snapshot.json", include_bytes!("../images/repository/1.snapshot.json")),
    ("1.targets.json", include_bytes!("../images/repository/1.targets.json")),
    ("1.rollout.json", include_bytes!("../images/repository/1.rollout.json")),
];
const ROLLOUT: &str = "rollout";
/// When all of it was valid.
const NOW: &str = "2026-11-28T11:00:00Z";
/// Before each file in a fuzzer's input stands this, the file's name and a line
/// break.
const MARK: &[u8] = b"\n--- ";

/// Metadata of any role: what is read is written as the same.
pub fn metadata(bytes: &[u8]) {
    same_again::<Root>(bytes);
    same_again::<Timestamp>(bytes);
    same_again::<Snapshot>(bytes);
    same_again::<Targets>(bytes);
}

fn same_again<R: Role>(bytes: &[u8]) {
    let Ok(envelope) = Envelope::<R>::parse("fuzzed", bytes) else { return };
    let again = Envelope::<R>::parse("fuzzed", &envelope.to_bytes()).expect("what was written is read");
    assert_eq!(again.message(), envelope.message(), "it says the same");
    assert_eq!(again.signatures(), envelope.signatures(), "and so do the same");
}

/// A mirror that serves any bytes for some of a repository's files, seen by a
/// node that knows the repository and by one that does not: whatever they
/// believe was signed by those who may.
pub fn repository(bytes: &[u8]) {
    let mut served: BTreeMap<String, Vec<u8>> =
        FILES.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    for file in split(bytes) {
        let line = file.iter().position(|byte| *byte == b'\n').unwrap_or(file.len());
        let (name, content) = file.split_at(line);
        let Ok(name) = std::str::from_utf8(name) else { continue };
        served.insert(name.to_owned(), content.get(1..).unwrap_or_default().to_vec());
    }
    for kept in [Kept::default(), known()] {
        let before = (kept.timestamp.is_some(), kept.roots.len());
        let kept = visit(&served, kept);
        assert!(!before.0 || kept.timestamp.is_some(), "what was known is not forgotten");
        assert!(kept.roots.len() >= before.1, "nor is a root");
        for root in &kept.roots {
            is_genuine::<Root>(root, &["1.root.json", "2.root.json"]);
        }
        if let Some(timestamp) = &kept.timestamp {
            is_genuine::<Timestamp>(timestamp, &["timestamp.json"]);
        }
        if let Some(snapshot) = &kept.snapshot {
            is_genuine::<Snapshot>(snapshot, &["1.snapshot.json"]);
        }
        for targets in kept.targets.values() {
            is_genuine::<Targets>(targets, &["1.targets.json", "1.rollout.json"]);
        }
    }
}

fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = bytes
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts.iter().zip(ends).map(|(start, end)| &bytes[start + MARK.len()..end]).collect()
}

/// It says what the genuine one says, byte for byte of what is signed.
fn is_genuine<R: Role>(bytes: &[u8], names: &[&str]) {
    let message = |bytes: &[u8]| Envelope::<R>::parse("kept", bytes).expect("it was read").message().to_vec();
    let found = message(bytes);
    let genuine =
        FILES.iter().filter(|(name, _)| names.contains(name)).any(|(_, bytes)| message(bytes) == found);
    assert!(genuine, "believed, and nobody signed it: {}", String::from_utf8_lossy(bytes));
}

fn known() -> Kept {
    let served = FILES.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
    visit(&served, Kept::default())
}

/// What is known after a visit.
fn visit(served: &BTreeMap<String, Vec<u8>>, kept: Kept) -> Kept {
    let now = Time::parse(NOW).expect("it is a time");
    let root = served_root();
    let mut client =
        Client::new(root, Mirror(served), Memory(kept), Limits::default(), now).expect("the root is genuine");
    if client.refresh().is_ok() {
        let _ = client.load(ROLLOUT, Some(TARGETS));
        for role in [ROOT, TIMESTAMP, SNAPSHOT, TARGETS] {
            let _ = client.target(&format!("{role}.catalogue.json"));
        }
    }
    client.kept().clone()
}

/// That of the image is no mirror's.
fn served_root() -> &'static [u8] {
    FILES[0].1
}

struct Mirror<'m>(&'m BTreeMap<String, Vec<u8>>);

impl Transport for Mirror<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        match self.0.get(name) {
            Some(bytes) if bytes.len() as u64 > limit => Err("too long".into()),
            found => Ok(found.cloned()),
        }
    }
}

struct Memory(Kept);

impl Store for Memory {
    fn load(&mut self) -> Kept {
        std::mem::take(&mut self.0)
    }

    fn save(&mut self, _kept: &Kept) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fuzzer that begins with what is refused at once finds little.
    #[test]
    fn the_repository_is_believed_and_others_are_not() {
        let kept = known();
        assert_eq!((kept.roots.len(), kept.targets.len()), (2, 2), "all of it is read");
        assert!(kept.timestamp.is_some() && kept.snapshot.is_some());
        let other = FILES[2].1.to_vec();
        let other = String::from_utf8(other).unwrap().replace("\"version\": 1", "\"version\": 2");
        assert_ne!(other.as_bytes(), FILES[2].1);
        let outcome =
            std::panic::catch_unwind(|| is_genuine::<Timestamp>(other.as_bytes(), &["timestamp.json"]));
        assert!(outcome.is_err(), "the judge can say no");
    }
}
