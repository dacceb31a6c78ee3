//! Source texts and positions in them.
//!
//! A position is one `u32` into the texts laid end to end, so that attributes
//! and code carry it inline; line and column are computed when a message or
//! `unsafeGetAttrPos` asks.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A byte of a source text; [`Pos::NONE`] for what was not written anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(u32);

impl Pos {
    pub const NONE: Self = Self(0);

    pub fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// Where a text came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    /// Given on the command line or by the program.
    String,
    StandardInput,
    /// The text of `derivation`, which to programs is a file.
    Derivation,
}

impl Origin {
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Derivation => Some(Path::new("/derivation-internal.nix")),
            Self::String | Self::StandardInput => None,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::String => f.write_str("«string»"),
            Self::StandardInput => f.write_str("«stdin»"),
            Self::Derivation => f.write_str("«nix-internal»/derivation-internal.nix"),
        }
    }
}

struct Source {
    base: u32,
    origin: Origin,
    text: Rc<[u8]>,
    /// Where its relative paths begin.
    directory: Rc<Path>,
    /// Found once a position is asked for.
    line_starts: OnceCell<Vec<u32>>,
}

/// A position as people read it: line and column count from one, the column in
/// bytes as Nix counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub origin: Origin,
    pub line: u32,
    pub column: u32,
    /// The line's text, without its end.
    pub line_text: String,
}

/// All texts of one evaluation.
#[derive(Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

/// The file that positions of one text are relative to.
#[derive(Clone, Copy)]
pub struct Base(u32);

impl Base {
    pub fn at(self, offset: u32) -> Pos {
        Pos(self.0 + offset)
    }

    /// The byte offset of a position of this text.
    pub fn offset(self, pos: Pos) -> u32 {
        pos.0.saturating_sub(self.0)
    }
}

impl SourceMap {
    /// Adds a text; `None` once 4 GiB of source have been read.
    pub fn add(&mut self, origin: Origin, text: &[u8], directory: &Path) -> Option<Base> {
        let base = self.sources.last().map_or(1, |s| s.base + s.text.len() as u32 + 1);
        base.checked_add(u32::try_from(text.len()).ok()?)?.checked_add(1)?;
        let directory = match self.sources.last() {
            Some(last) if *last.directory == *directory => last.directory.clone(),
            _ => directory.into(),
        };
        let line_starts = OnceCell::new();
        self.sources.push(Source { base, origin, text: text.into(), directory, line_starts });
        Some(Base(base))
    }

    fn find(&self, pos: Pos) -> Option<(&Source, u32)> {
        if !pos.is_some() {
            return None;
        }
        let index = self.sources.partition_point(|s| s.base <= pos.0).checked_sub(1)?;
        let source = &self.sources[index];
        Some((source, pos.0 - source.base))
    }

    pub fn locate(&self, pos: Pos) -> Option<Location> {
        let (source, offset) = self.find(pos)?;
        let line_starts = source.line_starts.get_or_init(|| line_starts(&source.text));
        let line = line_starts.partition_point(|start| *start <= offset) - 1;
        let start = line_starts[line] as usize;
        let end = line_starts.get(line + 1).map_or(source.text.len(), |n| *n as usize);
        let line_text = String::from_utf8_lossy(source.text.get(start..end).unwrap_or_default());
        let line_text = line_text.trim_end_matches(['\n', '\r']);
        Some(Location {
            origin: source.origin.clone(),
            line: line as u32 + 1,
            column: offset - start as u32 + 1,
            line_text: line_text.to_owned(),
        })
    }

    /// The file that a position is in, if it is in a file.
    pub fn file(&self, pos: Pos) -> Option<&Path> {
        self.find(pos)?.0.origin.file()
    }

    /// The text from `pos` on, and where its relative paths begin.
    pub fn text(&self, pos: Pos, length: u32) -> Option<(&[u8], &Path)> {
        let (source, start) = self.find(pos)?;
        let text = source.text.get(start as usize..start as usize + length as usize)?;
        Some((text, &source.directory))
    }
}

/// LF, CR LF and a bare CR each end a line, as for Nix.
fn line_starts(text: &[u8]) -> Vec<u32> {
    let mut starts = vec![0];
    for (index, byte) in text.iter().enumerate() {
        if *byte == b'\n' || (*byte == b'\r' && text.get(index + 1) != Some(&b'\n')) {
            starts.push(index as u32 + 1);
        }
    }
    starts
}
