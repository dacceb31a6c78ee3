//! Tokens, as Nix's lexer has them.
//!
//! `rnix` finds them. Where its lexer and Nix's differ, the text that it gets
//! is a copy of the same length with other bytes in their places, or its token
//! is taken apart here; what tokens say is read from the text itself.

use std::borrow::Cow;

use rnix::SyntaxKind::{self, *};

use super::SyntaxError;

/// A token that is neither blank nor comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: SyntaxKind,
    pub start: u32,
    pub end: u32,
}

pub(super) fn tokens(text: &[u8]) -> Result<Vec<Token>, SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError { message: "file is larger than 4 GiB".to_owned(), offset: 0 });
    }
    let readable = readable(text);
    // Code has four bytes to a token or more, and half of these are blanks.
    let mut tokens = Vec::with_capacity(readable.len() / 8);
    let mut start = 0u32;
    for (kind, token) in rnix::tokenize(&readable) {
        let end = start + token.len() as u32;
        match kind {
            TOKEN_COMMENT => {}
            TOKEN_WHITESPACE => foreign_blanks(token, start, &mut tokens),
            _ => tokens.push(Token { kind, start, end }),
        }
        start = end;
    }
    Ok(tokens)
}

/// The text as `rnix` should see it. A byte that makes no character becomes a
/// control character, which no program may hold outside strings and comments.
/// A carriage return becomes a line feed: both are blanks, and to Nix both end
/// a comment.
fn readable(text: &[u8]) -> Cow<'_, str> {
    let mut copy = match std::str::from_utf8(text) {
        Ok(text) if !text.contains('\r') => return Cow::Borrowed(text),
        Ok(text) => text.to_owned(),
        Err(_) => {
            let mut copy = String::with_capacity(text.len());
            for chunk in text.utf8_chunks() {
                copy.push_str(chunk.valid());
                copy.extend(chunk.invalid().iter().map(|_| '\u{1a}'));
            }
            copy
        }
    };
    if copy.contains('\r') {
        copy = copy.replace('\r', "\n");
    }
    Cow::Owned(copy)
}

/// Blanks other than space, tab and the ends of lines mean nothing to Nix.
fn foreign_blanks(blanks: &str, start: u32, tokens: &mut Vec<Token>) {
    for (index, blank) in blanks.char_indices() {
        if !matches!(blank, ' ' | '\t' | '\r' | '\n') {
            let start = start + index as u32;
            tokens.push(Token { kind: TOKEN_ERROR, start, end: start + blank.len_utf8() as u32 });
        }
    }
}
