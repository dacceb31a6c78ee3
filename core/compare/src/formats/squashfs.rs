//! squashfs 4. Source: the kernel's `fs/squashfs/squashfs_fs.h`.
//!
//! `osbuild_format::squashfs::read` reads what is trusted to be ours: it keeps
//! no times, takes names in UTF-8 and zstd only, and would walk a directory
//! that contains itself. Here times are what is looked for, other programs'
//! images are compared too, and any image may be hostile.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::difference::{Class, StepKind};
use crate::fields::{hex, le16, le32, le64, seconds};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

use super::squashfs_data::{Fragment, Image, Position, file};

const SUPERBLOCK_BYTES: usize = 96;
pub(super) const NONE: u32 = u32::MAX;
const NO_TABLE: u64 = u64::MAX;
/// Inode kinds; the extended forms are these plus seven.
const DIRECTORY: u16 = 1;
const FILE: u16 = 2;
const LINK: u16 = 3;
const EXTENDED: u16 = 7;
const KINDS: [&str; 7] =
    ["directory", "file", "symbolic link", "block device", "character device", "named pipe", "socket"];
/// Of all paths together: a chain of directories makes them long quickly.
const PATHS_BYTES: usize = 64 << 20;
/// Blocks of all files together: half a terabyte.
const BLOCKS: u64 = 4 << 20;

pub(super) fn open(source: &Source, limits: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let superblock = source.bytes(0, SUPERBLOCK_BYTES)?;
    if le16(&superblock, 28)? != 4 {
        return Err(Refusal::Malformed("its version is not 4"));
    }
    let block_bytes = le32(&superblock, 12)?;
    if !block_bytes.is_power_of_two() || !(4096..=1 << 20).contains(&block_bytes) {
        return Err(Refusal::Malformed("its block size is impossible"));
    }
    let compressor = le16(&superblock, 20)?;
    let image = Rc::new(Image::new(source.clone(), block_bytes, compressor)?);
    let mut opened = Opened::default();
    opened.fields.extend([
        Field::number("inodes", le32(&superblock, 4)?),
        Field::seconds("time of making", le32(&superblock, 8)?.into()),
        Field::number("block size", block_bytes),
        Field::number("fragments", le32(&superblock, 16)?),
        Field::number("compressor", compressor),
        Field::hex("flags", le16(&superblock, 24)?),
        Field::number("owners", le16(&superblock, 26)?),
    ]);
    let mut tables = Vec::new();
    let names = ["owners", "attributes", "inodes", "directories", "fragments", "exports"];
    for (index, name) in names.into_iter().enumerate() {
        tables.push(le64(&superblock, 48 + index * 8)?);
        if tables[index] != NO_TABLE {
            opened.places.push((tables[index], format!("the table of {name}")));
        }
    }
    opened.places.push((0, "the superblock".to_owned()));
    opened.places.push((SUPERBLOCK_BYTES as u64, "the blocks of files".to_owned()));
    opened.places.push((le64(&superblock, 40)?, "padding behind the image".to_owned()));
    opened.places.sort();

    let ids = image.indexed(tables[0], usize::from(le16(&superblock, 26)?) * 4, limits)?;
    let fragments = le32(&superblock, 16)? as usize;
    let fragments =
        if fragments == 0 { Vec::new() } else { image.indexed(tables[4], fragments * 16, limits)? };
    let mut walk = Walk {
        image: &image,
        limits,
        inodes: tables[2],
        directories: tables[3],
        ids,
        fragments: Rc::new(fragments),
        attributes: Attributes::read(&image, tables[1], limits)?,
        seen: BTreeSet::new(),
        pending: vec![(Vec::new(), le64(&superblock, 32)?)],
        paths_left: PATHS_BYTES,
        blocks_left: BLOCKS,
    };
    while let Some((path, reference)) = walk.pending.pop() {
        super::check_count(opened.members.len(), limits)?;
        let member = walk.inode(path, reference)?;
        opened.members.push(member);
    }
    opened.members.sort_by(|a, b| a.step.name.cmp(&b.step.name));
    Ok(opened)
}

struct Walk<'a> {
    image: &'a Rc<Image>,
    limits: &'a Limits,
    inodes: u64,
    directories: u64,
    ids: Vec<u8>,
    fragments: Rc<Vec<u8>>,
    attributes: Option<Attributes>,
    /// Directories that were entered: none may be in two places.
    seen: BTreeSet<u64>,
    pending: Vec<(Vec<u8>, u64)>,
    paths_left: usize,
    blocks_left: u64,
}

impl Walk<'_> {
    /// A reference is the block's place in the table above an offset of sixteen
    /// bits.
    fn position(table: u64, reference: u64) -> Result<Position, Refusal> {
        let block = table.checked_add(reference >> 16).ok_or(CUT_OFF)?;
        Ok(Position { block, offset: (reference & 0xffff) as usize })
    }

    fn inode(&mut self, path: Vec<u8>, reference: u64) -> Result<Member, Refusal> {
        let mut at = Self::position(self.inodes, reference)?;
        let head = self.image.metadata(&mut at, 16)?;
        let number = le16(&head, 0)?;
        let is_extended = number > EXTENDED;
        let kind = if is_extended { number - EXTENDED } else { number };
        let word = usize::from(kind).checked_sub(1).and_then(|index| KINDS.get(index));
        let word = word.ok_or(Refusal::Malformed("an inode is of an unknown kind"))?;
        let mut fields = vec![
            Field::new("kind", *word),
            Field::mode(le16(&head, 2)?.into()),
            self.owner("uid", le16(&head, 4)?)?,
            self.owner("gid", le16(&head, 6)?)?,
            Field { class: Some(Class::Timestamp), ..Field::new("mtime", seconds(le32(&head, 8)?.into())) },
        ];
        let mut attributes = NONE;
        let mut content = Content::None;
        match (kind, is_extended) {
            (DIRECTORY, false) => {
                let rest = self.image.metadata(&mut at, 16)?;
                let (block, size, offset) = (le32(&rest, 0)?, le16(&rest, 8)?.into(), le16(&rest, 10)?);
                self.listing(&path, reference, block, offset, size)?;
            }
            (DIRECTORY, true) => {
                let rest = self.image.metadata(&mut at, 24)?;
                let (block, size, offset) = (le32(&rest, 8)?, le32(&rest, 4)?, le16(&rest, 18)?);
                attributes = le32(&rest, 20)?;
                self.listing(&path, reference, block, offset, size)?;
            }
            (FILE, _) => {
                let rest = self.image.metadata(&mut at, if is_extended { 40 } else { 16 })?;
                let (start, size, fragment, offset) = if is_extended {
                    fields.push(Field::number("links", le32(&rest, 24)?));
                    attributes = le32(&rest, 36)?;
                    (le64(&rest, 0)?, le64(&rest, 8)?, le32(&rest, 28)?, le32(&rest, 32)?)
                } else {
                    (le32(&rest, 0)?.into(), le32(&rest, 12)?.into(), le32(&rest, 4)?, le32(&rest, 8)?)
                };
                let fragment = self.fragment(fragment, offset)?;
                let count = self.block_count(size, fragment.is_some())?;
                let sizes = self.image.metadata(&mut at, count as usize * 4)?;
                content = Content::Stored(file(self.image, start, size, &sizes, fragment)?);
            }
            (LINK, _) => {
                let bytes = le32(&self.image.metadata(&mut at, 8)?, 4)? as usize;
                if bytes > 65_536 {
                    return Err(Refusal::Malformed("a link's target is too long"));
                }
                fields.push(Field::new("target", self.image.metadata(&mut at, bytes)?));
                if is_extended {
                    attributes = le32(&self.image.metadata(&mut at, 4)?, 0)?;
                }
            }
            (4 | 5, _) => {
                let rest = self.image.metadata(&mut at, if is_extended { 12 } else { 8 })?;
                fields.push(Field::hex("device", le32(&rest, 4)?));
                attributes = if is_extended { le32(&rest, 8)? } else { NONE };
            }
            _ => {
                let rest = self.image.metadata(&mut at, if is_extended { 8 } else { 4 })?;
                attributes = if is_extended { le32(&rest, 4)? } else { NONE };
            }
        }
        if attributes != NONE {
            let table =
                self.attributes.as_ref().ok_or(Refusal::Malformed("it has no table of attributes"))?;
            fields.push(Field::new("attributes", table.of(self.image, attributes, self.limits)?));
        }
        let name = if path.is_empty() { b"/".to_vec() } else { path };
        Ok(Member { fields, ..Member::new(StepKind::Member, name, content) })
    }

    fn owner(&self, name: &'static str, index: u16) -> Result<Field, Refusal> {
        Ok(Field::owner(name, le32(&self.ids, usize::from(index) * 4)?.to_string()))
    }

    fn fragment(&self, number: u32, offset: u32) -> Result<Option<Fragment>, Refusal> {
        if number == NONE {
            return Ok(None);
        }
        let row = number as usize * 16;
        Ok(Some(Fragment {
            start: le64(&self.fragments, row)?,
            size: le32(&self.fragments, row + 8)?,
            offset,
        }))
    }

    fn block_count(&mut self, size: u64, has_fragment: bool) -> Result<u64, Refusal> {
        let block_bytes = u64::from(self.image.block_bytes());
        let count = if has_fragment { size / block_bytes } else { size.div_ceil(block_bytes) };
        let left = self.blocks_left.checked_sub(count);
        self.blocks_left =
            left.ok_or_else(|| Refusal::Beyond("its files have too many blocks".to_owned()))?;
        Ok(count)
    }

    /// Takes the names in a directory; the size counts three bytes more than
    /// there are.
    fn listing(
        &mut self,
        path: &[u8],
        reference: u64,
        block: u32,
        offset: u16,
        size: u32,
    ) -> Result<(), Refusal> {
        if !self.seen.insert(reference) {
            return Err(Refusal::Malformed("a directory is in two places"));
        }
        let mut left = u64::from(size).saturating_sub(3);
        let mut at = Self::position(self.directories, u64::from(block) << 16 | u64::from(offset))?;
        while left != 0 {
            let head = self.image.metadata(&mut at, 12)?;
            left = left.checked_sub(12).ok_or(CUT_OFF)?;
            let (count, start) = (le32(&head, 0)?.min(255), le32(&head, 4)?);
            for _ in 0..=count {
                let entry = self.image.metadata(&mut at, 8)?;
                let name_bytes = usize::from(le16(&entry, 6)?) + 1;
                if name_bytes > 256 {
                    return Err(Refusal::Malformed("a name is too long"));
                }
                left = left.checked_sub(8 + name_bytes as u64).ok_or(CUT_OFF)?;
                let name = self.image.metadata(&mut at, name_bytes)?;
                let below = if path.is_empty() { name } else { [path, b"/", &name].concat() };
                let paths_left = self.paths_left.checked_sub(below.len());
                self.paths_left =
                    paths_left.ok_or_else(|| Refusal::Beyond("its paths are too long".to_owned()))?;
                self.pending.push((below, u64::from(start) << 16 | u64::from(le16(&entry, 0)?)));
            }
        }
        Ok(())
    }
}

/// Extended attributes: sets, and the pairs that sets point to.
struct Attributes {
    pairs: u64,
    sets: Vec<u8>,
}

impl Attributes {
    fn read(image: &Image, table: u64, limits: &Limits) -> Result<Option<Self>, Refusal> {
        if table == NO_TABLE {
            return Ok(None);
        }
        let head = image.raw(table, 16)?;
        let count = le32(&head, 8)? as usize;
        let sets = if count == 0 { Vec::new() } else { image.indexed(table + 16, count * 16, limits)? };
        Ok(Some(Self { pairs: le64(&head, 0)?, sets }))
    }

    /// Lines `name=value`, values in hexadecimal.
    fn of(&self, image: &Image, number: u32, limits: &Limits) -> Result<Vec<u8>, Refusal> {
        let row = number as usize * 16;
        let (reference, count) = (le64(&self.sets, row)?, le32(&self.sets, row + 8)?);
        let mut at = Walk::position(self.pairs, reference)?;
        let mut text = Vec::new();
        for _ in 0..count {
            let head = image.metadata(&mut at, 4)?;
            let name = image.metadata(&mut at, le16(&head, 2)?.into())?;
            let size = le32(&image.metadata(&mut at, 4)?, 0)? as usize;
            if size > 65_536 || text.len() as u64 > limits.table_bytes.min(1 << 20) {
                return Err(Refusal::Malformed("its attributes are too long"));
            }
            let value = image.metadata(&mut at, size)?;
            let prefix = match le16(&head, 0)? & 0xff {
                0 => "user.",
                1 => "trusted.",
                2 => "security.",
                _ => return Err(Refusal::Malformed("an attribute is of an unknown kind")),
            };
            text.extend([prefix.as_bytes(), &name, b"=", hex(&value).as_bytes(), b"\n"].concat());
        }
        Ok(text)
    }
}
