//! Archives to disk. Every object is created relative to the descriptor of
//! the directory that was just made, so that no name and no link in the
//! archive can lead elsewhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat, symlinkat};

use super::NarError;
use super::read::{NarVisitor, read_nar};
use crate::error::StoreError;

/// Unpacks an archive to `destination`, which must not exist. Modes are
/// 0644/0755; making them canonical is the store's affair.
///
/// # Errors
/// [`StoreError::Nar`] for whatever is wrong with `input`, as in [`read_nar`];
/// [`StoreError::Io`] if a file could not be made. What was made by then stays.
pub fn unpack(input: &mut dyn Read, destination: &Path) -> Result<(), StoreError> {
    let parent = destination.parent().unwrap_or(Path::new("/"));
    let name = destination.file_name().map(|n| n.as_encoded_bytes().to_vec()).unwrap_or_default();
    let directory = File::open(parent).map_err(StoreError::io("open", parent))?.into();
    let mut unpacker =
        Unpacker { root: destination, directories: vec![directory], names: vec![name], copied: Vec::new() };
    read_nar(input, &mut unpacker)
}

struct Unpacker<'p> {
    root: &'p Path,
    directories: Vec<OwnedFd>,
    names: Vec<Vec<u8>>,
    copied: Vec<u8>,
}

/// Large enough that decompressing and not calling dominates.
const CHUNK_BYTES: usize = 64 * 1024;

impl Unpacker<'_> {
    fn at(&self) -> (&OwnedFd, &[u8]) {
        let directory = self.directories.last().expect("the parent of the root is never popped");
        let name = self.names.last().expect("a node follows enter, or is the root");
        (directory, name)
    }

    /// By hand, since whose fault an error is depends on which side it is of.
    fn copy(&mut self, contents: &mut dyn Read, file: &mut File) -> Result<(), StoreError> {
        self.copied.resize(CHUNK_BYTES, 0);
        loop {
            let got = match contents.read(&mut self.copied) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(NarError::Stream { action: "read", source }.into()),
            };
            file.write_all(&self.copied[..got]).map_err(StoreError::io("write a file below", self.root))?;
        }
    }
}

impl NarVisitor for Unpacker<'_> {
    type Error = StoreError;

    fn directory(&mut self) -> Result<(), StoreError> {
        let (parent, name) = self.at();
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
            .map_err(StoreError::os("make a directory below", self.root))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(parent, name, flags, Mode::empty())
            .map_err(StoreError::os("open a directory below", self.root))?;
        self.directories.push(opened);
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), StoreError> {
        self.names.push(name.to_vec());
        Ok(())
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        self.names.pop();
        Ok(())
    }

    fn end_directory(&mut self) -> Result<(), StoreError> {
        self.directories.pop();
        Ok(())
    }

    fn regular(&mut self, executable: bool, _size: u64, contents: &mut dyn Read) -> Result<(), StoreError> {
        let (parent, name) = self.at();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let file =
            openat(parent, name, flags, mode).map_err(StoreError::os("create a file below", self.root))?;
        self.copy(contents, &mut File::from(file))
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError> {
        let (parent, name) = self.at();
        symlinkat(target, parent, name).map_err(StoreError::os("make a link below", self.root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar::dump::{dump_path, dump_tree};
    use crate::store::SourceTree;
    use std::collections::BTreeMap;

    fn sample() -> SourceTree {
        let file = |text: &str, executable| SourceTree::Bytes { contents: text.into(), executable };
        SourceTree::Directory(BTreeMap::from([
            (b"a".to_vec(), file("hello", false)),
            (b"b".to_vec(), SourceTree::Symlink { target: b"../a".to_vec() }),
            (b"c".to_vec(), SourceTree::Directory(BTreeMap::from([(b"run".to_vec(), file("#!", true))]))),
        ]))
    }

    #[test]
    fn unpacking_a_dump_gives_the_same_dump() {
        let mut archive = Vec::new();
        dump_tree(&sample(), &mut archive).unwrap();
        let place = tempfile::tempdir().unwrap();
        unpack(&mut archive.as_slice(), &place.path().join("x")).unwrap();
        let mut again = Vec::new();
        dump_path(&place.path().join("x"), &mut again).unwrap();
        assert_eq!(archive, again);
    }

    #[test]
    fn every_truncation_and_flipped_structure_byte_is_refused() {
        let mut archive = Vec::new();
        dump_tree(&sample(), &mut archive).unwrap();
        let place = tempfile::tempdir().unwrap();
        for length in 0..archive.len() {
            let target = place.path().join(format!("t{length}"));
            assert!(unpack(&mut &archive[..length], &target).is_err(), "cut at {length}");
        }
        // A byte in padding or in a token must not go unnoticed; in contents,
        // names and targets it gives another tree.
        for index in 0..archive.len() {
            let mut bent = archive.clone();
            bent[index] ^= 0x80;
            let target = place.path().join(format!("f{index}"));
            if unpack(&mut bent.as_slice(), &target).is_ok() {
                let mut again = Vec::new();
                dump_path(&target, &mut again).unwrap();
                assert_eq!(again, bent, "byte {index} was accepted but not kept");
            }
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["..", ".", "", "a/b", "/etc", "nul\0"] {
            let tree = SourceTree::Directory(BTreeMap::from([(
                name.as_bytes().to_vec(),
                SourceTree::Bytes { contents: vec![1], executable: false },
            )]));
            let mut archive = Vec::new();
            dump_tree(&tree, &mut archive).unwrap();
            let place = tempfile::tempdir().unwrap();
            let result = unpack(&mut archive.as_slice(), &place.path().join("x"));
            assert!(matches!(result, Err(StoreError::Nar(NarError::Malformed { .. }))), "{name:?}");
        }
    }
}
