//! String literals: escapes, indentation, interpolation.
//!
//! The pieces of an indented string follow the chunks in which Nix's lexer
//! delivers them, because stripping looks at chunks: an escape ends the
//! indentation of its line even if it stands for a space.

use rnix::ast;
use rowan::ast::AstNode;

use super::{Lowered, Lowerer};
use crate::lang::code::Expr;

/// A part of a string literal.
pub(in crate::lang) enum Piece {
    Text { bytes: Vec<u8>, indents: bool },
    Code(ast::Interpol),
}

impl Piece {
    /// The bytes, none for code.
    pub(in crate::lang) fn text(&self) -> &[u8] {
        match self {
            Self::Text { bytes, .. } => bytes,
            Self::Code(_) => &[],
        }
    }
}

/// The parts of a literal that are not empty, escapes and indentation
/// resolved, and whether one of them is code. `original` holds the text's own
/// bytes where the tree is made of a stand-in.
pub(in crate::lang) fn string_pieces(string: &ast::Str, original: Option<&[u8]>) -> (Vec<Piece>, bool) {
    let mut indented = false;
    let mut first = true;
    let mut pieces = Vec::new();
    for child in string.syntax().children_with_tokens() {
        match child {
            rnix::NodeOrToken::Token(token) => match token.kind() {
                rnix::SyntaxKind::TOKEN_STRING_START => indented = token.text() == "''",
                rnix::SyntaxKind::TOKEN_STRING_CONTENT => {
                    let range = std::ops::Range::<usize>::from(token.text_range());
                    let own = original.and_then(|bytes| bytes.get(range));
                    let text = own.unwrap_or(token.text().as_bytes());
                    if indented {
                        let text = if first { skip_first_line(text) } else { text };
                        indented_chunks(text, &mut pieces);
                    } else {
                        pieces.push(Piece::Text { bytes: unescape(text), indents: true });
                    }
                    first = false;
                }
                _ => {}
            },
            rnix::NodeOrToken::Node(node) => {
                let Some(interpol) = ast::Interpol::cast(node) else { continue };
                pieces.push(Piece::Code(interpol));
                first = false;
            }
        }
    }
    if indented {
        strip_indentation(&mut pieces);
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text { bytes, .. } if bytes.is_empty()));
    let has_code = pieces.iter().any(|piece| matches!(piece, Piece::Code(_)));
    (pieces, has_code)
}

impl Lowerer<'_> {
    pub(super) fn string_expr(&mut self, string: &ast::Str) -> Lowered<&'static Expr> {
        let pos = self.pos(string.syntax());
        let (pieces, has_code) = string_pieces(string, self.around.original);
        let mut parts: Vec<&'static Expr> = Vec::new();
        let mut text: Vec<u8> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text { bytes, .. } => text.extend_from_slice(&bytes),
                Piece::Code(code) => {
                    if !text.is_empty() {
                        parts.push(self.constant(self.string(&text)));
                        text.clear();
                    }
                    parts.push(self.required(code.expr(), code.syntax())?);
                }
            }
        }
        if !has_code {
            return Ok(self.constant(self.string(&text)));
        }
        if !text.is_empty() {
            parts.push(self.constant(self.string(&text)));
        }
        Ok(self.put(Expr::Interpolate { parts: self.heap().slice(&parts), path: false, pos }))
    }
}

/// Escapes of `"…"`; CR and CR LF become LF.
fn unescape(text: &[u8]) -> Vec<u8> {
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
    out
}

/// Text after the opening quotes is dropped up to the line's end if it is
/// only spaces.
fn skip_first_line(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text[spaces..].strip_prefix(b"\n").unwrap_or(text)
}

/// Cuts the raw text of `''…''` where Nix's lexer does.
fn indented_chunks(text: &[u8], pieces: &mut Vec<Piece>) {
    let mut plain = Vec::new();
    let mut i = 0;
    let flush = |plain: &mut Vec<u8>, pieces: &mut Vec<Piece>| {
        if !plain.is_empty() {
            pieces.push(Piece::Text { bytes: std::mem::take(plain), indents: true });
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
                flush(&mut plain, pieces);
                let (bytes, length) = match text.get(i + 2) {
                    Some(b'$') => (b"$".to_vec(), 3),
                    Some(b'\'') => (b"''".to_vec(), 3),
                    Some(b'\\') => match text.get(i + 3) {
                        Some(escaped) => (unescape(&[b'\\', *escaped]), 4),
                        None => (Vec::new(), 3),
                    },
                    _ => (b"''".to_vec(), 2),
                };
                pieces.push(Piece::Text { bytes, indents: false });
                i += length;
            }
            (byte @ (b'$' | b'\''), _) => {
                flush(&mut plain, pieces);
                pieces.push(Piece::Text { bytes: vec![byte], indents: false });
                i += 1;
            }
            (byte, _) => {
                plain.push(byte);
                i += 1;
            }
        }
    }
    flush(&mut plain, pieces);
}

fn strip_indentation(pieces: &mut [Piece]) {
    let indentation = least_indentation(pieces);
    let mut at_start = true;
    let mut dropped = 0;
    let last = pieces.len().wrapping_sub(1);
    for (index, piece) in pieces.iter_mut().enumerate() {
        let Piece::Text { bytes, .. } = piece else {
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
        *bytes = kept;
    }
}

fn least_indentation(pieces: &[Piece]) -> usize {
    let mut least = usize::MAX;
    let mut current = 0;
    let mut at_start = true;
    for piece in pieces {
        match piece {
            Piece::Text { bytes, indents: true } => {
                for byte in bytes {
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
