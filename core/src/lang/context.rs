//! String contexts: which store objects a string speaks of.
//!
//! Sets are interned, so a string carries one number and joining strings with
//! the same context costs a comparison.

use std::rc::Rc;

use osbuild_store::StorePath;

use super::symbol::FastMap;

/// One thing that a string depends on; messages name the first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element {
    /// A store object as it is.
    Opaque(StorePath),
    /// A derivation with everything it needs, sources and outputs.
    DerivationDeep(StorePath),
    /// An output of a derivation.
    Built { derivation: StorePath, output: String },
}

/// An interned set; [`Context::EMPTY`] is the empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context(u32);

impl Context {
    pub const EMPTY: Self = Self(0);

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

pub struct Contexts {
    sets: Vec<Rc<[Element]>>,
    by_set: FastMap<Rc<[Element]>, Context>,
    unions: FastMap<(Context, Context), Context>,
}

impl Default for Contexts {
    fn default() -> Self {
        let empty: Rc<[Element]> = Rc::from([]);
        Self {
            sets: vec![Rc::clone(&empty)],
            by_set: FastMap::from_iter([(empty, Context::EMPTY)]),
            unions: FastMap::default(),
        }
    }
}

impl Contexts {
    pub fn elements(&self, context: Context) -> Rc<[Element]> {
        Rc::clone(&self.sets[context.0 as usize])
    }

    pub fn single(&mut self, element: Element) -> Context {
        self.set(vec![element])
    }

    pub fn set(&mut self, mut elements: Vec<Element>) -> Context {
        elements.sort_unstable();
        elements.dedup();
        let set: Rc<[Element]> = elements.into();
        if let Some(context) = self.by_set.get(&set) {
            return *context;
        }
        let context = Context(self.sets.len() as u32);
        self.sets.push(Rc::clone(&set));
        self.by_set.insert(set, context);
        context
    }

    pub fn union(&mut self, a: Context, b: Context) -> Context {
        if a == b || b.is_empty() {
            return a;
        }
        if a.is_empty() {
            return b;
        }
        if let Some(union) = self.unions.get(&(a, b)) {
            return *union;
        }
        let elements = self.elements(a).iter().chain(self.elements(b).iter()).cloned().collect();
        let union = self.set(elements);
        self.unions.insert((a, b), union);
        union
    }

    /// The union of all that was gathered.
    pub fn join(&mut self, mut gathered: Gathered) -> Context {
        gathered.compact();
        match gathered.contexts.as_slice() {
            [] => Context::EMPTY,
            [single] => *single,
            [a, b] => self.union(*a, *b),
            many => {
                let elements = many.iter().flat_map(|c| self.sets[c.0 as usize].iter()).cloned().collect();
                self.set(elements)
            }
        }
    }
}

/// Contexts of many strings that become one string. Joining them one by one
/// would keep each set in between, which is quadratic.
#[derive(Default)]
pub struct Gathered {
    contexts: Vec<Context>,
    /// How many are sorted and distinct.
    compacted: usize,
}

impl Gathered {
    pub fn add(&mut self, context: Context) {
        if context.is_empty() || self.contexts.last() == Some(&context) {
            return;
        }
        self.contexts.push(context);
        if self.contexts.len() > 64 + 2 * self.compacted {
            self.compact();
        }
    }

    fn compact(&mut self) {
        self.contexts.sort_unstable_by_key(|context| context.0);
        self.contexts.dedup();
        self.compacted = self.contexts.len();
    }
}
