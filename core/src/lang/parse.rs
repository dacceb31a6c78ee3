//! From text to `rnix`'s tree, or to a message that says where it stops.
//!
//! `rnix` recurses over the text, so nesting is bounded here first: whatever
//! the input, the parser's own stack lasts. (Its time is quadratic in the
//! length of a single chain such as `f x x x …`; ten thousand links take half
//! a second, and no one writes them.)

use rnix::ast::Root;
use rnix::{ParseError, SyntaxKind, TextRange};

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

pub(super) fn parse(text: &str) -> Result<Root, SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError { message: "file is larger than 4 GiB".to_owned(), offset: 0 });
    }
    let normalised = end_comments_at_bare_cr(text);
    let text = normalised.as_deref().unwrap_or(text);
    check_nesting(text)?;
    let parse = Root::parse(text);
    if let Some(error) = parse.errors().first() {
        return Err(describe(error, text));
    }
    Ok(parse.tree())
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

fn check_nesting(text: &str) -> Result<(), SyntaxError> {
    use SyntaxKind::*;
    let (mut depth, mut chain, mut offset) = (0usize, 0usize, 0u32);
    let mut previous_prefix = 0usize;
    for (kind, token) in rnix::tokenize(text) {
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
            return Err(SyntaxError { message: "expression is nested too deeply".to_owned(), offset });
        }
        offset += token.len() as u32;
    }
    Ok(())
}

fn describe(error: &ParseError, text: &str) -> SyntaxError {
    let end = text.trim_end().len() as u32;
    let at = |range: &TextRange, expected: &str| {
        let start = usize::from(range.start());
        let rest = text.get(start..).unwrap_or("");
        let skipped = rest.len() - rest.trim_start().len();
        let token = rnix::tokenize(&rest[skipped..]).next().map_or("", |(_, token)| token);
        let found = if token.is_empty() {
            "end of file".to_owned()
        } else {
            format!("'{}'", token.chars().take(40).collect::<String>())
        };
        SyntaxError {
            message: format!("syntax error, unexpected {found}{expected}"),
            offset: (start + skipped) as u32,
        }
    };
    match error {
        ParseError::UnexpectedWanted(_, range, wanted) if wanted.contains(&SyntaxKind::TOKEN_STRING_END) => {
            SyntaxError {
                message: "syntax error, unexpected end of file, expecting '\"'".to_owned(),
                offset: string_start(text, range.start().into()),
            }
        }
        ParseError::Unexpected(range) | ParseError::UnexpectedExtra(range) => at(range, ""),
        ParseError::UnexpectedWanted(_, range, wanted) => at(range, &expecting(wanted)),
        ParseError::UnexpectedDoubleBind(range) => at(range, ""),
        ParseError::UnexpectedEOF => {
            SyntaxError { message: "syntax error, unexpected end of file".to_owned(), offset: end }
        }
        ParseError::UnexpectedEOFWanted(wanted) => SyntaxError {
            message: format!("syntax error, unexpected end of file{}", expecting(wanted)),
            offset: end,
        },
        ParseError::DuplicatedArgs(range, name) => SyntaxError {
            message: format!("duplicate formal function argument '{name}'"),
            offset: range.start().into(),
        },
        ParseError::RecursionLimitExceeded => {
            SyntaxError { message: "expression is nested too deeply".to_owned(), offset: end }
        }
        other => SyntaxError { message: format!("syntax error, {other}"), offset: end },
    }
}

/// Where the string begins that the text never ends.
fn string_start(text: &str, end: usize) -> u32 {
    let (mut offset, mut open) = (0, Vec::new());
    for (kind, token) in rnix::tokenize(text) {
        match kind {
            SyntaxKind::TOKEN_STRING_START => open.push(offset),
            SyntaxKind::TOKEN_STRING_END => drop(open.pop()),
            _ => {}
        }
        offset += token.len() as u32;
        if offset as usize > end {
            break;
        }
    }
    open.pop().unwrap_or(end as u32)
}

fn expecting(wanted: &[SyntaxKind]) -> String {
    use SyntaxKind::*;
    let mut names: Vec<&str> = wanted
        .iter()
        .map(|kind| match kind {
            TOKEN_SEMICOLON => "';'",
            TOKEN_COLON => "':'",
            TOKEN_ASSIGN => "'='",
            TOKEN_L_BRACE => "'{'",
            TOKEN_R_BRACE => "'}'",
            TOKEN_L_PAREN => "'('",
            TOKEN_R_PAREN => "')'",
            TOKEN_L_BRACK => "'['",
            TOKEN_R_BRACK => "']'",
            TOKEN_INTERPOL_END => "'}'",
            TOKEN_INTERPOL_START => "'${'",
            TOKEN_STRING_START => "a string",
            TOKEN_STRING_END => "the end of the string",
            TOKEN_STRING_CONTENT => "text",
            TOKEN_IDENT => "a name",
            TOKEN_OR => "'or'",
            TOKEN_IN => "'in'",
            TOKEN_THEN => "'then'",
            TOKEN_ELSE => "'else'",
            TOKEN_ELLIPSIS => "'...'",
            TOKEN_REC => "'rec'",
            TOKEN_AT => "'@'",
            TOKEN_QUESTION => "'?'",
            TOKEN_COMMA => "','",
            _ => "",
        })
        .filter(|name| !name.is_empty())
        .collect();
    names.dedup();
    if names.is_empty() { String::new() } else { format!(", expecting {}", names.join(" or ")) }
}
