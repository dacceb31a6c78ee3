//! Files of lines.

use crate::difference::{Difference, What};
use crate::limits::Limits;
use crate::listing;
use crate::sniff::looks_like_text;
use crate::source::{Refusal, Source};

/// Compares by lines.
///
/// # Errors
/// [`Refusal::Malformed`] if a side is no text further inside, and
/// [`Refusal::Beyond`] if one is too large.
pub(crate) fn describe(
    node: &mut Difference,
    left: &Source,
    right: &Source,
    limits: &Limits,
) -> Result<(), Refusal> {
    let (left, right) = (left.whole(limits.text_bytes)?, right.whole(limits.text_bytes)?);
    if !looks_like_text(&left) || !looks_like_text(&right) {
        return Err(Refusal::Malformed("it is no text further inside"));
    }
    node.what = What::Text;
    listing::describe(node, &lines(&left), &lines(&right), limits);
    Ok(())
}

/// Lines with their ends, so that a missing last one differs.
pub(crate) fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}
