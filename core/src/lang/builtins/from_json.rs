//! `fromJSON`: strict JSON, read without recursion.
//!
//! Nix reads JSON with a library whose messages programs have come to know
//! (`[json.exception.parse_error.101] parse error at line …`), so this reader
//! counts lines and columns and words its refusals in the same way.

mod lexer;

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::error::ErrorKind;
use crate::lang::symbol::Sym;
use crate::lang::value::Attr;
use lexer::{Lexer, Token};

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("fromJSON", 1, from_json)];

fn from_json(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_plain(args[0], pos)?;
    let mut reader = Reader { lexer: Lexer::new(text), open: Vec::new(), pos };
    reader.document(e)
}

/// A list or set whose end was not read yet.
enum Open {
    List(Vec<Value>),
    /// With the name of the member that is being read.
    Set(Vec<Attr>, Sym),
}

struct Reader<'t> {
    lexer: Lexer<'t>,
    open: Vec<Open>,
    pos: Pos,
}

impl Reader<'_> {
    fn document(&mut self, e: &mut Evaluator) -> Eval {
        let mut token = self.lexer.token();
        loop {
            let mut value = match self.begin(e, token)? {
                Some(value) => value,
                None => {
                    token = self.lexer.token();
                    continue;
                }
            };
            // A value is complete, and with it perhaps what holds it.
            loop {
                match self.open.last_mut() {
                    None => {
                        let token = self.lexer.token();
                        if !matches!(token, Token::End) {
                            return self.refuse(e, &token, Some("end of input"), "value");
                        }
                        return Ok(value);
                    }
                    Some(Open::List(items)) => {
                        items.push(value);
                        let after = self.lexer.token();
                        match after {
                            Token::Comma => break,
                            Token::ListEnd => value = self.close(e),
                            other => return self.refuse(e, &other, Some("']'"), "array"),
                        }
                    }
                    Some(Open::Set(entries, name)) => {
                        entries.push(Attr { name: *name, pos: Pos::NONE, value });
                        let after = self.lexer.token();
                        match after {
                            Token::Comma => {
                                let key = self.lexer.token();
                                let key = self.key(e, key)?;
                                if let Some(Open::Set(_, name)) = self.open.last_mut() {
                                    *name = key;
                                }
                                break;
                            }
                            Token::SetEnd => value = self.close(e),
                            other => return self.refuse(e, &other, Some("'}'"), "object"),
                        }
                    }
                }
            }
            token = self.lexer.token();
        }
    }

    /// Begins a value: a scalar or something empty is one, anything else has
    /// been opened.
    fn begin(&mut self, e: &mut Evaluator, token: Token) -> Eval<Option<Value>> {
        Ok(Some(match token {
            Token::Null => Value::Null,
            Token::True => Value::Bool(true),
            Token::False => Value::Bool(false),
            Token::String(text) => self.string(e, &text)?,
            Token::Number { text, integer } => self.number(e, &text, integer)?,
            Token::ListBegin => {
                self.open.push(Open::List(Vec::new()));
                if self.lexer.skip_close(b']') {
                    return Ok(Some(self.close(e)));
                }
                return Ok(None);
            }
            Token::SetBegin => {
                let first = self.lexer.token();
                if matches!(first, Token::SetEnd) {
                    return Ok(Some(e.attrs(Vec::new())));
                }
                let name = self.key(e, first)?;
                self.open.push(Open::Set(Vec::new(), name));
                return Ok(None);
            }
            Token::Bad(_) => return self.refuse(e, &token, None, "value"),
            Token::End if self.lexer.is_empty() => {
                let what = "attempting to parse an empty input; check that your input string or stream contains the expected JSON";
                return self.fail(e, what);
            }
            other => return self.refuse(e, &other, Some("'[', '{', or a literal"), "value"),
        }))
    }

    fn close(&mut self, e: &Evaluator) -> Value {
        match self.open.pop() {
            Some(Open::List(items)) => e.list(&items),
            Some(Open::Set(entries, _)) => e.attrs(entries),
            None => Value::Null,
        }
    }

    fn key(&mut self, e: &mut Evaluator, token: Token) -> Eval<Sym> {
        let Token::String(text) = token else {
            return self.refuse(e, &token, Some("string literal"), "object key");
        };
        self.check_text(e, &text)?;
        let name = e.symbols.intern(&text);
        match self.lexer.token() {
            Token::Colon => Ok(name),
            other => self.refuse(e, &other, Some("':'"), "object separator"),
        }
    }

    fn string(&self, e: &Evaluator, text: &[u8]) -> Eval {
        self.check_text(e, text)?;
        Ok(e.string(text))
    }

    fn check_text(&self, e: &Evaluator, text: &[u8]) -> Eval<()> {
        if !text.contains(&0) {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(text).replace('\0', "␀");
        let message = format!(
            "input string '{shown}' cannot be represented as Nix string because it contains null bytes"
        );
        e.fail(ErrorKind::Value, message, self.pos)
    }

    fn number(&self, e: &Evaluator, text: &str, integer: bool) -> Eval {
        if integer {
            if let Ok(number) = text.parse::<i64>() {
                return Ok(Value::Int(number));
            }
            if text.parse::<u64>().is_ok() {
                let message = format!("unsigned json number {text} outside of Nix integer range");
                return e.fail(ErrorKind::Value, message, self.pos);
            }
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => {
                let message = format!("[json.exception.out_of_range.406] number overflow parsing '{text}'");
                e.fail(ErrorKind::Value, message, self.pos)
            }
        }
    }

    fn refuse<T>(&self, e: &Evaluator, token: &Token, expected: Option<&str>, context: &str) -> Eval<T> {
        let mut what = format!("syntax error while parsing {context} - ");
        match token {
            Token::Bad(reason) => {
                what.push_str(&format!("{reason}; last read: '{}'", self.lexer.last_read()));
            }
            other => what.push_str(&format!("unexpected {}", other.name())),
        }
        if let Some(expected) = expected {
            what.push_str(&format!("; expected {expected}"));
        }
        self.fail(e, &what)
    }

    fn fail<T>(&self, e: &Evaluator, what: &str) -> Eval<T> {
        let (line, column) = self.lexer.place();
        let message =
            format!("[json.exception.parse_error.101] parse error at line {line}, column {column}: {what}");
        e.fail(ErrorKind::Value, message, self.pos)
    }
}
