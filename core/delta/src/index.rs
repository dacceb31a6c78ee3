//! Reading the index of a delta, as [`crate::plan`] has it. Whatever is read is
//! bounded by its length: no count reserves more than the bytes behind it.

use crate::plan::{Action, COPY, Cut, Form, MAKE, Make, Piece, Step, WINDOW_LOGS};
use crate::varint::{take, unfold};
use crate::{Error, Result};

/// The steps of an index; payloads begin behind the head.
pub(crate) fn read(index: &[u8], old_bytes: u64, head_bytes: u64) -> Result<Vec<Step>> {
    IndexReader { rest: index, old_bytes, copy_end: 0, piece_end: 0 }.steps(head_bytes)
}

struct IndexReader<'i> {
    rest: &'i [u8],
    old_bytes: u64,
    copy_end: u64,
    piece_end: u64,
}

impl IndexReader<'_> {
    fn steps(mut self, head_bytes: u64) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        let (mut output_offset, mut delta_offset) = (0u64, head_bytes);
        while !self.rest.is_empty() {
            let (action, output_bytes, delta_bytes) = match self.number()? {
                COPY => {
                    let old_offset = self.place(self.copy_end)?;
                    let bytes = self.number()?;
                    self.copy_end = self.end_in_old(old_offset, bytes)?;
                    (Action::Copy { old_offset }, bytes, 0)
                }
                MAKE => {
                    let bytes = self.number()?;
                    let make = self.make()?;
                    let streams = [make.control_bytes, make.difference_bytes, make.extra_bytes];
                    let payload = streams.into_iter().try_fold(0, u64::checked_add);
                    let payload = payload.ok_or(Error::delta("its streams are too long"))?;
                    (Action::Make(make), bytes, payload)
                }
                _ => return Err(Error::delta("it has steps of an unknown kind")),
            };
            if output_bytes == 0 {
                return Err(Error::delta("it has a step that makes nothing"));
            }
            steps.push(Step { output_offset, output_bytes, delta_offset, delta_bytes, action });
            let next = (output_offset.checked_add(output_bytes), delta_offset.checked_add(delta_bytes));
            let (Some(output_end), Some(delta_end)) = next else {
                return Err(Error::delta("its steps are too long"));
            };
            (output_offset, delta_offset) = (output_end, delta_end);
        }
        Ok(steps)
    }

    fn make(&mut self) -> Result<Make> {
        let reference_bytes = self.number()?;
        let mut pieces = Vec::new();
        // A count is followed by two bytes each at least, so that it bounds what
        // may be reserved.
        let count = self.count()?;
        pieces.reserve_exact(count);
        for _ in 0..count {
            let start = self.place(self.piece_end)?;
            let size = self.number()?;
            let stored = u32::try_from(size >> 1).ok().filter(|bytes| *bytes > 0);
            let stored_bytes = stored.ok_or(Error::delta("a piece has an impossible size"))?;
            self.piece_end = self.end_in_old(start, u64::from(stored_bytes))?;
            pieces.push(Piece { start, stored_bytes, is_frame: size & 1 == 1 });
        }
        let mut cuts = Vec::new();
        let count = self.count()?;
        cuts.reserve_exact(count);
        for _ in 0..count {
            let (frames, bytes) = (self.number()?, self.number()?);
            let form = Form::from_number(self.number()?).ok_or(Error::delta("a form is unknown"))?;
            let is_possible = frames > 0 && (1..=form.max_bytes()).contains(&bytes);
            if !is_possible || frames.checked_mul(bytes).is_none() {
                return Err(Error::delta("a frame has an impossible size"));
            }
            cuts.push(Cut { frames, bytes, form });
        }
        let window_log = u32::try_from(self.number()?).ok().filter(|log| WINDOW_LOGS.contains(log));
        let window_log = window_log.ok_or(Error::delta("a window has an impossible size"))?;
        let [control_bytes, difference_bytes, extra_bytes] = [self.number()?, self.number()?, self.number()?];
        Ok(Make { reference_bytes, pieces, cuts, window_log, control_bytes, difference_bytes, extra_bytes })
    }

    fn number(&mut self) -> Result<u64> {
        take(&mut self.rest).ok_or(Error::delta("its index is cut off"))
    }

    fn count(&mut self) -> Result<usize> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len() / 2);
        count.ok_or(Error::delta("its index is cut off"))
    }

    fn place(&mut self, from: u64) -> Result<u64> {
        let place = from.checked_add_signed(unfold(self.number()?));
        place.ok_or(Error::delta("it reads before the begin of the old image"))
    }

    fn end_in_old(&self, start: u64, bytes: u64) -> Result<u64> {
        let end = start.checked_add(bytes).filter(|end| *end <= self.old_bytes);
        end.ok_or(Error::delta("it reads beyond the end of the old image"))
    }
}
