//! String literals: escapes, indentation, interpolation.
//!
//! The parts of an indented string follow the chunks in which Nix's lexer
//! delivers them, because stripping looks at chunks: an escape ends the
//! indentation of its line even if it stands for a space.

use std::borrow::Cow;

use super::{Lowered, Lowerer};
use crate::lang::code::Expr;
use crate::lang::source::Pos;
use crate::lang::syntax::{NodeId, Piece, Tree};

/// A part of a string literal.
pub(in crate::lang) enum Part<'t> {
    Text { bytes: Cow<'t, [u8]>, indents: bool },
    Code(NodeId),
}

impl Part<'_> {
    /// The bytes, none for code.
    pub(in crate::lang) fn text(&self) -> &[u8] {
        match self {
            Self::Text { bytes, .. } => bytes,
            Self::Code(_) => &[],
        }
    }
}

/// The parts of a literal that are not empty, escapes and indentation
/// resolved, and whether one of them is code.
pub(in crate::lang) fn string_parts<'t>(
    tree: &Tree<'t>,
    indented: bool,
    pieces: &[Piece],
) -> (Vec<Part<'t>>, bool) {
    let mut has_code = false;
    let mut parts = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(place) if indented => {
                let text = tree.at(*place);
                indented_chunks(if index == 0 { skip_first_line(text) } else { text }, &mut parts);
            }
            Piece::Text(place) => {
                parts.push(Part::Text { bytes: unescape(tree.at(*place)), indents: true });
            }
            Piece::Code(code) => {
                has_code = true;
                parts.push(Part::Code(*code));
            }
        }
    }
    if indented {
        strip_indentation(&mut parts);
    }
    parts.retain(|part| !matches!(part, Part::Text { bytes, .. } if bytes.is_empty()));
    (parts, has_code)
}

impl<'a> Lowerer<'a> {
    pub(super) fn string_expr(&mut self, indented: bool, pieces: &[Piece], pos: Pos) -> Lowered {
        if let Some(text) = self.literal_text(indented, pieces) {
            return Ok(self.constant(self.string(&text)));
        }
        let mut codes: Vec<&'static Expr> = Vec::with_capacity(pieces.len());
        let mut text: Vec<u8> = Vec::new();
        let (parts, _) = string_parts(self.tree, indented, pieces);
        for part in parts {
            match part {
                Part::Text { bytes, .. } => text.extend_from_slice(&bytes),
                Part::Code(code) => {
                    if !text.is_empty() {
                        codes.push(self.constant(self.string(&text)));
                        text.clear();
                    }
                    codes.push(self.expr(code)?);
                }
            }
        }
        if !text.is_empty() {
            codes.push(self.constant(self.string(&text)));
        }
        Ok(self.put(Expr::Interpolate { parts: self.heap().slice(&codes), path: false, pos }))
    }

    /// The text of a literal without interpolation.
    pub(super) fn literal_text(&self, indented: bool, pieces: &[Piece]) -> Option<Cow<'a, [u8]>> {
        if let (false, [Piece::Text(place)]) = (indented, pieces) {
            return Some(unescape(self.tree.at(*place)));
        }
        if pieces.iter().any(|piece| matches!(piece, Piece::Code(_))) {
            return None;
        }
        let (parts, _) = string_parts(self.tree, indented, pieces);
        Some(Cow::Owned(parts.iter().flat_map(|part| part.text().iter().copied()).collect()))
    }
}

/// Escapes of `"…"`; CR and CR LF become LF.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'\\' | b'\r')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b'r') => out.push(b'\r'),
                Some(b't') => out.push(b'\t'),
                Some(other) => out.push(other),
                None => {}
            },
            b'\r' => {
                out.push(b'\n');
                if bytes.peek() == Some(&b'\n') {
                    bytes.next();
                }
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Text after the opening quotes is dropped up to the line's end if it is
/// only spaces.
fn skip_first_line(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text[spaces..].strip_prefix(b"\n").unwrap_or(text)
}

/// Cuts the raw text of `''…''` where Nix's lexer does.
fn indented_chunks(text: &[u8], parts: &mut Vec<Part<'_>>) {
    let mut plain = Vec::new();
    let mut i = 0;
    let flush = |plain: &mut Vec<u8>, parts: &mut Vec<Part<'_>>| {
        if !plain.is_empty() {
            parts.push(Part::Text { bytes: Cow::Owned(std::mem::take(plain)), indents: true });
        }
    };
    while i < text.len() {
        let next = text.get(i + 1).copied();
        match (text[i], next) {
            (b'$', Some(n)) if n != b'{' && n != b'\'' => {
                plain.extend_from_slice(&text[i..i + 2]);
                i += 2;
            }
            (b'\'', Some(n)) if n != b'\'' && n != b'$' => {
                plain.extend_from_slice(&text[i..i + 2]);
                i += 2;
            }
            (b'\'', Some(b'\'')) => {
                flush(&mut plain, parts);
                let (bytes, length) = match text.get(i + 2) {
                    Some(b'$') => (b"$".to_vec(), 3),
                    Some(b'\'') => (b"''".to_vec(), 3),
                    Some(b'\\') => match text.get(i + 3) {
                        Some(escaped) => (unescape(&[b'\\', *escaped]).into_owned(), 4),
                        None => (Vec::new(), 3),
                    },
                    _ => (b"''".to_vec(), 2),
                };
                parts.push(Part::Text { bytes: Cow::Owned(bytes), indents: false });
                i += length;
            }
            (byte @ (b'$' | b'\''), _) => {
                flush(&mut plain, parts);
                parts.push(Part::Text { bytes: Cow::Owned(vec![byte]), indents: false });
                i += 1;
            }
            (byte, _) => {
                plain.push(byte);
                i += 1;
            }
        }
    }
    flush(&mut plain, parts);
}

fn strip_indentation(parts: &mut [Part<'_>]) {
    let indentation = least_indentation(parts);
    let mut at_start = true;
    let mut dropped = 0;
    let last = parts.len().wrapping_sub(1);
    for (index, part) in parts.iter_mut().enumerate() {
        let Part::Text { bytes, .. } = part else {
            at_start = false;
            dropped = 0;
            continue;
        };
        let mut kept = Vec::with_capacity(bytes.len());
        for byte in bytes.iter().copied() {
            if at_start {
                match byte {
                    b' ' => {
                        if dropped >= indentation {
                            kept.push(byte);
                        }
                        dropped += 1;
                    }
                    b'\n' => {
                        dropped = 0;
                        kept.push(byte);
                    }
                    _ => {
                        at_start = false;
                        dropped = 0;
                        kept.push(byte);
                    }
                }
            } else {
                kept.push(byte);
                at_start = byte == b'\n';
            }
        }
        if index == last {
            // A last line of nothing but spaces goes.
            if let Some(newline) = kept.iter().rposition(|b| *b == b'\n')
                && kept[newline + 1..].iter().all(|b| *b == b' ')
            {
                kept.truncate(newline + 1);
            }
        }
        *bytes = Cow::Owned(kept);
    }
}

fn least_indentation(parts: &[Part<'_>]) -> usize {
    let mut least = usize::MAX;
    let mut current = 0;
    let mut at_start = true;
    for part in parts {
        match part {
            Part::Text { bytes, indents: true } => {
                for byte in bytes.iter() {
                    if at_start {
                        match byte {
                            b' ' => current += 1,
                            b'\n' => current = 0,
                            _ => {
                                at_start = false;
                                least = least.min(current);
                            }
                        }
                    } else if *byte == b'\n' {
                        at_start = true;
                        current = 0;
                    }
                }
            }
            _ => {
                if at_start {
                    at_start = false;
                    least = least.min(current);
                }
            }
        }
    }
    least
}
