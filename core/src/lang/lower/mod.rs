//! One pass from `rnix`'s tree to our code: variables resolved, attribute
//! paths merged, strings unescaped, what cannot be right refused.

mod attrs;
mod calls;
mod functions;
mod names;
mod paths;
mod strings;

use std::path::Path;

use rnix::SyntaxKind;
use rnix::ast::{self, AstToken, Expr as Ast, HasEntry};
use rowan::ast::AstNode;

use super::code::{Delay, Delayed, Expr, Name};
use super::context::Context;
use super::eval::is_quick;
use super::heap::Heap;
use super::parsed::shown;
use super::source::{Base, Origin, Pos};
use super::spacing::Spacing;
use super::symbol::{FastMap, Known, Sym, Symbols};
use super::value::{Str, Value};
pub(super) use functions::default_of;
pub(super) use paths::{normal, path_start};
pub(super) use strings::{Piece, string_pieces};

/// A program that cannot be lowered.
pub(super) struct LowerError {
    pub message: String,
    pub hint: Option<String>,
    pub pos: Pos,
}

type Lowered<T> = Result<T, LowerError>;

/// What lowering needs from around the text.
pub(super) struct Surroundings<'a> {
    pub heap: Heap,
    pub symbols: &'a mut Symbols,
    pub known: &'a Known,
    pub globals: &'a FastMap<Sym, Value>,
    /// Code that thunks refer to by number.
    pub codes: &'a mut Vec<&'static Expr>,
    pub base: Base,
    pub spacing: &'a Spacing,
    pub text: &'a str,
    /// The bytes themselves where they are no UTF-8 and `text` stands in for
    /// them, byte by byte.
    pub original: Option<&'a [u8]>,
    /// How messages name the text.
    pub origin: &'a Origin,
    /// Relative paths begin here.
    pub directory: &'a Path,
    /// `~/` begins here; `None` where programs may not know.
    pub home: Option<&'a Path>,
    /// Names that a scope around the whole text holds, in the order of slots.
    pub outermost: Option<&'a [Sym]>,
}

pub(super) fn lower(root: &ast::Root, surroundings: Surroundings<'_>) -> Lowered<&'static Expr> {
    let scopes = match surroundings.outermost {
        Some(names) => vec![Scope::names(names.iter().copied())],
        None => Vec::new(),
    };
    let mut lowerer = Lowerer { around: surroundings, scopes };
    let expr = root.expr();
    lowerer.required(expr, root.syntax())
}

enum Scope {
    Names(FastMap<Sym, u32>),
    With,
}

impl Scope {
    fn names(names: impl Iterator<Item = Sym>) -> Self {
        Self::Names(names.zip(0..).collect())
    }
}

struct Lowerer<'a> {
    around: Surroundings<'a>,
    scopes: Vec<Scope>,
}

impl Lowerer<'_> {
    fn heap(&self) -> Heap {
        self.around.heap
    }

    fn pos(&self, node: &rnix::SyntaxNode) -> Pos {
        self.at(node.text_range())
    }

    fn at(&self, range: rnix::TextRange) -> Pos {
        self.around.base.at(self.around.spacing.original(range.start().into()))
    }

    fn error<T>(&self, message: impl Into<String>, pos: Pos) -> Lowered<T> {
        Err(LowerError { message: message.into(), hint: None, pos })
    }

    /// `file:line:column` of a position in this text.
    fn place(&self, pos: Pos) -> String {
        let offset = (self.around.base.offset(pos) as usize).min(self.around.text.len());
        let before = &self.around.text.as_bytes()[..offset];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = offset - before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1) + 1;
        format!("{}:{line}:{column}", self.around.origin)
    }

    fn put(&self, expr: Expr) -> &'static Expr {
        self.heap().cell(expr)
    }

    /// Code whose value may wait.
    fn delayed(&mut self, code: &'static Expr) -> Delayed {
        let delay = match code {
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

    fn symbol(&mut self, text: &str) -> Sym {
        self.around.symbols.intern(text.as_bytes())
    }

    fn ident(&mut self, ident: &ast::Ident) -> (Sym, Pos) {
        let pos = self.pos(ident.syntax());
        let text = ident.syntax().text().to_string();
        (self.symbol(text.trim()), pos)
    }

    /// An operand that the grammar promises.
    fn required(&mut self, expr: Option<Ast>, parent: &rnix::SyntaxNode) -> Lowered<&'static Expr> {
        match expr {
            Some(expr) => self.expr(&expr),
            None => self.error("syntax error, an expression is missing here", self.pos(parent)),
        }
    }

    fn expr(&mut self, expr: &Ast) -> Lowered<&'static Expr> {
        let pos = self.pos(expr.syntax());
        Ok(match expr {
            Ast::Paren(paren) => return self.required(paren.expr(), paren.syntax()),
            Ast::Root(root) => return self.required(root.expr(), root.syntax()),
            Ast::Error(_) => return self.error("syntax error", pos),
            Ast::Ident(ident) => {
                let (name, pos) = self.ident(ident);
                return self.variable(name, pos);
            }
            Ast::Literal(literal) => self.literal(literal)?,
            Ast::Str(string) => return self.string_expr(string),
            Ast::PathAbs(path) => return self.path(path.syntax(), SyntaxKind::TOKEN_PATH_ABS),
            Ast::PathRel(path) => return self.path(path.syntax(), SyntaxKind::TOKEN_PATH_REL),
            Ast::PathHome(path) => return self.path(path.syntax(), SyntaxKind::TOKEN_PATH_HOME),
            Ast::PathSearch(path) => return self.search_path(path),
            Ast::CurPos(_) => self.put(Expr::CurPos(pos)),
            Ast::Apply(_) => self.apply(expr)?,
            Ast::List(list) => {
                let items = list.items().map(|item| self.expr(&item)).collect::<Lowered<Vec<_>>>()?;
                if items.is_empty() {
                    let list = self.heap().put(super::value::List { items: &[] });
                    return Ok(self.constant(Value::List(list)));
                }
                let items: Vec<Delayed> = items.into_iter().map(|item| self.delayed(item)).collect();
                self.put(Expr::List(self.heap().slice(&items)))
            }
            Ast::IfElse(branch) => {
                let condition = self.required(branch.condition(), branch.syntax())?;
                let then = self.required(branch.body(), branch.syntax())?;
                let otherwise = self.required(branch.else_body(), branch.syntax())?;
                self.put(Expr::If { condition, then, otherwise, pos })
            }
            Ast::Assert(assert) => {
                let node = assert.condition();
                let condition = self.required(node.clone(), assert.syntax())?;
                let body = self.required(assert.body(), assert.syntax())?;
                let Surroundings { original, directory, home, .. } = self.around;
                let text = node.map_or_else(Vec::new, |node| shown(&node, original, directory, home));
                let text = String::from_utf8_lossy(&text);
                let text = std::str::from_utf8(self.heap().bytes(text.as_bytes())).unwrap_or("");
                self.put(Expr::Assert { condition, body, text, pos })
            }
            Ast::With(with) => {
                let namespace = self.required(with.namespace(), with.syntax())?;
                let namespace = self.delayed(namespace);
                self.scopes.push(Scope::With);
                let body = self.required(with.body(), with.syntax());
                self.scopes.pop();
                self.put(Expr::OpenWith { namespace, body: body?, pos })
            }
            Ast::Select(select) => {
                let base = self.required(select.expr(), select.syntax())?;
                let path = self.attrpath(select.attrpath(), select.syntax())?;
                if let Some(member) = self.known_member(base, path) {
                    return Ok(self.constant(member));
                }
                let default = select.default_expr().map(|d| self.expr(&d)).transpose()?;
                self.put(Expr::Select { base, path, default, pos })
            }
            Ast::HasAttr(has) => {
                let base = self.required(has.expr(), has.syntax())?;
                let path = self.attrpath(has.attrpath(), has.syntax())?;
                self.put(Expr::HasAttr { base, path })
            }
            Ast::UnaryOp(unary) => self.unary(unary)?,
            Ast::BinOp(binary) => self.binary(binary)?,
            Ast::Lambda(lambda) => {
                let lambda = self.lambda(lambda, None)?;
                self.put(Expr::Lambda(lambda))
            }
            Ast::LetIn(let_in) => return self.let_in(let_in),
            Ast::LegacyLet(legacy) => {
                let entries: Vec<_> = legacy.entries().collect();
                let set = self.attr_set(&entries, true, pos)?;
                let path = self.heap().slice(&[Name::Static(self.around.known.body, pos)]);
                self.put(Expr::Select { base: set, path, default: None, pos })
            }
            Ast::AttrSet(set) => {
                let entries: Vec<_> = set.entries().collect();
                return self.attr_set(&entries, set.rec_token().is_some(), pos);
            }
        })
    }

    /// A value that is bound to a name, which functions keep for messages.
    fn named(&mut self, name: Sym, expr: &Ast) -> Lowered<&'static Expr> {
        match strip_parens(expr.clone()) {
            Ast::Lambda(lambda) => {
                let lambda = self.lambda(&lambda, Some(name))?;
                Ok(self.put(Expr::Lambda(lambda)))
            }
            other => self.expr(&other),
        }
    }

    fn literal(&mut self, literal: &ast::Literal) -> Lowered<&'static Expr> {
        let pos = self.pos(literal.syntax());
        let value = match literal.kind() {
            ast::LiteralKind::Integer(token) => match token.syntax().text().parse() {
                Ok(number) => Value::Int(number),
                Err(_) => return self.error(format!("invalid integer '{}'", token.syntax().text()), pos),
            },
            ast::LiteralKind::Float(token) => match token.syntax().text().parse::<f64>() {
                Ok(number) if number.is_normal() || number == 0.0 => Value::Float(number),
                _ => return self.error(format!("invalid float '{}'", token.syntax().text()), pos),
            },
            ast::LiteralKind::Uri(token) => self.string(token.syntax().text().as_bytes()),
        };
        Ok(self.constant(value))
    }

    fn let_in(&mut self, let_in: &ast::LetIn) -> Lowered<&'static Expr> {
        let pos = self.pos(let_in.syntax());
        let entries: Vec<_> = let_in.entries().collect();
        if entries.is_empty() {
            return self.required(let_in.body(), let_in.syntax());
        }
        let (bindings, scope) = self.let_bindings(&entries, pos)?;
        self.scopes.push(scope);
        let body = self.required(let_in.body(), let_in.syntax());
        self.scopes.pop();
        Ok(self.put(Expr::Let { bindings, body: body? }))
    }
}

pub(super) fn strip_parens(mut expr: Ast) -> Ast {
    while let Ast::Paren(paren) = &expr {
        match paren.expr() {
            Some(inner) => expr = inner,
            None => break,
        }
    }
    expr
}
