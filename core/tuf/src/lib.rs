//! The Update Framework, specification 1.0: what a repository's metadata says,
//! who has signed it, and in which order a client may come to believe it.
//!
//! The repository writer, `repo verify` and the updater on the node share it.
//! It opens no file and no connection and has no clock: [`client`] works on
//! whatever implements its two traits, and the time is an argument. Section
//! numbers are those of the specification, 1.0.34.

pub mod canonical;
pub mod client;
mod error;
pub mod key;
pub mod metadata;
pub mod paths;
pub mod time;
pub mod trust;

pub use error::{Error, Result};
