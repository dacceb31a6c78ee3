//! cpio, the form of initramfs (newc). Source: the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`.

use crate::difference::StepKind;
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

const HEADER_BYTES: u64 = 110;
/// The kernel's own limit of a path.
const NAME_BYTES: u32 = 4096;
const TRAILER: &[u8] = b"TRAILER!!!";
const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;

pub(super) fn open(source: &Source, limits: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let mut opened = Opened { sequence: Some("members"), ..Opened::default() };
    let mut at = 0;
    loop {
        let header = Header::parse(&source.array(at)?)?;
        if !(1..=NAME_BYTES).contains(&header.name_bytes) {
            return Err(Refusal::Malformed("a name is empty or too long"));
        }
        let name_at = at + HEADER_BYTES;
        let mut name = source.bytes(name_at, header.name_bytes as usize)?;
        name.pop();
        let data_at = (name_at + u64::from(header.name_bytes)).next_multiple_of(4);
        let size = u64::from(header.size);
        let end = (data_at + size).next_multiple_of(4);
        opened.places.push((at, format!("the header of {}", crate::printable(&name))));
        if name == TRAILER {
            opened.places.push((data_at, "padding behind the archive".to_owned()));
            behind(source, data_at, &mut opened)?;
            return Ok(opened);
        }
        let data = source.range(data_at, size).ok_or(CUT_OFF)?;
        opened.places.push((data_at + size, format!("padding behind {}", crate::printable(&name))));
        super::check_count(opened.members.len(), limits)?;
        let mut member = Member::new(StepKind::Member, name, Content::None);
        member.fields = header.fields;
        if header.mode & KIND == LINK {
            let target = data.bytes(0, header.size.min(NAME_BYTES) as usize)?;
            member.fields.push(Field::new("target", target));
        } else {
            member.content = Content::Bytes(data);
        }
        opened.members.push(member);
        at = end;
    }
}

/// An initramfs is several archives one after the other, some compressed, with
/// zeros between.
fn behind(source: &Source, from: u64, opened: &mut Opened) -> Result<(), Refusal> {
    let mut at = from;
    let mut buffer = vec![0; 64 * 1024];
    while at < source.size() {
        let count = (source.size() - at).min(buffer.len() as u64) as usize;
        source.read_at(at, &mut buffer[..count])?;
        if let Some(zeros) = buffer[..count].iter().position(|byte| *byte != 0) {
            let rest = source.tail(at + zeros as u64);
            opened.members.push(Member::part("bytes behind the archive", rest));
            return Ok(());
        }
        at += count as u64;
    }
    Ok(())
}

struct Header {
    mode: u32,
    size: u32,
    name_bytes: u32,
    fields: Vec<Field>,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES as usize]) -> Result<Self, Refusal> {
        if !bytes.starts_with(b"070701") && !bytes.starts_with(b"070702") {
            return Err(Refusal::Malformed("a member has no header"));
        }
        let mut numbers = [0u32; 13];
        for (number, digits) in numbers.iter_mut().zip(bytes[6..].chunks_exact(8)) {
            let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
            let value = text.and_then(|text| u32::from_str_radix(text, 16).ok());
            *number = value.ok_or(Refusal::Malformed("a header field is no number"))?;
        }
        let [inode, mode, uid, gid, links, mtime, size, major, minor, of_major, of_minor, name_bytes, check] =
            numbers;
        let fields = vec![
            Field::number("inode", inode),
            Field::mode(mode),
            Field::owner("uid", uid.to_string()),
            Field::owner("gid", gid.to_string()),
            Field::number("links", links),
            Field::seconds("mtime", mtime.into()),
            Field::new("on device", format!("{major}:{minor}")),
            Field::new("device", format!("{of_major}:{of_minor}")),
            Field::hex("check", check),
        ];
        Ok(Self { mode, size, name_bytes, fields })
    }
}
