//! From an expression to a machine of states.
//!
//! Follows the grammar and the construction of libstdc++'s `_Scanner` and
//! `_Compiler` for the flag `extended`, since the order of its states decides
//! which match is found.

use super::bracket;

/// An expression that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// The expression is malformed.
    Invalid,
    /// It would need more states than the library allows.
    TooLarge,
}

/// Which bytes a state takes.
pub(super) type Bytes = Box<[bool; 256]>;

pub enum State {
    /// Takes one byte.
    Match {
        bytes: usize,
        next: usize,
    },
    /// Tries `first`, then `second`, keeps the longer.
    Alternative {
        first: usize,
        second: usize,
    },
    /// Tries the body once more, and goes on if that led nowhere.
    Repeat {
        body: usize,
        next: usize,
    },
    Open {
        group: usize,
        next: usize,
    },
    Close {
        group: usize,
        next: usize,
    },
    LineBegin {
        next: usize,
    },
    LineEnd {
        next: usize,
    },
    Pass {
        next: usize,
    },
    Accept,
}

impl State {
    /// Where it leads, in the order in which that is tried.
    pub(super) fn successors(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, second) = match *self {
            Self::Alternative { first, second } => (Some(first), Some(second)),
            Self::Repeat { body, next } => (Some(body), Some(next)),
            Self::Match { next, .. }
            | Self::Open { next, .. }
            | Self::Close { next, .. }
            | Self::LineBegin { next }
            | Self::LineEnd { next }
            | Self::Pass { next } => (Some(next), None),
            Self::Accept => (None, None),
        };
        first.into_iter().chain(second)
    }
}

pub struct Compiled {
    pub states: Vec<State>,
    pub sets: Vec<Bytes>,
    pub start: usize,
    pub groups: usize,
}

const STATES_MAXIMUM: usize = 100_000;
const NONE: usize = usize::MAX;
const SPECIAL: &[u8] = b".[\\()*+?{|^$";

pub(super) fn compile(pattern: &[u8]) -> Result<Compiled, CompileError> {
    let mut compiler =
        Compiler { pattern, offset: 0, states: Vec::new(), sets: Vec::new(), groups: 1, nesting: 0 };
    let opening = compiler.add(State::Open { group: 0, next: NONE })?;
    let body = compiler.disjunction()?;
    if compiler.offset != pattern.len() {
        return Err(CompileError::Invalid);
    }
    compiler.link(opening, body.start);
    let closing = compiler.add(State::Close { group: 0, next: NONE })?;
    compiler.link(body.end, closing);
    let accept = compiler.add(State::Accept)?;
    compiler.link(closing, accept);
    compiler.skip_passes();
    Ok(Compiled { states: compiler.states, sets: compiler.sets, start: opening, groups: compiler.groups })
}

/// A part of the machine: where it is entered, and the state whose `next` is
/// still open.
#[derive(Clone, Copy)]
struct Part {
    start: usize,
    end: usize,
}

/// A syntax tree's node; counted repetitions build their operand several times.
enum Node {
    Empty,
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Bytes(usize),
    LineBegin,
    LineEnd,
    Group(usize, Box<Node>),
    Star(Box<Node>),
    Plus(Box<Node>),
    Optional(Box<Node>),
    Counted { node: Box<Node>, least: usize, extra: Option<usize> },
}

struct Compiler<'p> {
    pattern: &'p [u8],
    offset: usize,
    states: Vec<State>,
    sets: Vec<Bytes>,
    groups: usize,
    nesting: usize,
}

const NESTING_MAXIMUM: usize = 1_000;

impl Compiler<'_> {
    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.offset).copied()
    }

    fn disjunction(&mut self) -> Result<Part, CompileError> {
        let node = self.parse_alternatives()?;
        self.build(&node)
    }

    fn parse_alternatives(&mut self) -> Result<Node, CompileError> {
        self.nesting += 1;
        if self.nesting > NESTING_MAXIMUM {
            return Err(CompileError::TooLarge);
        }
        let mut alternatives = vec![self.parse_sequence()?];
        while self.peek() == Some(b'|') {
            self.offset += 1;
            alternatives.push(self.parse_sequence()?);
        }
        self.nesting -= 1;
        Ok(if alternatives.len() == 1 { alternatives.remove(0) } else { Node::Alternatives(alternatives) })
    }

    fn parse_sequence(&mut self) -> Result<Node, CompileError> {
        let mut terms = Vec::new();
        while let Some(term) = self.parse_term()? {
            terms.push(term);
        }
        Ok(match terms.len() {
            0 => Node::Empty,
            1 => terms.remove(0),
            _ => Node::Sequence(terms),
        })
    }

    fn parse_term(&mut self) -> Result<Option<Node>, CompileError> {
        let Some(byte) = self.peek() else { return Ok(None) };
        let atom = match byte {
            b'^' => {
                self.offset += 1;
                return Ok(Some(Node::LineBegin));
            }
            b'$' => {
                self.offset += 1;
                return Ok(Some(Node::LineEnd));
            }
            b'|' | b')' => return Ok(None),
            b'*' | b'+' | b'?' | b'{' => return Err(CompileError::Invalid),
            b'.' => {
                self.offset += 1;
                let mut set = Box::new([true; 256]);
                set[0] = false;
                self.set(set)
            }
            b'(' => {
                self.offset += 1;
                let group = self.groups;
                self.groups += 1;
                let body = self.parse_alternatives()?;
                if self.peek() != Some(b')') {
                    return Err(CompileError::Invalid);
                }
                self.offset += 1;
                Node::Group(group, Box::new(body))
            }
            b'[' => {
                self.offset += 1;
                let set = super::compile::bracket::parse(self.pattern, &mut self.offset)?;
                self.set(set)
            }
            b'\\' => {
                let escaped = *self.pattern.get(self.offset + 1).ok_or(CompileError::Invalid)?;
                if !SPECIAL.contains(&escaped) {
                    return Err(CompileError::Invalid);
                }
                self.offset += 2;
                self.single(escaped)
            }
            ordinary => {
                self.offset += 1;
                self.single(ordinary)
            }
        };
        self.parse_quantifiers(atom).map(Some)
    }

    fn parse_quantifiers(&mut self, mut node: Node) -> Result<Node, CompileError> {
        loop {
            node = match self.peek() {
                Some(b'*') => Node::Star(Box::new(node)),
                Some(b'+') => Node::Plus(Box::new(node)),
                Some(b'?') => Node::Optional(Box::new(node)),
                Some(b'{') => {
                    self.offset += 1;
                    let least = self.number().ok_or(CompileError::Invalid)?;
                    let extra = if self.peek() == Some(b',') {
                        self.offset += 1;
                        match self.number() {
                            Some(most) => Some(most.checked_sub(least).ok_or(CompileError::Invalid)?),
                            None => None,
                        }
                    } else {
                        Some(0)
                    };
                    if self.peek() != Some(b'}') {
                        return Err(CompileError::Invalid);
                    }
                    Node::Counted { node: Box::new(node), least, extra }
                }
                _ => return Ok(node),
            };
            self.offset += 1;
        }
    }

    fn number(&mut self) -> Option<usize> {
        let start = self.offset;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.offset += 1;
        }
        let digits = std::str::from_utf8(&self.pattern[start..self.offset]).ok()?;
        if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(usize::MAX)) }
    }

    fn set(&mut self, set: Bytes) -> Node {
        self.sets.push(set);
        Node::Bytes(self.sets.len() - 1)
    }

    fn single(&mut self, byte: u8) -> Node {
        let mut set = Box::new([false; 256]);
        set[usize::from(byte)] = true;
        self.set(set)
    }

    fn add(&mut self, state: State) -> Result<usize, CompileError> {
        if self.states.len() >= STATES_MAXIMUM {
            return Err(CompileError::TooLarge);
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    fn link(&mut self, from: usize, to: usize) {
        match &mut self.states[from] {
            State::Match { next, .. }
            | State::Repeat { next, .. }
            | State::Open { next, .. }
            | State::Close { next, .. }
            | State::LineBegin { next }
            | State::LineEnd { next }
            | State::Pass { next } => *next = to,
            State::Alternative { .. } | State::Accept => {}
        }
    }

    fn build(&mut self, node: &Node) -> Result<Part, CompileError> {
        let lone = |id| Part { start: id, end: id };
        Ok(match node {
            Node::Empty => lone(self.add(State::Pass { next: NONE })?),
            Node::Bytes(bytes) => lone(self.add(State::Match { bytes: *bytes, next: NONE })?),
            Node::LineBegin => lone(self.add(State::LineBegin { next: NONE })?),
            Node::LineEnd => lone(self.add(State::LineEnd { next: NONE })?),
            Node::Sequence(nodes) => {
                let mut whole: Option<Part> = None;
                for node in nodes {
                    let part = self.build(node)?;
                    whole = Some(match whole {
                        None => part,
                        Some(before) => {
                            self.link(before.end, part.start);
                            Part { start: before.start, end: part.end }
                        }
                    });
                }
                whole.expect("a sequence has at least two members")
            }
            Node::Alternatives(nodes) => {
                let mut nodes = nodes.iter();
                let mut whole = self.build(nodes.next().expect("at least two alternatives"))?;
                for node in nodes {
                    let second = self.build(node)?;
                    let end = self.add(State::Pass { next: NONE })?;
                    self.link(whole.end, end);
                    self.link(second.end, end);
                    let choice = self.add(State::Alternative { first: whole.start, second: second.start })?;
                    whole = Part { start: choice, end };
                }
                whole
            }
            Node::Group(group, body) => {
                let open = self.add(State::Open { group: *group, next: NONE })?;
                let body = self.build(body)?;
                let close = self.add(State::Close { group: *group, next: NONE })?;
                self.link(open, body.start);
                self.link(body.end, close);
                Part { start: open, end: close }
            }
            Node::Star(body) => {
                let body = self.build(body)?;
                let repeat = self.add(State::Repeat { body: body.start, next: NONE })?;
                self.link(body.end, repeat);
                lone(repeat)
            }
            Node::Plus(body) => {
                let body = self.build(body)?;
                let repeat = self.add(State::Repeat { body: body.start, next: NONE })?;
                self.link(body.end, repeat);
                Part { start: body.start, end: repeat }
            }
            Node::Optional(body) => {
                let body = self.build(body)?;
                let end = self.add(State::Pass { next: NONE })?;
                let repeat = self.add(State::Repeat { body: body.start, next: end })?;
                self.link(body.end, end);
                Part { start: repeat, end }
            }
            Node::Counted { node, least, extra } => self.build_counted(node, *least, *extra)?,
        })
    }

    fn build_counted(
        &mut self,
        node: &Node,
        least: usize,
        extra: Option<usize>,
    ) -> Result<Part, CompileError> {
        let start = self.add(State::Pass { next: NONE })?;
        let mut end = start;
        for _ in 0..least {
            let copy = self.build(node)?;
            self.link(end, copy.start);
            end = copy.end;
        }
        match extra {
            None => {
                let copy = self.build(node)?;
                let repeat = self.add(State::Repeat { body: copy.start, next: NONE })?;
                self.link(copy.end, repeat);
                self.link(end, repeat);
                end = repeat;
            }
            Some(extra) => {
                let last = self.add(State::Pass { next: NONE })?;
                for _ in 0..extra {
                    let copy = self.build(node)?;
                    let repeat = self.add(State::Repeat { body: copy.start, next: last })?;
                    self.link(end, repeat);
                    end = copy.end;
                }
                self.link(end, last);
                end = last;
            }
        }
        Ok(Part { start, end })
    }

    /// Points every edge past the states that do nothing.
    fn skip_passes(&mut self) {
        for index in 0..self.states.len() {
            let edges: Vec<usize> = self.states[index].successors().map(|id| self.past_passes(id)).collect();
            match &mut self.states[index] {
                State::Alternative { first, second } => (*first, *second) = (edges[0], edges[1]),
                State::Repeat { body, next } => (*body, *next) = (edges[0], edges[1]),
                State::Match { next, .. }
                | State::Open { next, .. }
                | State::Close { next, .. }
                | State::LineBegin { next }
                | State::LineEnd { next }
                | State::Pass { next } => *next = edges[0],
                State::Accept => {}
            }
        }
    }

    /// The state that `id` leads to; the way there is one step from now on.
    fn past_passes(&mut self, id: usize) -> usize {
        let beyond = |states: &[State], id: usize| match states.get(id) {
            Some(State::Pass { next }) if *next != NONE => Some(*next),
            _ => None,
        };
        let mut target = id;
        while let Some(next) = beyond(&self.states, target) {
            target = next;
        }
        let mut passed = id;
        while let Some(next) = beyond(&self.states, passed) {
            self.link(passed, target);
            passed = next;
        }
        target
    }
}
