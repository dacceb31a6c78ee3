//! Bracket expressions, `[…]` (POSIX 9.3.5, as libstdc++'s `_Scanner` reads
//! them).

use super::compile::{Bytes, CompileError};

enum Token {
    Char(u8),
    Dash,
    Collating(Vec<u8>),
    Equivalence(Vec<u8>),
    Class(Vec<u8>),
    End,
}

/// What the token before was, since a dash after it may make a range.
enum Last {
    Nothing,
    Char(u8),
    Class,
}

pub(super) fn parse(pattern: &[u8], offset: &mut usize) -> Result<Bytes, CompileError> {
    let negated = pattern.get(*offset) == Some(&b'^');
    if negated {
        *offset += 1;
    }
    let mut set = Box::new([false; 256]);
    let mut at_start = true;
    let mut last = Last::Nothing;
    let mut pending = Some(token(pattern, offset, &mut at_start)?);
    if let Some(Token::Dash) = pending {
        last = Last::Char(b'-');
        pending = None;
    }
    loop {
        let current = match pending.take() {
            Some(token) => token,
            None => token(pattern, offset, &mut at_start)?,
        };
        match current {
            Token::End => break,
            Token::Char(byte) => push(&mut set, &mut last, Last::Char(byte)),
            Token::Collating(name) => {
                let byte = collating(&name).ok_or(CompileError::Invalid)?;
                push(&mut set, &mut last, Last::Char(byte));
            }
            Token::Equivalence(name) => {
                let byte = collating(&name).ok_or(CompileError::Invalid)?;
                push(&mut set, &mut last, Last::Class);
                set[usize::from(byte.to_ascii_lowercase())] = true;
                set[usize::from(byte.to_ascii_uppercase())] = true;
            }
            Token::Class(name) => {
                push(&mut set, &mut last, Last::Class);
                let holds = class(&name).ok_or(CompileError::Invalid)?;
                for byte in 0..=255u8 {
                    if holds(byte) {
                        set[usize::from(byte)] = true;
                    }
                }
            }
            Token::Dash => match token(pattern, offset, &mut at_start)? {
                Token::End => {
                    push(&mut set, &mut last, Last::Char(b'-'));
                    break;
                }
                next => {
                    let Last::Char(from) = last else { return Err(CompileError::Invalid) };
                    let to = match next {
                        Token::Char(byte) => byte,
                        Token::Dash => b'-',
                        _ => return Err(CompileError::Invalid),
                    };
                    range(&mut set, from, to)?;
                    last = Last::Nothing;
                }
            },
        }
    }
    push(&mut set, &mut last, Last::Nothing);
    if negated {
        for member in set.iter_mut() {
            *member = !*member;
        }
    }
    Ok(set)
}

fn push(set: &mut Bytes, last: &mut Last, next: Last) {
    if let Last::Char(byte) = last {
        set[usize::from(*byte)] = true;
    }
    *last = next;
}

/// Bytes compare as the signed characters that they are on x86.
fn range(set: &mut Bytes, from: u8, to: u8) -> Result<(), CompileError> {
    let (from, to) = (from as i8, to as i8);
    if from > to {
        return Err(CompileError::Invalid);
    }
    for byte in from..=to {
        set[usize::from(byte as u8)] = true;
    }
    Ok(())
}

fn token(pattern: &[u8], offset: &mut usize, at_start: &mut bool) -> Result<Token, CompileError> {
    let byte = *pattern.get(*offset).ok_or(CompileError::Invalid)?;
    *offset += 1;
    let start = std::mem::replace(at_start, false);
    Ok(match byte {
        b'-' => Token::Dash,
        b']' if !start => Token::End,
        b'[' => match pattern.get(*offset) {
            None => return Err(CompileError::Invalid),
            Some(kind @ (b'.' | b':' | b'=')) => {
                *offset += 1;
                let begin = *offset;
                while pattern.get(*offset).is_some_and(|b| b != kind) {
                    *offset += 1;
                }
                let name = pattern[begin..*offset].to_vec();
                if pattern.get(*offset + 1) != Some(&b']') {
                    return Err(CompileError::Invalid);
                }
                *offset += 2;
                match kind {
                    b'.' => Token::Collating(name),
                    b':' => Token::Class(name),
                    _ => Token::Equivalence(name),
                }
            }
            Some(_) => Token::Char(b'['),
        },
        other => Token::Char(other),
    })
}

fn class(name: &[u8]) -> Option<fn(u8) -> bool> {
    Some(match name.to_ascii_lowercase().as_slice() {
        b"alpha" => |b| b.is_ascii_alphabetic(),
        b"digit" | b"d" => |b| b.is_ascii_digit(),
        b"alnum" => |b| b.is_ascii_alphanumeric(),
        b"upper" => |b| b.is_ascii_uppercase(),
        b"lower" => |b| b.is_ascii_lowercase(),
        b"space" | b"s" => |b| matches!(b, b' ' | 9..=13),
        b"blank" => |b| matches!(b, b' ' | b'\t'),
        b"cntrl" => |b| b.is_ascii_control(),
        b"punct" => |b| b.is_ascii_punctuation(),
        b"graph" => |b| b.is_ascii_graphic(),
        b"print" => |b| b.is_ascii_graphic() || b == b' ',
        b"xdigit" => |b| b.is_ascii_hexdigit(),
        b"w" => |b| b.is_ascii_alphanumeric() || b == b'_',
        _ => return None,
    })
}

/// A character by itself or by its POSIX name.
fn collating(name: &[u8]) -> Option<u8> {
    if let [byte] = name {
        return byte.is_ascii_alphabetic().then_some(*byte);
    }
    let index = NAMES.iter().position(|n| n.as_bytes() == name)?;
    Some(index as u8)
}

/// The names of the 128 ASCII characters in POSIX's locale.
#[rustfmt::skip]
const NAMES: [&str; 128] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "alert", "backspace", "tab", "newline",
    "vertical-tab", "form-feed", "carriage-return", "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4",
    "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "IS4", "IS3", "IS2", "IS1", "space",
    "exclamation-mark", "quotation-mark", "number-sign", "dollar-sign", "percent-sign", "ampersand",
    "apostrophe", "left-parenthesis", "right-parenthesis", "asterisk", "plus-sign", "comma",
    "hyphen", "period", "slash", "zero", "one", "two", "three", "four", "five", "six", "seven",
    "eight", "nine", "colon", "semicolon", "less-than-sign", "equals-sign", "greater-than-sign",
    "question-mark", "commercial-at", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L",
    "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "left-square-bracket",
    "backslash", "right-square-bracket", "circumflex", "underscore", "grave-accent", "a", "b", "c",
    "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v",
    "w", "x", "y", "z", "left-curly-bracket", "vertical-line", "right-curly-bracket", "tilde", "DEL",
];
