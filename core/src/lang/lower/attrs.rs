//! Attribute sets and `let`: `a.b = …` merged with its neighbours, duplicates
//! refused, slots given out.
//!
//! Merging happens before anything is resolved, as Nix's parser does it: the
//! members of `a = { … }` that join an existing `a` are read in the scope of
//! that first `a`, `rec` or not.

use rnix::ast::{self, Expr as Ast, HasEntry};
use rowan::ast::AstNode;

use super::{Lowered, Lowerer, Scope, strip_parens};
use crate::lang::code::{AttrsCode, Binding, BindingScope, DynamicBinding, Expr, Name};
use crate::lang::print::show_name;
use crate::lang::source::Pos;
use crate::lang::symbol::{FastMap, Sym};
use crate::lang::value::{Attrs, Value};

#[derive(Default)]
struct Draft {
    recursive: bool,
    members: Vec<(Sym, Member)>,
    index: FastMap<Sym, usize>,
    dynamic: Vec<(ast::Attr, Pos, Definition)>,
    froms: Vec<Ast>,
}

struct Member {
    pos: Pos,
    definition: Definition,
}

enum Definition {
    Code(Ast),
    Inherit,
    InheritFrom(usize),
    Set(Draft),
}

/// Whether the scope of the members is open already, and for what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// A plain set: its members are no variables.
    No,
    /// `rec`.
    Members,
    /// `let`.
    Variables,
}

impl Lowerer<'_> {
    pub(super) fn attr_set(
        &mut self,
        entries: &[ast::Entry],
        recursive: bool,
        pos: Pos,
    ) -> Lowered<&'static Expr> {
        let draft = self.draft(entries, recursive)?;
        self.set(draft, pos)
    }

    pub(super) fn let_bindings(
        &mut self,
        entries: &[ast::Entry],
        pos: Pos,
    ) -> Lowered<(&'static AttrsCode, Scope)> {
        let draft = self.draft(entries, true)?;
        if let Some((_, pos, _)) = draft.dynamic.first() {
            return self.error("dynamic attributes not allowed in let", *pos);
        }
        let mut names: Vec<Sym> = draft.members.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        self.scopes.push(Scope::names(names.iter().copied()));
        let code = self.bindings(draft, Open::Variables, pos);
        let scope = self.scopes.pop().expect("pushed above");
        Ok((code?, scope))
    }

    fn draft(&mut self, entries: &[ast::Entry], recursive: bool) -> Lowered<Draft> {
        let mut draft = Draft { recursive, ..Draft::default() };
        for entry in entries {
            match entry {
                ast::Entry::Inherit(inherit) => self.draft_inherit(&mut draft, inherit)?,
                ast::Entry::AttrpathValue(binding) => {
                    let Some(path) = binding.attrpath() else {
                        return self
                            .error("syntax error, a name is missing here", self.pos(binding.syntax()));
                    };
                    let Some(value) = binding.value() else {
                        return self
                            .error("syntax error, a value is missing here", self.pos(binding.syntax()));
                    };
                    let path: Vec<ast::Attr> = path.attrs().collect();
                    self.draft_binding(&mut draft, &path, value)?;
                }
            }
        }
        Ok(draft)
    }

    fn draft_inherit(&mut self, draft: &mut Draft, inherit: &ast::Inherit) -> Lowered<()> {
        let from = match inherit.from() {
            None => None,
            Some(from) => {
                let Some(expr) = from.expr() else {
                    return self
                        .error("syntax error, an expression is missing here", self.pos(from.syntax()));
                };
                draft.froms.push(expr);
                Some(draft.froms.len() - 1)
            }
        };
        for attr in inherit.attrs() {
            let pos = self.pos(attr.syntax());
            let Some(name) = self.literal_name(&attr)? else {
                return self.error("dynamic attributes not allowed in inherit", pos);
            };
            if let Some(existing) = draft.index.get(&name) {
                let earlier = draft.members[*existing].1.pos;
                return self.duplicate(&[name], pos, earlier);
            }
            let definition = from.map_or(Definition::Inherit, Definition::InheritFrom);
            draft.index.insert(name, draft.members.len());
            draft.members.push((name, Member { pos, definition }));
        }
        Ok(())
    }

    /// The name if it is static; strings with interpolation are not.
    fn literal_name(&mut self, attr: &ast::Attr) -> Lowered<Option<Sym>> {
        match attr {
            ast::Attr::Ident(ident) => Ok(Some(self.ident(ident).0)),
            ast::Attr::Str(string) => self.literal_string(string),
            ast::Attr::Dynamic(dynamic) => match dynamic.expr().map(strip_parens) {
                Some(Ast::Str(string)) => self.literal_string(&string),
                _ => Ok(None),
            },
        }
    }

    fn literal_string(&mut self, string: &ast::Str) -> Lowered<Option<Sym>> {
        if string.syntax().children().next().is_some() {
            return Ok(None);
        }
        let pos = self.pos(string.syntax());
        let code = self.string_expr(string)?;
        Ok(match self.static_name(code, pos) {
            Name::Static(name, _) => Some(name),
            Name::Dynamic(..) => None,
        })
    }

    fn draft_binding(&mut self, draft: &mut Draft, path: &[ast::Attr], value: Ast) -> Lowered<()> {
        let mut target = draft;
        let mut walked = Vec::new();
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        // Every attribute of `a.b.c = …` is where the path begins, as in Nix.
        let pos = self.pos(path[0].syntax());
        for attr in parents {
            let Some(name) = self.literal_name(attr)? else {
                target.dynamic.push((attr.clone(), pos, Definition::Set(Draft::default())));
                let Some((_, _, Definition::Set(inner))) = target.dynamic.last_mut() else {
                    unreachable!("pushed above")
                };
                target = inner;
                continue;
            };
            walked.push(name);
            let index = *target.index.entry(name).or_insert_with(|| {
                let definition = Definition::Set(Draft::default());
                target.members.push((name, Member { pos, definition }));
                target.members.len() - 1
            });
            let member = &mut target.members[index].1;
            let earlier = member.pos;
            match &mut member.definition {
                Definition::Set(inner) => target = inner,
                _ => return self.duplicate(&walked, pos, earlier),
            }
        }
        let definition = match strip_parens(value) {
            Ast::AttrSet(set) => {
                let entries: Vec<_> = set.entries().collect();
                Definition::Set(self.draft(&entries, set.rec_token().is_some())?)
            }
            other => Definition::Code(other),
        };
        let Some(name) = self.literal_name(last)? else {
            target.dynamic.push((last.clone(), pos, definition));
            return Ok(());
        };
        walked.push(name);
        let Some(index) = target.index.get(&name).copied() else {
            target.index.insert(name, target.members.len());
            target.members.push((name, Member { pos, definition }));
            return Ok(());
        };
        let member = &mut target.members[index].1;
        match (&mut member.definition, definition) {
            (Definition::Set(into), Definition::Set(from)) => self.merge(into, from, &walked),
            _ => {
                let earlier = member.pos;
                self.duplicate(&walked, pos, earlier)
            }
        }
    }

    /// Joins a second literal set into the first. Members meet one by one, but
    /// no deeper: `a = { b = { }; }; a = { b = { }; }` is a duplicate.
    fn merge(&mut self, into: &mut Draft, from: Draft, walked: &[Sym]) -> Lowered<()> {
        let shift = into.froms.len();
        into.froms.extend(from.froms);
        for (name, mut member) in from.members {
            if let Definition::InheritFrom(index) = &mut member.definition {
                *index += shift;
            }
            if let Some(index) = into.index.get(&name) {
                let earlier = into.members[*index].1.pos;
                let path: Vec<Sym> = walked.iter().copied().chain([name]).collect();
                return self.duplicate(&path, member.pos, earlier);
            }
            into.index.insert(name, into.members.len());
            into.members.push((name, member));
        }
        into.dynamic.extend(from.dynamic);
        Ok(())
    }

    fn duplicate<T>(&self, path: &[Sym], pos: Pos, earlier: Pos) -> Lowered<T> {
        let mut names = Vec::new();
        for (index, name) in path.iter().enumerate() {
            if index > 0 {
                names.push(b'.');
            }
            show_name(self.around.symbols.text(*name), &mut names);
        }
        let (names, place) = (String::from_utf8_lossy(&names), self.place(earlier));
        self.error(format!("attribute '{names}' already defined at {place}"), pos)
    }

    fn set(&mut self, draft: Draft, pos: Pos) -> Lowered<&'static Expr> {
        if draft.members.is_empty() && draft.dynamic.is_empty() {
            return Ok(self.constant(Value::Attrs(self.heap().cell(Attrs::sorted(&[])))));
        }
        if !draft.recursive {
            let code = self.bindings(draft, Open::No, pos)?;
            return Ok(self.put(Expr::Attrs(code)));
        }
        let mut names: Vec<Sym> = draft.members.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        self.scopes.push(Scope::names(names.iter().copied()));
        let code = self.bindings(draft, Open::Members, pos);
        self.scopes.pop();
        Ok(self.put(Expr::RecAttrs(code?)))
    }

    fn bindings(&mut self, draft: Draft, open: Open, pos: Pos) -> Lowered<&'static AttrsCode> {
        let open_variables = open == Open::Variables;
        let open = open != Open::No;
        let Draft { mut members, dynamic, froms, .. } = draft;
        members.sort_unstable_by_key(|(name, _)| *name);
        let first_from = if open { members.len() as u32 } else { 0 };
        let mut entries = Vec::with_capacity(members.len());
        for (name, member) in members {
            let pos = member.pos;
            let (scope, code) = match member.definition {
                Definition::Code(code) => (BindingScope::Inner, self.named(name, &code)?),
                Definition::Set(draft) => (BindingScope::Inner, self.set(draft, pos)?),
                Definition::InheritFrom(index) => {
                    let slot = first_from + index as u32;
                    (BindingScope::From, self.put(Expr::InheritFrom { slot, name, pos }))
                }
                Definition::Inherit => {
                    let own = if open { self.scopes.pop() } else { None };
                    let code = self.variable(name, pos);
                    self.scopes.extend(own);
                    (BindingScope::Outer, code?)
                }
            };
            // A member of a set may be shown without being evaluated.
            let code = if open_variables { self.delayed_variable(code) } else { self.delayed(code) };
            entries.push(Binding { name, pos, scope, code });
        }
        let froms = froms
            .iter()
            .map(|from| self.expr(from).map(|code| self.delayed(code)))
            .collect::<Lowered<Vec<_>>>()?;
        let mut dynamics = Vec::new();
        for (attr, pos, definition) in dynamic {
            let name = match self.attr_name(&attr)? {
                Name::Dynamic(code, _) => code,
                Name::Static(name, _) => self.constant(self.string(self.around.symbols.text(name))),
            };
            let value = match definition {
                Definition::Code(code) => self.expr(&code)?,
                Definition::Set(draft) => self.set(draft, pos)?,
                Definition::Inherit | Definition::InheritFrom(_) => {
                    unreachable!("inherited names are static")
                }
            };
            let value = self.delayed(value);
            dynamics.push(DynamicBinding { name, value, pos });
        }
        Ok(self.heap().cell(AttrsCode {
            entries: self.heap().slice(&entries),
            dynamic: self.heap().slice(&dynamics),
            froms: self.heap().slice(&froms),
            pos,
        }))
    }
}
