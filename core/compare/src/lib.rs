//! Where two files or trees differ, down to the byte.
//!
//! [`compare`] takes two paths and gives a tree of [`Difference`]s: files that
//! differ are opened by what they are (archives, compressed streams, programs,
//! file systems, disks), member is compared with member, and so on inwards,
//! until a leaf names an offset, shows both sides and says what the bytes
//! themselves tell of the cause ([`Hint`]). [`report`] renders that as JSON or
//! for a terminal.
//!
//! What it never does: know a store, a derivation or a command line; look at a
//! clock or the environment; follow a link; write outside the directory for
//! scratch files that it was given. Nothing that it reads is trusted: it may
//! be the output of a hostile build.

mod difference;
mod limits;
mod tree;

mod engine;
mod opened;
mod sniff;

mod formats;

mod bytes;
mod json;
mod line_diff;
mod listing;
mod text;

mod hints;

mod fields;
mod scan;
mod source;

pub mod report;

pub use difference::{
    Class, Difference, Excerpt, Hint, Line, LineSide, Place, Sides, Step, StepKind, What, printable,
};
pub use limits::Limits;
pub use tree::{CompareError, compare};
