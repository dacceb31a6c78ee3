//! Releases to make deltas of: packages as files, written as the image builder
//! writes them.

use std::collections::BTreeMap;

use osbuild_format::root_manifest::{Entry, Node, RootManifest};
use osbuild_format::squashfs::link::{Segment, link};
use osbuild_format::squashfs::segment::{Compressor, Owner, RawBlock, SegmentIndex, SegmentWriter};

/// Small, so that small files have many blocks.
pub const BLOCK_BYTES: u32 = 4096;

/// Files by package and name.
#[derive(Clone, Debug, Default)]
pub struct Release {
    pub packages: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub version: String,
    pub level: i32,
}

impl Release {
    /// The image: each package's files below a directory of its name.
    pub fn image(&self) -> Vec<u8> {
        let mut entries = vec![entry("/", Node::Directory)];
        let mut segments: Vec<(String, SegmentIndex, Vec<u8>)> = Vec::new();
        for (package, files) in &self.packages {
            let store = format!("/store/{package}");
            let (index, data) = segment(files, self.level);
            entries.push(entry(&format!("/{package}"), Node::Directory));
            for (name, contents) in files {
                let (blake3, size) = (*blake3::hash(contents).as_bytes(), contents.len() as u64);
                let node = Node::File { store: store.clone(), file: name.clone(), blake3, size };
                entries.push(entry(&format!("/{package}/{name}"), node));
            }
            segments.push((store, index, data));
        }
        entries.push(entry("/link", Node::Link { target: "elsewhere".to_owned() }));
        entries.push(entry("/release", Node::Inline { text: format!("VERSION={}\n", self.version) }));
        entries[0].xattrs.insert("user.release".to_owned(), self.version.clone().into_bytes());
        let manifest = RootManifest::new(entries).unwrap();
        let listed: Vec<Segment<'_>> =
            segments.iter().map(|(store, index, _)| Segment { store, index }).collect();
        let linked = link(&manifest, &listed).unwrap();
        let mut image = linked.head;
        for (_, _, data) in &segments {
            image.extend_from_slice(data);
        }
        image.extend_from_slice(&linked.tail);
        image
    }

    pub fn put(&mut self, package: &str, name: &str, contents: Vec<u8>) {
        self.packages.entry(package.to_owned()).or_default().insert(name.to_owned(), contents);
    }
}

fn entry(path: &str, node: Node) -> Entry {
    let mode = if node == Node::Directory { 0o755 } else { 0o644 };
    let (path, xattrs) = (path.to_owned(), BTreeMap::new());
    Entry { path, mode, uid: 0, gid: 0, xattrs, package: None, node }
}

fn segment(files: &BTreeMap<String, Vec<u8>>, level: i32) -> (SegmentIndex, Vec<u8>) {
    let mut writer = SegmentWriter::new(BLOCK_BYTES, level);
    let (mut compressor, mut data) = (Compressor::new(level), Vec::new());
    let mut store = |writer: &mut SegmentWriter, block: RawBlock| {
        let stored = block.store(&mut compressor);
        writer.written(&stored);
        data.extend_from_slice(&stored.bytes);
    };
    let mut known: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (name, contents) in files {
        let digest = blake3::hash(contents).to_hex().to_string();
        let number = if let Some(original) = known.get(contents.as_slice()) {
            writer.add_duplicate(name.clone(), *original)
        } else if writer.is_small(contents.len() as u64) {
            let (number, full) = writer.add_small(name.clone(), contents, digest);
            if let Some(block) = full {
                store(&mut writer, block);
            }
            number
        } else {
            let number = writer.add_large(name.clone(), contents.len() as u64, digest);
            for part in contents.chunks(BLOCK_BYTES as usize) {
                store(&mut writer, RawBlock { owner: Owner::File(number), bytes: part.to_vec() });
            }
            number
        };
        known.entry(contents).or_insert(number);
    }
    if let Some(block) = writer.take_fragment() {
        store(&mut writer, block);
    }
    let (index, padding) = writer.finish();
    data.resize(data.len() + padding, 0);
    (index, data)
}

/// Bytes that differ from seed to seed.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed ^ 0x5851_f42d_4c95_7f2d;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// Bytes that shrink to a half or so, as programs do.
pub fn program(seed: u64, bytes: usize) -> Vec<u8> {
    noise(seed, bytes).chunks(8).flat_map(|word| word.iter().map(|byte| byte & 0x3f & word[0])).collect()
}
