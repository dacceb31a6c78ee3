//! Segments and a manifest to an image: the superblock and the tables.

use std::collections::BTreeMap;

use crate::hex;
use crate::root_manifest::{Entry, Node, RootManifest, split_parent};

use super::metadata::{MetadataWriter, Position};
use super::segment::{Compressor, SegmentFile, SegmentIndex, SegmentWriter};
use super::{
    ALIGNMENT, BLOCK_UNCOMPRESSED, COMPRESSION_ZSTD, DEFAULT_BLOCK_BYTES, EXTENDED, FLAG_DUPLICATES,
    FLAG_EXPORTABLE, FLAG_NO_XATTRS, MAGIC, NO_FRAGMENT, NO_XATTR, SUPERBLOCK_BYTES, SquashfsError, TIME,
    TYPE_DIRECTORY, TYPE_FILE, TYPE_LINK,
};

/// A segment to be linked.
pub struct Segment<'a> {
    /// The package's logical store path.
    pub store: &'a str,
    pub index: &'a SegmentIndex,
}

/// An image but for the segments' data: `head`, then the data of every segment
/// in the order given, then `tail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The superblock in a block of its own.
    pub head: Vec<u8>,
    /// Inline texts and all tables, padded.
    pub tail: Vec<u8>,
    /// Size of the whole image, a multiple of 4 KiB.
    pub image_bytes: u64,
}

/// Level at which tables are compressed. They are small beside the data.
const TABLE_LEVEL: i32 = 15;

/// Writes the tables of an image.
///
/// # Errors
/// A file that no segment holds, segments that do not fit together, or more of
/// something than the format counts.
pub fn link(manifest: &RootManifest, segments: &[Segment<'_>]) -> Result<Linked, SquashfsError> {
    let mut compressor = Compressor::new(TABLE_LEVEL);
    let block_bytes = segments.first().map_or(DEFAULT_BLOCK_BYTES, |s| s.index.block_bytes);
    let (placed, data_end) = place(segments, block_bytes)?;
    let (inline, inline_data) = inline_segment(manifest, block_bytes, &mut compressor)?;

    let mut fragments: Vec<(u64, u32)> = Vec::new();
    // The table follows the order of the segments, the inline one last.
    let mut base = ALIGNMENT;
    for segment in segments {
        fragments.extend(segment.index.fragments.iter().map(|f| (base + f.start, f.size)));
        base += segment.index.data_bytes;
    }
    let inline_fragments = fragments.len() as u32;
    fragments.extend(inline.fragments.iter().map(|f| (data_end + f.start, f.size)));
    let inline = Placed { index: &inline, base: data_end, first_fragment: inline_fragments };

    let ids = Ids::new(manifest)?;
    let xattrs = Xattrs::new(manifest, &mut compressor)?;
    let inodes = write_inodes(manifest, &placed, &inline, &ids, &xattrs, &mut compressor)?;

    let mut out = Tail { start: data_end, bytes: inline_data };
    let mut superblock =
        Superblock { block_bytes, root_inode: inodes.root.reference(), ..Superblock::default() };
    superblock.inode_table = out.append(&inodes.inode_table);
    superblock.directory_table = out.append(&inodes.directory_table);
    let fragment_bytes = fragments
        .iter()
        .flat_map(|(start, size)| [start.to_le_bytes().as_slice(), &size.to_le_bytes(), &[0; 4]].concat());
    superblock.fragment_table = out.indexed(&fragment_bytes.collect::<Vec<u8>>(), &mut compressor);
    let references: Vec<u8> = inodes.references.iter().flat_map(|r| r.to_le_bytes()).collect();
    superblock.export_table = out.indexed(&references, &mut compressor);
    let id_bytes: Vec<u8> = ids.0.keys().flat_map(|id| id.to_le_bytes()).collect();
    superblock.id_table = out.indexed(&id_bytes, &mut compressor);
    superblock.xattr_table = xattrs.append(&mut out, &mut compressor);
    superblock.bytes_used = out.position();
    superblock.inodes =
        u32::try_from(manifest.entries().len()).map_err(|_| SquashfsError::TooMany { what: "inodes" })?;
    superblock.fragments = fragments.len() as u32;
    superblock.ids = ids.0.len() as u16;

    let padded = out.position().next_multiple_of(ALIGNMENT);
    let tail_bytes = (padded - out.start) as usize;
    out.bytes.resize(tail_bytes, 0);
    let mut head = superblock.to_bytes();
    head.resize(ALIGNMENT as usize, 0);
    Ok(Linked { head, tail: out.bytes, image_bytes: padded })
}

/// A segment with its place in the image.
struct Placed<'a> {
    index: &'a SegmentIndex,
    base: u64,
    /// Number of its first fragment block in the image's table.
    first_fragment: u32,
}

type PlacedSegments<'a> = BTreeMap<&'a str, Placed<'a>>;

fn place<'a>(segments: &'a [Segment<'a>], expected: u32) -> Result<(PlacedSegments<'a>, u64), SquashfsError> {
    let mut placed = BTreeMap::new();
    let (mut base, mut first_fragment) = (ALIGNMENT, 0u32);
    for segment in segments {
        let found = segment.index.block_bytes;
        if found != expected {
            return Err(SquashfsError::BlockSize { store: segment.store.to_owned(), found, expected });
        }
        placed.insert(segment.store, Placed { index: segment.index, base, first_fragment });
        base += segment.index.data_bytes;
        first_fragment += segment.index.fragments.len() as u32;
    }
    Ok((placed, base))
}

/// The linker's own texts, as one more segment at the end of the data.
fn inline_segment(
    manifest: &RootManifest,
    block_bytes: u32,
    compressor: &mut Compressor,
) -> Result<(SegmentIndex, Vec<u8>), SquashfsError> {
    let mut writer = SegmentWriter::new(block_bytes, TABLE_LEVEL);
    let mut blocks = Vec::new();
    for entry in manifest.entries() {
        let Node::Inline { text } = &entry.node else { continue };
        if !writer.is_small(text.len() as u64) {
            return Err(SquashfsError::InlineTooLong { path: entry.path.clone(), limit: block_bytes - 1 });
        }
        let digest = hex::encode(blake3::hash(text.as_bytes()).as_bytes());
        blocks.extend(writer.add_small(entry.path.clone(), text.as_bytes(), digest).1);
    }
    blocks.extend(writer.take_fragment());
    let mut data = Vec::new();
    for block in blocks {
        let stored = block.store(compressor);
        writer.written(&stored);
        data.extend_from_slice(&stored.bytes);
    }
    let (index, _) = writer.finish();
    data.resize(index.data_bytes as usize, 0);
    Ok((index, data))
}

/// Owners and groups, each once, by number.
struct Ids(BTreeMap<u32, u16>);

impl Ids {
    fn new(manifest: &RootManifest) -> Result<Self, SquashfsError> {
        let mut ids: BTreeMap<u32, u16> =
            manifest.entries().iter().flat_map(|e| [(e.uid, 0), (e.gid, 0)]).collect();
        for (index, slot) in ids.values_mut().enumerate() {
            *slot = u16::try_from(index).map_err(|_| SquashfsError::TooMany { what: "owners" })?;
        }
        Ok(Self(ids))
    }
}

/// Sets of extended attributes, each once.
struct Xattrs<'m> {
    numbers: BTreeMap<&'m BTreeMap<String, Vec<u8>>, u32>,
    /// Names and values, in metadata blocks.
    values: Vec<u8>,
    /// Per set: reference, count, size.
    table: Vec<u8>,
}

impl<'m> Xattrs<'m> {
    fn new(manifest: &'m RootManifest, compressor: &mut Compressor) -> Result<Self, SquashfsError> {
        let mut numbers = BTreeMap::new();
        let mut table = Vec::new();
        let mut values = MetadataWriter::new(compressor);
        for entry in manifest.entries() {
            if entry.xattrs.is_empty() || numbers.contains_key(&entry.xattrs) {
                continue;
            }
            numbers.insert(&entry.xattrs, numbers.len() as u32);
            let position = values.position();
            let mut bytes = Vec::new();
            for (name, value) in &entry.xattrs {
                let (kind, short) = xattr_namespace(name).ok_or_else(|| SquashfsError::XattrName {
                    path: entry.path.clone(),
                    name: name.clone(),
                })?;
                bytes.extend_from_slice(&kind.to_le_bytes());
                bytes.extend_from_slice(&(short.len() as u16).to_le_bytes());
                bytes.extend_from_slice(short.as_bytes());
                bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
                bytes.extend_from_slice(value);
            }
            values.write(&bytes);
            table.extend_from_slice(&position.reference().to_le_bytes());
            table.extend_from_slice(&(entry.xattrs.len() as u32).to_le_bytes());
            table.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        }
        let values = values.finish().0;
        Ok(Self { numbers, values, table })
    }

    fn number(&self, entry: &Entry) -> u32 {
        self.numbers.get(&entry.xattrs).copied().unwrap_or(NO_XATTR)
    }

    /// Appends values, sets and the header that the superblock points to.
    fn append(&self, out: &mut Tail, compressor: &mut Compressor) -> Option<u64> {
        if self.numbers.is_empty() {
            return None;
        }
        let values_start = out.append(&self.values);
        let mut writer = MetadataWriter::new(compressor);
        writer.write(&self.table);
        let (blocks, starts) = writer.finish();
        let blocks_start = out.append(&blocks);
        let header = out.append(&values_start.to_le_bytes());
        out.append(&(self.numbers.len() as u32).to_le_bytes());
        out.append(&[0; 4]);
        for start in starts {
            out.append(&(blocks_start + start).to_le_bytes());
        }
        Some(header)
    }
}

/// The namespace's number and the name without its prefix.
fn xattr_namespace(name: &str) -> Option<(u16, &str)> {
    let prefixes = [("user.", 0), ("trusted.", 1), ("security.", 2)];
    let found = prefixes.iter().find_map(|(prefix, kind)| Some((*kind, name.strip_prefix(prefix)?)))?;
    (!found.1.is_empty() && found.1.len() <= 255).then_some(found)
}

struct Inodes {
    inode_table: Vec<u8>,
    directory_table: Vec<u8>,
    root: Position,
    /// By inode number from 1, for the export table.
    references: Vec<u64>,
}

/// Writes inodes and directories, children before their parent: a directory
/// lists where its members' inodes are.
fn write_inodes(
    manifest: &RootManifest,
    placed: &PlacedSegments<'_>,
    inline: &Placed<'_>,
    ids: &Ids,
    xattrs: &Xattrs<'_>,
    compressor: &mut Compressor,
) -> Result<Inodes, SquashfsError> {
    let entries = manifest.entries();
    let mut directory_compressor = Compressor::new(TABLE_LEVEL);
    let mut inodes = MetadataWriter::new(compressor);
    let mut directories = MetadataWriter::new(&mut directory_compressor);
    let mut positions = vec![Position { block: 0, offset: 0 }; entries.len()];

    let numbers: BTreeMap<&str, usize> =
        entries.iter().enumerate().map(|(i, e)| (e.path.as_str(), i)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
    let mut parents = vec![entries.len(); entries.len()];
    for (index, entry) in entries.iter().enumerate().skip(1) {
        let parent = numbers[split_parent(&entry.path).0];
        children[parent].push(index);
        parents[index] = parent;
    }

    for index in post_order(&children) {
        let entry = &entries[index];
        let xattr = xattrs.number(entry);
        let mut inode = Vec::new();
        let kind;
        match &entry.node {
            Node::Directory => {
                let start = directories.position();
                let listing = listing(entries, &children[index], &positions);
                directories.write(&listing);
                let size = listing.len() as u32 + 3;
                let links =
                    2 + children[index].iter().filter(|c| entries[**c].node == Node::Directory).count()
                        as u32;
                let parent = parents[index] as u32 + 1;
                if xattr == NO_XATTR && size <= u32::from(u16::MAX) {
                    kind = TYPE_DIRECTORY;
                    for field in [start.block, links] {
                        inode.extend_from_slice(&field.to_le_bytes());
                    }
                    inode.extend_from_slice(&(size as u16).to_le_bytes());
                    inode.extend_from_slice(&start.offset.to_le_bytes());
                    inode.extend_from_slice(&parent.to_le_bytes());
                } else {
                    kind = TYPE_DIRECTORY + EXTENDED;
                    for field in [links, size, start.block, parent] {
                        inode.extend_from_slice(&field.to_le_bytes());
                    }
                    inode.extend_from_slice(&0u16.to_le_bytes());
                    inode.extend_from_slice(&start.offset.to_le_bytes());
                    inode.extend_from_slice(&xattr.to_le_bytes());
                }
            }
            Node::Link { target } => {
                kind = if xattr == NO_XATTR { TYPE_LINK } else { TYPE_LINK + EXTENDED };
                inode.extend_from_slice(&1u32.to_le_bytes());
                inode.extend_from_slice(&(target.len() as u32).to_le_bytes());
                inode.extend_from_slice(target.as_bytes());
                if xattr != NO_XATTR {
                    inode.extend_from_slice(&xattr.to_le_bytes());
                }
            }
            Node::File { store, file, blake3, size } => {
                let segment = placed.get(store.as_str()).ok_or_else(|| SquashfsError::NoSegment {
                    path: entry.path.clone(),
                    store: store.clone(),
                })?;
                let found = segment.index.files.get(file).ok_or_else(|| SquashfsError::NotInSegment {
                    path: entry.path.clone(),
                    store: store.clone(),
                    file: file.clone(),
                })?;
                if found.size != *size || found.blake3 != hex::encode(blake3) {
                    let (store, file) = (store.clone(), file.clone());
                    return Err(SquashfsError::Contents { path: entry.path.clone(), store, file });
                }
                kind = file_inode(&mut inode, found, segment, xattr);
            }
            Node::Inline { .. } => {
                kind = file_inode(&mut inode, &inline.index.files[&entry.path], inline, xattr);
            }
        }
        positions[index] = inodes.position();
        for field in [kind, entry.mode, ids.0[&entry.uid], ids.0[&entry.gid]] {
            inodes.write(&field.to_le_bytes());
        }
        inodes.write(&TIME.to_le_bytes());
        inodes.write(&(index as u32 + 1).to_le_bytes());
        inodes.write(&inode);
    }
    let references = positions.iter().map(|p| p.reference()).collect();
    let (inode_table, directory_table) = (inodes.finish().0, directories.finish().0);
    Ok(Inodes { inode_table, directory_table, root: positions[0], references })
}

/// Every entry after all of its children.
fn post_order(children: &[Vec<usize>]) -> Vec<usize> {
    // Parents before children, children in reverse; then turned around.
    let mut order = Vec::with_capacity(children.len());
    let mut pending = vec![0];
    while let Some(index) = pending.pop() {
        order.push(index);
        pending.extend_from_slice(&children[index]);
    }
    order.reverse();
    order
}

/// Fills in a file's inode behind the common header; the result is its type.
fn file_inode(inode: &mut Vec<u8>, file: &SegmentFile, segment: &Placed<'_>, xattr: u32) -> u16 {
    let start = if file.blocks.is_empty() { 0 } else { segment.base + file.start };
    let (fragment, offset) =
        file.fragment.map_or((NO_FRAGMENT, 0), |(number, offset)| (segment.first_fragment + number, offset));
    let holes = holes_bytes(file, segment.index.block_bytes);
    let basic = xattr == NO_XATTR && holes == 0;
    let kind = match (u32::try_from(start), u32::try_from(file.size)) {
        (Ok(start), Ok(size)) if basic => {
            for field in [start, fragment, offset, size] {
                inode.extend_from_slice(&field.to_le_bytes());
            }
            TYPE_FILE
        }
        _ => {
            for field in [start, file.size, holes] {
                inode.extend_from_slice(&field.to_le_bytes());
            }
            for field in [1, fragment, offset, xattr] {
                inode.extend_from_slice(&field.to_le_bytes());
            }
            TYPE_FILE + EXTENDED
        }
    };
    for size in &file.blocks {
        inode.extend_from_slice(&size.to_le_bytes());
    }
    kind
}

fn holes_bytes(file: &SegmentFile, block_bytes: u32) -> u64 {
    let block_bytes = u64::from(block_bytes);
    let hole = |(index, _): (usize, &u32)| block_bytes.min(file.size - index as u64 * block_bytes);
    file.blocks.iter().enumerate().filter(|(_, size)| **size & !BLOCK_UNCOMPRESSED == 0).map(hole).sum()
}

/// A directory's listing: runs of at most 256 names whose inodes share a
/// metadata block and whose numbers are within 15 bits of the first one's.
fn listing(entries: &[Entry], members: &[usize], positions: &[Position]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = members;
    while let Some(first) = rest.first() {
        let fits = |member: &&usize| {
            positions[**member].block == positions[*first].block && **member - first <= i16::MAX as usize
        };
        let run = rest.iter().take(256).take_while(fits).count();
        let (members, after) = rest.split_at(run);
        for field in [run as u32 - 1, positions[*first].block, *first as u32 + 1] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for member in members {
            let entry = &entries[*member];
            let name = split_parent(&entry.path).1;
            let kind = match entry.node {
                Node::Directory => TYPE_DIRECTORY,
                Node::Link { .. } => TYPE_LINK,
                Node::File { .. } | Node::Inline { .. } => TYPE_FILE,
            };
            for field in [positions[*member].offset, (member - first) as u16, kind, name.len() as u16 - 1] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            out.extend_from_slice(name.as_bytes());
        }
        rest = after;
    }
    out
}

/// What stands behind the segments.
struct Tail {
    /// Where it begins in the image.
    start: u64,
    bytes: Vec<u8>,
}

impl Tail {
    fn position(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Appends bytes; the result is where they begin.
    fn append(&mut self, bytes: &[u8]) -> u64 {
        let at = self.position();
        self.bytes.extend_from_slice(bytes);
        at
    }

    /// Appends a table as metadata blocks and the list of where they begin;
    /// the result is where the list begins.
    fn indexed(&mut self, table: &[u8], compressor: &mut Compressor) -> u64 {
        let mut writer = MetadataWriter::new(compressor);
        writer.write(table);
        let (blocks, starts) = writer.finish();
        let base = self.append(&blocks);
        let list = self.position();
        for start in starts {
            self.append(&(base + start).to_le_bytes());
        }
        list
    }
}

#[derive(Default)]
struct Superblock {
    block_bytes: u32,
    inodes: u32,
    fragments: u32,
    ids: u16,
    root_inode: u64,
    bytes_used: u64,
    id_table: u64,
    xattr_table: Option<u64>,
    inode_table: u64,
    directory_table: u64,
    fragment_table: u64,
    export_table: u64,
}

impl Superblock {
    fn to_bytes(&self) -> Vec<u8> {
        let mut flags = FLAG_EXPORTABLE | FLAG_DUPLICATES;
        if self.xattr_table.is_none() {
            flags |= FLAG_NO_XATTRS;
        }
        let mut out = Vec::with_capacity(SUPERBLOCK_BYTES);
        for field in [MAGIC, self.inodes, TIME, self.block_bytes, self.fragments] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let log = self.block_bytes.trailing_zeros() as u16;
        for field in [COMPRESSION_ZSTD, log, flags, self.ids, 4, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [
            self.root_inode,
            self.bytes_used,
            self.id_table,
            self.xattr_table.unwrap_or(u64::MAX),
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        debug_assert_eq!(out.len(), SUPERBLOCK_BYTES);
        out
    }
}
