//! Attribute sets and `let`: `a.b = …` merged with its neighbours, duplicates
//! refused, slots given out.
//!
//! Merging happens before anything is resolved, as Nix's parser does it: the
//! members of `a = { … }` that join an existing `a` are read in the scope of
//! that first `a`, `rec` or not.

use super::{Lowered, Lowerer};
use crate::lang::code::{AttrsCode, Binding, BindingScope, DynamicBinding, Expr, Name};
use crate::lang::print::show_name;
use crate::lang::source::Pos;
use crate::lang::symbol::{FastMap, Sym};
use crate::lang::syntax::{Attr, Entry, Kind, NodeId};
use crate::lang::value::{Attrs, Value};

#[derive(Default)]
struct Draft {
    recursive: bool,
    members: Vec<(Sym, Member)>,
    /// Places in `members`, once they are many.
    index: FastMap<Sym, usize>,
    dynamic: Vec<(Attr, Pos, Definition)>,
    froms: Vec<NodeId>,
}

struct Member {
    pos: Pos,
    definition: Definition,
}

enum Definition {
    Code(NodeId),
    Inherit,
    InheritFrom(usize),
    Set(Draft),
}

impl Draft {
    fn find(&self, name: Sym) -> Option<usize> {
        if self.index.is_empty() {
            return self.members.iter().position(|(other, _)| *other == name);
        }
        self.index.get(&name).copied()
    }

    /// A member that was not there.
    fn add(&mut self, name: Sym, member: Member) -> usize {
        /// Up to here looking at each in turn is faster than a table.
        const FEW: usize = 12;
        let place = self.members.len();
        self.members.push((name, member));
        if !self.index.is_empty() {
            self.index.insert(name, place);
        } else if place >= FEW {
            self.index = self.members.iter().map(|(name, _)| *name).zip(0..).collect();
        }
        place
    }

    /// Sorts the members and lists their names: the order of slots.
    fn sorted_names(&mut self) -> Vec<Sym> {
        self.members.sort_unstable_by_key(|(name, _)| *name);
        self.members.iter().map(|(name, _)| *name).collect()
    }
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
    pub(super) fn attr_set(&mut self, entries: &[Entry], recursive: bool, pos: Pos) -> Lowered {
        let draft = self.draft(entries, recursive)?;
        self.set(draft, pos)
    }

    /// Leaves the scope of the variables open.
    pub(super) fn let_bindings(&mut self, entries: &[Entry], pos: Pos) -> Lowered<&'static AttrsCode> {
        let mut draft = self.draft(entries, true)?;
        if let Some((_, pos, _)) = draft.dynamic.first() {
            return self.error("dynamic attributes not allowed in let", *pos);
        }
        self.around.scopes.open(draft.sorted_names().into_iter());
        self.bindings(draft, Open::Variables, pos)
    }

    fn draft(&mut self, entries: &[Entry], recursive: bool) -> Lowered<Draft> {
        let mut draft = Draft { recursive, ..Draft::default() };
        for entry in entries {
            match *entry {
                Entry::Inherit { from, names } => {
                    self.draft_inherit(&mut draft, from, self.tree.attrs(names))?;
                }
                Entry::Bind { path, value } => {
                    self.draft_binding(&mut draft, self.tree.attrs(path), value)?;
                }
            }
        }
        Ok(draft)
    }

    fn draft_inherit(&mut self, draft: &mut Draft, from: Option<NodeId>, names: &[Attr]) -> Lowered<()> {
        let from = from.map(|from| {
            draft.froms.push(from);
            draft.froms.len() - 1
        });
        for attr in names {
            let pos = self.attr_pos(*attr);
            let Some(name) = self.literal_name(*attr) else {
                return self.error("dynamic attributes not allowed in inherit", pos);
            };
            if let Some(existing) = draft.find(name) {
                let earlier = draft.members[existing].1.pos;
                return self.duplicate(&[name], pos, earlier);
            }
            let definition = from.map_or(Definition::Inherit, Definition::InheritFrom);
            draft.add(name, Member { pos, definition });
        }
        Ok(())
    }

    fn draft_binding(&mut self, draft: &mut Draft, path: &[Attr], value: NodeId) -> Lowered<()> {
        let mut target = draft;
        let mut walked = Vec::new();
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        // Every attribute of `a.b.c = …` is where the path begins, as in Nix.
        let pos = self.attr_pos(path[0]);
        for attr in parents {
            let Some(name) = self.literal_name(*attr) else {
                target.dynamic.push((*attr, pos, Definition::Set(Draft::default())));
                let Some((_, _, Definition::Set(inner))) = target.dynamic.last_mut() else {
                    unreachable!("pushed above")
                };
                target = inner;
                continue;
            };
            walked.push(name);
            let place = match target.find(name) {
                Some(place) => place,
                None => target.add(name, Member { pos, definition: Definition::Set(Draft::default()) }),
            };
            let member = &mut target.members[place].1;
            let earlier = member.pos;
            match &mut member.definition {
                Definition::Set(inner) => target = inner,
                _ => return self.duplicate(&walked, pos, earlier),
            }
        }
        let definition = match self.tree.kind(value) {
            Kind::Set { recursive, entries } => {
                Definition::Set(self.draft(self.tree.entries(entries), recursive)?)
            }
            _ => Definition::Code(value),
        };
        let Some(name) = self.literal_name(*last) else {
            target.dynamic.push((*last, pos, definition));
            return Ok(());
        };
        walked.push(name);
        let Some(place) = target.find(name) else {
            target.add(name, Member { pos, definition });
            return Ok(());
        };
        let member = &mut target.members[place].1;
        match (&mut member.definition, definition) {
            (Definition::Set(into), Definition::Set(from)) => self.merge(into, from, &walked),
            _ => {
                let earlier = member.pos;
                self.duplicate(&walked, pos, earlier)
            }
        }
    }

    /// Joins a second literal set into the first, and the sets in them that
    /// have the same name. The first decides whether its members see each
    /// other.
    fn merge(&mut self, into: &mut Draft, mut from: Draft, walked: &[Sym]) -> Lowered<()> {
        from.members.sort_by_key(|(name, _)| *name);
        let shift = into.froms.len();
        into.froms.extend(from.froms);
        for (name, mut member) in from.members {
            if let Definition::InheritFrom(index) = &mut member.definition {
                *index += shift;
            }
            let Some(place) = into.find(name) else {
                into.add(name, member);
                continue;
            };
            let known = &mut into.members[place].1;
            let path: Vec<Sym> = walked.iter().copied().chain([name]).collect();
            match (&mut known.definition, member.definition) {
                (Definition::Set(into), Definition::Set(from)) => self.merge(into, from, &path)?,
                _ => return self.duplicate(&path, member.pos, known.pos),
            }
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

    fn set(&mut self, mut draft: Draft, pos: Pos) -> Lowered {
        if draft.members.is_empty() && draft.dynamic.is_empty() {
            return Ok(self.constant(Value::Attrs(self.heap().cell(Attrs::sorted(&[])))));
        }
        let names = draft.sorted_names();
        if !draft.recursive {
            let code = self.bindings(draft, Open::No, pos)?;
            return Ok(self.put(Expr::Attrs(code)));
        }
        self.around.scopes.open(names.into_iter());
        let code = self.bindings(draft, Open::Members, pos)?;
        self.around.scopes.close();
        Ok(self.put(Expr::RecAttrs(code)))
    }

    /// Of members that are sorted.
    fn bindings(&mut self, draft: Draft, open: Open, pos: Pos) -> Lowered<&'static AttrsCode> {
        let open_variables = open == Open::Variables;
        let open = open != Open::No;
        let Draft { members, dynamic, froms, .. } = draft;
        let first_from = if open { members.len() as u32 } else { 0 };
        let froms = froms
            .iter()
            .map(|from| self.expr(*from).map(|code| self.delayed(code)))
            .collect::<Lowered<Vec<_>>>()?;
        let mut entries = Vec::with_capacity(members.len());
        for (slot, (name, member)) in (0..).zip(members) {
            let pos = member.pos;
            let (scope, code) = match member.definition {
                Definition::Code(code) => (BindingScope::Inner, self.named(Some(name), code)?),
                Definition::Set(draft) => (BindingScope::Inner, self.set(draft, pos)?),
                Definition::InheritFrom(index) => {
                    let slot = first_from + index as u32;
                    (BindingScope::From, self.put(Expr::InheritFrom { slot, name, pos }))
                }
                Definition::Inherit => (BindingScope::Outer, self.inherited(name, pos, open)?),
            };
            // A member of a set may be shown without being evaluated.
            let code = if open_variables { self.delayed_variable(code) } else { self.delayed(code) };
            entries.push(Binding { name, pos, slot, scope, code });
        }
        let mut dynamics = Vec::new();
        for (attr, pos, definition) in dynamic {
            let name = match self.attr_name(attr)? {
                Name::Dynamic(code, _) => code,
                Name::Static(name, _) => self.constant(self.string(self.around.symbols.text(name))),
            };
            let value = match definition {
                Definition::Code(code) => self.expr(code)?,
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
