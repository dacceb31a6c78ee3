//! The device mapper's own word on what it maps.

use std::fs::OpenOptions;
use std::path::Path;

use crate::{Failed, Result};

const CONTROL: &str = "/dev/mapper/control";
const HEADER_BYTES: usize = 312;
const TARGET_BYTES: usize = 40;
const STATUS_TABLE: u32 = 1 << 4;

/// The table of a mapped device, as the kernel has it now: `start length
/// target parameters`, one line a target.
///
/// # Errors
/// The control device cannot be used, or there is no such mapping.
pub fn table(name: &str) -> Result<String> {
    let failed = || Failed::at("read the table of", Path::new("/dev/mapper").join(name));
    let control =
        OpenOptions::new().read(true).write(true).open(CONTROL).map_err(Failed::at("open", CONTROL))?;
    // struct dm_ioctl: version[3], data_size, data_start, target_count,
    // open_count, flags, event_nr, padding, dev, name[128], uuid[129], data[7].
    let mut buffer = vec![0u8; 16384];
    let size = buffer.len() as u32;
    for (offset, value) in
        [(0, 4u32), (4, 0), (8, 0), (12, size), (16, HEADER_BYTES as u32), (28, STATUS_TABLE)]
    {
        buffer[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }
    let name_field = &mut buffer[48..48 + 127];
    name_field[..name.len()].copy_from_slice(name.as_bytes());
    let reply = crate::ioctl::device_mapper_table(&control, buffer).map_err(failed())?;
    Ok(parse(&reply))
}

fn parse(reply: &[u8]) -> String {
    let u32_at = |at: usize| u32::from_ne_bytes(reply[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_ne_bytes(reply[at..at + 8].try_into().expect("eight bytes"));
    let start = u32_at(16) as usize;
    let mut lines = Vec::new();
    let mut at = start;
    for _ in 0..u32_at(20) {
        // struct dm_target_spec: sector_start, length, status, next,
        // target_type[16]; then the parameters, NUL-terminated.
        if at + TARGET_BYTES > reply.len() {
            break;
        }
        let text = |from: usize, to: usize| {
            let bytes = &reply[from..to.min(reply.len())];
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let target = text(at + 24, at + 40);
        let parameters = text(at + TARGET_BYTES, reply.len());
        lines.push(format!("{} {} {target} {parameters}", u64_at(at), u64_at(at + 8)));
        // `next` counts from the first target.
        at = start + u32_at(at + 20) as usize;
    }
    lines.join("\n")
}
