//! Squashfs images in pieces: blocks, metadata blocks, and which of the old
//! ones hold what a new one holds.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;

use osbuild_format::squashfs::SquashfsError;
use osbuild_format::squashfs::read::{FrameKind, Image, MemberKind};

use super::pieces::{Kind, Pair, Piece, with_gaps};
use crate::{Error, Result};

pub(super) fn pair<'i>(old: &'i [u8], new: &'i [u8]) -> Result<Pair<'i>> {
    let read = |which, image| Contents::read(image).map_err(|source| Error::Image { which, source });
    let (old_contents, new_contents) = (read("old", old)?, read("new", new)?);
    let names = Names::new(&old_contents);

    // One group a file, then one of all tables, then one of what lies between.
    let mut groups: Vec<Vec<usize>> = old_contents.files.iter().map(File::pieces).collect();
    let tables = groups.len();
    groups.push(old_contents.pieces_of(|kind| matches!(kind, Kind::Metadata { .. })));
    groups.push(old_contents.pieces_of(|kind| kind == Kind::Plain));

    let mut sources: Vec<Vec<usize>> = new_contents
        .pieces
        .iter()
        .map(|piece| match piece.kind {
            Kind::Metadata { .. } => vec![tables],
            Kind::Plain => vec![tables + 1],
            _ => Vec::new(),
        })
        .collect();
    for file in &new_contents.files {
        let of_use = names.counterpart(file).map_or_else(|| names.siblings(file), |found| vec![found]);
        for piece in file.pieces() {
            sources[piece].extend_from_slice(&of_use);
        }
    }
    for list in &mut sources {
        list.sort_unstable();
        list.dedup();
    }
    Ok(Pair { old, new, old_pieces: old_contents.pieces, new_pieces: new_contents.pieces, groups, sources })
}

/// An image in pieces, and its files.
struct Contents {
    pieces: Vec<Piece>,
    files: Vec<File>,
}

struct File {
    path: String,
    bytes: u64,
    blocks: Vec<usize>,
    fragment: Option<usize>,
    /// Of a file that a fragment block holds whole.
    digest: Option<blake3::Hash>,
}

impl File {
    fn pieces(&self) -> Vec<usize> {
        self.blocks.iter().copied().chain(self.fragment).collect()
    }
}

impl Contents {
    fn read(image: &[u8]) -> std::result::Result<Self, SquashfsError> {
        let mut opened = Image::open(Cursor::new(image))?;
        let members = opened.members()?;
        let frames = opened.frames(&members)?;
        let mut pieces = Vec::with_capacity(frames.len());
        let mut end = 0;
        for frame in frames {
            let is_compressed = frame.is_compressed;
            let (header, kind) = match frame.kind {
                FrameKind::Data | FrameKind::Fragment => (0, Kind::Block { is_compressed }),
                FrameKind::Metadata => (2, Kind::Metadata { is_compressed }),
            };
            let start = frame.start as usize - header;
            let frame_end = frame.start as usize + frame.stored_bytes as usize;
            if start < end || frame_end > image.len() {
                return Err(SquashfsError::Damaged("blocks that overlap or lie outside the image"));
            }
            end = frame_end;
            pieces.push(Piece { start, end, kind });
        }
        let pieces = with_gaps(pieces, image.len());
        let by_start: HashMap<usize, usize> =
            pieces.iter().enumerate().map(|(index, piece)| (piece.start, index)).collect();
        let at = |start: u64| by_start.get(&usize::try_from(start).ok()?).copied();

        let mut unpacked: HashMap<usize, Vec<u8>> = HashMap::new();
        let mut files = Vec::new();
        for member in members {
            let MemberKind::File(data) = member.kind else { continue };
            let blocks: Vec<usize> = data.block_starts().filter_map(at).collect();
            let place = data
                .fragment()
                .and_then(|(number, offset)| Some((at(opened.fragment_start(number)?)?, offset as usize)));
            let mut digest = None;
            if let (Some((piece, offset)), true) = (place, blocks.is_empty()) {
                let contents = unpacked
                    .entry(piece)
                    .or_insert_with(|| pieces[piece].unpack(image).unwrap_or_default().into_owned());
                let part = contents.get(offset..).and_then(|rest| rest.get(..data.size as usize));
                digest = part.map(blake3::hash);
            }
            let fragment = place.map(|(piece, _)| piece);
            files.push(File { path: member.path, bytes: data.size, blocks, fragment, digest });
        }
        Ok(Self { pieces, files })
    }

    fn pieces_of(&self, is_wanted: impl Fn(Kind) -> bool) -> Vec<usize> {
        (0..self.pieces.len()).filter(|index| is_wanted(self.pieces[*index].kind)).collect()
    }
}

/// Finds the old file that a new one was made of.
struct Names<'o> {
    files: &'o [File],
    by_digest: HashMap<blake3::Hash, usize>,
    by_path: HashMap<&'o str, usize>,
    by_shape: BTreeMap<String, Vec<usize>>,
    by_name: BTreeMap<String, Vec<usize>>,
    by_directory: HashMap<&'o str, Vec<usize>>,
}

/// How much of its directory a file without counterpart is compared with.
const SIBLINGS_BYTES: u64 = 16 << 20;

impl<'o> Names<'o> {
    fn new(contents: &'o Contents) -> Self {
        let files = contents.files.as_slice();
        let mut names = Self {
            files,
            by_digest: HashMap::new(),
            by_path: HashMap::new(),
            by_shape: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_directory: HashMap::new(),
        };
        for (index, file) in files.iter().enumerate() {
            if let Some(digest) = file.digest {
                names.by_digest.entry(digest).or_insert(index);
            }
            names.by_path.insert(&file.path, index);
            names.by_shape.entry(shape(&file.path)).or_default().push(index);
            names.by_name.entry(shape(name(&file.path))).or_default().push(index);
            names.by_directory.entry(directory(&file.path)).or_default().push(index);
        }
        names
    }

    /// The same contents, else the same path, else one that differs in its
    /// numbers alone (versions of libraries and kernels), else the same name
    /// elsewhere; of several the one of the nearest size.
    fn counterpart(&self, new: &File) -> Option<usize> {
        let nearest = |found: &Vec<usize>| {
            found.iter().copied().min_by_key(|index| self.files[*index].bytes.abs_diff(new.bytes))
        };
        let same = new.digest.and_then(|digest| self.by_digest.get(&digest)).copied();
        same.or_else(|| self.by_path.get(new.path.as_str()).copied())
            .or_else(|| self.by_shape.get(&shape(&new.path)).and_then(nearest))
            .or_else(|| self.by_name.get(&shape(name(&new.path))).and_then(nearest))
    }

    /// Files beside a new one, the nearest in size first: programs that lie
    /// together have libraries in common.
    fn siblings(&self, new: &File) -> Vec<usize> {
        let mut found = self.by_directory.get(directory(&new.path)).cloned().unwrap_or_default();
        found.sort_by_key(|index| self.files[*index].bytes.abs_diff(new.bytes));
        let mut bytes = 0;
        found.retain(|index| {
            bytes += self.files[*index].bytes;
            bytes <= SIBLINGS_BYTES
        });
        found
    }
}

/// The last component of a path.
fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The path with each number as one sign.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    for c in path.chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if c != '#' || !shape.ends_with('#') {
            shape.push(c);
        }
    }
    shape
}
