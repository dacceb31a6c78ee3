//! An export as a node reads it: where it lies, by `osbuild-transfer`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use osbuild_core::repo::mirror::{self, Selection};
use osbuild_core::repo::waves::find_line;
use osbuild_transfer::archive::Archive;
use osbuild_transfer::http::Part;
use osbuild_tuf::client::{Client, Failure, Kept, Limits, Store, Transport};
use osbuild_tuf::time::Time;

use crate::fixture::Fixture;
use crate::release::Made;

/// Long enough from now: the node's own tests read the samples by the clock.
const FAR: Time = Time(4_000_000_000);
/// Exports that the node's updater is tested with; `UPDATE_SNAPSHOTS=1` makes
/// them anew.
const SAMPLES: &str = "../recipes/agents/updater/samples";

struct Source<'a>(&'a Archive);

impl Transport for Source<'_> {
    fn metadata(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        self.0.metadata(name, limit)
    }
}

struct Memory(Kept);

impl Store for Memory {
    fn load(&mut self) -> Kept {
        self.0.clone()
    }

    fn save(&mut self, kept: &Kept) -> Result<(), Failure> {
        self.0 = kept.clone();
        Ok(())
    }
}

/// What the crate that wrote it reads in it.
fn by_tar(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(fs::File::open(file).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(name, bytes);
    }
    found
}

fn part(archive: &Archive, name: &str, part: Part) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive.open_part(name, part).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_node_reads_an_export_where_it_lies() {
    let fixture = Fixture::at(osbuild_core::repo::signer::Algorithm::Ed25519, None, FAR);
    // Its names are too long for a header.
    let long = "1.0.0-of-a-long-name-as-some-builds-have";
    let exported = |name: &str, whole: bool| -> PathBuf {
        let (repository, state) = fixture.open();
        let line = (!whole).then(|| find_line(&state, None).unwrap());
        let file = fixture.folder.path().join(name);
        mirror::export(&repository, &state, &Selection { line, versions: Vec::new() }, &file).unwrap();
        file
    };
    fixture.publish(&Made::new(long, 1), FAR).unwrap();
    let old = exported("old.tar", true);
    fixture.publish(&Made::new("1.1.0", 2), FAR).unwrap();
    let new = exported("new.tar", false);
    let root = fs::read(fixture.path().join("public/metadata/1.root.json")).unwrap();

    for file in [&old, &new] {
        let archive = Archive::open(file).unwrap();
        let expected = by_tar(file);
        assert!(archive.names().eq(expected.keys().map(String::as_str)));
        assert!(file == &new || expected.keys().any(|name| name.len() > 100));
        for (name, bytes) in &expected {
            let length = bytes.len() as u64;
            assert!(part(&archive, name, Part::From { start: 0, limit: length }) == *bytes, "{name}");
            let (start, end) = (length / 3, length / 2);
            let middle = &bytes[start as usize..end as usize];
            assert!(part(&archive, name, Part::Exactly { start, end }) == middle, "{name}");
            let more = archive.open_part(name, Part::Exactly { start, end: length + 1 }).unwrap();
            assert!(more.unwrap_err().contains("ends 1 bytes early"));
        }
    }

    let (old, new) = (Archive::open(&old).unwrap(), Archive::open(&new).unwrap());
    let client = |archive, kept, now| {
        let mut client = Client::new(&root, Source(archive), Memory(kept), Limits::default(), now).unwrap();
        client.refresh().map(|()| client)
    };
    let seen = client(&new, Kept::default(), FAR).unwrap().kept().clone();
    assert!(client(&old, Kept::default(), FAR).is_ok());
    let refused = |archive, kept: &Kept, now| client(archive, kept.clone(), now).err().unwrap();
    assert!(matches!(refused(&old, &seen, FAR), osbuild_tuf::Error::Rollback { .. }));
    let year = Time(FAR.0 + 365 * 86_400);
    assert!(matches!(refused(&new, &seen, year), osbuild_tuf::Error::Expired { .. }));

    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let to = Path::new(SAMPLES);
        fs::create_dir_all(to).unwrap();
        fs::write(to.join("root.json"), &root).unwrap();
        for name in ["old.tar", "new.tar"] {
            fs::copy(fixture.folder.path().join(name), to.join(name)).unwrap();
        }
    }
}
