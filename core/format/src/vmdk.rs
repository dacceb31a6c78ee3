//! VMDK, streamOptimized: what vSphere and OVA files take.
//!
//! Source: VMware "Virtual Disk Format 5.0". Grains are zlib streams of stored
//! blocks: what is large on our disks is compressed already, and no
//! compressor's version can change the bytes.

use std::io::{self, Write};

const SECTOR: u64 = 512;
const GRAIN: u64 = 64 * 1024;
const GRAIN_SECTORS: u64 = GRAIN / SECTOR;
const TABLE_ENTRIES: u64 = 512;
/// Sectors before the first grain: header and descriptor, padded to a grain.
const OVERHEAD_SECTORS: u64 = 128;
const DESCRIPTOR_SECTORS: u64 = 20;

/// Writes a disk, as [`crate::qcow2::write`] does; `cid` names its content.
///
/// # Errors
/// Reading or writing failed.
pub fn write(
    out: &mut impl Write,
    size_bytes: u64,
    runs: &[(u64, u64)],
    cid: u32,
    mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let capacity = size_bytes / SECTOR;
    let mut begin = header(capacity, u64::MAX).to_vec();
    begin.extend_from_slice(descriptor(capacity, cid).as_bytes());
    begin.resize((OVERHEAD_SECTORS * SECTOR) as usize, 0);
    out.write_all(&begin)?;

    let mut position = OVERHEAD_SECTORS;
    let tables = capacity.div_ceil(GRAIN_SECTORS * TABLE_ENTRIES);
    let mut directory = vec![0u32; tables as usize];
    let mut table: (u64, Vec<u32>) = (0, Vec::new());
    let mut buffer = vec![0; GRAIN as usize];
    let mut last = None;
    for (offset, length) in runs.iter().filter(|(_, length)| *length > 0) {
        for grain in offset / GRAIN..=(offset + length - 1) / GRAIN {
            if last == Some(grain) {
                continue;
            }
            last = Some(grain);
            if table.0 != grain / TABLE_ENTRIES && !table.1.is_empty() {
                directory[table.0 as usize] = write_table(out, &mut position, &table.1)?;
                table.1.clear();
            }
            if table.1.is_empty() {
                table = (grain / TABLE_ENTRIES, vec![0; TABLE_ENTRIES as usize]);
            }
            buffer.fill(0);
            let present = GRAIN.min(size_bytes - grain * GRAIN) as usize;
            read(grain * GRAIN, &mut buffer[..present])?;
            table.1[(grain % TABLE_ENTRIES) as usize] = position as u32;
            let data = stored_zlib(&buffer);
            let mut marker = (grain * GRAIN_SECTORS).to_le_bytes().to_vec();
            marker.extend_from_slice(&(data.len() as u32).to_le_bytes());
            marker.extend_from_slice(&data);
            position += write_sectors(out, marker)?;
        }
    }
    if !table.1.is_empty() {
        directory[table.0 as usize] = write_table(out, &mut position, &table.1)?;
    }
    let entries: Vec<u8> = directory.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    position += write_sectors(out, marker((entries.len() as u64).div_ceil(SECTOR), 2))?;
    let directory_at = position;
    write_sectors(out, entries)?;
    write_sectors(out, marker(1, 3))?;
    out.write_all(&header(capacity, directory_at))?;
    write_sectors(out, marker(0, 0))?;
    Ok(())
}

fn write_table(out: &mut impl Write, position: &mut u64, table: &[u32]) -> io::Result<u32> {
    let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    *position += write_sectors(out, marker(bytes.len() as u64 / SECTOR, 1))?;
    let at = *position as u32;
    *position += write_sectors(out, bytes)?;
    Ok(at)
}

/// A metadata marker: sectors that follow, no data, kind (0 end of stream,
/// 1 grain table, 2 grain directory, 3 footer).
fn marker(sectors: u64, kind: u32) -> Vec<u8> {
    let mut bytes = sectors.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes
}

fn write_sectors(out: &mut impl Write, mut bytes: Vec<u8>) -> io::Result<u64> {
    bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
    out.write_all(&bytes)?;
    Ok(bytes.len() as u64 / SECTOR)
}

/// The sparse extent header, which stands again as the footer, there with the
/// grain directory's place.
fn header(capacity: u64, directory: u64) -> [u8; 512] {
    let mut h = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| h[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDMV");
    put(4, &3u32.to_le_bytes());
    // Line endings can be checked; grains are compressed; markers are used.
    put(8, &0x0003_0001u32.to_le_bytes());
    put(12, &capacity.to_le_bytes());
    put(20, &GRAIN_SECTORS.to_le_bytes());
    put(28, &1u64.to_le_bytes());
    put(36, &DESCRIPTOR_SECTORS.to_le_bytes());
    put(44, &(TABLE_ENTRIES as u32).to_le_bytes());
    put(56, &directory.to_le_bytes());
    put(64, &OVERHEAD_SECTORS.to_le_bytes());
    put(73, b"\n \r\n");
    put(77, &1u16.to_le_bytes());
    h
}

fn descriptor(capacity: u64, cid: u32) -> String {
    let cylinders = (capacity / (255 * 63)).min(65535);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={cid:08x}\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
         # Extent description\nRDONLY {capacity} SPARSE \"disk.vmdk\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\nddb.virtualHWVersion = \"13\"\n"
    )
}

/// RFC 1950 and 1951: a header, stored blocks, the checksum.
fn stored_zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut chunks = bytes.chunks(65535).peekable();
    while let Some(chunk) = chunks.next() {
        out.push(u8::from(chunks.peek().is_none()));
        let length = chunk.len() as u16;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&adler32(bytes).to_be_bytes());
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for chunk in bytes.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        (a, b) = (a % 65521, b % 65521);
    }
    b << 16 | a
}
