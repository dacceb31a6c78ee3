//! `fromTOML`, for documents of TOML 1.0 without dates and times.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::{Builtin, Eval, Evaluator, Pos, Value};

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("fromTOML", 1, from_toml)];

fn from_toml(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_plain(args[0], pos)?;
    let Ok(text) = std::str::from_utf8(text) else {
        return e.refuse("while parsing TOML: the text is not UTF-8", pos);
    };
    match text.parse::<::toml::Table>() {
        Ok(table) => match newer_than_1_0(text) {
            None => table_value(e, &table, pos),
            Some((what, offset)) => {
                let line = 1 + text[..offset].matches('\n').count();
                e.refuse(format!("while parsing TOML: line {line}: {what} not allowed in TOML 1.0"), pos)
            }
        },
        Err(error) => e.refuse(format!("while parsing TOML: {error}"), pos),
    }
}

/// What of a well-formed document the library accepts since TOML 1.1 and Nix
/// does not, and where.
fn newer_than_1_0(text: &str) -> Option<(&'static str, usize)> {
    let mut open = Vec::new();
    let mut previous = TokenKind::Eof;
    for token in Source::new(text).lex() {
        let (kind, start) = (token.kind(), token.span().start());
        let in_table = open.last() == Some(&TokenKind::LeftCurlyBracket);
        match kind {
            TokenKind::LeftCurlyBracket | TokenKind::LeftSquareBracket => open.push(kind),
            TokenKind::RightCurlyBracket if previous == TokenKind::Comma => {
                return Some(("a comma before the end of an inline table is", start));
            }
            TokenKind::RightCurlyBracket | TokenKind::RightSquareBracket => drop(open.pop()),
            TokenKind::Newline | TokenKind::Comment if in_table => {
                return Some(("lines within an inline table are", start));
            }
            TokenKind::BasicString | TokenKind::MlBasicString => {
                let string = &text.as_bytes()[start..token.span().end()];
                if let Some(offset) = newer_escape(string) {
                    return Some(("the escapes \\e and \\x are", start + offset));
                }
            }
            _ => {}
        }
        if kind != TokenKind::Whitespace {
            previous = kind;
        }
    }
    None
}

fn newer_escape(string: &[u8]) -> Option<usize> {
    let mut offset = 0;
    while let Some(found) = string[offset..].iter().position(|byte| *byte == b'\\') {
        offset += found;
        if matches!(string.get(offset + 1), Some(b'e' | b'x')) {
            return Some(offset);
        }
        offset = string.len().min(offset + 2);
    }
    None
}

fn table_value(e: &mut Evaluator, table: &::toml::Table, pos: Pos) -> Eval {
    let mut entries = Vec::with_capacity(table.len());
    for (name, value) in table {
        let value = value_of(e, value, pos)?;
        check_text(e, name, pos)?;
        let name = e.symbols.intern(name.as_bytes());
        entries.push(e.attr(name, value));
    }
    Ok(e.attrs(entries))
}

fn check_text(e: &mut Evaluator, text: &str, pos: Pos) -> Eval<()> {
    if text.contains('\0') {
        let shown = text.replace('\0', "␀");
        let message = format!(
            "while parsing TOML: input string '{shown}' cannot be represented as Nix string because it \
             contains null bytes"
        );
        return e.refuse(message, pos);
    }
    Ok(())
}

fn value_of(e: &mut Evaluator, value: &::toml::Value, pos: Pos) -> Eval {
    e.check_stack(pos)?;
    Ok(match value {
        ::toml::Value::String(text) => {
            check_text(e, text, pos)?;
            e.string(text.as_bytes())
        }
        ::toml::Value::Integer(number) => Value::Int(*number),
        ::toml::Value::Float(number) => Value::Float(*number),
        ::toml::Value::Boolean(truth) => Value::Bool(*truth),
        ::toml::Value::Datetime(_) => {
            return e.refuse("while parsing TOML: Dates and times are not supported", pos);
        }
        ::toml::Value::Array(items) => {
            let items = items.iter().map(|item| value_of(e, item, pos)).collect::<Eval<Vec<_>>>()?;
            e.list(&items)
        }
        ::toml::Value::Table(table) => table_value(e, table, pos)?,
    })
}
