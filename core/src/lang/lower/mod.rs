//! One pass from the syntax tree to our code: variables resolved, attribute
//! paths merged, strings unescaped, what cannot be right refused.

mod attrs;
mod calls;
mod functions;
mod names;
mod paths;
mod scopes;
mod strings;

use std::path::Path;

use super::code::{Delay, Delayed, Expr, Name};
use super::context::Context;
use super::eval::is_quick;
use super::heap::Heap;
use super::portable::BuiltIns;
use super::source::{Base, Origin, Pos};
use super::stack;
use super::symbol::{FastMap, Known, Sym, Symbols};
use super::syntax::{Kind, NodeId, Place, Tree};
use super::value::{Str, Value};
pub(super) use paths::{normal, path_start, within_brackets};
pub(super) use scopes::Scopes;
pub(super) use strings::{Part, string_parts};

/// A program that cannot be lowered.
pub(super) struct LowerError {
    pub message: String,
    pub hint: Option<String>,
    pub pos: Pos,
}

type Lowered<T = &'static Expr> = Result<T, LowerError>;

/// What lowering needs from around the text.
pub(super) struct Surroundings<'a> {
    pub heap: Heap,
    pub symbols: &'a mut Symbols,
    pub known: &'a Known,
    pub globals: &'a FastMap<Sym, Value>,
    /// Code that thunks refer to by number.
    pub codes: &'a mut Vec<&'static Expr>,
    pub scopes: &'a mut Scopes,
    /// Filled with what code refers to that is built in.
    pub built_ins: &'a mut BuiltIns,
    pub base: Base,
    /// How messages name the text.
    pub origin: &'a Origin,
    /// Relative paths begin here.
    pub directory: &'a Path,
    /// `~/` begins here; `None` where programs may not know.
    pub home: Option<&'a Path>,
    /// Names that a scope around the whole text holds, in the order of slots.
    pub outermost: Option<&'a [Sym]>,
}

pub(super) fn lower(tree: &Tree<'_>, around: Surroundings<'_>) -> Lowered {
    if let Some(names) = around.outermost {
        around.scopes.open(names.iter().copied());
    }
    let mut lowerer = Lowerer { tree, around, floor: stack::floor() };
    // Symbols are ordered, and seen in another order here.
    for name in tree.names() {
        lowerer.literal_name(*name);
    }
    let lowered = lowerer.expr(tree.root());
    lowerer.around.scopes.close_all();
    lowered
}

struct Lowerer<'a> {
    tree: &'a Tree<'a>,
    around: Surroundings<'a>,
    /// The address that the stack must not pass.
    floor: usize,
}

impl<'a> Lowerer<'a> {
    fn heap(&self) -> Heap {
        self.around.heap
    }

    fn at(&self, offset: u32) -> Pos {
        self.around.base.at(offset)
    }

    fn error<T>(&self, message: impl Into<String>, pos: Pos) -> Lowered<T> {
        Err(LowerError { message: message.into(), hint: None, pos })
    }

    /// `file:line:column` of a position in this text.
    fn place(&self, pos: Pos) -> String {
        let before = self.tree.text(0, self.around.base.offset(pos));
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.len() - before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) + 1;
        format!("{}:{line}:{column}", self.around.origin)
    }

    fn put(&self, expr: Expr) -> &'static Expr {
        self.heap().cell(expr)
    }

    /// Code whose value may wait.
    fn delayed(&mut self, code: &'static Expr) -> Delayed {
        let delay = match code {
            // To Nix these are computed, which shows in what is not evaluated:
            // `-1`, `{ }` and `builtins.map`.
            Expr::Const(Value::Int(..0)) => Delay::Thunk,
            Expr::Const(Value::Attrs(attrs)) if attrs.is_empty() => Delay::Thunk,
            Expr::Const(_) if self.around.built_ins.is_member(code) => Delay::Thunk,
            Expr::Const(_) | Expr::Local { .. } | Expr::Lambda(_) => Delay::Ready,
            _ => Delay::Thunk,
        };
        let number = u32::try_from(self.around.codes.len()).expect("texts are shorter than 4 GiB together");
        self.around.codes.push(code);
        Delayed { code, number, delay }
    }

    /// As [`Lowerer::delayed`], for arguments and variables, which are mostly
    /// needed and seldom shown.
    fn delayed_variable(&mut self, code: &'static Expr) -> Delayed {
        let mut delayed = self.delayed(code);
        if delayed.delay == Delay::Thunk && is_quick(code) {
            delayed.delay = Delay::Quick;
        }
        delayed
    }

    fn constant(&self, value: Value) -> &'static Expr {
        self.put(Expr::Const(value))
    }

    fn string(&self, bytes: &[u8]) -> Value {
        let bytes = self.heap().bytes(bytes);
        Value::String(self.heap().cell(Str::flat(bytes, Context::EMPTY)))
    }

    fn symbol(&mut self, text: &[u8]) -> Sym {
        self.around.symbols.intern(text)
    }

    fn symbol_at(&mut self, place: Place) -> Sym {
        self.around.symbols.intern(self.tree.at(place))
    }

    fn expr(&mut self, id: NodeId) -> Lowered {
        let tree = self.tree;
        let node = tree.node(id);
        let pos = self.at(node.start);
        if stack::here() < self.floor {
            return self.error("stack overflow; the expression is nested too deeply", pos);
        }
        Ok(match node.kind {
            Kind::Variable { end } => {
                let name = self.symbol(tree.text(node.start, end));
                return self.variable(name, pos);
            }
            Kind::CurPos => self.put(Expr::CurPos(pos)),
            Kind::Integer { end } => {
                let text = String::from_utf8_lossy(tree.text(node.start, end));
                match text.parse() {
                    Ok(number) => self.constant(Value::Int(number)),
                    Err(_) => return self.error(format!("invalid integer '{text}'"), pos),
                }
            }
            Kind::Float { end } => {
                let text = String::from_utf8_lossy(tree.text(node.start, end));
                // What is too small for a float is as wrong as what is too large.
                let is_zero = |text: &str| !mantissa(text).contains(|c: char| c.is_ascii_digit() && c != '0');
                match text.parse::<f64>() {
                    Ok(number) if number.is_normal() || is_zero(&text) => self.constant(Value::Float(number)),
                    _ => return self.error(format!("invalid float '{text}'"), pos),
                }
            }
            Kind::Uri { end } => self.constant(self.string(tree.text(node.start, end))),
            Kind::Str { indented, pieces } => return self.string_expr(indented, tree.pieces(pieces), pos),
            Kind::Path { kind, pieces } => return self.path(kind, tree.pieces(pieces), pos),
            Kind::SearchPath { end } => return self.search_path(tree.text(node.start, end), pos),
            Kind::List { items } => {
                let items = self.delayed_all(tree.items(items))?;
                if items.is_empty() {
                    let list = self.heap().put(super::value::List { items: &[] });
                    return Ok(self.constant(Value::List(list)));
                }
                self.put(Expr::List(self.heap().slice(&items)))
            }
            Kind::Apply { function, arguments } => {
                // Of two errors the first in the text is told.
                let function = self.expr(function)?;
                let arguments =
                    tree.items(arguments).iter().map(|a| self.expr(*a)).collect::<Lowered<Vec<_>>>()?;
                self.call(function, &arguments, pos)
            }
            Kind::Lambda(index) => {
                let lambda = self.lambda(index, pos, None)?;
                self.put(Expr::Lambda(lambda))
            }
            Kind::Let { entries, body } => return self.let_in(tree.entries(entries), body, pos),
            Kind::LegacyLet { entries } => {
                let set = self.attr_set(tree.entries(entries), true, pos)?;
                let path = self.heap().slice(&[Name::Static(self.around.known.body, pos)]);
                self.put(Expr::Select { base: set, path, default: None, pos })
            }
            Kind::Set { recursive, entries } => return self.attr_set(tree.entries(entries), recursive, pos),
            Kind::If { condition, then, otherwise } => {
                let condition = self.expr(condition)?;
                let then = self.expr(then)?;
                let otherwise = self.expr(otherwise)?;
                self.put(Expr::If { condition, then, otherwise, pos })
            }
            Kind::With { namespace, body } => {
                let namespace = self.expr(namespace)?;
                let namespace = self.delayed(namespace);
                self.around.scopes.open_with();
                let body = self.expr(body)?;
                self.around.scopes.close();
                self.put(Expr::OpenWith { namespace, body, pos })
            }
            Kind::Assert { condition, written, body } => {
                let condition = self.expr(condition)?;
                let body = self.expr(body)?;
                let (start, length) = (self.at(written.start), written.end - written.start);
                self.put(Expr::Assert { condition, body, written: (start, length), pos })
            }
            Kind::Select { base, path, default } => {
                let base = self.expr(base)?;
                let path = self.attr_path(tree.attrs(path))?;
                let default = default.map(|default| self.expr(default.node())).transpose()?;
                let known = self.known_member(base, path);
                known.unwrap_or_else(|| self.put(Expr::Select { base, path, default, pos }))
            }
            Kind::HasAttr { base, path } => {
                let base = self.expr(base)?;
                let path = self.attr_path(tree.attrs(path))?;
                self.put(Expr::HasAttr { base, path })
            }
            Kind::Not(operand) => {
                let operand = self.expr(operand)?;
                self.put(Expr::Not(operand, pos))
            }
            Kind::Negate(operand) => {
                let operand = self.expr(operand)?;
                self.negation(operand, pos)
            }
            Kind::Binary { operator, operator_start, left, right } => {
                let left = self.expr(left)?;
                let right = self.expr(right)?;
                self.binary(operator, left, right, self.at(operator_start))
            }
        })
    }

    fn delayed_all(&mut self, items: &[NodeId]) -> Lowered<Vec<Delayed>> {
        let items = items.iter().map(|item| self.expr(*item)).collect::<Lowered<Vec<_>>>()?;
        Ok(items.into_iter().map(|item| self.delayed(item)).collect())
    }

    /// A value that is bound to a name, which functions keep for messages, and
    /// so do the functions that they return at once.
    fn named(&mut self, name: Option<Sym>, id: NodeId) -> Lowered {
        let node = self.tree.node(id);
        match node.kind {
            Kind::Lambda(index) => {
                let lambda = self.lambda(index, self.at(node.start), name)?;
                Ok(self.put(Expr::Lambda(lambda)))
            }
            _ => self.expr(id),
        }
    }

    fn let_in(&mut self, entries: &'a [super::syntax::Entry], body: NodeId, pos: Pos) -> Lowered {
        if entries.is_empty() {
            return self.expr(body);
        }
        let bindings = self.let_bindings(entries, pos)?;
        let body = self.expr(body)?;
        self.around.scopes.close();
        Ok(self.put(Expr::Let { bindings, body }))
    }
}

/// A float's digits before its exponent.
fn mantissa(text: &str) -> &str {
    text.split(['e', 'E']).next().unwrap_or(text)
}
