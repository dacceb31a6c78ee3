//! Directories of a FAT, with the names and times in them.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::difference::{Class, StepKind};
use crate::fields::{le16, le32};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened, Stored};
use crate::source::{Refusal, Source};

use super::fat::Volume;
use super::gaps::is_zero;

const ROW_BYTES: usize = 32;
/// A directory has at most 65,536 rows.
const DIRECTORY_BYTES: u64 = 2 << 20;
const MAX_DEPTH: usize = 64;

const LONG_NAME: u8 = 0x0f;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const DELETED: u8 = 0xe5;

pub(super) struct Walk<'a> {
    volume: Rc<Volume>,
    limits: &'a Limits,
    /// First clusters of directories: none is entered twice.
    seen: BTreeSet<u32>,
}

struct Row {
    name: Vec<u8>,
    attributes: u8,
    first: u32,
    size: u64,
    fields: Vec<Field>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(volume: Rc<Volume>, limits: &'a Limits) -> Self {
        Self { volume, limits, seen: BTreeSet::new() }
    }

    pub(super) fn run(mut self, root: Vec<Source>, opened: &mut Opened) -> Result<(), Refusal> {
        self.directory(&[], root, 0, opened)
    }

    fn directory(
        &mut self,
        path: &[u8],
        pieces: Vec<Source>,
        depth: usize,
        opened: &mut Opened,
    ) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::Malformed("directories are nested without end"));
        }
        for row in rows(&pieces)? {
            super::check_count(opened.members.len(), self.limits)?;
            let name = if path.is_empty() { row.name } else { [path, b"/", &row.name].concat() };
            let mut member = Member::new(StepKind::Member, name.clone(), Content::None);
            member.fields = row.fields;
            if row.attributes & (DIRECTORY | LABEL) == 0 {
                self.file(&name, row.first, row.size, &mut member, opened)?;
            }
            opened.members.push(member);
            if row.attributes & DIRECTORY != 0 {
                if !self.seen.insert(row.first) {
                    return Err(Refusal::Malformed("a directory is in two places"));
                }
                let pieces = self.volume.chain(row.first)?;
                self.directory(&name, pieces, depth + 1, opened)?;
            }
        }
        Ok(())
    }

    fn file(
        &self,
        name: &[u8],
        first: u32,
        size: u64,
        member: &mut Member,
        opened: &mut Opened,
    ) -> Result<(), Refusal> {
        let pieces = self.volume.chain(first)?;
        let (mut held, mut used) = (0, Vec::new());
        for piece in pieces {
            let wanted = (size - held).min(piece.size());
            held += wanted;
            used.extend(piece.range(0, wanted).filter(|used| used.size() != 0));
            let slack = piece.tail(wanted);
            if !is_zero(&slack)? {
                opened.members.push(Member::part([b"slack behind ".as_slice(), name].concat(), slack));
            }
        }
        if held != size {
            return Err(Refusal::Malformed("a file has fewer clusters than its size needs"));
        }
        member.content = match <[Source; 1]>::try_from(used) {
            Ok([whole]) => Content::Bytes(whole),
            Err(used) => {
                let pieces = used.iter().map(|piece| (piece.clone(), 0)).collect();
                let unpack = Box::new(move |scratch: &crate::source::Scratch| {
                    let mut spool = scratch.spool();
                    used.iter().try_for_each(|piece| spool.fill(&mut piece.reader()))?;
                    Ok(spool.finish())
                });
                Content::Stored(Stored { size, pieces, unpack })
            }
        };
        Ok(())
    }
}

/// The rows of a directory but those of the directory itself and its parent.
fn rows(pieces: &[Source]) -> Result<Vec<Row>, Refusal> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(piece.whole(DIRECTORY_BYTES.saturating_sub(bytes.len() as u64))?);
    }
    let mut found = Vec::new();
    // Parts of a long name stand before its row, the last part first.
    let mut long: Vec<u16> = Vec::new();
    for row in bytes.chunks_exact(ROW_BYTES) {
        match (row[0], row[11]) {
            (0, _) => break,
            (DELETED, _) => long.clear(),
            (_, LONG_NAME) => {
                let units = [&row[1..11], &row[14..26], &row[28..32]].concat();
                let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                long.splice(0..0, units.take_while(|unit| *unit != 0 && *unit != 0xffff));
                if long.len() > 255 {
                    return Err(Refusal::Malformed("a name is too long"));
                }
            }
            (b'.', DIRECTORY) => long.clear(),
            _ => found.push(parse(row, &std::mem::take(&mut long))?),
        }
    }
    Ok(found)
}

fn parse(row: &[u8], long: &[u16]) -> Result<Row, Refusal> {
    let attributes = row[11];
    let short = match attributes & LABEL {
        0 => {
            let (base, extension) = (row[..8].trim_ascii_end(), row[8..11].trim_ascii_end());
            if extension.is_empty() { base.to_vec() } else { [base, b".", extension].concat() }
        }
        _ => row[..11].trim_ascii_end().to_vec(),
    };
    let time = |name, value: String| Field { class: Some(Class::Timestamp), ..Field::new(name, value) };
    let mut fields = vec![
        Field::hex("attributes", attributes),
        time("created", format!("{} {}.{:02}", date(le16(row, 16)?), clock(le16(row, 14)?), row[13])),
        time("read", date(le16(row, 18)?)),
        time("written", format!("{} {}", date(le16(row, 24)?), clock(le16(row, 22)?))),
        Field::hex("case", row[12]),
    ];
    let name = if long.is_empty() {
        short
    } else {
        fields.push(Field::new("short name", short));
        String::from_utf16_lossy(long).into_bytes()
    };
    let first = u32::from(le16(row, 20)?) << 16 | u32::from(le16(row, 26)?);
    Ok(Row { name, attributes, first, size: le32(row, 28)?.into(), fields })
}

/// Years since 1980, month, day.
fn date(value: u16) -> String {
    format!("{:04}-{:02}-{:02}", 1980 + (value >> 9), value >> 5 & 15, value & 31)
}

/// In steps of two seconds.
fn clock(value: u16) -> String {
    format!("{:02}:{:02}:{:02}", value >> 11, value >> 5 & 63, (value & 31) * 2)
}
