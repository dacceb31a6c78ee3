//! Strings and paths: text with code in it.

use rnix::SyntaxKind::*;

use super::{Parsed, Parser, close};
use crate::lang::syntax::SyntaxError;
use crate::lang::syntax::tree::*;

impl Parser<'_, '_> {
    pub(super) fn interpolation(&mut self) -> Parsed {
        self.at += 1;
        let code = self.expr()?;
        if !self.take(TOKEN_INTERPOL_END) {
            self.expect(TOKEN_R_BRACE, "'}'")?;
        }
        Ok(code)
    }

    pub(super) fn string(&mut self) -> Parsed {
        let opening = self.at;
        let start = self.start();
        let indented = self.token_text(opening) != b"\"";
        self.at += 1;
        let mark = self.open.pieces.len();
        loop {
            match self.kind() {
                Some(TOKEN_STRING_CONTENT) => {
                    if let Some(message) = null_in_string(self.token_text(self.at), indented) {
                        return Err(SyntaxError::new(message, self.start()));
                    }
                    self.at += 1;
                    self.open.pieces.push(Piece::Text(self.stepped_over()));
                }
                Some(TOKEN_INTERPOL_START) => {
                    let code = self.interpolation()?;
                    self.open.pieces.push(Piece::Code(code));
                }
                Some(TOKEN_STRING_END) => {
                    self.at += 1;
                    let pieces = close(&mut self.open.pieces, mark, &mut self.tree.lists.pieces);
                    return Ok(self.add(Kind::Str { indented, pieces }, start));
                }
                // The text ended first; where the string began says more.
                _ => {
                    let expecting = if indented {
                        "indented string or '${' or end of an indented string"
                    } else {
                        "'\"'"
                    };
                    let message = format!("syntax error, unexpected end of file, expecting {expecting}");
                    return Err(SyntaxError::new(message, start));
                }
            }
        }
    }

    /// A path's pieces follow each other without blanks.
    pub(super) fn path(&mut self, kind: PathKind) -> Parsed {
        let start = self.start();
        let mark = self.open.pieces.len();
        self.at += 1;
        self.open.pieces.push(Piece::Text(self.stepped_over()));
        loop {
            let next = if self.start() == self.end() { self.kind() } else { None };
            match next {
                Some(TOKEN_INTERPOL_START) => {
                    let code = self.interpolation()?;
                    self.open.pieces.push(Piece::Code(code));
                }
                Some(TOKEN_PATH_ABS | TOKEN_PATH_REL | TOKEN_PATH_HOME) => {
                    self.at += 1;
                    self.open.pieces.push(Piece::Text(self.stepped_over()));
                }
                Some(TOKEN_ERROR) => match self.trailing_slash() {
                    Some(error) => return Err(error),
                    None => break,
                },
                _ => break,
            }
        }
        let pieces = close(&mut self.open.pieces, mark, &mut self.tree.lists.pieces);
        Ok(self.add(Kind::Path { kind, pieces }, start))
    }
}

/// What is wrong with a string that holds a NUL, unless it is escaped.
fn null_in_string(piece: &[u8], indented: bool) -> Option<String> {
    if !piece.contains(&0) {
        return None;
    }
    let escape: &[u8] = if indented { b"''\\" } else { b"\\" };
    let mut rest = piece;
    while let Some(first) = rest.first() {
        if rest.starts_with(escape) {
            rest = &rest[rest.len().min(escape.len() + 1)..];
        } else if *first == 0 {
            let shown = String::from_utf8_lossy(piece).replace('\0', "␀");
            return Some(format!(
                "input string '{shown}' cannot be represented as Nix string because it contains null bytes"
            ));
        } else {
            rest = &rest[1..];
        }
    }
    None
}
