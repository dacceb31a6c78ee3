//! Image formats: bytes in, bytes out.
//!
//! Everything that an image consists of is written here, so that no tool of
//! the host takes part in its bytes: the root manifest, squashfs by segments,
//! the dm-verity tree, PE and UKI, FAT, the GPT disk and its file formats, the
//! release manifest and SBOMs. The agents read and write with the same code.
//!
//! What it never does: open a file, look at a clock or the environment, or
//! start a thread. Where work is worth spreading over cores, a function takes
//! one block and the caller decides how many run at once.

pub mod root_manifest;
pub mod squashfs;
pub mod verity;

pub mod authenticode;
pub mod kernel;
pub mod pe;
pub mod release;

pub mod disk;
pub mod fat;
pub mod qcow2;
pub mod vhd;
pub mod vmdk;

pub mod hex;
