//! Two images taken apart, and what of the old one is like what of the new.

use std::borrow::Cow;

/// A run of an image's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Neither compressed nor a frame: headers, padding, lists.
    Plain,
    /// A data or fragment block of squashfs.
    Block { is_compressed: bool },
    /// A metadata block of squashfs, with its two bytes of size.
    Metadata { is_compressed: bool },
    /// The frame in a bzImage.
    Kernel,
}

/// Two images in pieces.
///
/// # Invariants
/// The pieces of each image follow each other without a gap. The numbers in
/// `groups` are of old pieces; `sources` has one list of groups a new piece.
pub(super) struct Pair<'i> {
    pub(super) old: &'i [u8],
    pub(super) new: &'i [u8],
    pub(super) old_pieces: Vec<Piece>,
    pub(super) new_pieces: Vec<Piece>,
    /// Old pieces that are of use together: those of one file, or one table.
    pub(super) groups: Vec<Vec<usize>>,
    pub(super) sources: Vec<Vec<usize>>,
}

/// More than any block or kernel unpacks to.
const MAX_UNPACKED_BYTES: usize = 1 << 29;

impl Piece {
    /// Where the frame begins: behind the header of a metadata block.
    pub(super) fn frame_start(&self) -> usize {
        self.start + if matches!(self.kind, Kind::Metadata { .. }) { 2 } else { 0 }
    }

    pub(super) fn frame<'i>(&self, image: &'i [u8]) -> &'i [u8] {
        &image[self.frame_start()..self.end]
    }

    pub(super) fn is_frame(&self) -> bool {
        match self.kind {
            Kind::Plain => false,
            Kind::Block { is_compressed } | Kind::Metadata { is_compressed } => is_compressed,
            Kind::Kernel => true,
        }
    }

    /// What the piece holds; `None` if it does not decompress.
    pub(super) fn unpack<'i>(&self, image: &'i [u8]) -> Option<Cow<'i, [u8]>> {
        let stored = self.frame(image);
        if !self.is_frame() {
            return Some(Cow::Borrowed(stored));
        }
        let size = zstd::zstd_safe::get_frame_content_size(stored).ok()??;
        let size = usize::try_from(size).ok().filter(|size| *size <= MAX_UNPACKED_BYTES)?;
        Some(Cow::Owned(zstd::bulk::decompress(stored, size).ok()?))
    }
}

/// Completes pieces, given in order, with what lies between them.
pub(super) fn with_gaps(pieces: Vec<Piece>, image_bytes: usize) -> Vec<Piece> {
    let mut all = Vec::with_capacity(2 * pieces.len() + 1);
    let mut end = 0;
    for piece in pieces {
        if piece.start > end {
            all.push(Piece { start: end, end: piece.start, kind: Kind::Plain });
        }
        end = piece.end;
        all.push(piece);
    }
    if end < image_bytes {
        all.push(Piece { start: end, end: image_bytes, kind: Kind::Plain });
    }
    all
}
