//! The parsed program as text, the way `nix-instantiate --parse` prints it.
//!
//! That text is Nix's own view of its syntax tree: operators that are
//! functions show as calls (`(__sub a b)`), nested attributes are merged,
//! paths are absolute, names are sorted by bytes. It is made from a tree that
//! lowering has accepted, so nothing here checks again.

mod bindings;

use std::path::Path;

use super::error::ErrorKind;
use super::eval::{Eval, Evaluator};
use super::float;
use super::lower::{Part, path_start, string_parts, within_brackets};
use super::print::{show_name, show_string};
use super::source::{Origin, Pos};
use super::stack;
use super::syntax::{self, BinaryOperator, Kind, Lambda, NodeId, PathKind, Pattern, Piece, Span, Tree};

impl Evaluator {
    /// What `--parse` prints of a program, without the line's end.
    ///
    /// # Errors
    /// The text is no program.
    pub fn show_parsed(&mut self, bytes: &[u8], origin: Origin, directory: &Path) -> Eval<Vec<u8>> {
        self.lower_text(bytes, origin, directory, None)?;
        let tree =
            syntax::parse(bytes).map_err(|error| self.fault(ErrorKind::Syntax, &error.message, Pos::NONE))?;
        Ok(shown(&tree, tree.root(), directory, self.host.home().as_deref()))
    }

    /// A piece of a program that was lowered, as `--parse` prints it.
    pub(super) fn show_written(&self, start: Pos, length: u32) -> String {
        let Some((text, directory)) = self.sources.text(start, length) else { return String::new() };
        let home = self.host.home();
        let text = match syntax::parse(text) {
            Ok(tree) => shown(&tree, tree.root(), directory, home.as_deref()),
            Err(_) => text.to_vec(),
        };
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// The text of an expression that was lowered.
fn shown(tree: &Tree<'_>, expr: NodeId, directory: &Path, home: Option<&Path>) -> Vec<u8> {
    let mut printer = Printer { tree, directory, home, floor: stack::floor(), out: Vec::new() };
    printer.expr(expr);
    printer.out
}

struct Printer<'a> {
    tree: &'a Tree<'a>,
    directory: &'a Path,
    home: Option<&'a Path>,
    /// The address that the stack must not pass.
    floor: usize,
    out: Vec<u8>,
}

/// A part of a call.
enum Item<'t> {
    Text(&'static str),
    String(&'t [u8]),
    Expr(NodeId),
}

impl<'a> Printer<'a> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, name: &[u8]) {
        show_name(name, &mut self.out);
    }

    fn expr(&mut self, id: NodeId) {
        // Lowering went as deep, with larger frames.
        if stack::here() < self.floor {
            return self.text("…");
        }
        if let Some(items) = self.call_items(id) {
            return self.call(&items);
        }
        let tree = self.tree;
        let node = tree.node(id);
        match node.kind {
            Kind::Variable { end } => self.name(tree.text(node.start, end)),
            Kind::CurPos => self.text("__curPos"),
            // Lowering has seen that these are numbers.
            Kind::Integer { end } => {
                let text = String::from_utf8_lossy(tree.text(node.start, end));
                self.text(&text.parse::<i64>().unwrap_or_default().to_string());
            }
            Kind::Float { end } => {
                let text = String::from_utf8_lossy(tree.text(node.start, end));
                self.text(&float::general(text.parse().unwrap_or_default()));
            }
            Kind::Uri { end } => show_string(tree.text(node.start, end), &mut self.out),
            Kind::Str { indented, pieces } => self.string(indented, tree.pieces(pieces)),
            Kind::Path { kind, pieces } => self.path(kind, tree.pieces(pieces)),
            Kind::List { items } => {
                self.text("[ ");
                for item in tree.items(items) {
                    self.text("(");
                    self.expr(*item);
                    self.text(") ");
                }
                self.text("]");
            }
            Kind::If { condition, then, otherwise } => {
                self.text("(if ");
                self.expr(condition);
                self.text(" then ");
                self.expr(then);
                self.text(" else ");
                self.expr(otherwise);
                self.text(")");
            }
            Kind::Assert { condition, body, .. } => {
                self.text("assert ");
                self.expr(condition);
                self.text("; ");
                self.expr(body);
            }
            Kind::With { namespace, body } => {
                self.text("(with ");
                self.expr(namespace);
                self.text("; ");
                self.expr(body);
                self.text(")");
            }
            Kind::Select { base, path, default } => {
                self.text("(");
                self.expr(base);
                self.text(").");
                self.attr_path(path);
                if let Some(default) = default {
                    self.text(" or (");
                    self.expr(default.node());
                    self.text(")");
                }
            }
            Kind::HasAttr { base, path } => {
                self.text("((");
                self.expr(base);
                self.text(") ? ");
                self.attr_path(path);
                self.text(")");
            }
            Kind::Not(operand) => {
                self.text("(! ");
                self.expr(operand);
                self.text(")");
            }
            Kind::Binary { operator, left, right, .. } => self.binary(operator, left, right),
            Kind::Lambda(index) => self.lambda(tree.lambda(index)),
            Kind::Let { entries, body } => {
                self.text("(let ");
                self.bindings(entries, true);
                self.text("in ");
                self.expr(body);
                self.text(")");
            }
            Kind::LegacyLet { entries } => {
                self.text("(rec { ");
                self.bindings(entries, true);
                self.text("}).body");
            }
            Kind::Set { recursive, entries } => self.set(recursive, entries),
            Kind::Apply { .. } | Kind::SearchPath { .. } | Kind::Negate(_) => {
                unreachable!("these are calls")
            }
        }
    }

    fn call(&mut self, items: &[Item<'a>]) {
        self.text("(");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.text(" ");
            }
            match item {
                Item::Text(text) => self.text(text),
                Item::String(bytes) => show_string(bytes, &mut self.out),
                Item::Expr(expr) => self.expr(*expr),
            }
        }
        self.text(")");
    }

    fn string(&mut self, indented: bool, pieces: &[Piece]) {
        let (parts, _) = string_parts(self.tree, indented, pieces);
        match parts.as_slice() {
            [] => return self.text("\"\""),
            [Part::Text { bytes, .. }] => return show_string(bytes, &mut self.out),
            // `''${"x"}''` is that string itself; `"${"x"}"` is still a sum.
            [Part::Code(code)] if indented => {
                if let Kind::Str { indented, pieces } = self.tree.kind(*code)
                    && !string_parts(self.tree, indented, self.tree.pieces(pieces)).1
                {
                    return self.string(indented, self.tree.pieces(pieces));
                }
            }
            _ => {}
        }
        self.text("(");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text(" + ");
            }
            match part {
                Part::Text { bytes, .. } => show_string(bytes, &mut self.out),
                Part::Code(code) => self.expr(*code),
            }
        }
        self.text(")");
    }

    fn path(&mut self, kind: PathKind, pieces: &[Piece]) {
        if pieces.len() > 1 {
            self.text("(");
        }
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                self.text(" + ");
            }
            match piece {
                Piece::Text(place) if index == 0 => {
                    let bytes = path_start(self.tree.at(*place), kind, self.directory, self.home);
                    self.out.extend_from_slice(&bytes.unwrap_or_default());
                }
                Piece::Text(place) => show_string(self.tree.at(*place), &mut self.out),
                Piece::Code(code) => self.expr(*code),
            }
        }
        if pieces.len() > 1 {
            self.text(")");
        }
    }

    fn binary(&mut self, operator: BinaryOperator, left: NodeId, right: NodeId) {
        let operator = match operator {
            BinaryOperator::LessOrEqual => return self.not_less(right, left),
            BinaryOperator::GreaterOrEqual => return self.not_less(left, right),
            BinaryOperator::Add => " + ",
            BinaryOperator::Concat => " ++ ",
            BinaryOperator::Update => " // ",
            BinaryOperator::And => " && ",
            BinaryOperator::Or => " || ",
            BinaryOperator::Implies => " -> ",
            BinaryOperator::Equal => " == ",
            BinaryOperator::NotEqual => " != ",
            BinaryOperator::Sub
            | BinaryOperator::Mul
            | BinaryOperator::Div
            | BinaryOperator::Less
            | BinaryOperator::Greater => unreachable!("these are calls"),
        };
        self.text("(");
        self.expr(left);
        self.text(operator);
        self.expr(right);
        self.text(")");
    }

    fn not_less(&mut self, left: NodeId, right: NodeId) {
        self.text("(! (__lessThan ");
        self.expr(left);
        self.text(" ");
        self.expr(right);
        self.text("))");
    }

    fn lambda(&mut self, lambda: Lambda) {
        self.text("(");
        if let Some(pattern) = lambda.pattern {
            self.pattern(pattern);
            if lambda.argument.is_some() {
                self.text(" @ ");
            }
        }
        if let Some(argument) = lambda.argument {
            self.name(self.tree.at(argument));
        }
        self.text(": ");
        self.expr(lambda.body);
        self.text(")");
    }

    fn pattern(&mut self, pattern: Pattern) {
        let formals = self.tree.formals(pattern.formals).iter();
        let mut formals: Vec<(&[u8], Option<NodeId>)> =
            formals.map(|formal| (self.tree.at(formal.name), formal.default)).collect();
        formals.sort_by_key(|(name, _)| *name);
        self.text("{ ");
        for (index, (name, default)) in formals.iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.name(name);
            if let Some(default) = default {
                self.text(" ? ");
                self.expr(*default);
            }
        }
        if pattern.ellipsis {
            self.text(if formals.is_empty() { "..." } else { ", ..." });
        }
        self.text(" }");
    }

    /// The function and arguments of what Nix's parser turns into a call. A
    /// call of a call is one call, also where parentheses stand between:
    /// `(a - b) c` is `(__sub a b c)`.
    fn call_items(&self, expr: NodeId) -> Option<Vec<Item<'a>>> {
        let tree = self.tree;
        let mut calls: Vec<Span> = Vec::new();
        let mut head = expr;
        while let Kind::Apply { function, arguments } = tree.kind(head) {
            calls.push(arguments);
            head = function;
        }
        let mut items = match tree.kind(head) {
            Kind::Negate(operand) => vec![Item::Text("__sub"), Item::Text("0"), Item::Expr(operand)],
            Kind::Binary { operator: BinaryOperator::Sub, left, right, .. } => {
                vec![Item::Text("__sub"), Item::Expr(left), Item::Expr(right)]
            }
            Kind::Binary { operator: BinaryOperator::Mul, left, right, .. } => {
                vec![Item::Text("__mul"), Item::Expr(left), Item::Expr(right)]
            }
            Kind::Binary { operator: BinaryOperator::Div, left, right, .. } => {
                vec![Item::Text("__div"), Item::Expr(left), Item::Expr(right)]
            }
            Kind::Binary { operator: BinaryOperator::Less, left, right, .. } => {
                vec![Item::Text("__lessThan"), Item::Expr(left), Item::Expr(right)]
            }
            Kind::Binary { operator: BinaryOperator::Greater, left, right, .. } => {
                vec![Item::Text("__lessThan"), Item::Expr(right), Item::Expr(left)]
            }
            Kind::SearchPath { end } => {
                let name = within_brackets(tree.text(tree.start(head), end));
                vec![Item::Text("__findFile"), Item::Text("__nixPath"), Item::String(name)]
            }
            _ if calls.is_empty() => return None,
            _ => vec![Item::Expr(head)],
        };
        for arguments in calls.into_iter().rev() {
            items.extend(tree.items(arguments).iter().map(|argument| Item::Expr(*argument)));
        }
        Some(items)
    }
}
