//! Which ways through the machine can still reach a match.
//!
//! A walk that goes the same ways again and again, because repetitions of
//! nothing stand inside each other, asks here before each step. The answers are
//! exact where they say that nothing is found, so that asking changes no
//! result.

use super::compile::{Compiled, State};

/// Where matches may begin and end in this walk.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub begin: usize,
    /// The beginning of the walk is that of a line.
    pub at_line: bool,
    /// Only a match that ends where the text does.
    pub whole: bool,
    pub not_empty: bool,
}

impl Bounds {
    pub(super) fn accepts(self, at: usize, text: &[u8]) -> bool {
        (!self.whole || at == text.len()) && !(self.not_empty && at == self.begin)
    }
}

/// For each state and place the end of the longest match that begins there,
/// if every repetition could go on as often as it likes.
pub(super) struct Guide {
    bounds: Bounds,
    /// One more than the end, place by place; 0 where nothing is found.
    ends: Vec<u32>,
    states: usize,
    /// States that were seen by the search under way carry its number.
    seen: Vec<u32>,
    search: u32,
    ahead: Vec<usize>,
}

impl Guide {
    pub(super) fn new(regex: &Compiled, text: &[u8], bounds: Bounds) -> Self {
        let states = regex.states.len();
        let places = text.len() + 1 - bounds.begin;
        let mut guide = Self {
            bounds,
            ends: vec![0; states * places],
            states,
            seen: vec![0; states],
            search: 0,
            ahead: Vec::new(),
        };
        let sources = sources(regex);
        for at in (bounds.begin..=text.len()).rev() {
            guide.fill(regex, text, at, &sources);
        }
        guide
    }

    fn end(&self, state: usize, at: usize) -> u32 {
        self.ends[(at - self.bounds.begin) * self.states + state]
    }

    /// What consuming a byte or accepting in this state leads to.
    fn end_of_step(&self, regex: &Compiled, text: &[u8], state: usize, at: usize) -> u32 {
        match &regex.states[state] {
            State::Match { bytes, next } => match text.get(at) {
                Some(byte) if regex.sets[*bytes][usize::from(*byte)] => self.end(*next, at + 1),
                _ => 0,
            },
            State::Accept if self.bounds.accepts(at, text) => {
                u32::try_from(at + 1).expect("texts that are remembered are shorter")
            }
            _ => 0,
        }
    }

    /// The ends of one place, those after it being known: from the states that
    /// leave the place back to those that reach them without a byte, the
    /// farthest end first.
    fn fill(&mut self, regex: &Compiled, text: &[u8], at: usize, sources: &[Vec<usize>]) {
        let mut leaving: Vec<(u32, usize)> = (0..self.states)
            .map(|state| (self.end_of_step(regex, text, state, at), state))
            .filter(|(end, _)| *end > 0)
            .collect();
        leaving.sort_unstable_by(|a, b| b.cmp(a));
        let place = (at - self.bounds.begin) * self.states;
        for (end, state) in leaving {
            self.ahead.push(state);
            while let Some(state) = self.ahead.pop() {
                if self.ends[place + state] == 0 && self.passes(regex, text, state, at) {
                    self.ends[place + state] = end;
                    self.ahead.extend(&sources[state]);
                }
            }
        }
    }

    /// Whether the conditions of a state allow passing it.
    fn passes(&self, regex: &Compiled, text: &[u8], state: usize, at: usize) -> bool {
        match regex.states[state] {
            State::LineBegin { .. } => at == self.bounds.begin && self.bounds.at_line,
            State::LineEnd { .. } => at == text.len(),
            _ => true,
        }
    }

    /// The end beyond which no match from here goes; none if there is no match.
    /// `is_spent` are the repetitions that may not begin again at this place.
    pub(super) fn farthest(
        &mut self,
        regex: &Compiled,
        (state, at): (usize, usize),
        is_spent: Option<&dyn Fn(usize) -> bool>,
    ) -> Option<usize> {
        let end = usize::try_from(self.end(state, at)).expect("an offset").checked_sub(1)?;
        let Some(is_spent) = is_spent else { return Some(end) };
        self.search = self.search.checked_add(1).unwrap_or_else(|| {
            self.seen.fill(0);
            1
        });
        self.ahead.clear();
        self.ahead.push(state);
        while let Some(state) = self.ahead.pop() {
            if self.seen[state] == self.search || self.end(state, at) == 0 {
                continue;
            }
            self.seen[state] = self.search;
            match &regex.states[state] {
                State::Match { .. } | State::Accept => return Some(end),
                State::Repeat { body, next } => {
                    self.ahead.push(*next);
                    if !is_spent(state) {
                        self.ahead.push(*body);
                    }
                }
                other => self.ahead.extend(other.successors()),
            }
        }
        None
    }
}

/// The states from which each is reached without a byte.
fn sources(regex: &Compiled) -> Vec<Vec<usize>> {
    let mut sources = vec![Vec::new(); regex.states.len()];
    for (id, state) in regex.states.iter().enumerate() {
        if !matches!(state, State::Match { .. }) {
            for next in state.successors() {
                sources[next].push(id);
            }
        }
    }
    sources
}
