//! PE programs, and unified kernel images, which are PE programs whose
//! sections are files. Source: "PE Format", Microsoft; UAPI specification
//! "Unified Kernel Image".

use crate::difference::StepKind;
use crate::fields::{array, hex, le16, le32, le64, until_zero};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

use super::gaps;

const SECTION_BYTES: usize = 40;
const COFF_BYTES: usize = 24;
const CERTIFICATES: usize = 4;
const DEBUG: usize = 6;
const DEBUG_BYTES: usize = 28;
/// Of directories; the format defines sixteen.
const MAX_DIRECTORIES: usize = 16;

/// Whether the old header leads to the new one. Files' heads are enough: the
/// new header of every linker is near.
pub(crate) fn has_header(head: &[u8]) -> bool {
    le32(head, 0x3c).is_ok_and(|at| head.get(at as usize..).is_some_and(|rest| rest.starts_with(b"PE\0\0")))
}

struct Section {
    name: Vec<u8>,
    virtual_bytes: u64,
    address: u64,
    stored_bytes: u64,
    start: u64,
    flags: u32,
}

impl Section {
    /// Without the padding to whole file blocks.
    fn used_bytes(&self) -> u64 {
        if self.virtual_bytes == 0 { self.stored_bytes } else { self.stored_bytes.min(self.virtual_bytes) }
    }
}

pub(super) fn open(source: &Source, _: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let coff_at = u64::from(u32::from_le_bytes(source.array(0x3c)?));
    let coff = source.bytes(coff_at, COFF_BYTES)?;
    let (count, optional_bytes) = (usize::from(le16(&coff, 6)?), usize::from(le16(&coff, 20)?));
    let optional_at = coff_at + COFF_BYTES as u64;
    let optional = source.bytes(optional_at, optional_bytes)?;
    let table_at = optional_at + optional_bytes as u64;
    let table = source.bytes(table_at, count * SECTION_BYTES)?;
    let mut opened = Opened::default();
    opened.fields.extend([
        Field::hex("machine", le16(&coff, 4)?),
        Field::seconds("time stamp", le32(&coff, 8)?.into()),
        Field::hex("characteristics", le16(&coff, 22)?),
    ]);
    optional_fields(&optional, &mut opened.fields)?;

    let mut covered = vec![(0..table_at + table.len() as u64, "the headers".to_owned())];
    opened.places.push((0, "the MS-DOS stub".to_owned()));
    opened.places.push((coff_at, "the COFF header".to_owned()));
    opened.places.push((optional_at, "the optional header".to_owned()));
    opened.places.push((table_at, "the section table".to_owned()));
    let stub = source.range(0x40, coff_at.saturating_sub(0x40)).ok_or(CUT_OFF)?;
    opened.members.push(Member::part("MS-DOS stub", stub));

    let mut sections = Vec::new();
    for row in table.chunks_exact(SECTION_BYTES) {
        sections.push(Section {
            name: until_zero(&row[..8]).to_vec(),
            virtual_bytes: le32(row, 8)?.into(),
            address: le32(row, 12)?.into(),
            stored_bytes: le32(row, 16)?.into(),
            start: le32(row, 20)?.into(),
            flags: le32(row, 36)?,
        });
    }
    for section in &sections {
        let mut member = Member::new(StepKind::Section, section.name.clone(), Content::None);
        member.fields.push(Field::hex("characteristics", section.flags));
        if section.stored_bytes != 0 {
            let range = source.range(section.start, section.used_bytes());
            let range = range.ok_or(Refusal::Malformed("a section lies outside the file"))?;
            let shown = format!("section {}", crate::printable(&section.name));
            let end = section.start + section.used_bytes();
            opened.places.push((section.start, shown.clone()));
            opened.places.push((end, format!("padding behind {shown}")));
            covered.push((section.start..end, shown));
            member.content = Content::Bytes(range);
        }
        opened.members.push(member);
    }
    let (certificates, certificate_bytes) = directory(&optional, CERTIFICATES)?;
    if certificate_bytes != 0 {
        // This one directory holds a place in the file, not an address.
        let range = source.range(certificates, certificate_bytes);
        let range = range.ok_or(Refusal::Malformed("the certificate table lies outside the file"))?;
        covered.push((certificates..certificates + certificate_bytes, "the certificate table".to_owned()));
        opened.places.push((certificates, "the certificate table".to_owned()));
        opened.members.push(Member::part("certificate table", range));
    }
    debug_fields(source, &optional, &sections, &mut opened.fields)?;
    opened.members.extend(gaps::members(source, covered)?);
    opened.places.sort();
    Ok(opened)
}

/// The parts that a builder chooses; sizes and the checksum follow from the
/// rest.
fn optional_fields(optional: &[u8], fields: &mut Vec<Field>) -> Result<(), Refusal> {
    if optional.is_empty() {
        return Ok(());
    }
    let is_wide = is_wide(optional)?;
    let base = if is_wide { le64(optional, 24)? } else { le32(optional, 28)?.into() };
    let version = array::<2>(optional, 2)?;
    fields.push(Field::new("linker version", format!("{}.{}", version[0], version[1])));
    fields.push(Field::hex("entry", le32(optional, 16)?));
    fields.push(Field::hex("image base", base));
    for (name, at) in [("system version", 40), ("image version", 44), ("subsystem version", 48)] {
        fields.push(Field::new(name, format!("{}.{}", le16(optional, at)?, le16(optional, at + 2)?)));
    }
    fields.push(Field::number("subsystem", le16(optional, 68)?));
    fields.push(Field::hex("DLL characteristics", le16(optional, 70)?));
    Ok(())
}

fn is_wide(optional: &[u8]) -> Result<bool, Refusal> {
    match le16(optional, 0)? {
        0x10b => Ok(false),
        0x20b => Ok(true),
        _ => Err(Refusal::Malformed("its optional header is of an unknown kind")),
    }
}

/// Where a data directory is, and its size; zero for none.
fn directory(optional: &[u8], number: usize) -> Result<(u64, u64), Refusal> {
    if optional.is_empty() {
        return Ok((0, 0));
    }
    let count_at = if is_wide(optional)? { 108 } else { 92 };
    let count = (le32(optional, count_at)? as usize).min(MAX_DIRECTORIES);
    let at = count_at + 4 + number * 8;
    if number >= count {
        return Ok((0, 0));
    }
    Ok((le32(optional, at)?.into(), le32(optional, at + 4)?.into()))
}

/// The debug directory has times of its own, and the id that a debugger asks
/// for.
fn debug_fields(
    source: &Source,
    optional: &[u8],
    sections: &[Section],
    fields: &mut Vec<Field>,
) -> Result<(), Refusal> {
    let (address, size) = directory(optional, DEBUG)?;
    let section = sections
        .iter()
        .find(|section| (section.address..section.address + section.used_bytes()).contains(&address));
    let Some(section) = section.filter(|_| size != 0) else { return Ok(()) };
    let place = section.start + (address - section.address);
    let count = (size as usize / DEBUG_BYTES).min(MAX_DIRECTORIES);
    let rows = source.bytes(place, count * DEBUG_BYTES)?;
    for row in rows.chunks_exact(DEBUG_BYTES) {
        fields.push(Field::seconds("debug time stamp", le32(row, 4)?.into()));
        let (kind, start) = (le32(row, 12)?, u64::from(le32(row, 24)?));
        // CodeView: `RSDS`, a GUID, an age, a path.
        let record = source.up_to(start, 24)?;
        if kind == 2 && record.len() == 24 && record.starts_with(b"RSDS") {
            fields.push(Field::id("debug id", hex(&record[4..20])));
        }
    }
    Ok(())
}
