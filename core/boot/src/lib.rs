//! The law of A/B slots: what is on the disk, which slot starts, and who may
//! change which bit when.
//!
//! The image writer, the UEFI loader and the agents on the node all obey this
//! one crate. It is `no_std`, allocates nothing, and does no I/O of its own:
//! [`gpt`] works on whatever implements [`gpt::Disk`], the rest is pure.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod crc32;
pub mod gpt;
pub mod guid;
pub mod law;
pub mod layout;
pub mod private;
mod sha256;
pub mod slot;
pub mod uki;
