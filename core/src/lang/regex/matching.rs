//! Walking the machine over a text, in the order of libstdc++'s depth-first
//! executor.

use super::MatchError;
use super::compile::{Compiled, State};
use crate::lang::stack;

/// A group's first and past-last offset; `None` if it took no part.
pub type Captures = Vec<Option<(usize, usize)>>;

pub(super) struct Matching<'r> {
    regex: &'r Compiled,
    text: &'r [u8],
    current: Vec<(usize, usize, bool)>,
    /// Per repetition: where it was last entered, and how often there.
    entered: Vec<(usize, u8)>,
    best: Option<(usize, Captures)>,
    found: bool,
    mode: Mode,
    begin: usize,
    stack_floor: usize,
    broken: bool,
}

#[derive(Clone, Copy)]
struct Mode {
    /// Only a match that ends where the text does.
    whole: bool,
    not_empty: bool,
    /// The beginning of the search is not that of a line.
    inside: bool,
}

impl<'r> Matching<'r> {
    pub(super) fn new(regex: &'r Compiled, text: &'r [u8]) -> Self {
        Self {
            regex,
            text,
            current: Vec::new(),
            entered: vec![(0, 0); regex.states.len()],
            best: None,
            found: false,
            mode: Mode { whole: true, not_empty: false, inside: false },
            begin: 0,
            stack_floor: stack::floor(),
            broken: false,
        }
    }

    pub(super) fn whole(&mut self) -> Result<Option<Captures>, MatchError> {
        self.from(0, Mode { whole: true, not_empty: false, inside: false })
    }

    /// The first place at or after `start` where something matches.
    pub(super) fn search(&mut self, start: usize, inside: bool) -> Result<Option<Captures>, MatchError> {
        for begin in start..=self.text.len() {
            let mode = Mode { whole: false, not_empty: false, inside: inside || begin > start };
            if let Some(captures) = self.from(begin, mode)? {
                return Ok(Some(captures));
            }
        }
        Ok(None)
    }

    pub(super) fn here_not_empty(&mut self, begin: usize) -> Result<Option<Captures>, MatchError> {
        self.from(begin, Mode { whole: false, not_empty: true, inside: true })
    }

    fn from(&mut self, begin: usize, mode: Mode) -> Result<Option<Captures>, MatchError> {
        self.begin = begin;
        self.mode = mode;
        self.best = None;
        self.found = false;
        self.current.clear();
        self.current.resize(self.regex.groups, (0, 0, false));
        self.walk(self.regex.start, begin);
        if self.broken {
            return Err(MatchError::Stack);
        }
        Ok(self.best.take().map(|(_, captures)| captures))
    }

    fn walk(&mut self, mut state: usize, mut at: usize) {
        let regex = self.regex;
        loop {
            match &regex.states[state] {
                State::Match { bytes, next } => match self.text.get(at) {
                    Some(byte) if regex.sets[*bytes][usize::from(*byte)] => {
                        at += 1;
                        state = *next;
                    }
                    _ => return,
                },
                State::Pass { next } => state = *next,
                State::LineBegin { next } => {
                    if at != self.begin || self.mode.inside {
                        return;
                    }
                    state = *next;
                }
                State::LineEnd { next } => {
                    if at != self.text.len() {
                        return;
                    }
                    state = *next;
                }
                State::Open { group, next } => {
                    let before = self.current[*group].0;
                    self.current[*group].0 = at;
                    self.deeper(*next, at);
                    self.current[*group].0 = before;
                    return;
                }
                State::Close { group, next } => {
                    let before = self.current[*group];
                    self.current[*group] = (before.0, at, true);
                    self.deeper(*next, at);
                    self.current[*group] = before;
                    return;
                }
                State::Alternative { first, second } => {
                    self.deeper(*first, at);
                    let found = std::mem::replace(&mut self.found, false);
                    self.deeper(*second, at);
                    self.found |= found;
                    return;
                }
                State::Repeat { body, next } => {
                    if let Some(set) = self.simple_body(*body, state) {
                        return self.repeat_simple(set, *next, at);
                    }
                    self.repeat(state, *body, at);
                    if self.found || self.broken {
                        return;
                    }
                    state = *next;
                }
                State::Accept => return self.accept(at),
            }
        }
    }

    fn deeper(&mut self, state: usize, at: usize) {
        if self.broken || stack::here() < self.stack_floor {
            self.broken = true;
            return;
        }
        self.walk(state, at);
    }

    /// A repetition of a single byte set, whose ways can be counted instead of
    /// walked.
    fn simple_body(&self, body: usize, repeat: usize) -> Option<usize> {
        match self.regex.states[body] {
            State::Match { bytes, next } if next == repeat => Some(bytes),
            _ => None,
        }
    }

    fn repeat_simple(&mut self, set: usize, next: usize, at: usize) {
        let set = &self.regex.sets[set];
        let most = self.text[at..].iter().take_while(|b| set[usize::from(**b)]).count();
        for count in (0..=most).rev() {
            self.deeper(next, at + count);
            if self.found || self.broken {
                return;
            }
        }
    }

    /// Once more through the body; in one place at most twice, which is what
    /// ends repetitions of nothing.
    fn repeat(&mut self, state: usize, body: usize, at: usize) {
        let (place, times) = self.entered[state];
        if times == 0 || place != at {
            self.entered[state] = (at, 1);
            self.deeper(body, at);
            self.entered[state] = (place, times);
        } else if times < 2 {
            self.entered[state].1 += 1;
            self.deeper(body, at);
            self.entered[state].1 -= 1;
        }
    }

    fn accept(&mut self, at: usize) {
        self.found = if self.mode.whole { at == self.text.len() } else { true };
        if self.mode.not_empty && at == self.begin {
            self.found = false;
        }
        if self.found && self.best.as_ref().is_none_or(|(end, _)| *end < at) {
            let captures = self.current.iter().map(|(a, b, set)| set.then_some((*a, *b))).collect();
            self.best = Some((at, captures));
        }
    }
}
