//! The parsed program as text, the way `nix-instantiate --parse` prints it.
//!
//! That text is Nix's own view of its syntax tree: operators that are
//! functions show as calls (`(__sub a b)`), nested attributes are merged,
//! paths are absolute, names are sorted by bytes. It is made from `rnix`'s
//! tree after lowering has accepted the program, so nothing here checks again.

mod bindings;

use std::path::Path;

use rnix::SyntaxKind;
use rnix::ast::{self, AstToken, BinOpKind, Expr as Ast, HasEntry, UnaryOpKind};
use rowan::ast::AstNode;

use super::error::ErrorKind;
use super::eval::{Eval, Evaluator};
use super::float;
use super::lower::{Piece, default_of, path_start, string_pieces, strip_parens};
use super::print::{show_name, show_string};
use super::source::{Origin, Pos};

impl Evaluator {
    /// What `--parse` prints of a program, without the line's end.
    ///
    /// # Errors
    /// The text is no program.
    pub fn show_parsed(&mut self, bytes: &[u8], origin: Origin, directory: &Path) -> Eval<Vec<u8>> {
        self.lower_bytes(bytes, origin, directory, None)?;
        let text = super::parse::stand_in(bytes);
        let original = Some(bytes);
        let root = super::parse::parse(&text)
            .map_err(|error| self.fault(ErrorKind::Syntax, &error.message, Pos::NONE))?;
        let home = self.host.home();
        let home = home.as_deref();
        Ok(root.expr().map_or_else(Vec::new, |expr| shown(&expr, original, directory, home)))
    }
}

/// The text of an expression that was lowered.
pub(super) fn shown(expr: &Ast, original: Option<&[u8]>, directory: &Path, home: Option<&Path>) -> Vec<u8> {
    let mut printer = Printer { original, directory, home, out: Vec::new() };
    printer.expr(expr);
    printer.out
}

struct Printer<'a> {
    original: Option<&'a [u8]>,
    directory: &'a Path,
    home: Option<&'a Path>,
    out: Vec<u8>,
}

/// A part of a call.
enum Part {
    Text(&'static str),
    String(Vec<u8>),
    Expr(Ast),
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, name: &[u8]) {
        show_name(name, &mut self.out);
    }

    fn optional(&mut self, expr: Option<Ast>) {
        if let Some(expr) = expr {
            self.expr(&expr);
        }
    }

    fn expr(&mut self, expr: &Ast) {
        if let Some(parts) = call_parts(expr) {
            return self.call(&parts);
        }
        match expr {
            Ast::Paren(paren) => self.optional(paren.expr()),
            Ast::Root(root) => self.optional(root.expr()),
            Ast::Ident(ident) => self.name(ident.to_string().trim().as_bytes()),
            Ast::CurPos(_) => self.text("__curPos"),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Str(string) => self.string(string),
            Ast::PathAbs(path) => self.path(path.syntax(), SyntaxKind::TOKEN_PATH_ABS),
            Ast::PathRel(path) => self.path(path.syntax(), SyntaxKind::TOKEN_PATH_REL),
            Ast::PathHome(path) => self.path(path.syntax(), SyntaxKind::TOKEN_PATH_HOME),
            Ast::List(list) => {
                self.text("[ ");
                for item in list.items() {
                    self.text("(");
                    self.expr(&item);
                    self.text(") ");
                }
                self.text("]");
            }
            Ast::IfElse(branch) => {
                self.text("(if ");
                self.optional(branch.condition());
                self.text(" then ");
                self.optional(branch.body());
                self.text(" else ");
                self.optional(branch.else_body());
                self.text(")");
            }
            Ast::Assert(assert) => {
                self.text("assert ");
                self.optional(assert.condition());
                self.text("; ");
                self.optional(assert.body());
            }
            Ast::With(with) => {
                self.text("(with ");
                self.optional(with.namespace());
                self.text("; ");
                self.optional(with.body());
                self.text(")");
            }
            Ast::Select(select) => {
                self.text("(");
                self.optional(select.expr());
                self.text(").");
                self.attr_path(select.attrpath());
                if let Some(default) = select.default_expr() {
                    self.text(" or (");
                    self.expr(&default);
                    self.text(")");
                }
            }
            Ast::HasAttr(has) => {
                self.text("((");
                self.optional(has.expr());
                self.text(") ? ");
                self.attr_path(has.attrpath());
                self.text(")");
            }
            Ast::UnaryOp(unary) => {
                self.text("(! ");
                self.optional(unary.expr());
                self.text(")");
            }
            Ast::BinOp(binary) => self.binary(binary),
            Ast::Lambda(lambda) => self.lambda(lambda),
            Ast::LetIn(let_in) => {
                self.text("(let ");
                self.bindings(let_in.entries(), true);
                self.text("in ");
                self.optional(let_in.body());
                self.text(")");
            }
            Ast::LegacyLet(legacy) => {
                self.text("(rec { ");
                self.bindings(legacy.entries(), true);
                self.text("}).body");
            }
            Ast::AttrSet(set) => self.set(set),
            // Search paths are calls; `lower` refuses what is no expression.
            Ast::Apply(_) | Ast::PathSearch(_) | Ast::Error(_) => {}
        }
    }

    fn call(&mut self, parts: &[Part]) {
        self.text("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text(" ");
            }
            match part {
                Part::Text(text) => self.text(text),
                Part::String(bytes) => show_string(bytes, &mut self.out),
                Part::Expr(expr) => self.expr(expr),
            }
        }
        self.text(")");
    }

    fn literal(&mut self, literal: &ast::Literal) {
        match literal.kind() {
            // Lowering has seen that both are numbers.
            ast::LiteralKind::Integer(token) => {
                let number: i64 = token.syntax().text().parse().unwrap_or_default();
                self.text(&number.to_string());
            }
            ast::LiteralKind::Float(token) => {
                let number: f64 = token.syntax().text().parse().unwrap_or_default();
                self.text(&float::general(number));
            }
            ast::LiteralKind::Uri(token) => show_string(token.syntax().text().as_bytes(), &mut self.out),
        }
    }

    fn string(&mut self, string: &ast::Str) {
        let (pieces, _) = string_pieces(string, self.original);
        if let [Piece::Text { bytes, .. }] = pieces.as_slice() {
            return show_string(bytes, &mut self.out);
        }
        if pieces.is_empty() {
            return self.text("\"\"");
        }
        // `''${"x"}''` is that string itself; `"${"x"}"` is still a sum.
        if let [Piece::Code(code)] = pieces.as_slice()
            && string.syntax().text().to_string().starts_with("''")
            && let Some(Ast::Str(inner)) = code.expr().map(strip_parens)
            && !string_pieces(&inner, self.original).1
        {
            return self.string(&inner);
        }
        self.text("(");
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                self.text(" + ");
            }
            match piece {
                Piece::Text { bytes, .. } => show_string(bytes, &mut self.out),
                Piece::Code(expr) => self.optional(expr.expr()),
            }
        }
        self.text(")");
    }

    fn path(&mut self, node: &rnix::SyntaxNode, kind: SyntaxKind) {
        let start = self.out.len();
        let mut parts = 0;
        for child in node.children_with_tokens() {
            if parts > 0 {
                self.text(" + ");
            }
            match child {
                rnix::NodeOrToken::Token(token) if parts == 0 => {
                    let bytes = path_start(token.text(), kind, self.directory, self.home);
                    self.out.extend_from_slice(&bytes.unwrap_or_default());
                }
                rnix::NodeOrToken::Token(token) => show_string(token.text().as_bytes(), &mut self.out),
                rnix::NodeOrToken::Node(node) => {
                    self.optional(ast::Interpol::cast(node).and_then(|code| code.expr()));
                }
            }
            parts += 1;
        }
        if parts > 1 {
            self.out.insert(start, b'(');
            self.text(")");
        }
    }

    fn binary(&mut self, binary: &ast::BinOp) {
        let operator = match binary.operator() {
            Some(kind @ (BinOpKind::LessOrEq | BinOpKind::MoreOrEq)) => {
                let (mut left, mut right) = (binary.lhs(), binary.rhs());
                if kind == BinOpKind::LessOrEq {
                    std::mem::swap(&mut left, &mut right);
                }
                self.text("(! (__lessThan ");
                self.optional(left);
                self.text(" ");
                self.optional(right);
                return self.text("))");
            }
            Some(BinOpKind::Add) => " + ",
            Some(BinOpKind::Concat) => " ++ ",
            Some(BinOpKind::Update) => " // ",
            Some(BinOpKind::And) => " && ",
            Some(BinOpKind::Or) => " || ",
            Some(BinOpKind::Implication) => " -> ",
            Some(BinOpKind::Equal) => " == ",
            Some(BinOpKind::NotEqual) => " != ",
            // The others are calls, or refused by lowering.
            _ => return,
        };
        self.text("(");
        self.optional(binary.lhs());
        self.text(operator);
        self.optional(binary.rhs());
        self.text(")");
    }

    fn lambda(&mut self, lambda: &ast::Lambda) {
        self.text("(");
        let mut argument = None;
        match lambda.param() {
            Some(ast::Param::IdentParam(param)) => argument = param.ident(),
            Some(ast::Param::Pattern(pattern)) => {
                self.pattern(&pattern);
                argument = pattern.pat_bind().and_then(|bind| bind.ident());
                if argument.is_some() {
                    self.text(" @ ");
                }
            }
            None => {}
        }
        if let Some(argument) = argument {
            self.name(argument.to_string().trim().as_bytes());
        }
        self.text(": ");
        self.optional(lambda.body());
        self.text(")");
    }

    fn pattern(&mut self, pattern: &ast::Pattern) {
        let mut formals: Vec<(String, Option<Ast>)> = pattern
            .pat_entries()
            .filter_map(|entry| {
                let default = entry.question_token().and_then(|_| default_of(&entry));
                Some((entry.ident()?.to_string().trim().to_owned(), default))
            })
            .collect();
        formals.sort_by(|a, b| a.0.cmp(&b.0));
        self.text("{ ");
        for (index, (name, default)) in formals.iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.name(name.as_bytes());
            if let Some(default) = default {
                self.text(" ? ");
                self.expr(default);
            }
        }
        if pattern.ellipsis_token().is_some() {
            self.text(if formals.is_empty() { "..." } else { ", ..." });
        }
        self.text(" }");
    }
}

/// The function and arguments of what Nix's parser turns into a call. A call
/// of a call is one call, also where parentheses stand between: `(a - b) c`
/// is `(__sub a b c)`.
fn call_parts(expr: &Ast) -> Option<Vec<Part>> {
    let mut arguments = Vec::new();
    let mut head = expr.clone();
    while let Ast::Apply(apply) = &head {
        arguments.push(apply.argument()?);
        head = strip_parens(apply.lambda()?);
    }
    let mut parts = match &head {
        Ast::UnaryOp(unary) if unary.operator() == Some(UnaryOpKind::Negate) => {
            vec![Part::Text("__sub"), Part::Text("0"), Part::Expr(unary.expr()?)]
        }
        Ast::BinOp(binary) => {
            let (left, right) = (binary.lhs()?, binary.rhs()?);
            let (function, left, right) = match binary.operator()? {
                BinOpKind::Sub => ("__sub", left, right),
                BinOpKind::Mul => ("__mul", left, right),
                BinOpKind::Div => ("__div", left, right),
                BinOpKind::Less => ("__lessThan", left, right),
                BinOpKind::More => ("__lessThan", right, left),
                _ if arguments.is_empty() => return None,
                _ => return Some(applied(vec![Part::Expr(head)], arguments)),
            };
            vec![Part::Text(function), Part::Expr(left), Part::Expr(right)]
        }
        Ast::PathSearch(path) => {
            let text = path.to_string();
            let inner = text.trim().trim_start_matches('<').trim_end_matches('>');
            let inner = inner.as_bytes().to_vec();
            vec![Part::Text("__findFile"), Part::Text("__nixPath"), Part::String(inner)]
        }
        _ if arguments.is_empty() => return None,
        _ => vec![Part::Expr(head)],
    };
    Some(applied(std::mem::take(&mut parts), arguments))
}

/// Arguments were gathered from the last to the first.
fn applied(mut parts: Vec<Part>, arguments: Vec<Ast>) -> Vec<Part> {
    parts.extend(arguments.into_iter().rev().map(Part::Expr));
    parts
}
