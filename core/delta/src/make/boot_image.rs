//! Boot images (PE files with a kernel inside) in pieces: sections, and the
//! frame in the kernel.

use osbuild_format::kernel::find_payload;
use osbuild_format::pe::sections;

use super::pieces::{Kind, Pair, Piece, with_gaps};
use crate::{Error, Result};

pub(super) fn pair<'i>(old: &'i [u8], new: &'i [u8]) -> Result<Pair<'i>> {
    let (old_pieces, new_pieces) = (pieces("old", old)?, pieces("new", new)?);
    // There are a dozen pieces, so each is made of all.
    let groups = vec![(0..old_pieces.len()).collect()];
    let sources = vec![vec![0]; new_pieces.len()];
    Ok(Pair { old, new, old_pieces, new_pieces, groups, sources })
}

fn pieces(which: &'static str, image: &[u8]) -> Result<Vec<Piece>> {
    let mut places = sections(image).map_err(|source| Error::BootImage { which, source })?;
    places.sort_by_key(|place| place.bytes.start);
    let (mut pieces, mut end) = (Vec::new(), 0);
    for place in places {
        let range = place.bytes;
        // Sections may share bytes; then the second is no piece of its own.
        if range.start < end {
            continue;
        }
        end = range.end;
        let contents = &image[range.clone()];
        match find_payload(contents).filter(|_| place.name == ".linux") {
            Some(frame) => {
                let (start, end) = (range.start + frame.start, range.start + frame.end);
                pieces.push(Piece { start: range.start, end: start, kind: Kind::Plain });
                pieces.push(Piece { start, end, kind: Kind::Kernel });
                pieces.push(Piece { start: end, end: range.end, kind: Kind::Plain });
            }
            None => pieces.push(Piece { start: range.start, end: range.end, kind: Kind::Plain }),
        }
    }
    pieces.retain(|piece| piece.start < piece.end);
    Ok(with_gaps(pieces, image.len()))
}
