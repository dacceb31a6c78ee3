//! A Linux kernel for x86: setup code and a program around a compressed
//! payload. Source: the kernel's `Documentation/arch/x86/boot.rst`, "The
//! Real-Mode Kernel Header".

use crate::difference::StepKind;
use crate::fields::{le16, le32, until_zero};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

const SECTOR: u64 = 512;
/// The protocol that has fields for the payload.
const WITH_PAYLOAD: u16 = 0x0208;
const HEAD_BYTES: usize = 0x268;
/// The text that names the kernel: release, builder, host, date.
const VERSION_BYTES: usize = 512;

pub(super) fn open(source: &Source, _: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let head = source.bytes(0, HEAD_BYTES)?;
    let protocol = le16(&head, 0x206)?;
    if protocol < WITH_PAYLOAD {
        return Err(Refusal::Malformed("its boot protocol is older than 2.08"));
    }
    // Zero is what boot loaders of old wrote, and means four.
    let setup_sectors = if head[0x1f1] == 0 { 4 } else { u64::from(head[0x1f1]) };
    let setup_bytes = (setup_sectors + 1) * SECTOR;
    let start = setup_bytes + u64::from(le32(&head, 0x248)?);
    let size = u64::from(le32(&head, 0x24c)?);
    let mut opened = Opened::default();
    opened.fields.extend([
        Field::hex("boot protocol", protocol),
        Field::number("setup sectors", setup_sectors),
        Field::hex("root device", le16(&head, 0x1fc)?),
    ]);
    let version_at = le16(&head, 0x20e)?;
    if version_at != 0 {
        let text = source.up_to(u64::from(version_at) + 0x200, VERSION_BYTES)?;
        opened.fields.push(Field::new("version", until_zero(&text)));
    }
    let mut part = |name: &str, start: u64, size: u64| {
        let range = source.range(start, size).ok_or(CUT_OFF)?;
        opened.places.push((start, format!("the {name}")));
        let content = Content::Bytes(range);
        opened.members.push(Member::new(StepKind::Part, name, content));
        Ok::<_, Refusal>(())
    };
    part("boot sector", 0, SECTOR)?;
    part("setup code", SECTOR, setup_bytes - SECTOR)?;
    part("unpacking program", setup_bytes, start - setup_bytes)?;
    part("payload", start, size)?;
    let end = start + size;
    part("bytes behind the payload", end, source.size().saturating_sub(end))?;
    Ok(opened)
}
