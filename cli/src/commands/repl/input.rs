//! Where lines come from: the line editor on a terminal, standard input
//! elsewhere. Either way an unfinished expression is completed by the lines
//! that follow.

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, IsTerminal, Read};
use std::os::fd::AsFd;

use osbuild_core::lang::is_unfinished;
use rustyline::error::ReadlineError;

use super::Shared;
use super::editor::{self, Editor};
use crate::error::Failure;

pub(super) enum Input {
    Terminal(Box<Editor>),
    Lines(Lines),
}

pub(super) enum Line {
    Text(String),
    /// Ctrl-C: what was typed is forgotten.
    Discarded,
    End,
}

impl Input {
    pub(super) fn open(conversation: &Shared, resumes: bool) -> Result<Self, Failure> {
        if !std::io::stdin().is_terminal() {
            let input = std::io::stdin().as_fd().try_clone_to_owned()?;
            return Ok(Self::Lines(BufReader::new(Cursor::new(Vec::new()).chain(File::from(input)))));
        }
        if !resumes {
            println!(
                "osbuild {}: the language of Nix {}. :? for help",
                env!("CARGO_PKG_VERSION"),
                osbuild_core::lang::NIX_VERSION
            );
        }
        Ok(Self::Terminal(Box::new(Editor::open(conversation.clone())?)))
    }

    /// What was read ahead.
    pub(super) fn unanswered(&self) -> Vec<u8> {
        let Self::Lines(lines) = self else { return Vec::new() };
        let (put_back, _) = lines.get_ref().get_ref();
        let rest = put_back.get_ref().get(put_back.position() as usize..).unwrap_or_default();
        [lines.buffer(), rest].concat()
    }

    /// Puts such input before what comes.
    pub(super) fn put_back(&mut self, text: Vec<u8>) {
        if let Self::Lines(lines) = self {
            *lines.get_mut().get_mut().0 = Cursor::new(text);
        }
    }

    pub(super) fn next(&mut self) -> Line {
        match self {
            Self::Terminal(editor) => match editor.line() {
                Ok(line) => Line::Text(line),
                Err(ReadlineError::Interrupted) => Line::Discarded,
                Err(_) => Line::End,
            },
            Self::Lines(lines) => {
                let mut text = String::new();
                loop {
                    let before = text.len();
                    match lines.read_line(&mut text) {
                        Ok(1..) => {}
                        // The end, or no text: what is there is answered.
                        _ => return if before == 0 { Line::End } else { Line::Text(text) },
                    }
                    if !wants_more(&text) {
                        return Line::Text(text);
                    }
                }
            }
        }
    }
}

/// Standard input behind what was put back. Its buffer can be looked into,
/// which that of `std::io::stdin` cannot.
type Lines = BufReader<Chain<Cursor<Vec<u8>>, File>>;

/// Whether a line is the beginning of something.
pub(super) fn wants_more(line: &str) -> bool {
    let line = line.trim();
    let expression = match line.strip_prefix(':') {
        Some(command) => match command.split_once(char::is_whitespace) {
            Some((word, rest)) if editor::takes_expression(word) => rest.trim(),
            _ => return false,
        },
        None => line,
    };
    if expression.is_empty() || is_comment(expression) {
        return false;
    }
    if is_unfinished(expression) {
        return true;
    }
    // `x = {` is no expression, but may become a binding: only if more text
    // could still complete it, not merely the semicolon.
    begins_binding(expression) && !is_binding(expression) && is_unfinished(&format!("{{ {expression}"))
}

/// Whether this is `x = …`, `x.y = …; z = …;` or `inherit (x) y;`.
pub(super) fn is_binding(text: &str) -> bool {
    let end = if text.trim_end().ends_with(';') { "" } else { ";" };
    begins_binding(text) && osbuild_core::lang::is_program(&format!("{{ {text}{end} }}"))
}

/// An equals sign behind a name, or `inherit`.
fn begins_binding(text: &str) -> bool {
    if text.starts_with("inherit") {
        return true;
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_'-.\"${}".contains(c)));
    let rest = end.map_or("", |end| text[end..].trim_start());
    rest.starts_with('=') && !rest.starts_with("==")
}

pub(super) fn is_comment(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}
