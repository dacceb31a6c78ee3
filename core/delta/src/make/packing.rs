//! Finding out how a piece was packed, by packing it again.

use std::borrow::Cow;

use super::pieces::{Kind, Piece};
use crate::plan::{Cut, Form};
use crate::refit::Refit;
use crate::{Error, Result};

/// Levels of zstd, the likely ones first: that of segments and tables, then the
/// upper ones, which recipes choose for releases.
const LEVELS: [i32; 22] = [15, 19, 22, 12, 9, 3, 18, 17, 16, 14, 13, 21, 20, 11, 10, 8, 7, 6, 5, 4, 2, 1];

/// Unpacks pieces and proves how they are packed.
pub(super) struct Packing {
    /// What was right last comes first.
    levels: Vec<i32>,
    refit: Refit,
}

/// What a piece holds, and how it comes to be stored as it is.
pub(super) struct Unpacked<'i> {
    pub(super) bytes: Cow<'i, [u8]>,
    pub(super) form: Form,
}

impl Packing {
    pub(super) fn new() -> Self {
        Self { levels: LEVELS.to_vec(), refit: Refit::default() }
    }

    /// What the piece holds, if packing that gives the piece again; else the
    /// piece as it is.
    pub(super) fn unpack<'i>(&mut self, image: &'i [u8], piece: &Piece) -> Unpacked<'i> {
        let stored = &image[piece.start..piece.end];
        let plain = Unpacked { bytes: Cow::Borrowed(stored), form: Form::Plain };
        if piece.kind == Kind::Plain {
            return plain;
        }
        let Some(bytes) = piece.unpack(image).filter(|bytes| !bytes.is_empty()) else { return plain };
        for index in 0..self.levels.len() {
            let level = self.levels[index];
            let form = match piece.kind {
                Kind::Plain => Form::Plain,
                Kind::Block { .. } => Form::Block { level },
                Kind::Metadata { .. } => Form::Metadata { level },
                Kind::Kernel => Form::Kernel { level },
            };
            if self.gives(&bytes, form, stored) {
                self.levels[..=index].rotate_right(1);
                return Unpacked { bytes, form };
            }
        }
        plain
    }

    /// Ends with the first byte that differs, so that a wrong level costs little
    /// even of a kernel.
    fn gives(&mut self, bytes: &[u8], form: Form, stored: &[u8]) -> bool {
        let (mut rest, mut left) = (bytes, stored);
        let cut = Cut { frames: 1, bytes: bytes.len() as u64, form };
        let mut fill = |buffer: &mut [u8]| -> Result<()> {
            let (now, later) = rest.split_at(buffer.len());
            buffer.copy_from_slice(now);
            rest = later;
            Ok(())
        };
        let packed = self.refit.cut(&cut, &mut fill, &mut |part: &[u8]| -> Result<()> {
            left = left.strip_prefix(part).ok_or(Error::OtherImage)?;
            Ok(())
        });
        packed.is_ok() && left.is_empty()
    }
}
