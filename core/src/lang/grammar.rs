//! Whether tokens make a program, and the words for where they stop making
//! one.
//!
//! `rnix` accepts more than Nix does (`[ x: x ]`, `f x: y`, `1 == 2 == 3`) and
//! goes on after mistakes. This walk over the tokens builds nothing: it
//! accepts what Nix accepts, and names the unexpected token and what could
//! stand there in Nix's words, which tools look for. Nix lists alternatives
//! only where they are few.

use rnix::SyntaxKind::{self, *};

use super::parse::SyntaxError;

/// A token that is neither blank nor comment.
pub(super) struct Token {
    pub kind: SyntaxKind,
    pub start: u32,
    pub end: u32,
}

pub(super) fn check(tokens: &[Token], text: &str) -> Result<(), SyntaxError> {
    let mut walk = Walk { tokens, text, at: 0 };
    walk.expr()?;
    match walk.kind() {
        None => Ok(()),
        Some(_) => Err(walk.unexpected("end of file")),
    }
}

struct Walk<'t> {
    tokens: &'t [Token],
    text: &'t str,
    at: usize,
}

type Step = Result<(), SyntaxError>;

const NAME: &str = "identifier or 'or' or '${' or '\"'";
const FORMAL: &str = "identifier or '...' or '}'";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Neither,
}

/// How tightly an operator binds, and to which side it leans.
fn operator(kind: SyntaxKind) -> Option<(u8, Side)> {
    Some(match kind {
        TOKEN_PIPE_RIGHT | TOKEN_PIPE_LEFT => (0, Side::Left),
        TOKEN_IMPLICATION => (1, Side::Right),
        TOKEN_OR_OR => (2, Side::Left),
        TOKEN_AND_AND => (3, Side::Left),
        TOKEN_EQUAL | TOKEN_NOT_EQUAL => (4, Side::Neither),
        TOKEN_LESS | TOKEN_LESS_OR_EQ | TOKEN_MORE | TOKEN_MORE_OR_EQ => (5, Side::Neither),
        TOKEN_UPDATE => (6, Side::Right),
        // `!` is 7.
        TOKEN_ADD | TOKEN_SUB => (8, Side::Left),
        TOKEN_MUL | TOKEN_DIV => (9, Side::Left),
        TOKEN_CONCAT => (10, Side::Right),
        TOKEN_QUESTION => (11, Side::Left),
        _ => return None,
    })
}

const NOT: u8 = 7;
const NEGATE: u8 = 12;

impl Walk<'_> {
    fn kind(&self) -> Option<SyntaxKind> {
        self.peek(0)
    }

    fn peek(&self, ahead: usize) -> Option<SyntaxKind> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    fn token_text(&self, index: usize) -> &str {
        self.tokens.get(index).and_then(|t| self.text.get(t.start as usize..t.end as usize)).unwrap_or("")
    }

    /// Steps over a token if it is of this kind.
    fn take(&mut self, kind: SyntaxKind) -> bool {
        let found = self.kind() == Some(kind);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, kind: SyntaxKind, expecting: &str) -> Step {
        if self.take(kind) { Ok(()) } else { Err(self.unexpected(expecting)) }
    }

    // Functions and what else extends as far as it can.

    fn expr(&mut self) -> Step {
        loop {
            match (self.kind(), self.peek(1)) {
                (Some(TOKEN_IDENT), Some(TOKEN_COLON)) => self.at += 2,
                (Some(TOKEN_IDENT), Some(TOKEN_AT)) => {
                    self.at += 2;
                    self.expect(TOKEN_L_BRACE, "'{'")?;
                    self.formals()?;
                    self.expect(TOKEN_COLON, "':'")?;
                }
                (Some(TOKEN_L_BRACE), _) if self.is_pattern() => {
                    self.at += 1;
                    self.formals()?;
                    if self.take(TOKEN_AT) {
                        self.expect(TOKEN_IDENT, "identifier")?;
                        self.expect(TOKEN_COLON, "':'")?;
                    } else {
                        self.expect(TOKEN_COLON, "':' or '@'")?;
                    }
                }
                (Some(TOKEN_LET), next) if next != Some(TOKEN_L_BRACE) => {
                    self.at += 1;
                    self.bindings(TOKEN_IN, "'in' or 'inherit'")?;
                }
                (Some(TOKEN_IF), _) => {
                    self.at += 1;
                    self.expr()?;
                    self.expect(TOKEN_THEN, "'then'")?;
                    self.expr()?;
                    self.expect(TOKEN_ELSE, "'else'")?;
                }
                (Some(TOKEN_WITH | TOKEN_ASSERT), _) => {
                    self.at += 1;
                    self.expr()?;
                    self.expect(TOKEN_SEMICOLON, "';'")?;
                }
                _ => return self.operation(0),
            }
        }
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
    fn formals(&mut self) -> Step {
        while !self.take(TOKEN_R_BRACE) {
            if self.take(TOKEN_ELLIPSIS) {
                return self.expect(TOKEN_R_BRACE, "'}'");
            }
            self.expect(TOKEN_IDENT, FORMAL)?;
            if self.take(TOKEN_QUESTION) {
                self.expr()?;
            }
            if !self.take(TOKEN_COMMA) {
                return self.expect(TOKEN_R_BRACE, "'}' or ','");
            }
        }
        Ok(())
    }

    // Operators.

    fn operation(&mut self, least: u8) -> Step {
        match self.kind() {
            Some(TOKEN_SUB) => {
                self.at += 1;
                self.operation(NEGATE)?;
            }
            Some(TOKEN_INVERT) => {
                self.at += 1;
                self.operation(NOT)?;
            }
            _ => self.application()?,
        }
        while let Some((tightness, side)) = self.kind().and_then(operator) {
            if tightness < least {
                break;
            }
            let is_question = self.take(TOKEN_QUESTION);
            if is_question {
                self.attr_path()?;
                continue;
            }
            self.at += 1;
            self.operation(if side == Side::Right { tightness } else { tightness + 1 })?;
            let next = self.kind().and_then(operator);
            if side == Side::Neither && next.is_some_and(|(other, _)| other == tightness) {
                return Err(self.unexpected(""));
            }
        }
        Ok(())
    }

    fn application(&mut self) -> Step {
        self.select()?;
        while self.is_operand() {
            self.select()?;
        }
        Ok(())
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

    fn select(&mut self) -> Step {
        loop {
            self.operand()?;
            if self.take(TOKEN_DOT) {
                self.attr_path()?;
                if self.take(TOKEN_OR) {
                    continue;
                }
            } else {
                // `a or` is an old way to call `a` with a variable `or`.
                self.take(TOKEN_OR);
            }
            return Ok(());
        }
    }

    fn operand(&mut self) -> Step {
        match self.kind() {
            // `rnix` takes `</x>` for a place of the search path.
            Some(TOKEN_PATH_SEARCH) if self.token_text(self.at).starts_with("</") => Err(self.unexpected("")),
            Some(
                TOKEN_IDENT | TOKEN_CUR_POS | TOKEN_INTEGER | TOKEN_FLOAT | TOKEN_URI | TOKEN_PATH_SEARCH,
            ) => {
                self.at += 1;
                Ok(())
            }
            Some(TOKEN_STRING_START) => self.string(),
            Some(TOKEN_PATH_ABS | TOKEN_PATH_REL | TOKEN_PATH_HOME) => self.path(),
            Some(TOKEN_L_PAREN) => {
                self.at += 1;
                self.expr()?;
                self.expect(TOKEN_R_PAREN, "')'")
            }
            Some(TOKEN_LET | TOKEN_REC) => {
                self.at += 1;
                self.expect(TOKEN_L_BRACE, "'{'")?;
                self.bindings(TOKEN_R_BRACE, "'inherit' or '}'")
            }
            Some(TOKEN_L_BRACE) => {
                self.at += 1;
                self.bindings(TOKEN_R_BRACE, "'inherit'")
            }
            Some(TOKEN_L_BRACK) => {
                self.at += 1;
                while self.is_operand() {
                    self.select()?;
                }
                self.expect(TOKEN_R_BRACK, "")
            }
            _ => match self.trailing_slash() {
                Some(offset) => Err(SyntaxError { message: "path has a trailing slash".to_owned(), offset }),
                None => Err(self.unexpected("")),
            },
        }
    }

    /// The end of a path that ends in a slash, which no token may.
    fn trailing_slash(&self) -> Option<u32> {
        let text = self.token_text(self.at);
        // `./` alone is a dot and a slash.
        let is_path =
            text.strip_suffix('/').is_some_and(|text| text.contains('/')) && !text.starts_with("/*");
        (self.kind() == Some(TOKEN_ERROR) && is_path).then(|| self.tokens[self.at].end)
    }

    // Names, bindings, strings.

    fn attr_path(&mut self) -> Step {
        self.name()?;
        while self.take(TOKEN_DOT) {
            self.name()?;
        }
        Ok(())
    }

    fn is_name(&self) -> bool {
        match self.kind() {
            Some(TOKEN_IDENT | TOKEN_CUR_POS | TOKEN_OR | TOKEN_INTERPOL_START) => true,
            Some(TOKEN_STRING_START) => self.token_text(self.at) == "\"",
            _ => false,
        }
    }

    fn name(&mut self) -> Step {
        match self.kind() {
            _ if !self.is_name() => Err(self.unexpected(NAME)),
            Some(TOKEN_STRING_START) => self.string(),
            Some(TOKEN_INTERPOL_START) => self.interpolation(),
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }

    /// Up to and with the closing token.
    fn bindings(&mut self, close: SyntaxKind, expecting: &str) -> Step {
        while !self.take(close) {
            if self.take(TOKEN_INHERIT) {
                if self.take(TOKEN_L_PAREN) {
                    self.expr()?;
                    self.expect(TOKEN_R_PAREN, "')'")?;
                }
                while self.is_name() {
                    self.name()?;
                }
                self.expect(TOKEN_SEMICOLON, "")?;
            } else if self.is_name() {
                self.attr_path()?;
                self.expect(TOKEN_ASSIGN, "'.' or '='")?;
                self.expr()?;
                self.expect(TOKEN_SEMICOLON, "';'")?;
            } else {
                return Err(self.unexpected(expecting));
            }
        }
        Ok(())
    }

    fn interpolation(&mut self) -> Step {
        self.at += 1;
        self.expr()?;
        if self.take(TOKEN_INTERPOL_END) { Ok(()) } else { self.expect(TOKEN_R_BRACE, "'}'") }
    }

    fn string(&mut self) -> Step {
        let start = self.at;
        self.at += 1;
        loop {
            match self.kind() {
                Some(TOKEN_STRING_CONTENT) => self.at += 1,
                Some(TOKEN_INTERPOL_START) => self.interpolation()?,
                Some(TOKEN_STRING_END) => {
                    self.at += 1;
                    return Ok(());
                }
                // The text ended first; where the string began says more.
                _ => {
                    let expecting = if self.token_text(start) == "\"" {
                        "'\"'"
                    } else {
                        "indented string or '${' or end of an indented string"
                    };
                    return Err(SyntaxError {
                        message: format!("syntax error, unexpected end of file, expecting {expecting}"),
                        offset: self.tokens[start].start,
                    });
                }
            }
        }
    }

    /// A path's pieces follow each other without blanks.
    fn path(&mut self) -> Step {
        self.at += 1;
        loop {
            let end = self.tokens[self.at - 1].end;
            let Some(next) = self.tokens.get(self.at).filter(|next| next.start == end) else { return Ok(()) };
            match next.kind {
                TOKEN_INTERPOL_START => self.interpolation()?,
                TOKEN_PATH_ABS | TOKEN_PATH_REL | TOKEN_PATH_HOME => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    // Messages.

    fn unexpected(&self, expecting: &str) -> SyntaxError {
        let (found, offset) = self.found();
        let comma = if expecting.is_empty() { "" } else { ", expecting " };
        SyntaxError { message: format!("syntax error, unexpected {found}{comma}{expecting}"), offset }
    }

    fn found(&self) -> (String, u32) {
        let Some(token) = self.tokens.get(self.at) else {
            return ("end of file".to_owned(), self.text.trim_end().len() as u32);
        };
        let text = self.token_text(self.at);
        let found = match token.kind {
            TOKEN_IDENT | TOKEN_CUR_POS => "identifier".to_owned(),
            TOKEN_INTEGER => "integer".to_owned(),
            TOKEN_FLOAT => "floating-point literal".to_owned(),
            TOKEN_PATH_ABS | TOKEN_PATH_REL => "path".to_owned(),
            TOKEN_PATH_HOME => "'~/…' path".to_owned(),
            TOKEN_PATH_SEARCH if text.starts_with("</") => "'<'".to_owned(),
            TOKEN_PATH_SEARCH => "'<…>' path".to_owned(),
            TOKEN_URI => "URI".to_owned(),
            TOKEN_STRING_START if text == "''" => "start of an indented string".to_owned(),
            // A comment that never ends is a division to Nix.
            TOKEN_ERROR if text.starts_with("/*") => "'/'".to_owned(),
            TOKEN_ERROR if text.starts_with('.') => "'.'".to_owned(),
            TOKEN_ERROR => "invalid token".to_owned(),
            _ => format!("'{text}'"),
        };
        (found, token.start)
    }
}
