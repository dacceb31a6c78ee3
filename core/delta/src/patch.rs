//! Applying a patch: bytes of the reference with small changes, and new ones
//! between.
//!
//! Two builds of a program differ in addresses all over, at places that lie as
//! before relative to each other. Subtracted from each other they are mostly
//! zeros with a few repeating values, which is why the difference is a stream of
//! its own. The idea is Colin Percival's ("Naive differences of executable
//! code", 2003).

use std::io::{self, BufReader, Read};

use crate::plan::CONTROL_WINDOW_LOG;
use crate::varint;
use crate::{Error, Result};

/// The three streams of a patch, read side by side.
pub(crate) struct Patch<'a, R: Read> {
    reference: &'a [u8],
    control: BufReader<Stream<'a, &'a [u8]>>,
    difference: Stream<'a, &'a [u8]>,
    extra: Stream<'a, io::Take<R>>,
    /// Where the reference is read next.
    place: u64,
    /// What is left of the instruction at hand.
    to_add: u64,
    to_take: u64,
}

impl<'a, R: Read> Patch<'a, R> {
    pub(crate) fn new(
        reference: &'a [u8],
        control: &'a [u8],
        difference: &'a [u8],
        extra: io::Take<R>,
        window_log: u32,
    ) -> Result<Self> {
        let is_empty = extra.limit() == 0;
        let control = Stream::new(control, control.is_empty(), CONTROL_WINDOW_LOG)?;
        Ok(Self {
            reference,
            control: BufReader::with_capacity(4096, control),
            difference: Stream::new(difference, difference.is_empty(), window_log)?,
            extra: Stream::new(extra, is_empty, window_log)?,
            place: 0,
            to_add: 0,
            to_take: 0,
        })
    }

    /// The next bytes, as many as the buffer has.
    pub(crate) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            if self.to_add == 0 && self.to_take == 0 {
                self.next_instruction()?;
            }
            let left = if self.to_add > 0 { self.to_add } else { self.to_take };
            let now = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (part, rest) = buffer.split_at_mut(now);
            if self.to_add > 0 {
                let start = usize::try_from(self.place).ok();
                let from = start.and_then(|start| self.reference.get(start..)?.get(..now));
                let from = from.ok_or(Error::delta("a patch reads outside its reference"))?;
                self.difference.read_exact(part).map_err(Error::ReadDelta)?;
                for (byte, old) in part.iter_mut().zip(from) {
                    *byte = byte.wrapping_add(*old);
                }
                self.place += now as u64;
                self.to_add -= now as u64;
            } else {
                self.extra.read_exact(part).map_err(Error::ReadDelta)?;
                self.to_take -= now as u64;
            }
            buffer = rest;
        }
        Ok(())
    }

    fn next_instruction(&mut self) -> Result<()> {
        let shift = varint::unfold(self.number()?);
        (self.to_add, self.to_take) = (self.number()?, self.number()?);
        if self.to_add == 0 && self.to_take == 0 {
            return Err(Error::delta("a patch has an instruction that does nothing"));
        }
        let place = self.place.checked_add_signed(shift);
        self.place = place.ok_or(Error::delta("a patch reads outside its reference"))?;
        Ok(())
    }

    fn number(&mut self) -> Result<u64> {
        let number = varint::read(|| self.control.by_ref().bytes().next().transpose());
        number.map_err(Error::ReadDelta)?.ok_or(Error::delta("a patch is cut off"))
    }

    /// Checks that nothing is left of any stream.
    pub(crate) fn finish(mut self) -> Result<()> {
        let mut left = self.to_add > 0 || self.to_take > 0;
        let mut byte = [0];
        left |= self.control.read(&mut byte).map_err(Error::ReadDelta)? > 0;
        left |= self.difference.read(&mut byte).map_err(Error::ReadDelta)? > 0;
        left |= self.extra.read(&mut byte).map_err(Error::ReadDelta)? > 0;
        if left { Err(Error::delta("a patch makes more than its frames hold")) } else { Ok(()) }
    }
}

/// One zstd frame, or nothing.
///
/// Reading it to its end also takes all that was stored of it.
struct Stream<'a, R: Read>(Option<zstd::Decoder<'a, BufReader<R>>>);

impl<R: Read> Stream<'_, R> {
    fn new(stored: R, is_empty: bool, window_log: u32) -> Result<Self> {
        if is_empty {
            return Ok(Self(None));
        }
        let mut decoder = zstd::Decoder::new(stored).map_err(Error::Compress)?;
        decoder.window_log_max(window_log).map_err(Error::Compress)?;
        Ok(Self(Some(decoder)))
    }
}

impl<R: Read> Read for Stream<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |decoder| decoder.read(buffer))
    }
}
