//! Names as numbers: attribute names and variables compare and sort as `u32`.
//!
//! Symbols number in order of first sight, which says nothing about their
//! text; whatever shows names in order sorts by bytes first.

use std::collections::HashMap;

use super::heap::Heap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sym(u32);

pub struct Symbols {
    heap: Heap,
    by_text: HashMap<&'static [u8], Sym>,
    texts: Vec<&'static [u8]>,
}

impl Symbols {
    pub fn new(heap: Heap) -> Self {
        Self { heap, by_text: HashMap::new(), texts: Vec::new() }
    }

    pub fn intern(&mut self, text: &[u8]) -> Sym {
        if let Some(symbol) = self.by_text.get(text) {
            return *symbol;
        }
        let symbol = Sym(self.texts.len() as u32);
        let text = self.heap.bytes(text);
        self.texts.push(text);
        self.by_text.insert(text, symbol);
        symbol
    }

    /// The symbol if any text or value has mentioned it.
    pub fn find(&self, text: &[u8]) -> Option<Sym> {
        self.by_text.get(text).copied()
    }

    pub fn text(&self, symbol: Sym) -> &'static [u8] {
        self.texts[symbol.0 as usize]
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
