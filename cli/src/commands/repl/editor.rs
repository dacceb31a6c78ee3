//! The line editor: history, several lines, completion.
//!
//! `rustyline` because it is small, kept up since 2015, and has hooks for just
//! these three; reedline would bring crossterm and a second event loop.

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Context, Helper};

use super::Shared;
use super::input::wants_more;
use crate::config;
use crate::error::{Exit, Failure};

const PROMPT: &str = "osbuild> ";
const HISTORY_LINES: usize = 5_000;

pub(super) struct Editor {
    editor: rustyline::Editor<Assistant, FileHistory>,
    history: Option<std::path::PathBuf>,
}

impl Editor {
    pub(super) fn open(conversation: Shared) -> Result<Self, Failure> {
        let fail = |error: ReadlineError| Failure::new(Exit::Failed, &format!("cannot edit lines: {error}"));
        let settings = Config::builder()
            .max_history_size(HISTORY_LINES)
            .map_err(fail)?
            .auto_add_history(true)
            .completion_type(rustyline::CompletionType::List)
            .build();
        let mut editor = rustyline::Editor::with_config(settings).map_err(fail)?;
        editor.set_helper(Some(Assistant { conversation }));
        let history = config::home().ok().map(|home| home.join("repl-history"));
        if let Some(history) = &history {
            // There is none yet, the first time.
            let _ = editor.load_history(history);
        }
        Ok(Self { editor, history })
    }

    pub(super) fn line(&mut self) -> Result<String, ReadlineError> {
        let line = self.editor.readline(PROMPT)?;
        if let Some(history) = &self.history {
            // A history that cannot be kept is no reason to stop.
            let _ = self.editor.append_history(history);
        }
        Ok(line)
    }
}

struct Assistant {
    conversation: Shared,
}

const COMMANDS: [&str; 11] = [":?", ":a", ":b", ":build", ":doc", ":l", ":p", ":q", ":r", ":reload", ":t"];

/// Whether an expression follows the command.
pub(super) fn takes_expression(command: &str) -> bool {
    matches!(command, "p" | "print" | "t" | "type" | "a" | "add" | "b" | "build")
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..pos];
        let blank = |c: char| c.is_whitespace() || "()[]{};,=!+*<>&|?@:\"".contains(c);
        let start = before.rfind(blank).map_or(0, |index| index + 1);
        let word = &before[start..];
        let is_load = before.starts_with(":l");
        let found = if start <= 1 && before.starts_with(':') {
            let commands = COMMANDS.iter().filter(|command| command.starts_with(before));
            return Ok((0, commands.map(|command| pair(command)).collect()));
        } else if is_load || word.contains('/') {
            files(word)
        } else {
            // Busy means that a line is being answered, which is no time to ask.
            self.conversation.try_borrow_mut().map(|mut c| c.complete(word)).unwrap_or_default()
        };
        Ok((start, found.iter().map(|text| pair(text)).collect()))
    }
}

fn pair(text: &str) -> Pair {
    Pair { display: text.to_owned(), replacement: text.to_owned() }
}

/// Files whose names begin so; folders with a slash behind them.
fn files(word: &str) -> Vec<String> {
    let (folder, begun) = word.rsplit_once('/').map_or(("", word), |(folder, begun)| (folder, begun));
    let place = match folder {
        "" if word.starts_with('/') => "/".to_owned(),
        "" => ".".to_owned(),
        folder => folder.replacen('~', &std::env::home_dir().unwrap_or_default().display().to_string(), 1),
    };
    let slash = if word.contains('/') { "/" } else { "" };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(begun) && (begun.starts_with('.') || !name.starts_with('.')) {
            let end = if entry.path().is_dir() { "/" } else { "" };
            found.push(format!("{folder}{slash}{name}{end}"));
        }
    }
    found.sort();
    found
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let more = wants_more(context.input());
        Ok(if more { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Helper for Assistant {}
