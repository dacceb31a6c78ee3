//! gzip. Source: RFC 1952; a file is one member after the other.

use std::io::Seek;

use flate2::bufread::GzDecoder;

use crate::difference::StepKind;
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{Refusal, Scratch, Source};

/// Members whose headers are told apart; block-wise compressors make
/// thousands.
const HEADERS: u64 = 64;

pub(super) fn open(source: &Source, _: &Limits, scratch: &Scratch) -> Result<Opened, Refusal> {
    let mut opened = Opened { is_compression: true, ..Opened::default() };
    let mut input = source.reader();
    let mut unpacked = scratch.spool();
    let (mut end, mut count) = (0, 0);
    while source.up_to(end, 3)? == [0x1f, 0x8b, 8] {
        let header: [u8; 10] = source.array(end)?;
        let mut decoder = GzDecoder::new(&mut input);
        if let Err(refusal) = unpacked.fill(&mut decoder) {
            // Something of the same magic behind a whole member is no member.
            match refusal {
                Refusal::Malformed(_) if count != 0 => break,
                refusal => return Err(refusal),
            }
        }
        if count < HEADERS {
            opened.places.push((end, "a gzip header".to_owned()));
            opened.places.push((end + 10, "a compressed stream".to_owned()));
            let mtime = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
            opened.fields.push(Field::seconds("mtime", mtime.into()));
            opened.fields.push(Field::number("extra flags", header[8]));
            opened.fields.push(Field::number("operating system", header[9]));
            if let Some(header) = decoder.header() {
                let mut text = |name, value: Option<&[u8]>| {
                    opened.fields.extend(value.map(|value| Field::new(name, value)));
                };
                text("file name", header.filename());
                text("comment", header.comment());
                text("extra field", header.extra());
            }
        }
        end = input.stream_position()?;
        count += 1;
    }
    opened.fields.push(Field::number("gzip members", count));
    opened.members.push(Member::new(StepKind::Content, "contents", Content::Bytes(unpacked.finish())));
    if end < source.size() {
        opened.places.push((end, "bytes behind the stream".to_owned()));
        opened.members.push(Member::part("bytes behind the stream", source.tail(end)));
    }
    Ok(opened)
}
