//! Names as numbers: attribute names and variables compare and sort as `u32`.
//!
//! Symbols number in order of first sight, which says nothing about their
//! text; whatever shows names in order sorts by bytes first.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::num::NonZeroU32;

use hashbrown::HashTable;

use super::context::Context;
use super::heap::Heap;
use super::value::Str;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sym(NonZeroU32);

impl Sym {
    pub(super) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// A map whose keys come from programs; its seed differs in each process.
pub(crate) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

pub struct Symbols {
    heap: Heap,
    /// Each symbol with a part of its text's hash, which tells nearly all
    /// others from it without looking at them.
    by_text: HashTable<(u32, Sym)>,
    hasher: foldhash::fast::RandomState,
    /// Each text once, as the string that lists of names show.
    texts: Vec<&'static Str>,
}

impl Symbols {
    pub fn new(heap: Heap) -> Self {
        let hasher = foldhash::fast::RandomState::default();
        Self { heap, by_text: HashTable::new(), hasher, texts: Vec::new() }
    }

    pub fn intern(&mut self, text: &[u8]) -> Sym {
        let hash = self.hash(text);
        match self.find_hashed(text, hash) {
            Some(symbol) => symbol,
            None => self.add(self.heap.bytes(text), hash),
        }
    }

    /// The symbol of a string without context, which remembers it.
    pub fn intern_str(&mut self, text: &'static Str) -> Sym {
        if let Some(symbol) = text.symbol.get() {
            return symbol;
        }
        let bytes = text.bytes(self.heap);
        let hash = self.hash(bytes);
        let symbol = self.find_hashed(bytes, hash).unwrap_or_else(|| self.add(bytes, hash));
        text.symbol.set(Some(symbol));
        symbol
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(text)
    }

    #[inline]
    fn find_hashed(&self, text: &[u8], hash: u64) -> Option<Sym> {
        let same = |(part, symbol): &(u32, Sym)| *part == hash as u32 && self.text(*symbol) == text;
        self.by_text.find(spread(hash as u32), same).map(|(_, symbol)| *symbol)
    }

    fn add(&mut self, text: &'static [u8], hash: u64) -> Sym {
        let number = u32::try_from(self.texts.len() + 1).expect("memory ends before four billion names");
        let symbol = Sym(NonZeroU32::new(number).expect("counted from one"));
        let shown = self.heap.cell(Str::flat(text, Context::EMPTY));
        shown.symbol.set(Some(symbol));
        self.texts.push(shown);
        let hash = hash as u32;
        self.by_text.insert_unique(spread(hash), (hash, symbol), |(hash, _)| spread(*hash));
        symbol
    }

    /// The symbol if any text or value has mentioned it.
    pub fn find(&self, text: &[u8]) -> Option<Sym> {
        self.find_hashed(text, self.hash(text))
    }

    pub fn text(&self, symbol: Sym) -> &'static [u8] {
        self.texts[symbol.index()].bytes(self.heap)
    }

    /// The text as a string without context.
    pub fn string(&self, symbol: Sym) -> &'static Str {
        self.texts[symbol.index()]
    }

    pub fn display(&self, symbol: Sym) -> String {
        String::from_utf8_lossy(self.text(symbol)).into_owned()
    }
}

/// The table takes the place from the low bits and a mark from the high ones.
#[inline]
fn spread(part: u32) -> u64 {
    u64::from(part) | u64::from(part) << 32
}

/// Symbols that the evaluator itself looks for, interned first.
macro_rules! known {
    ($($name:ident = $text:literal),* $(,)?) => {
        pub struct Known { $(pub $name: Sym),* }
        impl Known {
            pub fn new(symbols: &mut Symbols) -> Self {
                Self { $($name: symbols.intern($text.as_bytes())),* }
            }
        }
    };
}

known! {
    all_outputs = "allOutputs",
    args = "args",
    body = "body",
    builder = "builder",
    column = "column",
    content_addressed = "__contentAddressed",
    drv_path = "drvPath",
    file = "file",
    functor = "__functor",
    functor_args = "__functionArgs",
    hash = "hash",
    hash_algo = "hashAlgo",
    ignore_nulls = "__ignoreNulls",
    impure = "__impure",
    key = "key",
    line = "line",
    name = "name",
    operator = "operator",
    out_path = "outPath",
    output_hash = "outputHash",
    output_hash_algo = "outputHashAlgo",
    output_hash_mode = "outputHashMode",
    output_name = "outputName",
    outputs = "outputs",
    overrides = "__overrides",
    path = "path",
    prefix = "prefix",
    recursive = "recursive",
    right = "right",
    sha256 = "sha256",
    start_set = "startSet",
    structured_attrs = "__structuredAttrs",
    success = "success",
    system = "system",
    to_hash_format = "toHashFormat",
    to_string = "__toString",
    r#type = "type",
    value = "value",
    version = "version",
    wrong = "wrong",
    filter = "filter",
}
