//! What is in a section: strings, symbols, the build id, compressed debug
//! information, or bytes.

use crate::fields::until_zero;
use crate::limits::Limits;
use crate::opened::{Content, Field, Lines, Member, Stored};
use crate::source::{CUT_OFF, Refusal, Source};

use super::elf::{Class, Section};

const SYMBOLS: u32 = 2;
const STRINGS: u32 = 3;
const DYNAMIC: u32 = 6;
const NOTE: u32 = 7;
const DYNAMIC_SYMBOLS: u32 = 11;
/// Flags of sections of zero-terminated strings (`MERGE` and `STRINGS`).
const MERGED_STRINGS: u64 = 0x30;
const COMPRESSED: u64 = 0x800;
const BUILD_ID: u32 = 3;

/// Fills in a section's content.
pub(super) fn content(
    member: &mut Member,
    section: &Section,
    sections: &[Section],
    class: Class,
    source: &Source,
    limits: &Limits,
) -> Result<(), Refusal> {
    let range = source.range(section.start, section.size);
    let range = range.ok_or(Refusal::Malformed("a section lies outside the file"))?;
    let linked = sections.get(section.link as usize);
    let strings = linked.filter(|linked| linked.kind == STRINGS).and_then(|s| source.range(s.start, s.size));
    let limit = limits.table_bytes;
    if section.flags & COMPRESSED != 0 {
        member.content = compressed(class, range)?;
        return Ok(());
    }
    let bytes = range.clone();
    let (of, lines): (_, Lines) = match section.kind {
        NOTE => {
            if let Some(id) = build_id(class, &range)? {
                member.fields.push(Field::id("build id", crate::fields::hex(&id)));
                return Ok(());
            }
            member.content = Content::Bytes(range);
            return Ok(());
        }
        SYMBOLS | DYNAMIC_SYMBOLS => match strings {
            Some(strings) => ("symbols", Box::new(move || symbols(class, &bytes, &strings, limit))),
            None => return set_bytes(member, range),
        },
        DYNAMIC => match strings {
            Some(strings) => ("dynamic entries", Box::new(move || dynamic(class, &bytes, &strings, limit))),
            None => return set_bytes(member, range),
        },
        _ if section.kind == STRINGS
            || section.flags & MERGED_STRINGS == MERGED_STRINGS
            || section.name == b".modinfo" =>
        {
            let of = "strings";
            (
                of,
                Box::new(move || {
                    let bytes = bytes.whole(limit)?;
                    Ok(bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
                }),
            )
        }
        _ => return set_bytes(member, range),
    };
    member.content = Content::Listing { bytes: range, lines, of };
    Ok(())
}

fn set_bytes(member: &mut Member, range: Source) -> Result<(), Refusal> {
    member.content = Content::Bytes(range);
    Ok(())
}

/// The id, if the section holds nothing but a GNU build id.
fn build_id(class: Class, range: &Source) -> Result<Option<Vec<u8>>, Refusal> {
    if range.size() > 256 {
        return Ok(None);
    }
    let note = range.whole(256)?;
    let field = |at| class.order.u32(&note, at).map(|value| value as usize);
    let (Ok(name_bytes), Ok(id_bytes), Ok(kind)) = (field(0), field(4), field(8)) else { return Ok(None) };
    let is_build_id = name_bytes == 4 && note.get(12..16) == Some(b"GNU\0") && kind == BUILD_ID as usize;
    let id = note.get(16..).filter(|rest| is_build_id && id_bytes == rest.len());
    Ok(id.map(<[u8]>::to_vec))
}

/// Names with what they are, in the sequence of the table; not their values,
/// which move with every byte before them.
fn symbols(class: Class, table: &Source, strings: &Source, limit: u64) -> Result<Vec<Vec<u8>>, Refusal> {
    let (table, strings) = (table.whole(limit)?, strings.whole(limit)?);
    let row_bytes = if class.is_wide { 24 } else { 16 };
    let mut lines = Vec::new();
    let mut bytes_left = limit;
    for row in table.chunks_exact(row_bytes) {
        let name = until_zero(strings.get(class.order.u32(row, 0)? as usize..).unwrap_or_default());
        // Rows may share a long name, so the sum of them has a bound too.
        bytes_left = bytes_left.checked_sub(name.len() as u64).ok_or(CUT_OFF)?;
        let info = if class.is_wide { row[4] } else { row[12] };
        let section = class.order.u16(row, if class.is_wide { 6 } else { 14 })?;
        let binding = match info >> 4 {
            0 => "local",
            1 => "global",
            2 => "weak",
            _ => "other",
        };
        let kind = match info & 15 {
            0 => "untyped",
            1 => "object",
            2 => "function",
            3 => "section",
            4 => "file",
            6 => "thread-local",
            _ => "other",
        };
        let undefined = if section == 0 { " undefined" } else { "" };
        lines.push([name, format!(" ({binding} {kind}{undefined})").as_bytes()].concat());
    }
    Ok(lines)
}

/// Tags that name a string; others are numbers that follow from the layout.
const STRING_TAGS: [(u64, &str); 4] = [(1, "needs"), (14, "is called"), (15, "rpath"), (29, "runpath")];

fn dynamic(class: Class, table: &Source, strings: &Source, limit: u64) -> Result<Vec<Vec<u8>>, Refusal> {
    let (table, strings) = (table.whole(limit)?, strings.whole(limit)?);
    let row_bytes = if class.is_wide { 16 } else { 8 };
    let mut lines = Vec::new();
    for row in table.chunks_exact(row_bytes) {
        let (tag, value) = (class.word(row, 0, 0)?, class.word(row, 4, 8)?);
        let known = STRING_TAGS.iter().find(|(known, _)| *known == tag);
        lines.push(match known {
            Some((_, what)) => {
                let start = usize::try_from(value).unwrap_or(usize::MAX);
                let text = until_zero(strings.get(start..).unwrap_or_default());
                [what.as_bytes(), b" ", &text[..text.len().min(4096)]].concat()
            }
            None => format!("tag {tag:#x}").into_bytes(),
        });
        if tag == 0 {
            break;
        }
    }
    Ok(lines)
}

/// gABI, "Section Compression": a header, then zlib or Zstandard.
fn compressed(class: Class, range: Source) -> Result<Content, Refusal> {
    let header = range.bytes(0, if class.is_wide { 24 } else { 12 })?;
    let kind = class.order.u32(&header, 0)?;
    let size = class.word(&header, 4, 8)?;
    let packed = range.tail(header.len() as u64);
    let pieces = vec![(range.clone(), kind.into())];
    let unpack = Box::new(move |scratch: &crate::source::Scratch| {
        let mut spool = scratch.spool();
        match kind {
            1 => spool.fill(&mut flate2::bufread::ZlibDecoder::new(packed.reader()))?,
            2 => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed.reader());
                spool.fill(&mut decoder.map_err(|_| CUT_OFF)?)?;
            }
            _ => return Err(Refusal::Beyond(format!("it is compressed in the unknown way {kind}"))),
        }
        Ok(spool.finish())
    });
    Ok(Content::Stored(Stored { size, pieces, unpack }))
}
