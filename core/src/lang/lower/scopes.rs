//! Which variable a name means: scopes, each name's innermost one found at
//! once.

use super::super::symbol::Sym;

/// The scopes around the expression that is being lowered.
///
/// Kept between texts for its memory; it is empty then.
#[derive(Default)]
pub(in crate::lang) struct Scopes {
    open: Vec<Scope>,
    /// Of all open scopes, the innermost last.
    bound: Vec<Bound>,
    /// By symbol: the place of its innermost binding in `bound`, plus one.
    latest: Vec<u32>,
    /// Places of the `with` scopes in `open`.
    withs: Vec<u32>,
}

enum Scope {
    /// Where its names begin in `bound`.
    Names(usize),
    With,
}

struct Bound {
    name: Sym,
    scope: u32,
    slot: u32,
    /// As in `latest`: the binding that this one hides.
    hidden: u32,
}

/// Where a variable is at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// How many scopes to go up.
    pub depth: u32,
    pub slot: u32,
}

impl Scopes {
    /// Names in the order of slots; of two equal ones the later is meant.
    pub(super) fn open(&mut self, names: impl Iterator<Item = Sym>) {
        let scope = self.open.len() as u32;
        self.open.push(Scope::Names(self.bound.len()));
        for (slot, name) in (0..).zip(names) {
            if self.latest.len() <= name.index() {
                self.latest.resize((name.index() + 1).next_power_of_two(), 0);
            }
            let latest = &mut self.latest[name.index()];
            self.bound.push(Bound { name, scope, slot, hidden: *latest });
            *latest = self.bound.len() as u32;
        }
    }

    pub(super) fn open_with(&mut self) {
        self.withs.push(self.open.len() as u32);
        self.open.push(Scope::With);
    }

    /// Closes the innermost scope.
    pub(super) fn close(&mut self) {
        match self.open.pop().expect("scopes are closed as often as they were opened") {
            Scope::With => drop(self.withs.pop()),
            Scope::Names(first) => {
                for bound in self.bound.drain(first..).rev() {
                    self.latest[bound.name.index()] = bound.hidden;
                }
            }
        }
    }

    /// After a text that was left half lowered.
    pub(super) fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close();
        }
    }

    pub(super) fn find(&self, name: Sym) -> Option<Variable> {
        self.find_below(name, self.open.len())
    }

    /// What the name means outside the innermost scope.
    pub(super) fn find_outside(&self, name: Sym) -> Option<Variable> {
        let mut variable = self.find_below(name, self.open.len() - 1)?;
        variable.depth -= 1;
        Some(variable)
    }

    fn find_below(&self, name: Sym, scopes: usize) -> Option<Variable> {
        let mut place = *self.latest.get(name.index())?;
        loop {
            let bound = &self.bound[(place as usize).checked_sub(1)?];
            if (bound.scope as usize) < scopes {
                return Some(Variable { depth: self.open.len() as u32 - 1 - bound.scope, slot: bound.slot });
            }
            place = bound.hidden;
        }
    }

    /// Depths of the `with` scopes, innermost first.
    pub(super) fn withs(&self) -> Vec<u32> {
        self.withs.iter().rev().map(|scope| self.open.len() as u32 - 1 - scope).collect()
    }

    /// All that is bound.
    pub(super) fn names(&self) -> impl Iterator<Item = Sym> {
        self.bound.iter().map(|bound| bound.name)
    }
}
