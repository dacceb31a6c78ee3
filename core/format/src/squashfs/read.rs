//! Reading an image: what is in it, and files' contents.
//!
//! Reads what this program writes and what mksquashfs writes with zstd; other
//! compressors are refused. Nothing of the image is trusted: every offset and
//! size is checked before it is used.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};

use super::{
    BLOCK_UNCOMPRESSED, COMPRESSION_ZSTD, EXTENDED, MAGIC, NO_FRAGMENT, NO_XATTR, SUPERBLOCK_BYTES,
    SquashfsError, TYPE_DIRECTORY, TYPE_FILE, TYPE_LINK,
};

/// One file, directory or link of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Absolute and clean.
    pub path: String,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub kind: MemberKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    Directory,
    Link { target: String },
    File(FileData),
}

/// Where a file's contents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileData {
    pub size: u64,
    start: u64,
    blocks: Vec<u32>,
    fragment: Option<(u32, u32)>,
}

impl FileData {
    /// Where the file's own blocks are that are no holes.
    pub fn block_starts(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks().map(|block| block.start)
    }

    /// The fragment block that holds the file or its end, and where in it.
    pub fn fragment(&self) -> Option<(u32, u32)> {
        self.fragment
    }

    fn blocks(&self) -> impl Iterator<Item = Frame> + '_ {
        let mut next = self.start;
        let blocks = self.blocks.iter().map(move |size| {
            let block = Frame::block(next, *size, FrameKind::Data);
            next = next.saturating_add(u64::from(block.stored_bytes));
            block
        });
        blocks.filter(|block| block.stored_bytes != 0)
    }
}

/// What a run of stored bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameKind {
    /// A part of one file.
    Data,
    /// Small files.
    Fragment,
    /// A part of a table. Its header of two bytes lies before it.
    Metadata,
}

/// A run of bytes that was compressed by itself, or stored as it is because
/// that was shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    pub start: u64,
    pub stored_bytes: u32,
    pub is_compressed: bool,
    pub kind: FrameKind,
}

impl Frame {
    fn block(start: u64, size: u32, kind: FrameKind) -> Self {
        let is_compressed = size & BLOCK_UNCOMPRESSED == 0;
        Self { start, stored_bytes: size & !BLOCK_UNCOMPRESSED, is_compressed, kind }
    }
}

/// An opened image.
pub struct Image<R> {
    source: R,
    block_bytes: u32,
    bytes_used: u64,
    root: u64,
    inode_count: u32,
    export_table: u64,
    /// Metadata blocks that were read.
    metadata: Vec<Frame>,
    ids: Vec<u32>,
    fragments: Vec<(u64, u32)>,
    inodes: Table,
    directories: Table,
    xattrs: Option<Xattrs>,
}

/// A table, decompressed.
struct Table {
    bytes: Vec<u8>,
    /// Where each stored block begins (from the table's begin), and where its
    /// bytes are.
    blocks: BTreeMap<u64, usize>,
}

struct Xattrs {
    values: Table,
    /// Reference, count, size.
    sets: Vec<u8>,
}

type Result<T> = std::result::Result<T, SquashfsError>;

/// More than any image of ours, so that a damaged size cannot fill the memory.
const MAX_TABLE_BYTES: usize = 1 << 28;
const MAX_DEPTH: usize = 200;
const METADATA_BYTES: usize = 8192;

impl<R: Read + Seek> Image<R> {
    /// Reads the superblock and all tables.
    ///
    /// # Errors
    /// [`SquashfsError::Damaged`] or [`SquashfsError::Read`].
    pub fn open(mut source: R) -> Result<Self> {
        let superblock = read_at(&mut source, 0, SUPERBLOCK_BYTES)?;
        let block_bytes = u32_at(&superblock, 12)?;
        if u32_at(&superblock, 0)? != MAGIC || u16_at(&superblock, 28)? != 4 {
            return Err(SquashfsError::Damaged("no squashfs 4 superblock"));
        }
        if u16_at(&superblock, 20)? != COMPRESSION_ZSTD {
            return Err(SquashfsError::Damaged("another compressor than zstd"));
        }
        if !block_bytes.is_power_of_two() || !(4096..=1 << 20).contains(&block_bytes) {
            return Err(SquashfsError::Damaged("an impossible block size"));
        }
        let fragment_count = u32_at(&superblock, 16)? as usize;
        let id_count = usize::from(u16_at(&superblock, 26)?);
        let [id_table, xattr_table, inode_table, directory_table, fragment_table] =
            [48, 56, 64, 72, 80].map(|at| u64_at(&superblock, at).unwrap_or(u64::MAX));
        let mut image = Self {
            source,
            block_bytes,
            bytes_used: u64_at(&superblock, 40)?,
            root: u64_at(&superblock, 32)?,
            inode_count: u32_at(&superblock, 4)?,
            export_table: u64_at(&superblock, 88)?,
            metadata: Vec::new(),
            ids: Vec::new(),
            fragments: Vec::new(),
            inodes: Table::empty(),
            directories: Table::empty(),
            xattrs: None,
        };
        let (fragments, fragments_begin) = image.indexed(fragment_table, fragment_count, 16)?;
        for row in fragments.chunks_exact(16) {
            image.fragments.push((u64_at(row, 0)?, u32_at(row, 8)?));
        }
        let (ids, ids_begin) = image.indexed(id_table, id_count, 4)?;
        image.ids = ids.chunks_exact(4).map(|row| u32_at(row, 0)).collect::<Result<_>>()?;
        let export_begin = match image.export_table {
            u64::MAX => u64::MAX,
            table => image.u64_in(table)?,
        };
        let directories_end = fragments_begin.min(export_begin).min(ids_begin);
        image.inodes = image.table(inode_table, directory_table)?;
        image.directories = image.table(directory_table, directories_end)?;
        if xattr_table != u64::MAX {
            image.xattrs = Some(image.read_xattrs(xattr_table)?);
        }
        Ok(image)
    }

    /// Everything in the image, sorted by the bytes of the paths.
    ///
    /// # Errors
    /// [`SquashfsError::Damaged`].
    pub fn members(&self) -> Result<Vec<Member>> {
        let mut members = Vec::new();
        self.walk("/", self.root, 0, &mut members)?;
        members.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Ok(members)
    }

    /// Writes a file's contents.
    ///
    /// # Errors
    /// The image is damaged or cannot be read, or `out` failed.
    pub fn contents(&mut self, file: &FileData, out: &mut impl Write) -> Result<()> {
        let block_bytes = u64::from(self.block_bytes);
        let mut left = file.size;
        let mut position = file.start;
        for size in &file.blocks {
            let expected = left.min(block_bytes);
            let stored = u64::from(size & !BLOCK_UNCOMPRESSED);
            if stored == 0 {
                out.write_all(&vec![0; expected as usize])?;
            } else {
                let bytes = self.block(position, *size)?;
                if bytes.len() as u64 != expected {
                    return Err(SquashfsError::Damaged("a block of another length"));
                }
                out.write_all(&bytes)?;
            }
            position += stored;
            left -= expected;
        }
        if let Some((number, offset)) = file.fragment {
            let (start, size) =
                *self.fragments.get(number as usize).ok_or(SquashfsError::Damaged("an unknown fragment"))?;
            let bytes = self.block(start, size)?;
            let end = u64::from(offset) + left;
            let part = bytes.get(offset as usize..end as usize);
            out.write_all(part.ok_or(SquashfsError::Damaged("a fragment that is too short"))?)?;
            left = 0;
        }
        if left == 0 { Ok(()) } else { Err(SquashfsError::Damaged("a file without all of its blocks")) }
    }

    /// Everything in the image that was compressed by itself, in the order of
    /// places, none overlapping another. What lies between is padding, headers
    /// and lists of places.
    ///
    /// # Errors
    /// [`SquashfsError::Damaged`] or [`SquashfsError::Read`].
    pub fn frames(&mut self, members: &[Member]) -> Result<Vec<Frame>> {
        if self.export_table != u64::MAX {
            self.indexed(self.export_table, self.inode_count as usize, 8)?;
        }
        let mut frames = self.metadata.clone();
        for member in members {
            if let MemberKind::File(file) = &member.kind {
                frames.extend(file.blocks());
            }
        }
        let fragments = self.fragments.iter();
        frames.extend(fragments.map(|(start, size)| Frame::block(*start, *size, FrameKind::Fragment)));
        // Files with the same contents share their blocks.
        frames.sort_unstable();
        frames.dedup();
        let mut end = 0;
        for frame in &frames {
            let frame_end = frame.start.checked_add(u64::from(frame.stored_bytes));
            end = match frame_end {
                Some(after) if frame.start >= end && after <= self.bytes_used => after,
                _ => return Err(SquashfsError::Damaged("blocks that overlap or lie outside the image")),
            };
        }
        Ok(frames)
    }

    /// Where a fragment block begins.
    pub fn fragment_start(&self, number: u32) -> Option<u64> {
        self.fragments.get(number as usize).map(|(start, _)| *start)
    }

    /// The size of every data block but a file's last, and the most that a
    /// fragment block holds.
    pub fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    fn block(&mut self, position: u64, size: u32) -> Result<Vec<u8>> {
        let stored = size & !BLOCK_UNCOMPRESSED;
        let end = position.checked_add(u64::from(stored));
        if stored > self.block_bytes || end.is_none_or(|end| end > self.bytes_used) {
            return Err(SquashfsError::Damaged("a block outside the image"));
        }
        let bytes = read_at(&mut self.source, position, stored as usize)?;
        if size & BLOCK_UNCOMPRESSED != 0 { Ok(bytes) } else { decompress(&bytes, self.block_bytes as usize) }
    }

    /// A table that is found by a list of its blocks' places; also where its
    /// first block begins.
    fn indexed(&mut self, list: u64, count: usize, row_bytes: usize) -> Result<(Vec<u8>, u64)> {
        let total = count * row_bytes;
        if total == 0 {
            return Ok((Vec::new(), u64::MAX));
        }
        if total > MAX_TABLE_BYTES {
            return Err(SquashfsError::Damaged("a table that is too large"));
        }
        let list = read_at(&mut self.source, list, total.div_ceil(METADATA_BYTES) * 8)?;
        let mut bytes = Vec::with_capacity(total);
        for place in list.chunks_exact(8) {
            let (block, _) = self.metadata_block(u64_at(place, 0)?)?;
            bytes.extend_from_slice(&block);
        }
        if bytes.len() < total {
            return Err(SquashfsError::Damaged("a table that is too short"));
        }
        bytes.truncate(total);
        Ok((bytes, u64_at(&list, 0)?))
    }

    /// Metadata blocks from `start` up to `end`.
    fn table(&mut self, start: u64, end: u64) -> Result<Table> {
        let mut table = Table::empty();
        let mut position = start;
        while position < end {
            if table.bytes.len() > MAX_TABLE_BYTES {
                return Err(SquashfsError::Damaged("a table that is too large"));
            }
            table.blocks.insert(position - start, table.bytes.len());
            let (bytes, stored) = self.metadata_block(position)?;
            table.bytes.extend_from_slice(&bytes);
            position += stored;
        }
        Ok(table)
    }

    /// One metadata block, and how many bytes it takes in the image.
    fn metadata_block(&mut self, position: u64) -> Result<(Vec<u8>, u64)> {
        let header = u16_at(&read_at(&mut self.source, position, 2)?, 0)?;
        let size = usize::from(header & 0x7fff);
        if size == 0 || size > METADATA_BYTES {
            return Err(SquashfsError::Damaged("a metadata block of impossible size"));
        }
        let is_compressed = header & 0x8000 == 0;
        let (start, stored_bytes) = (position + 2, size as u32);
        self.metadata.push(Frame { start, stored_bytes, is_compressed, kind: FrameKind::Metadata });
        let bytes = read_at(&mut self.source, start, size)?;
        let bytes = if is_compressed { decompress(&bytes, METADATA_BYTES)? } else { bytes };
        Ok((bytes, size as u64 + 2))
    }

    fn read_xattrs(&mut self, header: u64) -> Result<Xattrs> {
        let head = read_at(&mut self.source, header, 16)?;
        let (values_start, count) = (u64_at(&head, 0)?, u32_at(&head, 8)? as usize);
        let (sets, sets_begin) = self.indexed(header + 16, count, 16)?;
        Ok(Xattrs { values: self.table(values_start, sets_begin)?, sets })
    }

    fn u64_in(&mut self, position: u64) -> Result<u64> {
        u64_at(&read_at(&mut self.source, position, 8)?, 0)
    }

    fn walk(&self, path: &str, reference: u64, depth: usize, out: &mut Vec<Member>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(SquashfsError::Damaged("directories nested without end"));
        }
        let inode = self.inodes.at_reference(reference)?;
        let kind = u16_at(inode, 0)?;
        let id = |at| {
            let index = usize::from(u16_at(inode, at)?);
            self.ids.get(index).copied().ok_or(SquashfsError::Damaged("an unknown owner"))
        };
        let (mut xattr, mut listing) = (NO_XATTR, None);
        let node = match kind {
            TYPE_DIRECTORY => {
                listing = Some((u32_at(inode, 16)?, u16_at(inode, 26)?, u32::from(u16_at(inode, 24)?)));
                MemberKind::Directory
            }
            kind if kind == TYPE_DIRECTORY + EXTENDED => {
                listing = Some((u32_at(inode, 24)?, u16_at(inode, 34)?, u32_at(inode, 20)?));
                xattr = u32_at(inode, 36)?;
                MemberKind::Directory
            }
            TYPE_FILE => MemberKind::File(self.file(inode, false)?),
            kind if kind == TYPE_FILE + EXTENDED => {
                xattr = u32_at(inode, 52)?;
                MemberKind::File(self.file(inode, true)?)
            }
            kind if kind == TYPE_LINK || kind == TYPE_LINK + EXTENDED => {
                let size = u32_at(inode, 20)? as usize;
                let target =
                    inode.get(24..24 + size).ok_or(SquashfsError::Damaged("a link that is cut off"))?;
                if kind != TYPE_LINK {
                    xattr = u32_at(inode, 24 + size)?;
                }
                let target = String::from_utf8(target.to_vec());
                MemberKind::Link {
                    target: target.map_err(|_| SquashfsError::Damaged("a target not in UTF-8"))?,
                }
            }
            _ => return Err(SquashfsError::Damaged("an inode of unknown kind")),
        };
        let (mode, uid, gid) = (u16_at(inode, 2)?, id(4)?, id(6)?);
        let xattrs = self.xattrs_of(xattr)?;
        out.push(Member { path: path.to_owned(), mode, uid, gid, xattrs, kind: node });
        match listing {
            Some((block, offset, size)) => self.walk_listing(path, block, offset, size, depth, out),
            None => Ok(()),
        }
    }

    fn walk_listing(
        &self,
        path: &str,
        block: u32,
        offset: u16,
        size: u32,
        depth: usize,
        out: &mut Vec<Member>,
    ) -> Result<()> {
        let bytes_left = (size as usize).saturating_sub(3);
        if bytes_left == 0 {
            return Ok(());
        }
        let table = self.directories.at_reference(u64::from(block) << 16 | u64::from(offset))?;
        let mut rest = table.get(..bytes_left).ok_or(SquashfsError::Damaged("a listing that is cut off"))?;
        while !rest.is_empty() {
            let (count, start) = (u32_at(rest, 0)?, u32_at(rest, 4)?);
            rest = rest.get(12..).ok_or(SquashfsError::Damaged("a listing that is cut off"))?;
            for _ in 0..=count.min(255) {
                let (inode, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 6)?) + 1);
                let name = rest.get(8..8 + length).ok_or(SquashfsError::Damaged("a name that is cut off"))?;
                let name =
                    std::str::from_utf8(name).map_err(|_| SquashfsError::Damaged("a name not in UTF-8"))?;
                if name == "." || name == ".." || name.contains(['/', '\0']) {
                    return Err(SquashfsError::Damaged("a name that is no name"));
                }
                let below = if path == "/" { format!("/{name}") } else { format!("{path}/{name}") };
                self.walk(&below, u64::from(start) << 16 | u64::from(inode), depth + 1, out)?;
                rest = &rest[8 + length..];
            }
        }
        Ok(())
    }

    fn file(&self, inode: &[u8], extended: bool) -> Result<FileData> {
        let (start, size, fragment, offset, list) = if extended {
            (u64_at(inode, 16)?, u64_at(inode, 24)?, u32_at(inode, 44)?, u32_at(inode, 48)?, 56)
        } else {
            let (start, size) = (u32_at(inode, 16)?, u32_at(inode, 28)?);
            (u64::from(start), u64::from(size), u32_at(inode, 20)?, u32_at(inode, 24)?, 32)
        };
        let block_bytes = u64::from(self.block_bytes);
        let fragment = (fragment != NO_FRAGMENT).then_some((fragment, offset));
        let count = if fragment.is_some() { size / block_bytes } else { size.div_ceil(block_bytes) };
        let list =
            usize::try_from(count).ok().and_then(|count| inode.get(list..)?.get(..count.checked_mul(4)?));
        let list = list.ok_or(SquashfsError::Damaged("a block list that is cut off"))?;
        let blocks = list.chunks_exact(4).map(|row| u32_at(row, 0)).collect::<Result<_>>()?;
        Ok(FileData { size, start, blocks, fragment })
    }

    fn xattrs_of(&self, number: u32) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut found = BTreeMap::new();
        if number == NO_XATTR {
            return Ok(found);
        }
        let damaged = SquashfsError::Damaged("attributes that are cut off");
        let table = self.xattrs.as_ref().ok_or(SquashfsError::Damaged("attributes without a table"))?;
        let set = table.sets.get(number as usize * 16..).ok_or(damaged)?;
        let mut rest = table.values.at_reference(u64_at(set, 0)?)?;
        for _ in 0..u32_at(set, 8)? {
            let damaged = || SquashfsError::Damaged("attributes that are cut off");
            let prefix = match u16_at(rest, 0)? {
                0 => "user.",
                1 => "trusted.",
                2 => "security.",
                _ => return Err(SquashfsError::Damaged("an attribute of unknown kind")),
            };
            let length = usize::from(u16_at(rest, 2)?);
            let name = rest.get(4..4 + length).ok_or_else(damaged)?;
            let value_bytes = u32_at(rest, 4 + length)? as usize;
            let value =
                rest.get(8 + length..).and_then(|rest| rest.get(..value_bytes)).ok_or_else(damaged)?;
            found.insert(format!("{prefix}{}", String::from_utf8_lossy(name)), value.to_vec());
            rest = &rest[8 + length + value_bytes..];
        }
        Ok(found)
    }
}

impl Table {
    fn empty() -> Self {
        Self { bytes: Vec::new(), blocks: BTreeMap::new() }
    }

    /// What begins at a reference: block in the upper bits, offset in the
    /// lower sixteen.
    fn at_reference(&self, reference: u64) -> Result<&[u8]> {
        let damaged = SquashfsError::Damaged("a reference outside its table");
        let start = self.blocks.get(&(reference >> 16)).copied();
        start.and_then(|start| self.bytes.get(start + (reference & 0xffff) as usize..)).ok_or(damaged)
    }
}

fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    zstd::bulk::decompress(bytes, limit)
        .map_err(|_| SquashfsError::Damaged("a block that does not decompress"))
}

fn read_at(source: &mut (impl Read + Seek), position: u64, size: usize) -> Result<Vec<u8>> {
    source.seek(SeekFrom::Start(position))?;
    let mut bytes = vec![0; size];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let part = bytes.get(at..).and_then(|rest| rest.get(..N));
    part.and_then(|part| part.try_into().ok()).ok_or(SquashfsError::Damaged("a structure that is cut off"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from_le_bytes(array_at(bytes, at)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(array_at(bytes, at)?))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    Ok(u64::from_le_bytes(array_at(bytes, at)?))
}
