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

/// What has a symbol in Nix before a program is read, in its order: what the
/// evaluator looks for, names of what is built in, those of `derivation`'s own
/// text. Sets are evaluated and compared in the order of symbols, so it decides
/// which of several failures a program ends with. The empty name is among them.
const FIRST: &str = "\
    <with> outPath drvPath type meta name value system __overrides outputs outputName __ignoreNulls file \
    line column __functor __toString right wrong __structuredAttrs __json allowedReferences \
    allowedRequisites disallowedReferences disallowedRequisites maxSize maxClosureSize builder args \
    __contentAddressed __impure outputHash outputHashAlgo outputHashMode recurseForDerivations \
    description self  startSet operator key path prefix outputSpecified __sub __lessThan __mul __div or \
    __findFile __nixPath body builtins true false null __currentTime currentTime __currentSystem \
    currentSystem __nixVersion nixVersion __storeDir storeDir __langVersion langVersion __traceVerbose \
    traceVerbose nixPath scopedImport import __typeOf typeOf isNull __isFunction isFunction __isInt \
    isInt __isFloat isFloat __isString isString __isBool isBool __isPath isPath __genericClosure \
    genericClosure break abort throw __addErrorContext addErrorContext __ceil ceil __floor floor \
    __tryEval tryEval __getEnv getEnv __seq seq __deepSeq deepSeq __trace trace __warn warn \
    derivationStrict placeholder __toPath toPath __storePath storePath __pathExists pathExists \
    baseNameOf dirOf __readFile readFile findFile __hashFile hashFile __readFileType readFileType \
    __readDir readDir __toXML toXML __toJSON toJSON __fromJSON fromJSON __toFile toFile __filterSource \
    filterSource __path __attrNames attrNames __attrValues attrValues __getAttr getAttr \
    __unsafeGetAttrPos unsafeGetAttrPos __hasAttr hasAttr __isAttrs isAttrs removeAttrs __listToAttrs \
    listToAttrs __intersectAttrs intersectAttrs __catAttrs catAttrs __functionArgs functionArgs \
    __mapAttrs mapAttrs __zipAttrsWith zipAttrsWith __isList isList __elemAt elemAt __head head __tail \
    tail map __filter filter __elem elem __concatLists concatLists __length length __foldl' foldl' __any \
    any __all all __genList genList __sort sort __partition partition __groupBy groupBy __concatMap \
    concatMap __add add sub mul div __bitAnd bitAnd __bitOr bitOr __bitXor bitXor lessThan toString \
    __substring substring __stringLength stringLength __hashString hashString __convertHash convertHash \
    __match match __split split __concatStringsSep concatStringsSep __replaceStrings replaceStrings \
    __parseDrvName parseDrvName __compareVersions compareVersions __splitVersion splitVersion \
    __unsafeDiscardStringContext unsafeDiscardStringContext __hasContext hasContext \
    __unsafeDiscardOutputDependency unsafeDiscardOutputDependency __addDrvOutputDependencies \
    addDrvOutputDependencies __getContext getContext __appendContext appendContext fetchMercurial \
    __fetchurl fetchurl fetchTarball fetchGit fromTOML derivation strict \
    drvAttrs commonAttrs outputsList x outputToAttrListElement";

/// Of these those that the evaluator itself looks for.
macro_rules! known {
    ($($name:ident = $text:literal),* $(,)?) => {
        pub struct Known { $(pub $name: Sym),* }
        impl Known {
            pub fn new(symbols: &mut Symbols) -> Self {
                for name in FIRST.split(' ') {
                    symbols.intern(name.as_bytes());
                }
                Self { $($name: symbols.intern($text.as_bytes())),* }
            }
        }
    };
}

known! {
    args = "args",
    body = "body",
    builder = "builder",
    column = "column",
    content_addressed = "__contentAddressed",
    drv_path = "drvPath",
    file = "file",
    functor = "__functor",
    functor_args = "__functionArgs",
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
    right = "right",
    start_set = "startSet",
    structured_attrs = "__structuredAttrs",
    system = "system",
    to_string = "__toString",
    r#type = "type",
    value = "value",
    wrong = "wrong",
}
