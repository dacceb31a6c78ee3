//! Bytes of a file that its own tables do not mention.

use std::ops::Range;

use crate::opened::Member;
use crate::source::{Refusal, Source};

/// What lies between and behind the `covered` ranges, each called after what
/// stands before it. Runs of zeros are padding and left out.
pub(super) fn members(
    source: &Source,
    mut covered: Vec<(Range<u64>, String)>,
) -> Result<Vec<Member>, Refusal> {
    covered.sort_by_key(|a| (a.0.start, a.0.end));
    covered.push((source.size()..source.size(), String::new()));
    let mut members = Vec::new();
    let (mut end, mut before) = (0, String::new());
    for (range, name) in covered {
        let gap = range.start.checked_sub(end).filter(|size| *size != 0);
        if let Some(gap) = gap.and_then(|size| source.range(end, size))
            && !is_zero(&gap)?
        {
            let part = if before.is_empty() { "begin".to_owned() } else { format!("bytes behind {before}") };
            members.push(Member::part(part, gap));
        }
        if range.end > end {
            (end, before) = (range.end, name);
        }
    }
    Ok(members)
}

pub(super) fn is_zero(source: &Source) -> Result<bool, Refusal> {
    let mut buffer = vec![0; source.size().min(256 * 1024) as usize];
    let mut at = 0;
    while at < source.size() {
        let count = (source.size() - at).min(buffer.len() as u64) as usize;
        source.read_at(at, &mut buffer[..count])?;
        if buffer[..count].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}
