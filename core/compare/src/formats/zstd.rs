//! Zstandard. Source: RFC 8878; a file is one frame after the other, some of
//! which may be skippable.

use std::io::{Seek, SeekFrom};

use zstd::stream::read::Decoder;

use crate::difference::StepKind;
use crate::fields::le32;
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{Refusal, Scratch, Source};

const MAGIC: u32 = 0xfd2f_b528;
/// Frames whose headers are told apart.
const HEADERS: u32 = 64;

pub(super) fn open(source: &Source, limits: &Limits, scratch: &Scratch) -> Result<Opened, Refusal> {
    let mut opened = Opened { is_compression: true, ..Opened::default() };
    let mut input = source.reader();
    let mut unpacked = scratch.spool();
    let (mut end, mut frames) = (0, 0u32);
    while end + 8 <= source.size() {
        let head: [u8; 8] = source.array(end)?;
        let magic = le32(&head, 0)?;
        if magic >> 4 == 0x0184_d2a5 {
            let size = u64::from(le32(&head, 4)?);
            let Some(frame) = source.range(end + 8, size) else { break };
            super::check_count(opened.members.len(), limits)?;
            opened.members.push(Member::part("skippable frame", frame));
            end += 8 + size;
            input.seek(SeekFrom::Start(end))?;
            continue;
        }
        if magic != MAGIC {
            break;
        }
        let decoder = Decoder::with_buffer(&mut input);
        let mut decoder =
            decoder.map_err(|_| Refusal::Beyond("no decoder could be made".to_owned()))?.single_frame();
        unpacked.fill(&mut decoder)?;
        if frames < HEADERS {
            opened.places.push((end, "a frame header".to_owned()));
            opened.places.push((end + 14, "a compressed frame".to_owned()));
            header(head[4], head[5], &mut opened.fields);
        }
        frames += 1;
        end = input.stream_position()?;
    }
    opened.fields.push(Field::number("frames", frames));
    opened.members.push(Member::new(StepKind::Content, "contents", Content::Bytes(unpacked.finish())));
    if end < source.size() {
        opened.places.push((end, "bytes behind the frames".to_owned()));
        opened.members.push(Member::part("bytes behind the frames", source.tail(end)));
    }
    Ok(opened)
}

/// RFC 8878, 3.1.1.1: the descriptor, and the window if there is one.
fn header(descriptor: u8, window: u8, fields: &mut Vec<Field>) {
    let is_single = descriptor & 0x20 != 0;
    let states_size = is_single || descriptor >> 6 != 0;
    fields.push(Field::new("states the size", states_size.to_string()));
    fields.push(Field::new("has a checksum", (descriptor & 4 != 0).to_string()));
    let window = match is_single {
        true => "the contents".to_owned(),
        false => {
            let base = 1u64 << (10 + (window >> 3));
            (base + base / 8 * u64::from(window & 7)).to_string()
        }
    };
    fields.push(Field::new("window", window));
}
