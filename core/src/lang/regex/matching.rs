//! Walking the machine over a text, in the order of libstdc++'s depth-first
//! executor.

use super::MatchError;
use super::compile::{Compiled, State};
use super::guide::{Bounds, Guide};
use crate::lang::stack;

/// A group's first and past-last offset; `None` if it took no part.
pub type Captures = Vec<Option<(usize, usize)>>;

pub(super) struct Matching<'r> {
    regex: &'r Compiled,
    text: &'r [u8],
    current: Vec<(usize, usize, bool)>,
    /// Per repetition: where it was last entered, and how often there.
    entered: Vec<(usize, u8)>,
    /// How many of them were entered as often as they may be.
    spent: usize,
    best: Option<(usize, Captures)>,
    found: bool,
    bounds: Bounds,
    stack_floor: usize,
    broken: Option<MatchError>,
    /// Calls of all walks together, and their number when this walk began.
    steps: usize,
    steps_before: usize,
    /// From which step on a walk remembers, and at which it gives up.
    patience: Patience,
    limit: usize,
    /// Once the walk is long: what is known of each state and place that was
    /// reached by consuming a byte. The low bit says whether that leads to a
    /// match, the rest in which walk it was learnt.
    known: Vec<u32>,
    walks: u32,
    /// Once it is very long.
    guide: Option<Guide>,
}

/// How many steps are taken without remembering. What takes more goes through
/// the same places again and again, in the worst case exponentially often.
#[derive(Clone, Copy)]
struct Patience {
    one_walk: usize,
    all_walks: usize,
    /// Steps of one walk for each state and byte, before it asks the guide.
    unguided: usize,
}

/// How often a repetition may begin at one place, which is what ends
/// repetitions of nothing.
const TIMES_MAXIMUM: u8 = 2;
const STEPS_OF_A_WALK: usize = 4096;
const STEPS_PER_BYTE: usize = 64;
const STEPS_UNGUIDED: usize = 4;
/// How many places may be remembered, at four bytes each; beyond that a walk
/// takes its time.
const KNOWN_MAXIMUM: usize = 1 << 27;
/// A search from every place of a long text still adds up. Some five seconds,
/// and one more for each hundred kilobytes of text.
const STEPS_MAXIMUM: usize = 1 << 29;
const STEPS_MAXIMUM_PER_BYTE: usize = 1 << 10;

impl<'r> Matching<'r> {
    pub(super) fn new(regex: &'r Compiled, text: &'r [u8]) -> Self {
        Self {
            regex,
            text,
            current: Vec::new(),
            entered: vec![(0, 0); regex.states.len()],
            spent: 0,
            best: None,
            found: false,
            bounds: Bounds { begin: 0, at_line: true, whole: true, not_empty: false },
            stack_floor: stack::floor(),
            broken: None,
            steps: 0,
            steps_before: 0,
            patience: Patience {
                one_walk: STEPS_OF_A_WALK,
                all_walks: (text.len() + 64) * STEPS_PER_BYTE,
                unguided: STEPS_UNGUIDED,
            },
            limit: STEPS_MAXIMUM + text.len() * STEPS_MAXIMUM_PER_BYTE,
            known: Vec::new(),
            walks: 0,
            guide: None,
        }
    }

    pub(super) fn whole(&mut self) -> Result<Option<Captures>, MatchError> {
        self.from(Bounds { begin: 0, at_line: true, whole: true, not_empty: false })
    }

    /// The first place at or after `start` where something matches.
    pub(super) fn search(&mut self, start: usize, inside: bool) -> Result<Option<Captures>, MatchError> {
        for begin in start..=self.text.len() {
            let at_line = !inside && begin == start;
            let bounds = Bounds { begin, at_line, whole: false, not_empty: false };
            if let Some(captures) = self.from(bounds)? {
                return Ok(Some(captures));
            }
        }
        Ok(None)
    }

    pub(super) fn here_not_empty(&mut self, begin: usize) -> Result<Option<Captures>, MatchError> {
        self.from(Bounds { begin, at_line: false, whole: false, not_empty: true })
    }

    fn from(&mut self, bounds: Bounds) -> Result<Option<Captures>, MatchError> {
        self.bounds = bounds;
        self.guide = None;
        self.best = None;
        self.found = false;
        self.steps_before = self.steps;
        // The bit beside it is one: after as many walks as these bits can
        // count, what the first of them learnt is forgotten.
        self.walks = if self.walks == u32::MAX >> 1 { 0 } else { self.walks } + 1;
        if self.walks == 1 {
            self.known.clear();
        }
        self.current.clear();
        self.current.resize(self.regex.groups, (0, 0, false));
        self.walk(self.regex.start, bounds.begin);
        if let Some(error) = self.broken {
            return Err(error);
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
                        if self.is_long() {
                            return self.walk_once(state, at);
                        }
                    }
                    _ => return,
                },
                State::Pass { next } => state = *next,
                State::LineBegin { next } => {
                    if at != self.bounds.begin || !self.bounds.at_line {
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
                    if found && self.has_farthest() {
                        self.found = true;
                        return;
                    }
                    self.deeper(*second, at);
                    self.found |= found;
                    return;
                }
                State::Repeat { body, next } => {
                    if let Some(set) = self.simple_body(*body, state) {
                        return self.repeat_simple(set, *next, at);
                    }
                    self.repeat(state, *body, at);
                    if self.found || self.broken.is_some() {
                        return;
                    }
                    state = *next;
                }
                State::Accept => return self.accept(at),
            }
        }
    }

    fn deeper(&mut self, state: usize, at: usize) {
        self.steps += 1;
        if stack::here() < self.stack_floor {
            self.broken = Some(MatchError::Stack);
        } else if self.steps > self.limit {
            self.broken = Some(MatchError::Steps);
        }
        if self.broken.is_none() && self.is_worth(state, at) {
            self.walk(state, at);
        }
    }

    /// Whether walking on may keep another match; if not, `found` says whether
    /// one would be found.
    fn is_worth(&mut self, state: usize, at: usize) -> bool {
        if self.guide.is_none() && !self.wants_guide() {
            return true;
        }
        let (regex, text, bounds) = (self.regex, self.text, self.bounds);
        let entered = &self.entered;
        let is_spent = |repeat: usize| entered[repeat] == (at, TIMES_MAXIMUM);
        let is_spent: Option<&dyn Fn(usize) -> bool> = if self.spent > 0 { Some(&is_spent) } else { None };
        let guide = self.guide.get_or_insert_with(|| Guide::new(regex, text, bounds));
        let Some(farthest) = guide.farthest(regex, (state, at), is_spent) else { return false };
        let is_worth = self.best.as_ref().is_none_or(|(end, _)| *end < farthest);
        self.found = !is_worth;
        is_worth
    }

    fn wants_guide(&self) -> bool {
        self.is_long()
            && (self.steps - self.steps_before) / self.patience.unguided.max(1)
                >= self.regex.states.len() * (self.text.len() + 1 - self.bounds.begin)
    }

    /// Whether the match that was kept ends where the text does.
    fn has_farthest(&self) -> bool {
        self.best.as_ref().is_some_and(|(end, _)| *end == self.text.len())
    }

    fn is_long(&self) -> bool {
        self.steps - self.steps_before > self.patience.one_walk
            && self.steps > self.patience.all_walks
            && self.regex.states.len() * (self.text.len() + 1) <= KNOWN_MAXIMUM
    }

    /// Walks on from a state that was just reached by consuming a byte, unless
    /// that was done before in this walk.
    ///
    /// Walking there again could not change the result. What lies behind does
    /// not depend on the way here: `entered` only holds earlier places, and
    /// groups decide nothing. The first visit kept the longest match that is
    /// to be had, and of equally long ones the first is preferred.
    fn walk_once(&mut self, state: usize, at: usize) {
        let place = self.text.len() + 1;
        self.known.resize(self.regex.states.len() * place, 0);
        let index = state * place + at;
        if self.known[index] >> 1 == self.walks {
            self.found |= self.known[index] & 1 == 1;
        } else {
            self.deeper(state, at);
            self.known[index] = self.walks << 1 | u32::from(self.found);
        }
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
            if count > 0 && self.is_long() {
                self.walk_once(next, at + count);
            } else {
                self.deeper(next, at + count);
            }
            if self.found || self.broken.is_some() {
                return;
            }
        }
    }

    /// Once more through the body.
    fn repeat(&mut self, state: usize, body: usize, at: usize) {
        let (place, times) = self.entered[state];
        if times == 0 || place != at {
            self.entered[state] = (at, 1);
            self.deeper(body, at);
            self.entered[state] = (place, times);
        } else if times < TIMES_MAXIMUM {
            self.entered[state].1 += 1;
            self.spent += 1;
            self.deeper(body, at);
            self.spent -= 1;
            self.entered[state].1 -= 1;
        }
    }

    fn accept(&mut self, at: usize) {
        self.found = self.bounds.accepts(at, self.text);
        if self.found && self.best.as_ref().is_none_or(|(end, _)| *end < at) {
            let captures = self.current.iter().map(|(a, b, set)| set.then_some((*a, *b))).collect();
            self.best = Some((at, captures));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::regex::compile::compile;

    /// A pattern of small pieces over `ab`, nested a few levels deep.
    fn pattern(random: &mut impl FnMut(usize) -> usize, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..=random(2) {
            let piece = match random(if depth == 0 { 4 } else { 7 }) {
                0 => "a".to_owned(),
                1 => "b".to_owned(),
                2 => ".".to_owned(),
                3 => ["^", "$", "()", "(|a)"][random(4)].to_owned(),
                4 => format!("({}|{})", pattern(random, depth - 1), pattern(random, depth - 1)),
                _ => format!("({})", pattern(random, depth - 1)),
            };
            text += &piece;
            text += ["", "", "*", "+", "?", "{1,2}", "*?", "++", "+*+"][random(9)];
        }
        text
    }

    #[test]
    fn remembering_changes_no_result() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let mut matched = 0;
        for _ in 0..20_000 {
            let pattern = pattern(&mut random, 2);
            let Ok(regex) = compile(pattern.as_bytes()) else { continue };
            let text: Vec<u8> = (0..random(7)).map(|_| b"aab"[random(3)]).collect();
            let run = |patience: usize, unguided: usize, whole: bool| {
                let mut matching = Matching::new(&regex, &text);
                matching.patience = Patience { one_walk: patience, all_walks: patience, unguided };
                matching.limit = 100_000;
                if whole { matching.whole() } else { matching.search(0, false) }
            };
            for whole in [true, false] {
                // Without remembering, some take too many steps to compare.
                let result = run(usize::MAX, usize::MAX, whole);
                if result == Err(MatchError::Steps) {
                    continue;
                }
                for unguided in [usize::MAX, 0] {
                    assert_eq!(run(0, unguided, whole), result, "{pattern} on {}", text.escape_ascii());
                }
                matched += usize::from(matches!(result, Ok(Some(_))));
            }
        }
        assert!(matched > 5_000, "only {matched} patterns matched");
    }
}
