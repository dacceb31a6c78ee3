//! osbuild's core: from recipes to derivations, from derivations to store
//! objects, from store objects to a bootable image.
//!
//! Nothing here talks to a terminal, parses arguments or reads the user's
//! configuration on its own; that is the command's (`cli`). `ARCHITECTURE.md`
//! beside this folder is the map.

pub mod attest;
pub mod build;
pub mod derivation;
pub mod disk;
pub mod fetch;
pub mod graph;
pub mod image;
pub mod instantiate;
pub mod lang;
pub mod remote;
pub mod repo;
pub mod report;
pub mod verify;

mod aging;
mod exec_signer;
mod html;
mod quantities;
