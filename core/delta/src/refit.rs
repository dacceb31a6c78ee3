//! Packing unpacked bytes again as they stand in the new image.

use std::io::{self, Write};

use osbuild_format::kernel::Packer;
use osbuild_format::squashfs::segment::Compressor;

use crate::plan::{Cut, Form};
use crate::{Error, Result};

/// Set in the size of a metadata block that is stored as it is.
pub(crate) const METADATA_UNCOMPRESSED: u16 = 1 << 15;

/// Bytes that are handed on at a time where frames do not tell.
const CHUNK_BYTES: u64 = 128 * 1024;

/// Where packed bytes go.
pub(crate) type Emit<'e> = &'e mut dyn FnMut(&[u8]) -> Result<()>;

/// Packs frames; keeps the compressor, which is worth as much as a block.
#[derive(Default)]
pub(crate) struct Refit {
    compressor: Option<(i32, Compressor)>,
    buffer: Vec<u8>,
}

impl Refit {
    /// Packs the frames of a cut. `fill` gives the next bytes, unpacked.
    pub(crate) fn cut(
        &mut self,
        cut: &Cut,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<()>,
        emit: Emit<'_>,
    ) -> Result<()> {
        match cut.form {
            Form::Plain => self.chunks(cut.frames * cut.bytes, fill, emit),
            Form::Kernel { level } => {
                for _ in 0..cut.frames {
                    self.kernel(cut.bytes, level, fill, emit)?;
                }
                Ok(())
            }
            Form::Block { level } | Form::Metadata { level } => {
                let mut buffer = std::mem::take(&mut self.buffer);
                buffer.resize(cut.bytes as usize, 0);
                for _ in 0..cut.frames {
                    fill(&mut buffer)?;
                    let packed = self.compressor(level).compress(&buffer);
                    let stored = packed.as_deref().unwrap_or(&buffer);
                    if matches!(cut.form, Form::Metadata { .. }) {
                        let flag = if packed.is_some() { 0 } else { METADATA_UNCOMPRESSED };
                        emit(&(stored.len() as u16 | flag).to_le_bytes())?;
                    }
                    emit(stored)?;
                }
                self.buffer = buffer;
                Ok(())
            }
        }
    }

    fn compressor(&mut self, level: i32) -> &mut Compressor {
        let kept = self.compressor.take().filter(|(kept, _)| *kept == level);
        &mut self.compressor.insert(kept.unwrap_or_else(|| (level, Compressor::new(level)))).1
    }

    fn chunks(
        &mut self,
        bytes: u64,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<()>,
        emit: Emit<'_>,
    ) -> Result<()> {
        let mut left = bytes;
        while left > 0 {
            let now = left.min(CHUNK_BYTES);
            self.buffer.resize(now as usize, 0);
            fill(&mut self.buffer)?;
            emit(&self.buffer)?;
            left -= now;
        }
        Ok(())
    }

    fn kernel(
        &mut self,
        bytes: u64,
        level: i32,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<()>,
        emit: Emit<'_>,
    ) -> Result<()> {
        // Its own contexts are the largest, so none is kept beside it.
        self.compressor = None;
        let mut out = Emitter { emit, failure: None };
        let mut packer = Packer::new(&mut out, bytes, level).map_err(Error::Compress)?;
        let filled = self.chunks(bytes, fill, &mut |part| packer.write_all(part).map_err(Error::Compress));
        let packed = filled.and_then(|()| packer.finish().map(|_| ()).map_err(Error::Compress));
        // What the sink said is the cause, whatever the packer makes of it.
        out.failure.map_or(packed, Err)
    }
}

/// A writer around a sink whose errors are our own.
struct Emitter<'e> {
    emit: Emit<'e>,
    failure: Option<Error>,
}

impl Write for Emitter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.emit)(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(failure) => {
                self.failure = Some(failure);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
