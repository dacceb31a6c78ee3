//! Differences as a reader sees them: a record for programs, and text for a
//! terminal.

pub mod json;
pub mod text;
