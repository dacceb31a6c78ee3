//! The grammar, by descent, and the words for where tokens stop making a
//! program.
//!
//! It accepts what Nix accepts, and names the unexpected token and what could
//! stand there in Nix's words, which tools look for. Nix lists alternatives
//! only where they are few.

mod strings;

use rnix::SyntaxKind::{self, *};

use super::SyntaxError;
use super::tokens::Token;
use super::tree::*;
use crate::lang::stack;

/// The tree of a text's tokens. The stack must be deep.
pub(super) fn parse<'t>(text: &'t [u8], tokens: &[Token]) -> Result<Tree<'t>, SyntaxError> {
    let mut parser = Parser {
        tokens,
        text,
        at: 0,
        floor: stack::floor(),
        tree: Tree::new(text),
        open: Lists::default(),
        heads: Vec::new(),
    };
    let root = parser.expr()?;
    if parser.kind().is_some() {
        return Err(parser.unexpected("end of file"));
    }
    parser.tree.root = root;
    Ok(parser.tree)
}

struct Parser<'t, 'a> {
    tokens: &'a [Token],
    text: &'t [u8],
    at: usize,
    /// The address that the stack must not pass.
    floor: usize,
    tree: Tree<'t>,
    /// Lists that are still growing, the innermost last.
    open: Lists,
    /// What stands before the expression that is being read, the innermost
    /// last: long chains of functions and bindings need no stack.
    heads: Vec<(u32, Head)>,
}

/// The part of an expression before the expression that ends it.
enum Head {
    Lambda { argument: Option<Place>, pattern: Option<Pattern> },
    Let { entries: Span },
    If { condition: NodeId, then: NodeId },
    With { namespace: NodeId },
    Assert { condition: NodeId, written: Place },
}

type Parsed<T = NodeId> = Result<T, SyntaxError>;

/// Closes the innermost open list, whose first member is at `mark`.
fn close<T>(open: &mut Vec<T>, mark: usize, closed: &mut Vec<T>) -> Span {
    let first = closed.len();
    closed.extend(open.drain(mark..));
    Span::new(first, closed.len())
}

const NAME: &str = "identifier or 'or' or '${' or '\"'";
const FORMAL: &str = "identifier or '...' or '}'";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Neither,
}

/// What an operator does, how tightly it binds and to which side it leans;
/// none for `?`, whose right side is no expression.
fn operator(kind: SyntaxKind) -> Option<(Option<BinaryOperator>, u8, Side)> {
    use BinaryOperator::*;
    let (operator, tightness, side) = match kind {
        TOKEN_IMPLICATION => (Implies, 1, Side::Right),
        TOKEN_OR_OR => (Or, 2, Side::Left),
        TOKEN_AND_AND => (And, 3, Side::Left),
        TOKEN_EQUAL => (Equal, 4, Side::Neither),
        TOKEN_NOT_EQUAL => (NotEqual, 4, Side::Neither),
        TOKEN_LESS => (Less, 5, Side::Neither),
        TOKEN_LESS_OR_EQ => (LessOrEqual, 5, Side::Neither),
        TOKEN_MORE => (Greater, 5, Side::Neither),
        TOKEN_MORE_OR_EQ => (GreaterOrEqual, 5, Side::Neither),
        TOKEN_UPDATE => (Update, 6, Side::Right),
        // `!` is 7.
        TOKEN_ADD => (Add, 8, Side::Left),
        TOKEN_SUB => (Sub, 8, Side::Left),
        TOKEN_MUL => (Mul, 9, Side::Left),
        TOKEN_DIV => (Div, 9, Side::Left),
        TOKEN_CONCAT => (Concat, 10, Side::Right),
        TOKEN_QUESTION => return Some((None, 11, Side::Left)),
        _ => return None,
    };
    Some((Some(operator), tightness, side))
}

/// Tokens that Nix refuses as soon as it meets them.
fn is_pipe(kind: SyntaxKind) -> bool {
    matches!(kind, TOKEN_PIPE_RIGHT | TOKEN_PIPE_LEFT)
}

const NOT: u8 = 7;
const NEGATE: u8 = 12;

impl<'t> Parser<'t, '_> {
    #[inline]
    fn kind(&self) -> Option<SyntaxKind> {
        self.peek(0)
    }

    #[inline]
    fn peek(&self, ahead: usize) -> Option<SyntaxKind> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    fn token_text(&self, index: usize) -> &'t [u8] {
        self.tokens.get(index).and_then(|t| self.text.get(t.start as usize..t.end as usize)).unwrap_or(b"")
    }

    /// Where the next token begins.
    #[inline]
    fn start(&self) -> u32 {
        self.tokens.get(self.at).map_or(self.text.len() as u32, |token| token.start)
    }

    /// Where the last token ended.
    #[inline]
    fn end(&self) -> u32 {
        self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(0, |token| token.end)
    }

    /// Steps over a token if it is of this kind.
    #[inline]
    fn take(&mut self, kind: SyntaxKind) -> bool {
        let found = self.kind() == Some(kind);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, kind: SyntaxKind, expecting: &str) -> Parsed<()> {
        if self.take(kind) { Ok(()) } else { Err(self.unexpected(expecting)) }
    }

    /// Steps over a name.
    fn ident(&mut self, expecting: &str) -> Parsed<Place> {
        self.expect(TOKEN_IDENT, expecting)?;
        Ok(self.stepped_over())
    }

    fn stepped_over(&self) -> Place {
        let Token { start, end, .. } = self.tokens[self.at - 1];
        Place { start, end }
    }

    fn add(&mut self, kind: Kind, start: u32) -> NodeId {
        // No node is without a token, and tokens are fewer than 4 G.
        let id = NodeId(self.tree.nodes.len() as u32);
        self.tree.nodes.push(Node { kind, start });
        id
    }

    fn check_depth(&self) -> Parsed<()> {
        if stack::here() < self.floor {
            let message = "stack overflow; the expression is nested too deeply".to_owned();
            return Err(SyntaxError::new(message, self.start()));
        }
        Ok(())
    }

    // Functions and what else extends as far as it can.

    fn expr(&mut self) -> Parsed {
        self.check_depth()?;
        let outside = self.heads.len();
        loop {
            let start = self.start();
            let Some(head) = self.head()? else { break };
            self.heads.push((start, head));
        }
        let mut expr = self.operation(0)?;
        while self.heads.len() > outside
            && let Some((start, head)) = self.heads.pop()
        {
            let kind = match head {
                Head::Lambda { argument, pattern } => {
                    self.tree.names.extend(argument.map(Attr::Name));
                    self.tree.lists.lambdas.push(Lambda { argument, pattern, body: expr });
                    Kind::Lambda(self.tree.lists.lambdas.len() as u32 - 1)
                }
                Head::Let { entries } => Kind::Let { entries, body: expr },
                Head::If { condition, then } => Kind::If { condition, then, otherwise: expr },
                Head::With { namespace } => Kind::With { namespace, body: expr },
                Head::Assert { condition, written } => Kind::Assert { condition, written, body: expr },
            };
            expr = self.add(kind, start);
        }
        Ok(expr)
    }

    fn head(&mut self) -> Parsed<Option<Head>> {
        Ok(Some(match (self.kind(), self.peek(1)) {
            (Some(TOKEN_IDENT), Some(TOKEN_COLON)) => {
                let argument = Some(self.ident("")?);
                self.at += 1;
                Head::Lambda { argument, pattern: None }
            }
            (Some(TOKEN_IDENT), Some(TOKEN_AT)) => {
                let argument = Some(self.ident("")?);
                self.at += 1;
                self.expect(TOKEN_L_BRACE, "'{'")?;
                let pattern = Some(self.pattern()?);
                self.expect(TOKEN_COLON, "':'")?;
                Head::Lambda { argument, pattern }
            }
            (Some(TOKEN_L_BRACE), _) if self.is_pattern() => {
                self.at += 1;
                let pattern = Some(self.pattern()?);
                let mut argument = None;
                if self.take(TOKEN_AT) {
                    argument = Some(self.ident("identifier")?);
                    self.expect(TOKEN_COLON, "':'")?;
                } else {
                    self.expect(TOKEN_COLON, "':' or '@'")?;
                }
                Head::Lambda { argument, pattern }
            }
            (Some(TOKEN_LET), next) if next != Some(TOKEN_L_BRACE) => {
                self.at += 1;
                Head::Let { entries: self.entries(TOKEN_IN, "'in' or 'inherit'")? }
            }
            (Some(TOKEN_IF), _) => {
                self.at += 1;
                let condition = self.expr()?;
                self.expect(TOKEN_THEN, "'then'")?;
                let then = self.expr()?;
                self.expect(TOKEN_ELSE, "'else'")?;
                Head::If { condition, then }
            }
            (Some(TOKEN_WITH), _) => {
                self.at += 1;
                let namespace = self.expr()?;
                self.expect(TOKEN_SEMICOLON, "';'")?;
                Head::With { namespace }
            }
            (Some(TOKEN_ASSERT), _) => {
                self.at += 1;
                let start = self.start();
                let condition = self.expr()?;
                let written = Place { start, end: self.end() };
                self.expect(TOKEN_SEMICOLON, "';'")?;
                Head::Assert { condition, written }
            }
            _ => return Ok(None),
        }))
    }

    /// Whether the brace here opens a function's pattern rather than a set.
    fn is_pattern(&self) -> bool {
        match (self.peek(1), self.peek(2)) {
            (Some(TOKEN_ELLIPSIS), _) => true,
            (Some(TOKEN_R_BRACE), next) => matches!(next, Some(TOKEN_COLON | TOKEN_AT)),
            (Some(TOKEN_IDENT), next) => {
                matches!(next, Some(TOKEN_COMMA | TOKEN_QUESTION | TOKEN_R_BRACE))
            }
            _ => false,
        }
    }

    /// From behind the opening brace to behind the closing one.
    fn pattern(&mut self) -> Parsed<Pattern> {
        let mark = self.open.formals.len();
        let mut ellipsis = false;
        while !self.take(TOKEN_R_BRACE) {
            if self.take(TOKEN_ELLIPSIS) {
                self.expect(TOKEN_R_BRACE, "'}'")?;
                ellipsis = true;
                break;
            }
            let name = self.ident(FORMAL)?;
            let default = if self.take(TOKEN_QUESTION) { Some(self.expr()?) } else { None };
            self.tree.names.push(Attr::Name(name));
            self.open.formals.push(Formal { name, default });
            if !self.take(TOKEN_COMMA) {
                self.expect(TOKEN_R_BRACE, "'}' or ','")?;
                break;
            }
        }
        let formals = close(&mut self.open.formals, mark, &mut self.tree.lists.formals);
        Ok(Pattern { formals, ellipsis })
    }

    // Operators.

    fn operation(&mut self, least: u8) -> Parsed {
        let start = self.start();
        let mut left = match self.kind() {
            Some(TOKEN_SUB) => {
                self.check_depth()?;
                self.at += 1;
                let operand = self.operation(NEGATE)?;
                self.add(Kind::Negate(operand), start)
            }
            Some(TOKEN_INVERT) => {
                self.check_depth()?;
                self.at += 1;
                let operand = self.operation(NOT)?;
                self.add(Kind::Not(operand), start)
            }
            _ => self.application()?,
        };
        if self.kind().is_some_and(is_pipe) {
            return Err(self.unexpected(""));
        }
        while let Some((operation, tightness, side)) = self.kind().and_then(operator) {
            if tightness < least {
                break;
            }
            let operator_start = self.start();
            self.at += 1;
            let Some(operation) = operation else {
                let path = self.attr_path()?;
                left = self.add(Kind::HasAttr { base: left, path }, start);
                continue;
            };
            self.check_depth()?;
            let right = self.operation(if side == Side::Right { tightness } else { tightness + 1 })?;
            let kind = Kind::Binary { operator: operation, operator_start, left, right };
            left = self.add(kind, start);
            let next = self.kind().and_then(operator);
            if side == Side::Neither && next.is_some_and(|(_, other, _)| other == tightness) {
                return Err(self.unexpected(""));
            }
        }
        Ok(left)
    }

    fn application(&mut self) -> Parsed {
        let start = self.start();
        let function = self.select()?;
        if !self.is_operand() {
            return Ok(function);
        }
        let arguments = self.operands()?;
        Ok(self.add(Kind::Apply { function, arguments }, start))
    }

    /// As many as follow.
    fn operands(&mut self) -> Parsed<Span> {
        let mark = self.open.items.len();
        while self.is_operand() {
            let operand = self.select()?;
            self.open.items.push(operand);
        }
        Ok(close(&mut self.open.items, mark, &mut self.tree.lists.items))
    }

    fn is_operand(&self) -> bool {
        self.kind().is_some_and(|kind| {
            matches!(
                kind,
                TOKEN_IDENT
                    | TOKEN_CUR_POS
                    | TOKEN_INTEGER
                    | TOKEN_FLOAT
                    | TOKEN_STRING_START
                    | TOKEN_PATH_ABS
                    | TOKEN_PATH_REL
                    | TOKEN_PATH_HOME
                    | TOKEN_PATH_SEARCH
                    | TOKEN_URI
                    | TOKEN_L_PAREN
                    | TOKEN_L_BRACK
                    | TOKEN_L_BRACE
                    | TOKEN_LET
                    | TOKEN_REC
            )
        }) || self.trailing_slash().is_some()
    }

    fn select(&mut self) -> Parsed {
        let start = self.start();
        let base = self.operand()?;
        if self.take(TOKEN_DOT) {
            let path = self.attr_path()?;
            let mut default = None;
            if self.take(TOKEN_OR) {
                self.check_depth()?;
                default = Some(Otherwise::new(self.select()?));
            }
            return Ok(self.add(Kind::Select { base, path, default }, start));
        }
        if self.take(TOKEN_OR) {
            // `a or` is an old way to call `a` with a variable `or`.
            let Place { start: or, end } = self.stepped_over();
            let argument = self.add(Kind::Variable { end }, or);
            let mark = self.open.items.len();
            self.open.items.push(argument);
            let arguments = close(&mut self.open.items, mark, &mut self.tree.lists.items);
            return Ok(self.add(Kind::Apply { function: base, arguments }, start));
        }
        Ok(base)
    }

    fn operand(&mut self) -> Parsed {
        let start = self.start();
        let Some(&Token { kind, end, .. }) = self.tokens.get(self.at) else {
            return Err(self.unexpected(""));
        };
        let kind = match kind {
            TOKEN_IDENT if self.token_text(self.at) == b"__curPos" => Kind::CurPos,
            TOKEN_IDENT => {
                self.tree.names.push(Attr::Name(Place { start, end }));
                Kind::Variable { end }
            }
            TOKEN_CUR_POS => Kind::CurPos,
            TOKEN_INTEGER => Kind::Integer { end },
            TOKEN_FLOAT => Kind::Float { end },
            TOKEN_URI => Kind::Uri { end },
            TOKEN_PATH_SEARCH => Kind::SearchPath { end },
            TOKEN_STRING_START => return self.string(),
            TOKEN_PATH_ABS => return self.path(PathKind::Absolute),
            TOKEN_PATH_REL => return self.path(PathKind::Relative),
            TOKEN_PATH_HOME => return self.path(PathKind::Home),
            TOKEN_L_PAREN => {
                self.at += 1;
                let inner = self.expr()?;
                self.expect(TOKEN_R_PAREN, "')'")?;
                return Ok(inner);
            }
            TOKEN_LET => {
                self.at += 1;
                self.expect(TOKEN_L_BRACE, "'{'")?;
                let entries = self.entries(TOKEN_R_BRACE, "'inherit' or '}'")?;
                return Ok(self.add(Kind::LegacyLet { entries }, start));
            }
            TOKEN_REC => {
                self.at += 1;
                self.expect(TOKEN_L_BRACE, "'{'")?;
                let entries = self.entries(TOKEN_R_BRACE, "'inherit' or '}'")?;
                return Ok(self.add(Kind::Set { recursive: true, entries }, start));
            }
            TOKEN_L_BRACE => {
                self.at += 1;
                let entries = self.entries(TOKEN_R_BRACE, "'inherit'")?;
                return Ok(self.add(Kind::Set { recursive: false, entries }, start));
            }
            TOKEN_L_BRACK => {
                self.at += 1;
                let items = self.list_items()?;
                return Ok(self.add(Kind::List { items }, start));
            }
            _ => {
                return Err(self.trailing_slash().unwrap_or_else(|| self.unexpected("")));
            }
        };
        self.at += 1;
        Ok(self.add(kind, start))
    }

    fn list_items(&mut self) -> Parsed<Span> {
        self.check_depth()?;
        let items = self.operands()?;
        self.expect(TOKEN_R_BRACK, "")?;
        Ok(items)
    }

    /// What is wrong with a path that ends in a slash or has two in a row.
    fn trailing_slash(&self) -> Option<SyntaxError> {
        if self.kind() != Some(TOKEN_ERROR) {
            return None;
        }
        let Token { start, end, .. } = self.tokens[self.at];
        let text = self.token_text(self.at);
        if text.starts_with(b"/*") {
            return None;
        }
        if let Some(place) = text.windows(2).position(|pair| pair == b"//") {
            let message = "syntax error, unexpected end of path, expecting '${'".to_owned();
            return Some(SyntaxError::new(message, start + place as u32 + 1));
        }
        // `./` alone is a dot and a slash, unless it goes on behind a `${…}`.
        let goes_on =
            self.at > 0 && self.end() == start && self.tokens[self.at - 1].kind == TOKEN_INTERPOL_END;
        let is_path = text.strip_suffix(b"/").is_some_and(|text| goes_on || text.contains(&b'/'));
        let message = "path has a trailing slash".to_owned();
        is_path.then_some(SyntaxError::new(message, end))
    }

    // Names and bindings.

    fn attr_path(&mut self) -> Parsed<Span> {
        let mark = self.open.attrs.len();
        loop {
            let name = self.name()?;
            self.open.attrs.push(name);
            if !self.take(TOKEN_DOT) {
                return Ok(close(&mut self.open.attrs, mark, &mut self.tree.lists.attrs));
            }
        }
    }

    fn is_name(&self) -> bool {
        match self.kind() {
            Some(TOKEN_IDENT | TOKEN_CUR_POS | TOKEN_OR | TOKEN_INTERPOL_START) => true,
            Some(TOKEN_STRING_START) => self.token_text(self.at) == b"\"",
            _ => false,
        }
    }

    fn name(&mut self) -> Parsed<Attr> {
        let start = self.start();
        let name = match self.kind() {
            _ if !self.is_name() => return Err(self.unexpected(NAME)),
            Some(TOKEN_STRING_START) => Attr::Str(self.string()?),
            Some(TOKEN_INTERPOL_START) => Attr::Computed { start, code: self.interpolation()? },
            _ => {
                self.at += 1;
                Attr::Name(self.stepped_over())
            }
        };
        self.tree.names.push(name);
        Ok(name)
    }

    /// Up to and with the closing token.
    fn entries(&mut self, close_kind: SyntaxKind, expecting: &str) -> Parsed<Span> {
        self.check_depth()?;
        let mark = self.open.entries.len();
        while !self.take(close_kind) {
            let entry = if self.take(TOKEN_INHERIT) {
                self.inherit()?
            } else if self.is_name() {
                let path = self.attr_path()?;
                self.expect(TOKEN_ASSIGN, "'.' or '='")?;
                let value = self.expr()?;
                self.expect(TOKEN_SEMICOLON, "';'")?;
                Entry::Bind { path, value }
            } else {
                return Err(self.unexpected(expecting));
            };
            self.open.entries.push(entry);
        }
        Ok(close(&mut self.open.entries, mark, &mut self.tree.lists.entries))
    }

    fn inherit(&mut self) -> Parsed<Entry> {
        let mut from = None;
        if self.take(TOKEN_L_PAREN) {
            from = Some(self.expr()?);
            self.expect(TOKEN_R_PAREN, "')'")?;
        }
        let mark = self.open.attrs.len();
        while self.is_name() {
            let name = self.name()?;
            self.open.attrs.push(name);
        }
        self.expect(TOKEN_SEMICOLON, "")?;
        let names = close(&mut self.open.attrs, mark, &mut self.tree.lists.attrs);
        Ok(Entry::Inherit { from, names })
    }

    // Messages.

    #[cold]
    fn unexpected(&self, expecting: &str) -> SyntaxError {
        let (found, offset) = self.found();
        let comma = if expecting.is_empty() { "" } else { ", expecting " };
        if self.kind().is_some_and(is_pipe) {
            return SyntaxError {
                message: "experimental Nix feature 'pipe-operators' is disabled".to_owned(),
                offset,
                hint: Some("write a function call instead"),
            };
        }
        SyntaxError::new(format!("syntax error, unexpected {found}{comma}{expecting}"), offset)
    }

    fn found(&self) -> (String, u32) {
        let Some(token) = self.tokens.get(self.at) else {
            return ("end of file".to_owned(), self.text.trim_ascii_end().len() as u32);
        };
        let text = self.token_text(self.at);
        let found = match token.kind {
            TOKEN_IDENT | TOKEN_CUR_POS => "identifier".to_owned(),
            TOKEN_INTEGER => "integer".to_owned(),
            TOKEN_FLOAT => "floating-point literal".to_owned(),
            TOKEN_PATH_ABS | TOKEN_PATH_REL => "path".to_owned(),
            TOKEN_PATH_HOME => "'~/…' path".to_owned(),
            TOKEN_PATH_SEARCH => "'<…>' path".to_owned(),
            TOKEN_URI => "URI".to_owned(),
            TOKEN_STRING_START if text == b"''" => "start of an indented string".to_owned(),
            // A comment that never ends is a division to Nix.
            TOKEN_ERROR if text.starts_with(b"/*") => "'/'".to_owned(),
            TOKEN_ERROR if text.starts_with(b".") => "'.'".to_owned(),
            TOKEN_ERROR => "invalid token".to_owned(),
            _ => format!("'{}'", String::from_utf8_lossy(text)),
        };
        (found, token.start)
    }
}
