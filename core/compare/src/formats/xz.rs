//! xz. Source: "The .xz File Format", tukaani.org; a file is one stream after
//! the other, with zeros between.

use std::io::{Seek, SeekFrom};

use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

use crate::difference::StepKind;
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{Refusal, Scratch, Source};

/// What a decoder may take: the dictionary of `xz -9` has 64 MiB.
const MEMORY_BYTES: u64 = 96 << 20;
const MAGIC: &[u8] = b"\xfd7zXZ\0";

pub(super) fn open(source: &Source, _: &Limits, scratch: &Scratch) -> Result<Opened, Refusal> {
    let mut opened = Opened { is_compression: true, ..Opened::default() };
    let mut input = source.reader();
    let mut unpacked = scratch.spool();
    let (mut end, mut count) = (0, 0u32);
    while source.up_to(end, MAGIC.len())? == MAGIC {
        let flags: [u8; 2] = source.array(end + 6)?;
        opened.places.push((end, "a stream header".to_owned()));
        opened.places.push((end + 12, "a compressed stream".to_owned()));
        let stream = Stream::new_stream_decoder(MEMORY_BYTES, 0);
        let stream = stream.map_err(|_| Refusal::Beyond("no decoder could be made".to_owned()))?;
        unpacked.fill(&mut XzDecoder::new_stream(&mut input, stream))?;
        if count == 0 {
            opened.fields.push(Field::number("check", flags[1]));
        }
        count += 1;
        end = input.stream_position()?;
        while end + 4 <= source.size() && source.array(end)? == [0; 4] {
            end += 4;
        }
        input.seek(SeekFrom::Start(end))?;
    }
    opened.fields.push(Field::number("xz streams", count));
    opened.members.push(Member::new(StepKind::Content, "contents", Content::Bytes(unpacked.finish())));
    if end < source.size() {
        opened.places.push((end, "bytes behind the stream".to_owned()));
        opened.members.push(Member::part("bytes behind the stream", source.tail(end)));
    }
    Ok(opened)
}
