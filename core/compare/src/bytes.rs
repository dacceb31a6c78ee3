//! Bytes that are nothing else.

use std::io;

use crate::difference::{Difference, Excerpt, Sides};
use crate::hints;
use crate::limits::Limits;
use crate::scan::Scan;
use crate::source::Source;

/// Bytes in a line of a dump; excerpts begin at a multiple of it.
pub(crate) const DUMP_LINE: u64 = 16;

/// Shows both sides where they differ first, and says what the bytes tell.
pub(crate) fn describe(
    node: &mut Difference,
    left: &Source,
    right: &Source,
    scan: &Scan,
    limits: &Limits,
) -> io::Result<()> {
    let offset = scan.place.first_offset / DUMP_LINE * DUMP_LINE;
    let sides = Sides {
        left: left.up_to(offset, limits.excerpt_bytes)?,
        right: right.up_to(offset, limits.excerpt_bytes)?,
    };
    node.excerpt = Some(Excerpt::Bytes { offset, sides });
    node.hints = hints::of_bytes(left, right, scan)?;
    Ok(())
}
