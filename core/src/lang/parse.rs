//! From text to `rnix`'s tree, or to a message that says where it stops.
//!
//! `rnix` recurses over the text, so nesting is bounded here first: whatever
//! the input, the parser's own stack lasts. What would take it quadratic time
//! is spaced out (see `spacing`).

use super::grammar::Token;
use rnix::ast::Root;
use rnix::{ParseError, SyntaxKind};

use super::spacing::{self, Spacing};

/// A text that is no program.
pub(super) struct SyntaxError {
    pub message: String,
    /// Byte offset.
    pub offset: u32,
}

/// Brackets, strings and operators that nest, each of which costs the parser
/// and the lowering pass a few frames of stack.
const NESTING_MAXIMUM: usize = 20_000;
/// Operators whose chains lean to the right, in one text.
const CHAIN_MAXIMUM: usize = 200_000;

/// The tree of a text, whose offsets are those of the text.
pub(super) fn parse(text: &str) -> Result<Root, SyntaxError> {
    parse_with(text, |_| None).map(|(root, _)| root)
}

/// As [`parse`], in linear time also for long chains; `Spacing` turns the
/// tree's offsets into those of the text.
pub(super) fn parse_spaced(text: &str) -> Result<(Root, Spacing), SyntaxError> {
    parse_with(text, spacing::space)
}

fn parse_with(
    text: &str,
    space: impl Fn(&str) -> Option<(String, Spacing)>,
) -> Result<(Root, Spacing), SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError { message: "file is larger than 4 GiB".to_owned(), offset: 0 });
    }
    let normalised = end_comments_at_bare_cr(text);
    let text = normalised.as_deref().unwrap_or(text);
    super::grammar::check(&tokens(text)?, text)?;
    let (spaced, spacing) = match space(text) {
        Some((spaced, spacing)) => (Some(spaced), spacing),
        None => (None, Spacing::default()),
    };
    let parse = Root::parse(spaced.as_deref().unwrap_or(text));
    if let Some(error) = parse.errors().first() {
        let error = not_read(error);
        return Err(SyntaxError { offset: spacing.original(error.offset), ..error });
    }
    Ok((parse.tree(), spacing))
}

/// Whether a program stops too early, so that further lines may complete it.
pub fn is_unfinished(text: &str) -> bool {
    tokens(text)
        .and_then(|tokens| super::grammar::check(&tokens, text))
        .is_err_and(|error| error.message.contains("unexpected end of file"))
}

/// Whether the tokens of a text make a program; its names may still be wrong.
pub fn is_program(text: &str) -> bool {
    tokens(text).and_then(|tokens| super::grammar::check(&tokens, text)).is_ok()
}

/// The text of a program that is not UTF-8: each byte that makes no character
/// becomes a control character, which no program may hold outside strings and
/// comments. Offsets stay true.
pub(super) fn stand_in(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        if chunk.invalid().is_empty() && text.is_empty() {
            return std::borrow::Cow::Borrowed(chunk.valid());
        }
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{1a}'));
    }
    std::borrow::Cow::Owned(text)
}

/// Nix ends a `#` comment at a carriage return, `rnix` only at a line feed.
/// The copy has the same length, so offsets stay true.
fn end_comments_at_bare_cr(text: &str) -> Option<String> {
    if !text.contains('\r') {
        return None;
    }
    let mut copy = text.to_owned();
    loop {
        let mut offset = 0;
        let mut found = None;
        for (kind, token) in rnix::tokenize(&copy) {
            if kind == SyntaxKind::TOKEN_COMMENT
                && token.starts_with('#')
                && let Some(index) = token.trim_end_matches('\r').find('\r')
            {
                found = Some(offset + index);
                break;
            }
            offset += token.len();
        }
        let index = found?;
        copy.replace_range(index..=index, "\n");
        if !copy[index + 1..].contains('\r') {
            return Some(copy);
        }
        if !needs_more(&copy) {
            return Some(copy);
        }
    }
}

fn needs_more(text: &str) -> bool {
    rnix::tokenize(text).any(|(kind, token)| {
        kind == SyntaxKind::TOKEN_COMMENT
            && token.starts_with('#')
            && token.trim_end_matches('\r').contains('\r')
    })
}

/// The tokens that mean something, unless they nest too deeply.
fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    use SyntaxKind::*;
    let mut tokens = Vec::with_capacity(text.len() / 4);
    let (mut depth, mut chain, mut start) = (0usize, 0usize, 0u32);
    let mut previous_prefix = 0usize;
    for (kind, token) in rnix::tokenize(text) {
        let end = start + token.len() as u32;
        match kind {
            TOKEN_L_BRACK | TOKEN_L_BRACE | TOKEN_L_PAREN | TOKEN_INTERPOL_START => depth += 1,
            TOKEN_R_BRACK | TOKEN_R_BRACE | TOKEN_R_PAREN | TOKEN_INTERPOL_END => {
                depth = depth.saturating_sub(1);
            }
            TOKEN_CONCAT | TOKEN_UPDATE | TOKEN_IMPLICATION | TOKEN_PIPE_LEFT => chain += 1,
            _ => {}
        }
        if matches!(kind, TOKEN_SUB | TOKEN_INVERT) {
            previous_prefix += 1;
        } else if !kind.is_trivia() {
            previous_prefix = 0;
        }
        if depth + previous_prefix > NESTING_MAXIMUM || chain > CHAIN_MAXIMUM {
            let message = "expression is nested too deeply".to_owned();
            return Err(SyntaxError { message, offset: start });
        }
        if !kind.is_trivia() {
            tokens.push(Token { kind, start, end });
        }
        start = end;
    }
    Ok(tokens)
}

/// The grammar has accepted the text, so what is left are forms that only Nix
/// reads: an old `let { … }` or a `!` as a bare operand.
fn not_read(error: &ParseError) -> SyntaxError {
    let offset = match error {
        ParseError::Unexpected(range)
        | ParseError::UnexpectedExtra(range)
        | ParseError::UnexpectedWanted(_, range, _)
        | ParseError::UnexpectedDoubleBind(range)
        | ParseError::DuplicatedArgs(range, _) => range.start().into(),
        _ => 0,
    };
    let message = match error {
        ParseError::DuplicatedArgs(_, name) => format!("duplicate formal function argument '{name}'"),
        ParseError::RecursionLimitExceeded => "expression is nested too deeply".to_owned(),
        _ => "syntax error, this operand needs parentheses around it".to_owned(),
    };
    SyntaxError { message, offset }
}
