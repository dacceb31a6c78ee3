//! A repository in one file, as `osbuild repo export` writes it: read where it
//! lies, a file of it from any byte on, so that what a web server can give can
//! be had from it, too.
//!
//! The form is tar (POSIX.1-2017 pax(1), "ustar Interchange Format") with GNU's
//! long names (type `L`), and of that what an export has: regular files below
//! `metadata/` and `targets/`, each once. Everything else is refused, links,
//! devices, other paths and extensions among them, so that there is nothing
//! whose meaning two readers could differ about. Whether its contents may be
//! believed is The Update Framework's to say, as it is for any server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_tuf::client::Failure;

use crate::http::Part;

const BLOCK: usize = 512;
/// Of an archive: a whole repository has some hundreds.
const MOST_FILES: usize = 100_000;
const MOST_NAME_BYTES: u64 = 1024;

/// What is wrong with a file that should be an export.
#[derive(Debug)]
pub enum BadArchive {
    Io(PathBuf, io::Error),
    /// At which byte, and what.
    Form(PathBuf, u64, String),
}

impl std::fmt::Display for BadArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Form(path, at, what) => {
                write!(f, "{} is no export of a repository: {what} (at byte {at})", path.display())
            }
        }
    }
}

impl std::error::Error for BadArchive {}

/// Where a file's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    start: u64,
    length: u64,
}

/// The files of an export, by their names.
///
/// # Invariants
/// Each extent lies within the file, as long as nobody shortens it.
#[derive(Clone, Debug)]
pub struct Archive {
    file: Arc<File>,
    length: u64,
    files: BTreeMap<String, Extent>,
}

impl Archive {
    /// Reads the headers of all files.
    ///
    /// # Errors
    /// It cannot be read, ends early, or holds something that an export does
    /// not.
    pub fn open(path: &Path) -> Result<Self, BadArchive> {
        let io = |error| BadArchive::Io(path.to_owned(), error);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let read = |at: u64, bytes: &mut [u8]| file.read_exact_at(bytes, at).map_err(io);
        let bad = |at: u64, what: String| BadArchive::Form(path.to_owned(), at, what);
        let mut files = BTreeMap::new();
        let (mut at, mut long_name) = (0, None);
        loop {
            if length.saturating_sub(at) < BLOCK as u64 {
                return Err(bad(at, "it ends early".to_owned()));
            }
            let mut block = [0; BLOCK];
            read(at, &mut block)?;
            if block == [0; BLOCK] {
                break;
            }
            let header = Header::parse(&block).map_err(|what| bad(at, what.to_owned()))?;
            let start = at + BLOCK as u64;
            let padded = header.size.checked_next_multiple_of(BLOCK as u64);
            let next = padded.and_then(|padded| start.checked_add(padded)).filter(|next| *next <= length);
            let next = next.ok_or_else(|| bad(at, format!("'{}' goes on behind the end", header.name)))?;
            match (header.kind, long_name.take()) {
                (b'L', None) if header.size <= MOST_NAME_BYTES => {
                    let mut name = vec![0; header.size as usize];
                    read(start, &mut name)?;
                    // Most writers end it so, and none with more.
                    if name.last() == Some(&0) {
                        name.pop();
                    }
                    let name =
                        String::from_utf8(name).map_err(|_| bad(at, "a name is no text".to_owned()))?;
                    long_name = Some(name);
                }
                (b'0' | 0, long) => {
                    let name = long.unwrap_or(header.name);
                    if !is_of_an_export(&name) {
                        return Err(bad(at, format!("it holds '{}'", name.escape_debug())));
                    }
                    let extent = Extent { start, length: header.size };
                    if files.insert(name.clone(), extent).is_some() {
                        return Err(bad(at, format!("it holds '{name}' twice")));
                    }
                }
                (kind, _) => {
                    let kind = char::from(kind).escape_debug();
                    return Err(bad(at, format!("'{}' is of type '{kind}'", header.name.escape_debug())));
                }
            }
            if files.len() > MOST_FILES {
                return Err(bad(at, format!("it holds more than {MOST_FILES} files")));
            }
            at = next;
        }
        // What stands behind the end nobody reads.
        if long_name.is_some() {
            return Err(bad(at, "it ends after a name".to_owned()));
        }
        Ok(Self { file: Arc::new(file), length, files })
    }

    /// Of the whole file.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A file, or a part of it; `None` if there is none of that name.
    ///
    /// # Errors
    /// In words, what a server would be blamed for: more than is due, or less.
    pub fn open_part(&self, name: &str, part: Part) -> Option<Result<Stretch, String>> {
        let Extent { start, length } = *self.files.get(name)?;
        let (from, to) = match part {
            Part::From { start, limit } if length.saturating_sub(start) > limit => {
                return Some(Err(format!("{name}: more than the {limit} bytes that are due")));
            }
            Part::From { start, .. } => (start.min(length), length),
            Part::Exactly { end, .. } if end > length => {
                return Some(Err(format!("{name}: it ends {} bytes early", end - length)));
            }
            Part::Exactly { start, end } => (start.min(end), end),
        };
        Some(Ok(Stretch { file: Arc::clone(&self.file), at: start + from, end: start + to }))
    }
}

/// Bytes of an archive, in order.
#[derive(Debug)]
pub struct Stretch {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Archive {
    /// A file of metadata, as `Transport::metadata` gives it.
    ///
    /// # Errors
    /// It is longer than `limit`, or cannot be read.
    pub fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let Some(opened) = self.open_part(&format!("metadata/{name}"), Part::From { start: 0, limit }) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        opened?.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn is_of_an_export(name: &str) -> bool {
    let Some(("metadata" | "targets", file)) = name.split_once('/') else { return false };
    !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0'])
}

/// One header block.
struct Header {
    name: String,
    size: u64,
    kind: u8,
}

impl Header {
    fn parse(block: &[u8; BLOCK]) -> Result<Self, &'static str> {
        let is_posix = match &block[257..265] {
            b"ustar\x0000" => true,
            // GNU's writers, in the headers of long names.
            b"ustar  \0" => false,
            _ => return Err("a header has no magic"),
        };
        let stated = octal(&block[148..156]).ok_or("a header has no checksum")?;
        let as_blank =
            |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) };
        if block.iter().enumerate().map(as_blank).sum::<u64>() != stated {
            return Err("a header's checksum is wrong");
        }
        let text = |range: std::ops::Range<usize>| {
            let bytes = &block[range];
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            std::str::from_utf8(&bytes[..end]).map_err(|_| "a name is no text")
        };
        let (name, prefix) = (text(0..100)?, if is_posix { text(345..500)? } else { "" });
        let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let size = octal(&block[124..136]).ok_or("a header has no size")?;
        Ok(Self { name, size, kind: block[156] })
    }
}

/// Digits of base eight, with blanks around them and zeros behind.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_start_matches(' ').trim_end_matches(['\0', ' ']);
    if text.is_empty() || !text.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
        return None;
    }
    u64::from_str_radix(text, 8).ok()
}
