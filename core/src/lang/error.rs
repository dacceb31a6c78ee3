//! What goes wrong while a program is read or run.
//!
//! Inside the evaluator an error is a [`Fault`]: a reference into the heap,
//! copied into every thunk that fails with it, so that a thunk fails the same
//! way again. Outside it is an [`EvalError`], which owns what it shows.

use std::fmt;

use super::heap::Heap;
use super::source::{Location, Pos, SourceMap};

/// What kind of failure; `tryEval` catches the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `throw`.
    Throw,
    /// A failed `assert`.
    Assertion,
    /// `<x>` was not found.
    Lookup,
    /// `abort`.
    Abort,
    /// The text is no program: syntax, undefined variables, duplicates.
    Syntax,
    /// A value of the wrong type.
    Type,
    /// An attribute that does not exist.
    MissingAttribute,
    /// A function was called with arguments it does not take.
    Arguments,
    /// A value depends on itself.
    InfiniteRecursion,
    /// Calls or data are nested too deeply.
    Depth,
    /// The evaluation would take more memory than it may.
    Memory,
    /// A value of the right type that the operation cannot use.
    Value,
    /// A file or the store could not be read or written.
    Host,
    /// A store object that has to be there is not.
    Invalid,
    /// What a path depends on would have to be built, which is refused.
    Refused,
    /// What a path depends on could not be built.
    Build,
    /// As `Build`: it took too long.
    BuildTimedOut,
    /// As `Build`: it came out otherwise than its hash says.
    BuildRefused,
    /// The user ended it.
    Interrupted,
    /// The user named something that is not there: nothing was evaluated.
    Usage,
}

impl ErrorKind {
    pub fn is_catchable(self) -> bool {
        matches!(self, Self::Throw | Self::Assertion | Self::Lookup)
    }
}

/// An error inside the evaluator.
#[derive(Clone, Copy)]
pub struct Fault(&'static Data);

#[derive(Clone, Copy)]
struct Data {
    kind: ErrorKind,
    message: &'static str,
    hint: Option<&'static str>,
    pos: Pos,
    trail: Option<&'static Frame>,
    frames: u32,
}

/// A step on the way to the error; outer steps come first.
#[derive(Clone, Copy)]
struct Frame {
    text: &'static str,
    pos: Pos,
    inner: Option<&'static Frame>,
}

/// Beyond this many the outer frames are left out.
const FRAMES_MAXIMUM: u32 = 400;
/// How many of them a message shows from either end.
const FRAMES_SHOWN: usize = 8;

impl Fault {
    pub fn new(heap: Heap, kind: ErrorKind, message: &str, pos: Pos) -> Self {
        let message = text(heap, message);
        Self(heap.put(Data { kind, message, hint: None, pos, trail: None, frames: 0 }))
    }

    pub fn kind(self) -> ErrorKind {
        self.0.kind
    }

    pub fn message(self) -> &'static str {
        self.0.message
    }

    #[must_use]
    pub(super) fn of_kind(self, heap: Heap, kind: ErrorKind) -> Self {
        Self(heap.put(Data { kind, ..*self.0 }))
    }

    #[must_use]
    pub fn with_hint(self, heap: Heap, hint: &str) -> Self {
        Self(heap.put(Data { hint: Some(text(heap, hint)), ..*self.0 }))
    }

    /// Gives the position if the error has none yet.
    #[must_use]
    pub fn at(self, heap: Heap, pos: Pos) -> Self {
        if self.0.pos.is_some() || !pos.is_some() {
            return self;
        }
        Self(heap.put(Data { pos, ..*self.0 }))
    }

    #[must_use]
    pub fn within(self, heap: Heap, doing: &'static str, pos: Pos) -> Self {
        if self.0.frames >= FRAMES_MAXIMUM {
            return self;
        }
        let frame = heap.put(Frame { text: doing, pos, inner: self.0.trail });
        Self(heap.put(Data { trail: Some(frame), frames: self.0.frames + 1, ..*self.0 }))
    }

    #[must_use]
    pub fn within_text(self, heap: Heap, doing: &str, pos: Pos) -> Self {
        if self.0.frames >= FRAMES_MAXIMUM {
            return self;
        }
        self.within(heap, text(heap, doing), pos)
    }

    /// The error as it leaves the evaluator.
    pub fn to_error(self, sources: &SourceMap) -> EvalError {
        let mut trail = Vec::new();
        let mut frame = self.0.trail;
        while let Some(step) = frame {
            trail.push(TrailStep { text: step.text.to_owned(), at: sources.locate(step.pos) });
            frame = step.inner;
        }
        EvalError {
            kind: self.0.kind,
            message: self.0.message.to_owned(),
            at: sources.locate(self.0.pos).map(Box::new),
            trail,
            hint: self.0.hint.map(str::to_owned),
            whole_trail: false,
        }
    }
}

fn text(heap: Heap, text: &str) -> &'static str {
    std::str::from_utf8(heap.bytes(text.as_bytes())).unwrap_or("")
}

/// An evaluation that failed, ready to be shown.
#[derive(Clone, Debug)]
pub struct EvalError {
    pub kind: ErrorKind,
    /// As real Nix words its last `error:` line.
    pub message: String,
    pub at: Option<Box<Location>>,
    /// Outermost first.
    pub trail: Vec<TrailStep>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether every step is shown, or the first and last only.
    pub whole_trail: bool,
}

#[derive(Clone, Debug)]
pub struct TrailStep {
    pub text: String,
    pub at: Option<Location>,
}

impl EvalError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), at: None, trail: Vec::new(), hint: None, whole_trail: false }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::error::Error for EvalError {}

/// The message, the source line with a caret, and the way there, innermost
/// step first. Without `error:` and hint, which are the command's to print.
impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(at) = &self.at {
            write!(f, "\n  at {}", place(at))?;
            if !at.line_text.is_empty() {
                let number = at.line.to_string();
                let gap = " ".repeat(number.len());
                let before = at.line_text.get(..at.column as usize - 1).unwrap_or(&at.line_text);
                let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                write!(f, "\n  {number} | {}\n  {gap} | {indent}^", at.line_text)?;
            }
        }
        let shown: Vec<&TrailStep> =
            self.trail.iter().filter(|s| self.whole_trail || s.at.is_some()).rev().collect();
        let limit = if self.whole_trail { usize::MAX } else { 2 * FRAMES_SHOWN };
        let hidden = shown.len().saturating_sub(limit);
        for (index, step) in shown.iter().enumerate() {
            if hidden > 0 && (FRAMES_SHOWN..FRAMES_SHOWN + hidden).contains(&index) {
                if index == FRAMES_SHOWN {
                    write!(f, "\n  … {hidden} more")?;
                }
                continue;
            }
            write!(f, "\n  {}", step.text)?;
            if let Some(at) = &step.at {
                write!(f, " ({})", place(at))?;
            }
        }
        Ok(())
    }
}

fn place(at: &Location) -> String {
    format!("{}:{}:{}", at.origin, at.line, at.column)
}

/// The nearest of `candidates`, if it is near enough to be a slip of the hand.
pub fn nearest<'c>(wanted: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = 1 + wanted.chars().count() / 4;
    candidates
        .map(|candidate| (distance(wanted, candidate), candidate))
        .filter(|(distance, _)| *distance > 0 && *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance in which swapping neighbours is one step.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 8 {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i * width + j] = if i == 0 || j == 0 {
                i.max(j)
            } else {
                let substitute = table[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best =
                    substitute.min(table[(i - 1) * width + j] + 1).min(table[i * width + j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(table[(i - 2) * width + j - 2] + 1);
                }
                best
            };
        }
    }
    table[a.len() * width + b.len()]
}
