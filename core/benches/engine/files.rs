//! Trees of files whose contents are all different and do not compress.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use osbuild_store::store::SourceTree;

/// Bytes that look random and are the same in every run (xorshift64).
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn write_file(&mut self, path: &Path, size_bytes: usize) {
        let mut file = BufWriter::new(fs::File::create(path).expect("the directory is writable"));
        let mut left = size_bytes;
        while left > 0 {
            let word = self.next().to_le_bytes();
            let count = left.min(word.len());
            file.write_all(&word[..count]).expect("the disk has room");
            left -= count;
        }
        file.flush().expect("the disk has room");
    }
}

/// Bytes of the files of [`write_tree`], over and over: from a small script to
/// a library, 128 KiB on average.
const FILE_BYTES: [usize; 8] =
    [1 << 10, 4 << 10, 10 << 10, 20 << 10, 40 << 10, 100 << 10, 249 << 10, 600 << 10];
const FILES_A_DIRECTORY: usize = 64;

/// Writes a tree of so many MiB.
pub(crate) fn write_tree(root: &Path, mebibytes: usize, seed: u64) {
    let mut noise = Noise::new(seed);
    for index in 0..mebibytes * 8 {
        let directory = root.join(format!("directory-{}", index / FILES_A_DIRECTORY));
        fs::create_dir_all(&directory).expect("the directory is writable");
        let path = directory.join(format!("file-{index}"));
        noise.write_file(&path, FILE_BYTES[index % FILE_BYTES.len()]);
    }
}

/// What is on disk, as evaluation describes it to the store.
pub(crate) fn describe(path: &Path) -> SourceTree {
    let metadata = path.symlink_metadata().expect("it is there");
    if !metadata.is_dir() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return SourceTree::Regular { path: path.to_owned(), executable };
    }
    let members = names(path).into_iter().map(|name| {
        let member = describe(&path.join(std::ffi::OsStr::from_bytes(&name)));
        (name, member)
    });
    SourceTree::Directory(members.collect())
}

/// The members of a directory other than hidden ones, sorted.
pub(crate) fn names(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).expect("it is there");
    let mut names: Vec<Vec<u8>> =
        entries.map(|entry| entry.expect("it is readable").file_name().as_bytes().to_vec()).collect();
    names.retain(|name| !name.starts_with(b"."));
    names.sort();
    names
}

/// The files in a directory with their contents.
pub(crate) fn contents(directory: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let names = names(directory).into_iter();
    names
        .map(|name| {
            let path = directory.join(std::ffi::OsStr::from_bytes(&name));
            let bytes = if path.is_dir() { Vec::new() } else { fs::read(path).expect("it is readable") };
            (name, bytes)
        })
        .collect()
}
