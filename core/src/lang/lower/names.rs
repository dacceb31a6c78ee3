//! Variables and attribute paths.

use rnix::ast;
use rowan::ast::AstNode;

use super::{LowerError, Lowered, Lowerer, Scope};
use crate::lang::code::{Expr, Name};
use crate::lang::error::nearest;
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;
use crate::lang::value::Value;

impl Lowerer<'_> {
    pub(super) fn local(&self, name: Sym, pos: Pos) -> Option<Expr> {
        (0..).zip(self.scopes.iter().rev()).find_map(|(depth, scope)| match scope {
            Scope::Names(names) => names.get(&name).map(|slot| Expr::Local { depth, slot: *slot, pos }),
            Scope::With => None,
        })
    }

    pub(super) fn variable(&mut self, name: Sym, pos: Pos) -> Lowered<&'static Expr> {
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

    pub(super) fn undefined<T>(&self, name: Sym, pos: Pos) -> Lowered<T> {
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
    pub(super) fn known_member(&self, base: &Expr, path: &[Name]) -> Option<Value> {
        let (Expr::Const(Value::Attrs(set)), [Name::Static(name, _)]) = (base, path) else { return None };
        match set.get(*name)?.value {
            function @ Value::Builtin(_) => Some(function),
            _ => None,
        }
    }

    pub(super) fn attrpath(
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
    pub(super) fn attr_name(&mut self, attr: &ast::Attr) -> Lowered<Name> {
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

    pub(super) fn static_name(&mut self, code: &'static Expr, pos: Pos) -> Name {
        match code {
            Expr::Const(Value::String(text)) => {
                let bytes = text.bytes(self.heap());
                Name::Static(self.around.symbols.intern(bytes), pos)
            }
            code => Name::Dynamic(code, pos),
        }
    }
}
