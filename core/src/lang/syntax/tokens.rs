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
        return Err(SyntaxError::new("file is larger than 4 GiB", 0));
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
            TOKEN_FLOAT if lacks_fraction(token) => split_float(token, start, &mut tokens),
            TOKEN_PATH_SEARCH if !is_search_path(token) => {
                tokens.push(Token { kind: TOKEN_LESS, start, end: start + 1 });
                again(&token[1..], start + 1, &mut tokens);
            }
            TOKEN_PATH_ABS | TOKEN_PATH_REL => {
                // `.../x` begins with dots, not with an ellipsis.
                let mut first = Token { kind, start, end };
                while let Some(dots) =
                    tokens.pop_if(|last| last.kind == TOKEN_ELLIPSIS && last.end == first.start)
                {
                    first = Token { kind: TOKEN_PATH_REL, start: dots.start, end };
                }
                tokens.push(first);
            }
            _ => tokens.push(Token { kind, start, end }),
        }
        start = end;
    }
    if text.contains(&0) {
        end_at_null(text, &mut tokens);
    }
    Ok(tokens)
}

/// To Nix a program ends at a NUL that stands neither in a string nor in a
/// comment.
fn end_at_null(text: &[u8], tokens: &mut Vec<Token>) {
    let holds_null = |token: &Token| text[token.start as usize..token.end as usize].contains(&0);
    let outside = |token: &Token| token.kind != TOKEN_STRING_CONTENT && holds_null(token);
    if let Some(end) = tokens.iter().position(outside) {
        tokens.truncate(end);
    }
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

/// Whether a number begins with `0.` and no digit follows, which to Nix is
/// three tokens: `0.e5` selects `e5`.
fn lacks_fraction(float: &str) -> bool {
    float.strip_prefix("0.").is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn split_float(float: &str, start: u32, tokens: &mut Vec<Token>) {
    tokens.push(Token { kind: TOKEN_INTEGER, start, end: start + 1 });
    tokens.push(Token { kind: TOKEN_DOT, start: start + 1, end: start + 2 });
    again(&float[2..], start + 2, tokens);
}

/// `<a/b>`: names, one slash between two.
fn is_search_path(token: &str) -> bool {
    let inner = token.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or("");
    inner.split('/').all(|name| !name.is_empty())
}

/// A part of the text by itself, which is code without brackets or quotes.
fn again(text: &str, start: u32, tokens: &mut Vec<Token>) {
    let mut start = start;
    for (kind, token) in rnix::tokenize(text) {
        let end = start + token.len() as u32;
        tokens.push(Token { kind, start, end });
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = tokens(text.as_bytes()).expect("it is short");
        let found: Vec<String> = found
            .iter()
            .map(|token| format!("{:?} {}", token.kind, &text[token.start as usize..token.end as usize]))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn tokens_are_those_of_nix() {
        check("0.a", &["TOKEN_INTEGER 0", "TOKEN_DOT .", "TOKEN_IDENT a"]);
        check("0.e5 10.", &["TOKEN_INTEGER 0", "TOKEN_DOT .", "TOKEN_IDENT e5", "TOKEN_FLOAT 10."]);
        check("<a/b>", &["TOKEN_PATH_SEARCH <a/b>"]);
        check("</a>", &["TOKEN_LESS <", "TOKEN_PATH_ABS /a", "TOKEN_MORE >"]);
        check(".../x", &["TOKEN_PATH_REL .../x"]);
        check("....../x", &["TOKEN_PATH_REL ....../x"]);
        check("# a\r1", &["TOKEN_INTEGER 1"]);
        check("1\u{a0}2", &["TOKEN_INTEGER 1", "TOKEN_ERROR \u{a0}", "TOKEN_INTEGER 2"]);
    }
}
