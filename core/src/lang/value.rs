//! Values, thunks and environments.
//!
//! A value is 16 bytes and copied freely; what does not fit is behind a
//! reference into the heap. A thunk is one cell that holds in turn its code,
//! the mark of being evaluated, and its value or failure.

use std::cell::Cell;

use super::builtins::Builtin;
use super::code::Lambda;
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
    /// Code by its number, which leaves room for the environment.
    Code(Pending<&'static Env>),
    /// A member of what `map` and its like make, by its index.
    Member(Pending<&'static Mapped>),
    /// A call that was not needed yet.
    Call(&'static Call),
    /// Being evaluated: meeting it again is an infinite recursion.
    Busy,
    Done(Value),
    /// Evaluated and failed; fails the same way again.
    Failed(Fault),
}

/// A number and a reference that leave four bytes of sixteen to the state's
/// tag, which lies where a value has its own.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
pub struct Pending<T> {
    pub number: u32,
    pub place: T,
}

const _: () = assert!(size_of::<Thunk>() == 16);

#[derive(Clone, Copy)]
pub struct Call {
    pub function: Value,
    pub arguments: &'static [Value],
}

/// A function and what it is called with, one member at a time.
pub struct Mapped {
    pub function: Value,
    pub items: Items,
}

pub enum Items {
    /// `genList`: the index itself.
    Numbers,
    /// `map`.
    List(&'static [Value]),
    /// `mapAttrs`: the name and the value.
    Attrs(&'static [Attr]),
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
    pub context: Context,
    /// The symbol of the same text, once something asked for it.
    pub(super) symbol: Cell<Option<Sym>>,
}

#[derive(Clone, Copy)]
enum Repr {
    Flat(&'static [u8]),
    Join(&'static Join),
}

#[derive(Clone, Copy)]
struct Join {
    left: &'static Str,
    right: &'static Str,
    length: usize,
}

const _: () = assert!(size_of::<Str>() == 24);

/// Shorter strings are joined at once.
const ROPE_MINIMUM: usize = 512;

impl Str {
    pub fn flat(bytes: &'static [u8], context: Context) -> Self {
        Self { repr: Cell::new(Repr::Flat(bytes)), context, symbol: Cell::new(None) }
    }

    pub fn join(left: &'static Str, right: &'static Str, context: Context, heap: Heap) -> Self {
        let length = left.len().saturating_add(right.len());
        if length < ROPE_MINIMUM {
            return Self::flat(heap.joined(left.bytes(heap), right.bytes(heap)), context);
        }
        let repr = Repr::Join(heap.put(Join { left, right, length }));
        Self { repr: Cell::new(repr), context, symbol: Cell::new(None) }
    }

    pub fn len(&self) -> usize {
        match self.repr.get() {
            Repr::Flat(bytes) => bytes.len(),
            Repr::Join(join) => join.length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn bytes(&self, heap: Heap) -> &'static [u8] {
        match self.repr.get() {
            Repr::Flat(bytes) => bytes,
            Repr::Join(join) => self.flatten(join, heap),
        }
    }

    #[cold]
    fn flatten(&self, join: &'static Join, heap: Heap) -> &'static [u8] {
        heap.expect_room(join.length);
        let mut bytes = Vec::with_capacity(join.length);
        let mut pending = vec![self.repr.get()];
        while let Some(repr) = pending.pop() {
            match repr {
                Repr::Flat(part) => bytes.extend_from_slice(part),
                Repr::Join(join) => {
                    pending.push(join.right.repr.get());
                    pending.push(join.left.repr.get());
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
/// `a // b` copies neither where `b` is small: it becomes a layer, joined with
/// the layers below that are not much larger. So there are few layers, and a
/// set that grows by `//` in a loop costs n log n. A set that is listed is
/// flattened then, once.
pub struct Attrs {
    own: Cell<&'static [Attr]>,
    under: Cell<Option<&'static Under>>,
}

/// What a layer lies on.
#[derive(Clone, Copy)]
struct Under {
    set: &'static Attrs,
    /// Of both together.
    len: usize,
}

impl Attrs {
    /// From entries sorted by symbol, without duplicates.
    pub fn sorted(entries: &'static [Attr]) -> Self {
        Self { own: Cell::new(entries), under: Cell::new(None) }
    }

    pub fn len(&self) -> usize {
        self.under.get().map_or(self.own.get().len(), |under| under.len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn get(&self, name: Sym) -> Option<&'static Attr> {
        let mut set = self;
        loop {
            if let Some(attr) = find(set.own.get(), name) {
                return Some(attr);
            }
            set = set.under.get()?.set;
        }
    }

    /// All entries, sorted by symbol.
    #[inline]
    pub fn entries(&self, heap: Heap) -> &'static [Attr] {
        if self.under.get().is_none() {
            return self.own.get();
        }
        self.flatten(heap)
    }

    #[cold]
    #[inline(never)]
    fn flatten(&self, heap: Heap) -> &'static [Attr] {
        let mut layers = vec![self.own.get()];
        let mut under = self.under.get();
        while let Some(Under { set, .. }) = under {
            layers.push(set.own.get());
            under = set.under.get();
        }
        // From the top, where they are small.
        let lowest = layers.pop().expect("there are two layers at least");
        let mut upper = layers.first().map_or_else(Vec::new, |top| top.to_vec());
        for layer in layers.iter().skip(1) {
            upper = merge(layer, &upper);
        }
        let entries = heap.slice(&merge(lowest, &upper));
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
        if over.len() * 4 > left.len() {
            return heap.cell(Attrs::sorted(heap.slice(&merge(left.entries(heap), over))));
        }
        let added = over.iter().filter(|a| left.get(a.name).is_none()).count();
        let mut own = over;
        let mut under = left;
        // The lowest layer stays: joining it would copy the whole set.
        while let Some(below) = under.under.get()
            && under.own.get().len() <= 2 * own.len()
        {
            own = heap.slice(&merge(under.own.get(), own));
            under = below.set;
        }
        let under = heap.put(Under { set: under, len: left.len() + added });
        heap.cell(Attrs { own: Cell::new(own), under: Cell::new(Some(under)) })
    }
}

#[inline]
fn find(entries: &'static [Attr], name: Sym) -> Option<&'static Attr> {
    /// Up to here looking at each in turn is faster than halving.
    const FEW: usize = 8;
    if entries.len() <= FEW {
        return entries.iter().find(|a| a.name == name);
    }
    entries.binary_search_by_key(&name, |a| a.name).ok().map(|index| &entries[index])
}

/// Two sorted slices as one; of two entries with one name `over`'s stays.
fn merge(below: &[Attr], over: &[Attr]) -> Vec<Attr> {
    let mut merged = Vec::with_capacity(below.len() + over.len());
    let mut rest = below;
    for attr in over {
        // Long stretches between few entries are found by halving.
        let before = if over.len() * 8 < below.len() {
            rest.partition_point(|a| a.name < attr.name)
        } else {
            rest.iter().take_while(|a| a.name < attr.name).count()
        };
        merged.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        if rest.first().is_some_and(|a| a.name == attr.name) {
            rest = &rest[1..];
        }
        merged.push(*attr);
    }
    merged.extend_from_slice(rest);
    merged
}
