//! Disks with a GUID partition table. Source: UEFI 2.10, section 5.3.

use osbuild_boot::guid::Guid;

use crate::difference::StepKind;
use crate::fields::{array, le32, le64};
use crate::limits::Limits;
use crate::opened::{Content, Field, Member, Opened};
use crate::source::{CUT_OFF, Refusal, Scratch, Source};

use super::gaps;

const SIGNATURE: &[u8] = b"EFI PART";
const HEADER_BYTES: usize = 92;
/// The partition table of old disks, in the first sector, before its magic.
const MBR_BYTES: u64 = 512;
const MAX_ENTRIES: usize = 4096;
const MAX_ENTRY_BYTES: usize = 4096;

pub(super) fn open(source: &Source, _: &Limits, _: &Scratch) -> Result<Opened, Refusal> {
    let sector: u64 = if source.array::<8>(512)? == SIGNATURE { 512 } else { 4096 };
    let header = source.bytes(sector, HEADER_BYTES)?;
    let (count, entry_bytes) = (le32(&header, 80)? as usize, le32(&header, 84)? as usize);
    if count > MAX_ENTRIES || !(128..=MAX_ENTRY_BYTES).contains(&entry_bytes) {
        return Err(Refusal::Malformed("its table has an impossible size"));
    }
    let at = |sectors: u64| sectors.checked_mul(sector).ok_or(CUT_OFF);
    let table_at = at(le64(&header, 72)?)?;
    let table = source.bytes(table_at, count * entry_bytes)?;
    let mut opened = Opened::default();
    opened.fields.extend([
        Field::hex("revision", le32(&header, 8)?),
        Field::id("disk GUID", guid(&header, 56)?),
        Field::number("first usable sector", le64(&header, 40)?),
        Field::number("last usable sector", le64(&header, 48)?),
        Field::number("sector of the backup", le64(&header, 32)?),
        Field::number("entries", count as u64),
    ]);
    opened.places = vec![
        (0, "the protective MBR".to_owned()),
        (sector, "the header".to_owned()),
        (table_at, "the table of partitions".to_owned()),
        (table_at + table.len() as u64, "bytes behind the table of partitions".to_owned()),
    ];
    let mut covered = vec![
        (0..MBR_BYTES, "the protective MBR".to_owned()),
        (sector..sector + HEADER_BYTES as u64, "the header".to_owned()),
        (table_at..table_at + table.len() as u64, "the table of partitions".to_owned()),
    ];
    let mbr = source.range(0, MBR_BYTES).ok_or(CUT_OFF)?;
    opened.members.push(Member::part("protective MBR", mbr));
    for (index, entry) in table.chunks_exact(entry_bytes).enumerate() {
        if entry[..16] == [0; 16] {
            continue;
        }
        let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
        let size = last.checked_sub(first).and_then(|less_one| less_one.checked_add(1)).ok_or(CUT_OFF)?;
        let (start, size) = (at(first)?, at(size)?);
        let range = source.range(start, size);
        let range = range.ok_or(Refusal::Malformed("a partition lies outside the disk"))?;
        let name = name(&entry[56..128]);
        let shown = if name.is_empty() { format!("number {}", index + 1) } else { name };
        let described = format!("partition {}", crate::printable(shown.as_bytes()));
        opened.places.push((start, described.clone()));
        covered.push((start..start + size, described));
        let mut member = Member::new(StepKind::Partition, shown, Content::Bytes(range));
        member.fields = vec![
            Field::number("number", index as u64 + 1),
            Field::new("type GUID", guid(entry, 0)?),
            Field::id("GUID", guid(entry, 16)?),
            Field::hex("attributes", le64(entry, 48)?),
            Field::number("first sector", first),
            Field::number("last sector", last),
        ];
        opened.members.push(member);
    }
    // The backup at the end of the disk is such a gap.
    opened.members.extend(gaps::members(source, covered)?);
    opened.places.sort();
    Ok(opened)
}

fn guid(bytes: &[u8], at: usize) -> Result<String, Refusal> {
    Ok(Guid::from_disk(&array(bytes, at)?).to_string())
}

/// UTF-16, ended by a zero if it is shorter than its field.
fn name(field: &[u8]) -> String {
    let units = field.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let characters = char::decode_utf16(units.take_while(|unit| *unit != 0));
    characters.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
