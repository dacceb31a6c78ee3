//! Functions: several arguments as one scope, and patterns.

use rnix::ast::{self, Expr as Ast};
use rowan::ast::AstNode;

use super::{Lowered, Lowerer, Scope, strip_parens};
use crate::lang::code::{Expr, Formal, Formals, Lambda};
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;

impl Lowerer<'_> {
    pub(super) fn lambda(&mut self, lambda: &ast::Lambda, name: Option<Sym>) -> Lowered<&'static Lambda> {
        let pos = self.pos(lambda.syntax());
        match lambda.param() {
            Some(ast::Param::IdentParam(_)) => self.simple_lambda(lambda, name),
            Some(ast::Param::Pattern(pattern)) => self.pattern_lambda(lambda, &pattern, name),
            None => self.error("syntax error, a function's argument is missing here", pos),
        }
    }

    /// `x: y: … body` as one function.
    pub(super) fn simple_lambda(
        &mut self,
        lambda: &ast::Lambda,
        name: Option<Sym>,
    ) -> Lowered<&'static Lambda> {
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

    pub(super) fn pattern_lambda(
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

    pub(super) fn lambda_parts(
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
}

/// `x ? default`: the expression after the question mark. (The name beside it
/// is a node of the same kind, so "the second expression" would be wrong.)
pub(in crate::lang) fn default_of(entry: &ast::PatEntry) -> Option<Ast> {
    entry.syntax().children().filter_map(Ast::cast).nth(1)
}
