//! ELF: headers, segments, sections. Source: "Tool Interface Standard ELF
//! Specification" 1.2 and the gABI's 64-bit chapters.
//!
//! Addresses and sizes follow from contents and would bury what caused them,
//! so they are no fields; where nothing else differs, the place says so.

use crate::difference::StepKind;
use crate::fields::{Order, until_zero};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{Refusal, Scratch, Source};

use super::elf_sections::content;
use super::gaps;

/// Where fields lie, in the 32-bit and the 64-bit form.
#[derive(Clone, Copy)]
pub(super) struct Class {
    pub(super) order: Order,
    pub(super) is_wide: bool,
}

/// One row of the section table.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) alignment: u64,
}

/// A section without bytes in the file.
const NO_BITS: u32 = 8;
/// The table's first row says nothing.
const NULL: u32 = 0;

impl Class {
    /// An address, an offset or a size.
    pub(super) fn word(self, bytes: &[u8], narrow: usize, wide: usize) -> Result<u64, Refusal> {
        if self.is_wide { self.order.u64(bytes, wide) } else { Ok(self.order.u32(bytes, narrow)?.into()) }
    }
}

pub(super) fn open(source: &Source, limits: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let ident: [u8; 16] = source.array(0)?;
    let class = Class {
        is_wide: match ident[4] {
            1 => false,
            2 => true,
            _ => return Err(Refusal::Malformed("it is neither 32-bit nor 64-bit")),
        },
        order: match ident[5] {
            1 => Order::Little,
            2 => Order::Big,
            _ => return Err(Refusal::Malformed("its byte order is unknown")),
        },
    };
    let header_bytes = if class.is_wide { 64 } else { 52 };
    let header = source.bytes(0, header_bytes)?;
    let order = class.order;
    let mut opened = Opened::default();
    opened.fields.extend([
        Field::number("ABI", ident[7]),
        Field::number("type", order.u16(&header, 16)?),
        Field::number("machine", order.u16(&header, 18)?),
        Field::hex("entry", class.word(&header, 24, 24)?),
        Field::hex("flags", order.u32(&header, if class.is_wide { 48 } else { 36 })?),
    ]);
    let at = if class.is_wide { 54 } else { 42 };
    let segments = Rows {
        start: class.word(&header, 28, 32)?,
        row_bytes: order.u16(&header, at)?,
        count: order.u16(&header, at + 2)?.into(),
    };
    let mut sections = Rows {
        start: class.word(&header, 32, 40)?,
        row_bytes: order.u16(&header, at + 4)?,
        count: order.u16(&header, at + 6)?.into(),
    };
    let mut names = u32::from(order.u16(&header, at + 8)?);
    let mut covered = vec![(0..header_bytes as u64, "the header".to_owned())];
    opened.places.push((0, "the header".to_owned()));

    let segment_table = segments.read(source, if class.is_wide { 56 } else { 32 }, limits)?;
    covered
        .push((segments.start..segments.start + segment_table.len() as u64, "the segment table".to_owned()));
    opened.places.push((segments.start, "the segment table".to_owned()));
    for row in segment_table.chunks_exact(usize::from(segments.row_bytes).max(1)) {
        opened.fields.push(segment(class, row)?);
    }

    // Counts that do not fit stand in the first section's row.
    if sections.start != 0 && sections.count == 0 {
        let first = Rows { count: 1, ..sections }.read(source, section_bytes(class), limits)?;
        sections.count = class.word(&first, 20, 32)?;
        if names == 0xffff {
            names = order.u32(&first, if class.is_wide { 40 } else { 24 })?;
        }
    }
    let section_table = sections.read(source, section_bytes(class), limits)?;
    covered
        .push((sections.start..sections.start + section_table.len() as u64, "the section table".to_owned()));
    opened.places.push((sections.start, "the section table".to_owned()));
    let rows = read_sections(class, &section_table, usize::from(sections.row_bytes), names, source, limits)?;
    for section in &rows {
        if section.kind == NULL {
            continue;
        }
        let mut member = Member::new(StepKind::Section, section.name.clone(), Content::None);
        member.fields = vec![
            Field::number("type", section.kind),
            Field::hex("flags", section.flags),
            Field::number("alignment", section.alignment),
        ];
        if section.kind == NO_BITS {
            member.fields.push(Field::number("size", section.size));
        } else {
            let end = section.start.saturating_add(section.size);
            let shown = format!("section {}", crate::printable(&section.name));
            opened.places.push((section.start, shown.clone()));
            covered.push((section.start..end, shown));
            content(&mut member, section, &rows, class, source, limits)?;
        }
        opened.members.push(member);
    }
    if rows.is_empty() {
        segments_as_members(class, &segment_table, &segments, source, &mut covered, &mut opened)?;
    }
    opened.members.extend(gaps::members(source, covered)?);
    opened.places.sort();
    Ok(opened)
}

/// Where a table is.
#[derive(Clone, Copy)]
struct Rows {
    start: u64,
    row_bytes: u16,
    count: u64,
}

impl Rows {
    /// The table, of which each row has at least `least` bytes.
    fn read(self, source: &Source, least: u16, limits: &Limits) -> Result<Vec<u8>, Refusal> {
        if self.count == 0 || self.start == 0 {
            return Ok(Vec::new());
        }
        if self.row_bytes < least {
            return Err(Refusal::Malformed("the rows of a table are too short"));
        }
        if self.count > limits.members as u64 {
            return Err(Refusal::Beyond("it has too many sections".to_owned()));
        }
        source.bytes(self.start, self.count as usize * usize::from(self.row_bytes))
    }
}

fn section_bytes(class: Class) -> u16 {
    if class.is_wide { 64 } else { 40 }
}

fn segment(class: Class, row: &[u8]) -> Result<Field, Refusal> {
    let kind = class.order.u32(row, 0)?;
    let flags = class.order.u32(row, if class.is_wide { 4 } else { 24 })?;
    let alignment = class.word(row, 28, 48)?;
    let kind = match kind {
        1 => "LOAD".to_owned(),
        2 => "DYNAMIC".to_owned(),
        3 => "INTERP".to_owned(),
        4 => "NOTE".to_owned(),
        6 => "PHDR".to_owned(),
        7 => "TLS".to_owned(),
        0x6474_e550 => "GNU_EH_FRAME".to_owned(),
        0x6474_e551 => "GNU_STACK".to_owned(),
        0x6474_e552 => "GNU_RELRO".to_owned(),
        0x6474_e553 => "GNU_PROPERTY".to_owned(),
        other => format!("{other:#x}"),
    };
    let access: String = [(4, 'r'), (2, 'w'), (1, 'x')]
        .map(|(bit, c)| if flags & bit != 0 { c } else { '-' })
        .iter()
        .collect();
    Ok(Field::new("segment", format!("{kind} {access} alignment {alignment}")))
}

fn read_sections(
    class: Class,
    table: &[u8],
    row_bytes: usize,
    names: u32,
    source: &Source,
    limits: &Limits,
) -> Result<Vec<Section>, Refusal> {
    let order = class.order;
    let mut sections = Vec::new();
    let mut name_places = Vec::new();
    for row in table.chunks_exact(row_bytes.max(1)) {
        name_places.push(order.u32(row, 0)? as usize);
        sections.push(Section {
            name: Vec::new(),
            kind: order.u32(row, 4)?,
            flags: class.word(row, 8, 8)?,
            start: class.word(row, 16, 24)?,
            size: class.word(row, 20, 32)?,
            link: order.u32(row, if class.is_wide { 40 } else { 24 })?,
            alignment: class.word(row, 32, 48)?,
        });
    }
    let strings = match sections.get(names as usize) {
        Some(section) if names != 0 => {
            let range = source.range(section.start, section.size);
            range.ok_or(crate::source::CUT_OFF)?.whole(limits.table_bytes)?
        }
        _ => Vec::new(),
    };
    for (section, place) in sections.iter_mut().zip(name_places) {
        let name = until_zero(strings.get(place..).unwrap_or_default());
        // A hostile table could give one long name to every section.
        section.name = name[..name.len().min(1024)].to_vec();
    }
    Ok(sections)
}

/// A program without a section table still has segments.
fn segments_as_members(
    class: Class,
    table: &[u8],
    rows: &Rows,
    source: &Source,
    covered: &mut Vec<(std::ops::Range<u64>, String)>,
    opened: &mut Opened,
) -> Result<(), Refusal> {
    for (index, row) in table.chunks_exact(usize::from(rows.row_bytes).max(1)).enumerate() {
        let (start, size) = (class.word(row, 4, 8)?, class.word(row, 16, 32)?);
        let is_load = class.order.u32(row, 0)? == 1;
        let Some(range) = source.range(start, size).filter(|_| is_load) else { continue };
        let name = format!("segment {index}");
        covered.push((start..start + size, name.clone()));
        opened.members.push(Member::part(name, range));
    }
    Ok(())
}
