//! What may be set on a node, in which form, and what is wrong with what was
//! set: pure.
//!
//! The schema is data, composed by the variant and carried in the image, so
//! that a system with settings of its own needs no other programs, and that a
//! node can hold its settings against the schema of an image that it has not
//! started yet. Every program that reads or shows settings reads the same one.
//!
//! Nothing here opens a file, asks the time or knows what a setting is for.

mod carry;
mod document;
mod format;
mod input;
mod json_schema;
mod key;
mod kind;
mod problem;
mod sample;
mod schema;
mod secrets;
mod text;

pub use carry::{Carried, carry};
pub use document::{Change, Document, MergeError, nest};
pub use format::Format;
pub use key::{Key, KeyError};
pub use kind::{Field, Kind};
pub use problem::{Problem, What};
pub use schema::{Schema, SchemaError, Setting};
pub use text::{TextError, read_toml};
