//! tar: ustar, GNU and pax. Source: POSIX.1-2017, `pax`, "ustar Interchange
//! Format" and "pax Interchange Format"; GNU tar manual, "Basic Tar Format".

use std::collections::BTreeMap;

use crate::difference::{Class, StepKind};
use crate::fields::until_zero;
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

use super::gaps::is_zero;

const BLOCK: u64 = 512;
/// Of a long name, or of pax records.
const EXTENSION_BYTES: u64 = 1 << 20;

type Header = [u8; BLOCK as usize];

pub(super) fn open(source: &Source, limits: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let mut opened = Opened { sequence: Some("members"), ..Opened::default() };
    let mut extension = Extension::default();
    let mut at = 0;
    loop {
        if source.size() == at {
            break;
        }
        let header: Header = source.array(at)?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        if !has_checksum(&header) {
            return Err(Refusal::Malformed("a header has a wrong checksum"));
        }
        let data_at = at + BLOCK;
        let stated = number(&header[124..136]).ok_or(Refusal::Malformed("a size is no number"))?;
        let kind = header[156];
        let size = match (kind, extension.size()) {
            (b'x' | b'g' | b'L' | b'K', _) | (_, None) => stated,
            (_, Some(size)) => size,
        };
        // Links and directories have no data, whatever their size says.
        let size = if matches!(kind, b'1'..=b'6') { 0 } else { size };
        let data = source.range(data_at, size).ok_or(CUT_OFF)?;
        at = data_at + size.checked_next_multiple_of(BLOCK).ok_or(CUT_OFF)?;
        match kind {
            b'L' => extension.name = Some(until_zero(&data.whole(EXTENSION_BYTES)?).to_vec()),
            b'K' => extension.target = Some(until_zero(&data.whole(EXTENSION_BYTES)?).to_vec()),
            b'x' => {
                extension.records = records(&data.whole(EXTENSION_BYTES)?)?;
                extension.header_name = Some(name_of(&header));
            }
            b'g' => opened.members.push(Member::part("global pax records", data)),
            _ => {
                super::check_count(opened.members.len(), limits)?;
                let member = std::mem::take(&mut extension).member(&header, data, kind);
                let name = crate::printable(&member.step.name);
                opened.places.push((data_at - BLOCK, format!("the header of {name}")));
                opened.places.push((data_at, format!("the data of {name}")));
                opened.places.push((data_at + size, format!("padding behind {name}")));
                opened.members.push(member);
            }
        }
    }
    let end = source.tail(at);
    opened.places.push((at, "the end of the archive".to_owned()));
    if !is_zero(&end)? {
        opened.members.push(Member::part("bytes behind the archive", end));
    }
    Ok(opened)
}

/// What stands before a member to say more of it than its header can.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    /// Of the pax header itself: some writers put a process id into it.
    header_name: Option<Vec<u8>>,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Extension {
    fn size(&self) -> Option<u64> {
        let text = self.records.get(b"size".as_slice())?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    fn member(mut self, header: &Header, data: Source, kind: u8) -> Member {
        let mut record = |key: &str| self.records.remove(key.as_bytes());
        let pax_name = record("path");
        let pax_target = record("linkpath");
        let name = pax_name.or(self.name).unwrap_or_else(|| name_of(header));
        let text = |range: std::ops::Range<usize>| until_zero(&header[range]).to_vec();
        let decimal = |range: std::ops::Range<usize>| shown(&header[range]);
        let mtime = match record("mtime") {
            Some(text) => Field { class: Some(Class::Timestamp), ..Field::new("mtime", text) },
            None => match number(&header[136..148]).and_then(|value| i64::try_from(value).ok()) {
                Some(value) => Field::seconds("mtime", value),
                None => Field { class: Some(Class::Timestamp), ..Field::new("mtime", text(136..148)) },
            },
        };
        let mode = match number(&header[100..108]).and_then(|value| u32::try_from(value).ok()) {
            Some(value) => Field::mode(value),
            None => Field { class: Some(Class::Mode), ..Field::new("mode", text(100..108)) },
        };
        let mut fields = vec![
            Field::new("kind", [kind]),
            mode,
            Field::owner("uid", record("uid").unwrap_or_else(|| decimal(108..116))),
            Field::owner("gid", record("gid").unwrap_or_else(|| decimal(116..124))),
            mtime,
            Field::new("target", pax_target.or(self.target).unwrap_or_else(|| text(157..257))),
            Field::new("magic", header[257..265].to_vec()),
            Field::owner("user name", record("uname").unwrap_or_else(|| text(265..297))),
            Field::owner("group name", record("gname").unwrap_or_else(|| text(297..329))),
            Field::new("device", [decimal(329..337), decimal(337..345)].join(&b':')),
        ];
        // Access and change times are the ones that a tree cannot fix.
        for (key, name) in [("atime", "access time"), ("ctime", "change time")] {
            let value = record(key);
            fields.extend(value.map(|v| Field { class: Some(Class::Timestamp), ..Field::new(name, v) }));
        }
        self.records.remove(b"size".as_slice());
        fields.extend(self.header_name.map(|name| Field::new("name of the pax header", name)));
        if !self.records.is_empty() {
            let lines =
                self.records.iter().flat_map(|(key, value)| [key, b"=".as_slice(), value, b"\n"].concat());
            fields.push(Field::new("pax records", lines.collect::<Vec<u8>>()));
        }
        let content = if matches!(kind, b'1'..=b'6') { Content::None } else { Content::Bytes(data) };
        Member { fields, ..Member::new(StepKind::Member, name, content) }
    }
}

/// Lines `length key=value`, the length counting all of the line.
fn records(bytes: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Refusal> {
    const DAMAGED: Refusal = Refusal::Malformed("its pax records are damaged");
    let mut found = BTreeMap::new();
    let mut rest = bytes;
    while !rest.is_empty() && rest[0] != 0 {
        let space = rest.iter().take(20).position(|byte| *byte == b' ').ok_or(DAMAGED)?;
        let length = std::str::from_utf8(&rest[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.ok_or(DAMAGED)?;
        let line = rest.get(space + 1..length).and_then(|line| line.strip_suffix(b"\n")).ok_or(DAMAGED)?;
        let equals = line.iter().position(|byte| *byte == b'=').ok_or(DAMAGED)?;
        found.insert(line[..equals].to_vec(), line[equals + 1..].to_vec());
        rest = &rest[length..];
    }
    Ok(found)
}

fn name_of(header: &Header) -> Vec<u8> {
    let name = until_zero(&header[..100]);
    let prefix = until_zero(&header[345..500]);
    // GNU's own format has times where POSIX has the prefix.
    if prefix.is_empty() || &header[257..263] != b"ustar\0" {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Octal digits, or binary where the first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let digits = &field[1..];
        let (above, value) = digits.split_at(digits.len().saturating_sub(8));
        let is_small = above.iter().all(|byte| *byte == 0) && field[0] == 0x80;
        return is_small.then(|| value.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn shown(field: &[u8]) -> Vec<u8> {
    number(field).map_or_else(|| until_zero(field).to_vec(), |value| value.to_string().into_bytes())
}

/// Whether the sum of a header's bytes is what it says, the field itself
/// counted as spaces.
pub(crate) fn has_checksum(header: &[u8]) -> bool {
    let Some(header) = header.get(..BLOCK as usize) else { return false };
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    let field: u64 = header[148..156].iter().map(|byte| u64::from(*byte)).sum();
    number(&header[148..156]) == Some(sum - field + 8 * u64::from(b' '))
}
