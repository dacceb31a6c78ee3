//! Archives, and those of what a [`SourceTree`] describes.

use std::io::{self, Write};

pub use osbuild_nar::{MAX_DEPTH, NarError, NarVisitor, NarWriter, TreeError, dump_path, read_nar, unpack};

use osbuild_nar::dump_file;

use crate::error::StoreError;
use crate::store::SourceTree;

/// Archives a described tree.
///
/// # Errors
/// As [`dump_path`].
pub fn dump_tree(tree: &SourceTree, out: impl Write) -> Result<(), StoreError> {
    let mut writer = NarWriter::begin(out).map_err(stream)?;
    dump_tree_node(tree, &mut writer)
}

fn dump_tree_node<W: Write>(tree: &SourceTree, writer: &mut NarWriter<W>) -> Result<(), StoreError> {
    match tree {
        SourceTree::Regular { path, executable } => Ok(dump_file(path, *executable, writer)?),
        SourceTree::Bytes { contents, executable } => {
            let size = contents.len() as u64;
            writer
                .regular(*executable, size, &mut contents.as_slice(), &mut |_| {})
                .map(|_| ())
                .map_err(stream)
        }
        SourceTree::Symlink { target } => writer.symlink(target).map_err(stream),
        SourceTree::Directory(members) => {
            writer.begin_directory().map_err(stream)?;
            for (name, member) in members {
                writer.enter(name).map_err(stream)?;
                dump_tree_node(member, writer)?;
                writer.leave().map_err(stream)?;
            }
            writer.end_directory().map_err(stream)
        }
    }
}

/// How long the archive of a tree is, by what the file system says of its
/// files: nothing is read.
///
/// # Errors
/// A file is not there.
pub(crate) fn archive_size(tree: &SourceTree) -> Result<u64, StoreError> {
    let mut writer = NarWriter::begin(Count(0)).map_err(stream)?;
    count_node(tree, &mut writer)?;
    Ok(writer.into_inner().0)
}

fn count_node(tree: &SourceTree, writer: &mut NarWriter<Count>) -> Result<(), StoreError> {
    let size = match tree {
        SourceTree::Regular { path, executable } => {
            let size = path.metadata().map_err(StoreError::io("read", path))?.len();
            Some((*executable, size))
        }
        SourceTree::Bytes { contents, executable } => Some((*executable, contents.len() as u64)),
        _ => None,
    };
    match (size, tree) {
        (Some((executable, size)), _) => {
            writer.begin_regular(executable, size).map_err(stream)?;
            writer.inner().0 += size;
            writer.end_regular(size).map_err(stream)
        }
        (None, SourceTree::Directory(members)) => {
            writer.begin_directory().map_err(stream)?;
            for (name, member) in members {
                writer.enter(name).map_err(stream)?;
                count_node(member, writer)?;
                writer.leave().map_err(stream)?;
            }
            writer.end_directory().map_err(stream)
        }
        (None, tree) => dump_tree_node(tree, writer),
    }
}

/// Counts what is written.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn stream(source: io::Error) -> StoreError {
    NarError::Stream { action: "write", source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
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
            assert!(matches!(result, Err(TreeError::Nar(NarError::Malformed { .. }))), "{name:?}");
        }
    }
}
