//! One pass from `rnix`'s tree to our code: variables resolved, attribute
//! paths merged, strings unescaped, what cannot be right refused.

mod attrs;
mod strings;

use std::path::{Component, Path, PathBuf};

use rnix::SyntaxKind;
use rnix::ast::{self, AstToken, BinOpKind, Expr as Ast, HasEntry, UnaryOpKind};
use rowan::ast::AstNode;

use super::code::{Delay, Delayed, Expr, Formal, Formals, Lambda, Name, Operator};
use super::context::Context;
use super::error::nearest;
use super::eval::is_quick;
use super::heap::Heap;
use super::parsed::shown;
use super::source::{Base, Origin, Pos};
use super::spacing::Spacing;
use super::symbol::{FastMap, Known, Sym, Symbols};
use super::value::{Str, Value};
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

    fn local(&self, name: Sym, pos: Pos) -> Option<Expr> {
        (0..).zip(self.scopes.iter().rev()).find_map(|(depth, scope)| match scope {
            Scope::Names(names) => names.get(&name).map(|slot| Expr::Local { depth, slot: *slot, pos }),
            Scope::With => None,
        })
    }

    fn variable(&mut self, name: Sym, pos: Pos) -> Lowered<&'static Expr> {
        if let Some(local) = self.local(name, pos) {
            return Ok(self.put(local));
        }
        if let Some(global) = self.around.globals.get(&name) {
            return Ok(self.constant(*global));
        }
        let withs: Vec<u32> = (0..)
            .zip(self.scopes.iter().rev())
            .filter(|(_, scope)| matches!(scope, Scope::With))
            .map(|(depth, _)| depth)
            .collect();
        if withs.is_empty() {
            return self.undefined(name, pos);
        }
        Ok(self.put(Expr::With { name, depths: self.heap().slice(&withs), pos }))
    }

    fn undefined<T>(&self, name: Sym, pos: Pos) -> Lowered<T> {
        let symbols = &self.around.symbols;
        let text = symbols.display(name);
        let mut known: Vec<String> = self.around.globals.keys().map(|s| symbols.display(*s)).collect();
        for scope in &self.scopes {
            if let Scope::Names(names) = scope {
                known.extend(names.keys().map(|s| symbols.display(*s)));
            }
        }
        known.sort();
        let hint = nearest(&text, known.iter().map(String::as_str)).map(|n| format!("did you mean {n}?"));
        Err(LowerError { message: format!("undefined variable '{text}'"), hint, pos })
    }

    /// `builtins.name`, which never changes.
    fn known_member(&self, base: &Expr, path: &[Name]) -> Option<Value> {
        let (Expr::Const(Value::Attrs(set)), [Name::Static(name, _)]) = (base, path) else { return None };
        match set.get(*name)?.value {
            function @ Value::Builtin(_) => Some(function),
            _ => None,
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

    fn attrpath(
        &mut self,
        path: Option<ast::Attrpath>,
        parent: &rnix::SyntaxNode,
    ) -> Lowered<&'static [Name]> {
        let Some(path) = path else {
            return self.error("syntax error, an attribute path is missing here", self.pos(parent));
        };
        let names = path.attrs().map(|a| self.attr_name(&a)).collect::<Lowered<Vec<_>>>()?;
        Ok(self.heap().slice(&names))
    }

    /// A member of an attribute path; `${"x"}` and `"x"` are static.
    fn attr_name(&mut self, attr: &ast::Attr) -> Lowered<Name> {
        Ok(match attr {
            ast::Attr::Ident(ident) => {
                let (name, pos) = self.ident(ident);
                Name::Static(name, pos)
            }
            ast::Attr::Str(string) => {
                let pos = self.pos(string.syntax());
                let code = self.string_expr(string)?;
                self.static_name(code, pos)
            }
            ast::Attr::Dynamic(dynamic) => {
                let pos = self.pos(dynamic.syntax());
                let code = self.required(dynamic.expr(), dynamic.syntax())?;
                self.static_name(code, pos)
            }
        })
    }

    fn static_name(&mut self, code: &'static Expr, pos: Pos) -> Name {
        match code {
            Expr::Const(Value::String(text)) => {
                let bytes = text.bytes(self.heap());
                Name::Static(self.around.symbols.intern(bytes), pos)
            }
            code => Name::Dynamic(code, pos),
        }
    }

    /// `f a b c` becomes one call with three arguments.
    fn apply(&mut self, expr: &Ast) -> Lowered<&'static Expr> {
        let pos = self.pos(expr.syntax());
        let mut operands = Vec::new();
        let mut function = expr.clone();
        while let Ast::Apply(apply) = &function {
            let Some(inner) = apply.lambda() else {
                return self.error("syntax error, a function is missing here", pos);
            };
            operands.push((apply.argument(), apply.syntax().clone()));
            function = inner;
        }
        // Of two errors the first in the text is told.
        let function = self.expr(&function)?;
        let arguments = operands
            .into_iter()
            .rev()
            .map(|(operand, parent)| self.required(operand, &parent))
            .collect::<Lowered<Vec<_>>>()?;
        Ok(self.call(function, &arguments, pos))
    }

    fn call(&mut self, function: &'static Expr, arguments: &[&'static Expr], pos: Pos) -> &'static Expr {
        let arguments: Vec<Delayed> = arguments.iter().map(|a| self.delayed_variable(a)).collect();
        let arguments = arguments.as_slice();
        self.put(Expr::Apply { function, arguments: self.heap().slice(arguments), pos })
    }

    fn unary(&mut self, unary: &ast::UnaryOp) -> Lowered<&'static Expr> {
        let pos = self.pos(unary.syntax());
        let operand = self.required(unary.expr(), unary.syntax())?;
        match unary.operator() {
            Some(UnaryOpKind::Negate) => {
                if let (Expr::Const(Value::Int(number)), Some(_)) = (operand, self.plain("__sub")) {
                    return Ok(self.constant(Value::Int(-number)));
                }
                let zero = self.constant(Value::Int(0));
                Ok(self.arithmetic("__sub", Operator::Sub, zero, operand, pos))
            }
            _ => Ok(self.put(Expr::Not(operand, pos))),
        }
    }

    /// Whether an operator's function (`__sub`, …) is the built-in one: Nix
    /// lets programs shadow it.
    fn plain(&mut self, function: &str) -> Option<()> {
        let name = self.symbol(function);
        self.local(name, Pos::NONE).is_none().then_some(())
    }

    fn arithmetic(
        &mut self,
        function: &str,
        operator: Operator,
        left: &'static Expr,
        right: &'static Expr,
        pos: Pos,
    ) -> &'static Expr {
        let name = self.symbol(function);
        match self.local(name, pos) {
            None => self.put(Expr::Binary { operator, left, right, pos }),
            Some(local) => {
                let (left, right) = if matches!(operator, Operator::Greater | Operator::LessOrEqual) {
                    (right, left)
                } else {
                    (left, right)
                };
                let function = self.put(local);
                let call = self.call(function, &[left, right], pos);
                if matches!(operator, Operator::LessOrEqual | Operator::GreaterOrEqual) {
                    self.put(Expr::Not(call, pos))
                } else {
                    call
                }
            }
        }
    }

    fn binary(&mut self, binary: &ast::BinOp) -> Lowered<&'static Expr> {
        let left = self.required(binary.lhs(), binary.syntax())?;
        let right = self.required(binary.rhs(), binary.syntax())?;
        let token = binary
            .syntax()
            .children_with_tokens()
            .filter_map(|child| child.into_token())
            .find(|token| BinOpKind::from_kind(token.kind()).is_some());
        let pos = match &token {
            Some(token) => self.at(token.text_range()),
            None => self.pos(binary.syntax()),
        };
        let Some(kind) = binary.operator() else { return self.error("syntax error", pos) };
        let operator = match kind {
            BinOpKind::Sub => return Ok(self.arithmetic("__sub", Operator::Sub, left, right, pos)),
            BinOpKind::Mul => return Ok(self.arithmetic("__mul", Operator::Mul, left, right, pos)),
            BinOpKind::Div => return Ok(self.arithmetic("__div", Operator::Div, left, right, pos)),
            BinOpKind::Less => return Ok(self.arithmetic("__lessThan", Operator::Less, left, right, pos)),
            BinOpKind::LessOrEq => {
                return Ok(self.arithmetic("__lessThan", Operator::LessOrEqual, left, right, pos));
            }
            BinOpKind::More => return Ok(self.arithmetic("__lessThan", Operator::Greater, left, right, pos)),
            BinOpKind::MoreOrEq => {
                return Ok(self.arithmetic("__lessThan", Operator::GreaterOrEqual, left, right, pos));
            }
            BinOpKind::PipeRight | BinOpKind::PipeLeft => {
                return Err(LowerError {
                    message: "experimental Nix feature 'pipe-operators' is disabled".to_owned(),
                    hint: Some("write a function call instead".to_owned()),
                    pos,
                });
            }
            BinOpKind::Add => Operator::Add,
            BinOpKind::Concat => Operator::Concat,
            BinOpKind::Update => Operator::Update,
            BinOpKind::And => Operator::And,
            BinOpKind::Or => Operator::Or,
            BinOpKind::Implication => Operator::Implies,
            BinOpKind::Equal => Operator::Equal,
            BinOpKind::NotEqual => Operator::NotEqual,
        };
        Ok(self.put(Expr::Binary { operator, left, right, pos }))
    }

    fn lambda(&mut self, lambda: &ast::Lambda, name: Option<Sym>) -> Lowered<&'static Lambda> {
        let pos = self.pos(lambda.syntax());
        match lambda.param() {
            Some(ast::Param::IdentParam(_)) => self.simple_lambda(lambda, name),
            Some(ast::Param::Pattern(pattern)) => self.pattern_lambda(lambda, &pattern, name),
            None => self.error("syntax error, a function's argument is missing here", pos),
        }
    }

    /// `x: y: … body` as one function.
    fn simple_lambda(&mut self, lambda: &ast::Lambda, name: Option<Sym>) -> Lowered<&'static Lambda> {
        /// Each further argument is copied when a function got one before.
        const TOGETHER: usize = 8;
        let mut innermost = lambda.clone();
        let mut arguments: Vec<(Sym, Pos)> = Vec::new();
        loop {
            let pos = self.pos(innermost.syntax());
            let Some(ast::Param::IdentParam(parameter)) = innermost.param() else { break };
            let Some(ident) = parameter.ident() else {
                return self.error("syntax error, a function's argument is missing here", pos);
            };
            arguments.push((self.ident(&ident).0, pos));
            match innermost.body().map(strip_parens) {
                Some(Ast::Lambda(inner))
                    if arguments.len() < TOGETHER
                        && matches!(inner.param(), Some(ast::Param::IdentParam(_))) =>
                {
                    innermost = inner;
                }
                _ => break,
            }
        }
        // Of two arguments with one name the later one is meant, which the
        // scope's map sees to.
        self.scopes.push(Scope::names(arguments.iter().map(|(name, _)| *name)));
        let body = self.required(innermost.body(), innermost.syntax());
        self.scopes.pop();
        let body = body?;
        let slots = arguments.len() as u32;
        let mut rest = None;
        for (held, (argument, pos)) in (0..slots).zip(&arguments).rev() {
            rest = Some(self.heap().cell(Lambda {
                argument: Some(*argument),
                formals: None,
                body,
                slots,
                held,
                takes: slots - held,
                rest,
                name: name.filter(|_| held == 0),
                pos: *pos,
            }));
        }
        Ok(rest.expect("there is one argument at least"))
    }

    fn pattern_lambda(
        &mut self,
        lambda: &ast::Lambda,
        pattern: &ast::Pattern,
        name: Option<Sym>,
    ) -> Lowered<&'static Lambda> {
        let pos = self.pos(lambda.syntax());
        let mut argument = None;
        if let Some(ident) = pattern.pat_bind().and_then(|bind| bind.ident()) {
            argument = Some(self.ident(&ident).0);
        }
        let mut formals: Vec<(Sym, Pos, Option<Ast>)> = Vec::new();
        for entry in pattern.pat_entries() {
            let Some(ident) = entry.ident() else { continue };
            let (name, pos) = self.ident(&ident);
            if argument == Some(name) || formals.iter().any(|(other, ..)| *other == name) {
                let text = self.around.symbols.display(name);
                return self.error(format!("duplicate formal function argument '{text}'"), pos);
            }
            let default = entry.question_token().and_then(|_| default_of(&entry));
            formals.push((name, pos, default));
        }
        formals.sort_by_key(|(name, ..)| *name);
        let names: Vec<Sym> = argument.into_iter().chain(formals.iter().map(|(name, ..)| *name)).collect();
        self.scopes.push(Scope::names(names.iter().copied()));
        let lowered = self.lambda_parts(lambda, &formals);
        self.scopes.pop();
        let (entries, body) = lowered?;
        let ellipsis = pattern.ellipsis_token().is_some();
        let formals = Some(Formals { entries: self.heap().slice(&entries), ellipsis });
        let slots = names.len() as u32;
        Ok(self.heap().cell(Lambda {
            argument,
            formals,
            body,
            slots,
            held: 0,
            takes: 1,
            rest: None,
            name,
            pos,
        }))
    }

    fn lambda_parts(
        &mut self,
        lambda: &ast::Lambda,
        formals: &[(Sym, Pos, Option<Ast>)],
    ) -> Lowered<(Vec<Formal>, &'static Expr)> {
        let mut entries = Vec::new();
        for (name, pos, default) in formals {
            let default = default.as_ref().map(|d| self.named(*name, d)).transpose()?;
            let default = default.map(|code| self.delayed(code));
            entries.push(Formal { name: *name, pos: *pos, default });
        }
        let body = self.required(lambda.body(), lambda.syntax())?;
        Ok((entries, body))
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

    /// `<x>` is `__findFile __nixPath "x"`, both of which may be shadowed.
    fn search_path(&mut self, path: &ast::PathSearch) -> Lowered<&'static Expr> {
        let pos = self.pos(path.syntax());
        let text = path.syntax().text().to_string();
        let inner = text.trim().trim_start_matches('<').trim_end_matches('>');
        let find_file = self.symbol("__findFile");
        let nix_path = self.symbol("__nixPath");
        let function = self.variable(find_file, pos)?;
        let places = self.variable(nix_path, pos)?;
        let wanted = self.constant(self.string(inner.as_bytes()));
        Ok(self.call(function, &[places, wanted], pos))
    }

    fn path(&mut self, node: &rnix::SyntaxNode, kind: SyntaxKind) -> Lowered<&'static Expr> {
        let pos = self.pos(node);
        let mut parts: Vec<&'static Expr> = Vec::new();
        for child in node.children_with_tokens() {
            match child {
                rnix::NodeOrToken::Token(token) => {
                    let text = token.text();
                    if parts.is_empty() {
                        let start = path_start(text, kind, self.around.directory, self.around.home);
                        let Some(bytes) = start else {
                            return self
                                .error(format!("the path '{text}' can not be resolved in pure mode"), pos);
                        };
                        let bytes = self.heap().bytes(&bytes);
                        let path = self.heap().cell(Str::flat(bytes, Context::EMPTY));
                        parts.push(self.constant(Value::Path(path)));
                    } else {
                        parts.push(self.constant(self.string(text.as_bytes())));
                    }
                }
                rnix::NodeOrToken::Node(node) => {
                    let Some(interpol) = ast::Interpol::cast(node) else { continue };
                    parts.push(self.required(interpol.expr(), interpol.syntax())?);
                }
            }
        }
        Ok(match parts.as_slice() {
            [single] => single,
            parts => self.put(Expr::Interpolate { parts: self.heap().slice(parts), path: true, pos }),
        })
    }
}

/// The first part of a path literal, absolute; a slash at its end stays for
/// what is interpolated after it. `None`: programs may not know the home.
pub(super) fn path_start(
    text: &str,
    kind: SyntaxKind,
    directory: &Path,
    home: Option<&Path>,
) -> Option<Vec<u8>> {
    let absolute = match kind {
        SyntaxKind::TOKEN_PATH_ABS => PathBuf::from(text),
        SyntaxKind::TOKEN_PATH_HOME => home?.join(text.trim_start_matches("~/")),
        _ => directory.join(text),
    };
    let mut bytes = normal(&absolute);
    if text.ends_with('/') && bytes != b"/" {
        bytes.push(b'/');
    }
    Some(bytes)
}

/// `x ? default`: the expression after the question mark. (The name beside it
/// is a node of the same kind, so "the second expression" would be wrong.)
pub(super) fn default_of(entry: &ast::PatEntry) -> Option<Ast> {
    entry.syntax().children().filter_map(Ast::cast).nth(1)
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

/// An absolute path without `.`, `..`, doubled or trailing slashes.
pub(super) fn normal(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    let mut parts: Vec<&[u8]> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.as_bytes()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if parts.is_empty() {
        return b"/".to_vec();
    }
    let mut out = Vec::new();
    for part in parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    out
}
