//! Variables and attribute paths.

use std::cell::Cell;

use super::{LowerError, Lowered, Lowerer};
use crate::lang::code::{Expr, Name, WithVariable};
use crate::lang::error::nearest;
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;
use crate::lang::syntax::{Attr, Kind};
use crate::lang::value::Value;

use super::scopes::Variable;

impl Lowerer<'_> {
    pub(super) fn variable(&mut self, name: Sym, pos: Pos) -> Lowered {
        self.meaning(self.around.scopes.find(name), name, pos)
    }

    /// `inherit name` in the innermost scope, if that is the set's own.
    pub(super) fn inherited(&mut self, name: Sym, pos: Pos, has_scope: bool) -> Lowered {
        if !has_scope {
            return self.variable(name, pos);
        }
        match self.around.scopes.find_outside(name) {
            Some(variable) => self.meaning(Some(variable), name, pos),
            None => {
                // Code of such a binding runs outside the scope.
                let withs: Vec<u32> = self.around.scopes.withs().iter().map(|depth| depth - 1).collect();
                self.global(name, &withs, pos)
            }
        }
    }

    fn meaning(&mut self, local: Option<Variable>, name: Sym, pos: Pos) -> Lowered {
        match local {
            Some(Variable { depth, slot }) => Ok(self.put(Expr::Local { depth, slot, pos })),
            None => {
                let withs = self.around.scopes.withs();
                self.global(name, &withs, pos)
            }
        }
    }

    /// A name that no scope binds: built in, or a member of a `with`.
    fn global(&mut self, name: Sym, withs: &[u32], pos: Pos) -> Lowered {
        if let Some(global) = self.around.globals.get(&name) {
            let code = self.constant(*global);
            self.around.built_ins.global(code, name);
            return Ok(code);
        }
        if withs.is_empty() {
            return self.undefined(name, pos);
        }
        let depths = self.heap().slice(withs);
        let found = Cell::new(None);
        Ok(self.put(Expr::With(self.heap().cell(WithVariable { name, depths, pos, found }))))
    }

    fn undefined<T>(&self, name: Sym, pos: Pos) -> Lowered<T> {
        let symbols = &self.around.symbols;
        let text = symbols.display(name);
        let names = self.around.globals.keys().copied().chain(self.around.scopes.names());
        let mut known: Vec<String> = names.map(|name| symbols.display(name)).collect();
        known.sort();
        known.dedup();
        let hint = nearest(&text, known.iter().map(String::as_str)).map(|n| format!("did you mean {n}?"));
        Err(LowerError { message: format!("undefined variable '{text}'"), hint, pos })
    }

    /// `builtins.name`, which never changes.
    pub(super) fn known_member(&mut self, base: &Expr, path: &[Name]) -> Option<&'static Expr> {
        let (Expr::Const(Value::Attrs(set)), [Name::Static(name, _)]) = (base, path) else { return None };
        let function @ Value::Builtin(_) = set.get(*name)?.value else { return None };
        let code = self.constant(function);
        self.around.built_ins.member(code, *name);
        Some(code)
    }

    pub(super) fn attr_path(&mut self, path: &[Attr]) -> Lowered<&'static [Name]> {
        if let [Attr::Name(place)] = path {
            let name = Name::Static(self.symbol_at(*place), self.at(place.start));
            return Ok(self.heap().slice(&[name]));
        }
        let names = path.iter().map(|attr| self.attr_name(*attr)).collect::<Lowered<Vec<_>>>()?;
        Ok(self.heap().slice(&names))
    }

    /// A member of an attribute path; `${"x"}` and `"x"` are static.
    pub(super) fn attr_name(&mut self, attr: Attr) -> Lowered<Name> {
        let (code, pos) = match attr {
            Attr::Name(place) => {
                return Ok(Name::Static(self.symbol_at(place), self.at(place.start)));
            }
            Attr::Str(string) => (string, self.at(self.tree.start(string))),
            Attr::Computed { start, code } => (code, self.at(start)),
        };
        if let Some(name) = self.literal_string(code) {
            return Ok(Name::Static(name, pos));
        }
        Ok(match self.expr(code)? {
            Expr::Const(Value::String(text)) => Name::Static(self.around.symbols.intern_str(text), pos),
            code => Name::Dynamic(code, pos),
        })
    }

    /// Where a name begins.
    pub(super) fn attr_pos(&self, attr: Attr) -> Pos {
        self.at(match attr {
            Attr::Name(place) => place.start,
            Attr::Str(string) => self.tree.start(string),
            Attr::Computed { start, .. } => start,
        })
    }

    /// The name if it is static; strings with interpolation are not.
    pub(super) fn literal_name(&mut self, attr: Attr) -> Option<Sym> {
        match attr {
            Attr::Name(place) => Some(self.symbol_at(place)),
            Attr::Str(code) | Attr::Computed { code, .. } => self.literal_string(code),
        }
    }

    fn literal_string(&mut self, code: crate::lang::syntax::NodeId) -> Option<Sym> {
        let Kind::Str { indented, pieces } = self.tree.kind(code) else { return None };
        let text = self.literal_text(indented, self.tree.pieces(pieces))?;
        Some(self.around.symbols.intern(&text))
    }
}
