//! Functions: several arguments as one scope, and patterns.

use super::{Lowered, Lowerer};
use crate::lang::code::{Formal, Formals, Lambda};
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;
use crate::lang::syntax::{self, Kind, NodeId, Pattern};

impl Lowerer<'_> {
    pub(super) fn lambda(&mut self, index: u32, pos: Pos, name: Option<Sym>) -> Lowered<&'static Lambda> {
        let lambda = self.tree.lambda(index);
        match lambda.pattern {
            None => self.simple_lambda(lambda, pos, name),
            Some(pattern) => self.pattern_lambda(lambda, pattern, pos, name),
        }
    }

    /// `x: y: … body` as one function.
    fn simple_lambda(
        &mut self,
        outermost: syntax::Lambda,
        pos: Pos,
        name: Option<Sym>,
    ) -> Lowered<&'static Lambda> {
        /// Each further argument is copied when a function got one before.
        const TOGETHER: usize = 8;
        let (mut lambda, mut pos) = (outermost, pos);
        let mut arguments: Vec<(Sym, Pos)> = Vec::new();
        while let Some(argument) = lambda.argument {
            arguments.push((self.symbol_at(argument), pos));
            let inner = self.tree.node(lambda.body);
            match inner.kind {
                Kind::Lambda(index)
                    if arguments.len() < TOGETHER && self.tree.lambda(index).pattern.is_none() =>
                {
                    lambda = self.tree.lambda(index);
                    pos = self.at(inner.start);
                }
                _ => break,
            }
        }
        self.around.scopes.open(arguments.iter().map(|(name, _)| *name));
        let body = self.named(name, lambda.body)?;
        self.around.scopes.close();
        let lambda = Lambda::simple(&arguments, body, name, self.heap());
        Ok(lambda.expect("a function without a pattern has an argument"))
    }

    fn pattern_lambda(
        &mut self,
        lambda: syntax::Lambda,
        pattern: Pattern,
        pos: Pos,
        name: Option<Sym>,
    ) -> Lowered<&'static Lambda> {
        let argument = lambda.argument.map(|argument| self.symbol_at(argument));
        let mut formals: Vec<(Sym, Pos, Option<NodeId>)> = Vec::new();
        for formal in self.tree.formals(pattern.formals) {
            formals.push((self.symbol_at(formal.name), self.at(formal.name.start), formal.default));
        }
        formals.sort_by_key(|(name, ..)| *name);
        // Of several the first in the text is told.
        let twice = formals.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| &pair[1]);
        let shadows = formals.iter().filter(|formal| argument == Some(formal.0));
        if let Some((name, pos, _)) = twice.chain(shadows).min_by_key(|(_, pos, _)| *pos) {
            let text = self.around.symbols.display(*name);
            return self.error(format!("duplicate formal function argument '{text}'"), *pos);
        }
        let first = argument.iter().len() as u32;
        let slots = first + formals.len() as u32;
        self.around.scopes.open(argument.into_iter().chain(formals.iter().map(|(name, ..)| *name)));
        let mut entries = Vec::with_capacity(formals.len());
        for (slot, (name, pos, default)) in (first..).zip(formals) {
            let default = default.map(|default| self.expr(default)).transpose()?;
            let default = default.map(|code| self.delayed(code));
            entries.push(Formal { name, pos, slot, default });
        }
        let body = self.named(name, lambda.body)?;
        self.around.scopes.close();
        let formals = Some(Formals { entries: self.heap().slice(&entries), ellipsis: pattern.ellipsis });
        let (held, takes, rest) = (0, 1, None);
        Ok(self.heap().cell(Lambda { argument, formals, body, slots, held, takes, rest, name, pos }))
    }
}
