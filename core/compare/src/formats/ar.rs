//! ar archives, as GNU and BSD write them. Source: `ar(5)` of FreeBSD, and
//! binutils' `include/aout/ar.h`.

use crate::difference::{Class, StepKind};
use crate::fields::{Order, until_zero};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

const MAGIC_BYTES: u64 = 8;
const HEADER_BYTES: u64 = 60;
const NAME_BYTES: u64 = 4096;

pub(super) fn open(source: &Source, limits: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let mut opened = Opened { sequence: Some("members"), ..Opened::default() };
    let mut long_names = Vec::new();
    let mut at = MAGIC_BYTES;
    while at < source.size() {
        let header: [u8; HEADER_BYTES as usize] = source.array(at)?;
        if &header[58..] != b"`\n" {
            return Err(Refusal::Malformed("a member has no header"));
        }
        let size = decimal(&header[48..58]).ok_or(Refusal::Malformed("a size is no number"))?;
        let data_at = at + HEADER_BYTES;
        let mut data = source.range(data_at, size).ok_or(CUT_OFF)?;
        let short = header[..16].trim_ascii_end();
        let name = match short {
            b"//" => {
                long_names = data.whole(limits.table_bytes)?;
                short.to_vec()
            }
            b"/" | b"/SYM64/" => short.to_vec(),
            [b'/', digits @ ..] => {
                let start = decimal(digits).and_then(|start| usize::try_from(start).ok());
                let rest = start.and_then(|start| long_names.get(start..)).ok_or(CUT_OFF)?;
                let name = rest.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default();
                name.strip_suffix(b"/").unwrap_or(name).to_vec()
            }
            [b'#', b'1', b'/', digits @ ..] => {
                let length =
                    decimal(digits).filter(|length| *length <= NAME_BYTES.min(size)).ok_or(CUT_OFF)?;
                let name = data.bytes(0, length as usize)?;
                data = data.tail(length);
                until_zero(&name).to_vec()
            }
            short => short.strip_suffix(b"/").unwrap_or(short).to_vec(),
        };
        super::check_count(opened.members.len(), limits)?;
        opened.places.push((at, format!("the header of {}", crate::printable(&name))));
        opened.places.push((data_at, format!("the data of {}", crate::printable(&name))));
        let content = match short {
            b"/" => symbols(data, limits),
            _ => Content::Bytes(data),
        };
        opened
            .members
            .push(Member { fields: fields(&header), ..Member::new(StepKind::Member, name, content) });
        at = (data_at + size).next_multiple_of(2);
    }
    Ok(opened)
}

fn fields(header: &[u8; HEADER_BYTES as usize]) -> Vec<Field> {
    let text = |range: std::ops::Range<usize>| header[range].trim_ascii().to_vec();
    let mtime = match decimal(&header[16..28]).and_then(|value| i64::try_from(value).ok()) {
        Some(value) => Field::seconds("mtime", value),
        None => Field { class: Some(Class::Timestamp), ..Field::new("mtime", text(16..28)) },
    };
    let mode = Field { class: Some(Class::Mode), ..Field::new("mode", text(40..48)) };
    vec![mtime, Field::owner("uid", text(28..34)), Field::owner("gid", text(34..40)), mode]
}

/// GNU's table: a count, as many places of members, as many names.
fn symbols(data: Source, limits: &Limits) -> Content {
    let limit = limits.table_bytes;
    let table = data.clone();
    let lines = move || {
        let bytes = table.whole(limit)?;
        let count = Order::Big.u32(&bytes, 0)? as usize;
        let names = count.checked_mul(4).and_then(|places| bytes.get(4 + places..)).ok_or(CUT_OFF)?;
        Ok(names.split(|byte| *byte == 0).take(count).map(<[u8]>::to_vec).collect())
    };
    Content::Listing { bytes: data, lines: Box::new(lines), of: "table of symbols" }
}

/// Padded with spaces; empty is zero, as in the header of a table of names.
fn decimal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(' ');
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}
