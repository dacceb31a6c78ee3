//! Readers of formats. Each opens one side and compares nothing.
//!
//! They share one shape: bytes in, [`Opened`] out, or the reason why not. No
//! number of the input is believed: ranges are checked where they are taken,
//! counts before they allocate, and loops end with the input.

mod cpio;
mod gzip;
mod xz;
mod zstd;

mod ar;
pub(crate) mod tar;

mod elf;
mod elf_sections;
mod kernel;
pub(crate) mod pe;

pub(crate) mod fat;
mod fat_directory;
mod gpt;
mod squashfs;
mod squashfs_data;

mod gaps;

use crate::limits::Limits;
use crate::opened::Opened;
use crate::sniff::Format;
use crate::source::{Refusal, Scratch, Source};

pub(crate) type Reader = fn(&Source, &Limits, &Scratch) -> Result<Opened, Refusal>;

/// Who opens a format.
pub(crate) fn reader(format: Format) -> Reader {
    match format {
        Format::Gzip => gzip::open,
        Format::Xz => xz::open,
        Format::Zstd => zstd::open,
        Format::Tar => tar::open,
        Format::Cpio => cpio::open,
        Format::Ar => ar::open,
        Format::Elf => elf::open,
        Format::Pe => pe::open,
        Format::Kernel => kernel::open,
        Format::Squashfs => squashfs::open,
        Format::Gpt => gpt::open,
        Format::Fat => fat::open,
        Format::Json | Format::Text | Format::Bytes | Format::Empty => {
            |_, _, _| Err(Refusal::Malformed("it is no container"))
        }
    }
}

/// For containers with more members than are looked at.
fn check_count(count: usize, limits: &Limits) -> Result<(), Refusal> {
    if count <= limits.members {
        return Ok(());
    }
    Err(Refusal::Beyond(format!("it has more than {} members", limits.members)))
}
