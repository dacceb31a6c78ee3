//! Values, thunks and environments.
//!
//! A value is 16 bytes and copied freely; what does not fit is behind a
//! reference into the heap. A thunk is one cell that holds in turn its code,
//! the mark of being evaluated, and its value or failure.

use std::cell::Cell;

use super::builtins::Builtin;
use super::code::{Expr, Lambda};
use super::context::Context;
use super::error::Fault;
use super::heap::Heap;
use super::source::Pos;
use super::symbol::Sym;

#[derive(Clone, Copy)]
pub enum Value {
    /// A slot that is not filled yet; never seen by programs.
    Unset,
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(&'static Str),
    /// An absolute, normalised path.
    Path(&'static Str),
    List(&'static List),
    Attrs(&'static Attrs),
    Lambda(&'static Closure),
    Builtin(&'static Builtin),
    Partial(&'static Partial),
    Thunk(&'static Thunk),
}

const _: () = assert!(size_of::<Value>() == 16);

/// A built-in function that waits for more arguments.
pub struct Partial {
    pub builtin: &'static Builtin,
    pub arguments: &'static [Value],
}

pub struct Closure {
    pub lambda: &'static Lambda,
    pub env: &'static Env,
}

/// Variables of one scope and the scopes around it.
pub struct Env {
    pub up: Option<&'static Env>,
    pub slots: &'static [Cell<Value>],
}

impl Env {
    #[inline]
    pub fn at(&'static self, depth: u32) -> &'static Env {
        let mut env = self;
        for _ in 0..depth {
            env = env.up.expect("lowering counts only scopes that exist");
        }
        env
    }
}

pub struct Thunk(Cell<State>);

#[derive(Clone, Copy)]
pub enum State {
    Code(&'static Expr, &'static Env),
    /// A call that was not needed yet (`map`, `genList`, …).
    Call(&'static Call),
    /// Being evaluated: meeting it again is an infinite recursion.
    Busy,
    Done(Value),
    /// Evaluated and failed; fails the same way again.
    Failed(Fault),
}

#[derive(Clone, Copy)]
pub struct Call {
    pub function: Value,
    pub arguments: &'static [Value],
}

impl Thunk {
    pub fn new(state: State) -> Self {
        Self(Cell::new(state))
    }

    #[inline]
    pub fn state(&self) -> State {
        self.0.get()
    }

    #[inline]
    pub fn set(&self, state: State) {
        self.0.set(state);
    }
}

/// The items may be a part of a longer list's: `tail` copies nothing.
#[derive(Clone, Copy)]
pub struct List {
    pub items: &'static [Value],
}

/// A string with its context. Long results of joining stay a tree until
/// someone reads their bytes, so that appending in a loop is not quadratic.
pub struct Str {
    repr: Cell<Repr>,
    length: usize,
    pub context: Context,
}

#[derive(Clone, Copy)]
enum Repr {
    Flat(&'static [u8]),
    Join(&'static Str, &'static Str),
}

/// Shorter strings are joined at once.
const ROPE_MINIMUM: usize = 512;

impl Str {
    pub fn flat(bytes: &'static [u8], context: Context) -> Self {
        Self { repr: Cell::new(Repr::Flat(bytes)), length: bytes.len(), context }
    }

    pub fn join(left: &'static Str, right: &'static Str, context: Context, heap: Heap) -> Self {
        let length = left.length + right.length;
        if length < ROPE_MINIMUM {
            let bytes = [left.bytes(heap), right.bytes(heap)].concat();
            return Self::flat(heap.bytes(&bytes), context);
        }
        Self { repr: Cell::new(Repr::Join(left, right)), length, context }
    }

    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn bytes(&self, heap: Heap) -> &'static [u8] {
        if let Repr::Flat(bytes) = self.repr.get() {
            return bytes;
        }
        let mut bytes = Vec::with_capacity(self.length);
        let mut pending = vec![self.repr.get()];
        while let Some(repr) = pending.pop() {
            match repr {
                Repr::Flat(part) => bytes.extend_from_slice(part),
                Repr::Join(left, right) => {
                    pending.push(right.repr.get());
                    pending.push(left.repr.get());
                }
            }
        }
        let bytes = heap.bytes(&bytes);
        self.repr.set(Repr::Flat(bytes));
        bytes
    }
}

#[derive(Clone, Copy)]
pub struct Attr {
    pub name: Sym,
    pub pos: Pos,
    pub value: Value,
}

/// An attribute set: a slice sorted by symbol, perhaps laid over another set.
///
/// `a // b` with a small `b` copies only `b`; a set that is listed is
/// flattened then, once.
pub struct Attrs {
    own: Cell<&'static [Attr]>,
    under: Cell<Option<&'static Attrs>>,
    len: usize,
    layers: u8,
}

const LAYERS_MAXIMUM: u8 = 8;

impl Attrs {
    /// From entries sorted by symbol, without duplicates.
    pub fn sorted(entries: &'static [Attr]) -> Self {
        Self { own: Cell::new(entries), under: Cell::new(None), len: entries.len(), layers: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn get(&self, name: Sym) -> Option<&'static Attr> {
        let mut entries = self.own.get();
        let mut under = self.under.get();
        loop {
            if let Ok(index) = entries.binary_search_by_key(&name, |a| a.name) {
                return Some(&entries[index]);
            }
            let below = under?;
            entries = below.own.get();
            under = below.under.get();
        }
    }

    /// All entries, sorted by symbol.
    pub fn entries(&self, heap: Heap) -> &'static [Attr] {
        let Some(under) = self.under.get() else { return self.own.get() };
        let below = under.entries(heap);
        let own = self.own.get();
        let mut merged = Vec::with_capacity(below.len() + own.len());
        let (mut i, mut j) = (0, 0);
        while i < below.len() || j < own.len() {
            if j == own.len() || (i < below.len() && below[i].name < own[j].name) {
                merged.push(below[i]);
                i += 1;
            } else {
                if i < below.len() && below[i].name == own[j].name {
                    i += 1;
                }
                merged.push(own[j]);
                j += 1;
            }
        }
        let entries = heap.slice(&merged);
        self.own.set(entries);
        self.under.set(None);
        entries
    }

    /// `left // right`.
    pub fn update(left: &'static Attrs, right: &'static Attrs, heap: Heap) -> &'static Attrs {
        if right.is_empty() {
            return left;
        }
        if left.is_empty() {
            return right;
        }
        let over = right.entries(heap);
        let added = over.iter().filter(|a| left.get(a.name).is_none()).count();
        let layers = if left.under.get().is_some() { left.layers + 1 } else { 1 };
        let set = heap.cell(Attrs {
            own: Cell::new(over),
            under: Cell::new(Some(left)),
            len: left.len + added,
            layers,
        });
        if layers >= LAYERS_MAXIMUM || over.len() * 4 > left.len {
            set.entries(heap);
        }
        set
    }
}
