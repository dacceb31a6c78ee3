//! Names as numbers: attribute names and variables compare and sort as `u32`.
//!
//! Symbols number in order of first sight, which says nothing about their
//! text; whatever shows names in order sorts by bytes first.

use std::collections::HashMap;
use std::num::NonZeroU32;

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

/// A map whose keys are symbols or texts of programs; its seed differs in each
/// process.
pub(super) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

pub struct Symbols {
    heap: Heap,
    by_text: FastMap<&'static [u8], Sym>,
    /// Each text once, as the string that lists of names show.
    texts: Vec<&'static Str>,
}

impl Symbols {
    pub fn new(heap: Heap) -> Self {
        Self { heap, by_text: FastMap::default(), texts: Vec::new() }
    }

    pub fn intern(&mut self, text: &[u8]) -> Sym {
        if let Some(symbol) = self.by_text.get(text) {
            return *symbol;
        }
        let text = self.heap.bytes(text);
        self.add(text)
    }

    /// The symbol of a string without context, which remembers it.
    pub fn intern_str(&mut self, text: &'static Str) -> Sym {
        if let Some(symbol) = text.symbol.get() {
            return symbol;
        }
        let bytes = text.bytes(self.heap);
        let symbol = match self.by_text.get(bytes) {
            Some(symbol) => *symbol,
            None => self.add(bytes),
        };
        text.symbol.set(Some(symbol));
        symbol
    }

    fn add(&mut self, text: &'static [u8]) -> Sym {
        let number = u32::try_from(self.texts.len() + 1).expect("memory ends before four billion names");
        let symbol = Sym(NonZeroU32::new(number).expect("counted from one"));
        let shown = self.heap.cell(Str::flat(text, Context::EMPTY));
        shown.symbol.set(Some(symbol));
        self.texts.push(shown);
        self.by_text.insert(text, symbol);
        symbol
    }

    /// The symbol if any text or value has mentioned it.
    pub fn find(&self, text: &[u8]) -> Option<Sym> {
        self.by_text.get(text).copied()
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
