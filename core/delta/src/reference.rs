//! What a patch is applied to: runs of the old image, unpacked.

use zstd::zstd_safe::DCtx;

use crate::plan::Make;
use crate::{Error, ReadAt, Result};

/// Unpacks the pieces one after the other, in as much memory as the step states.
///
/// # Errors
/// [`Error::ReadOld`], or [`Error::OtherImage`] if what stands in the old image
/// is not what the delta was made from.
pub(crate) fn load(old: &(impl ReadAt + ?Sized), make: &Make) -> Result<Vec<u8>> {
    let bytes =
        usize::try_from(make.reference_bytes).map_err(|_| Error::delta("a reference is too large"))?;
    let mut buffer = vec![0; bytes];
    let (mut stored, mut filled) = (Vec::new(), 0);
    let mut context = DCtx::create();
    for piece in &make.pieces {
        let size = piece.stored_bytes as usize;
        let room = buffer.get_mut(filled..).unwrap_or_default();
        if piece.is_frame {
            stored.resize(size, 0);
            old.read_exact_at(&mut stored, piece.start).map_err(Error::ReadOld)?;
            filled += context.decompress(room, &stored).map_err(|_| Error::OtherImage)?;
        } else {
            let part = room.get_mut(..size).ok_or(Error::OtherImage)?;
            old.read_exact_at(part, piece.start).map_err(Error::ReadOld)?;
            filled += size;
        }
    }
    if filled == bytes { Ok(buffer) } else { Err(Error::OtherImage) }
}
