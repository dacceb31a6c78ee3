//! The built-in functions, a file a family.

mod attrs;
pub mod context;
mod control;
pub mod documentation;
mod fetch;
mod files;
mod from_json;
mod hash;
mod imported;
mod json;
mod lists;
mod numbers;
mod paths;
mod patterns;
mod sort;
mod strings;
mod toml;
mod types;
pub(crate) mod versions;
mod xml;

pub(crate) use json::Json;

use super::error::ErrorKind;
use super::eval::{Eval, Evaluator};
use super::source::{Origin, Pos};
use super::value::{Pending, State, Thunk, Value};

/// A function that is part of the language.
pub struct Builtin {
    pub name: &'static str,
    pub arity: usize,
    pub run: fn(&mut Evaluator, &[Value], Pos) -> Eval,
}

impl Builtin {
    pub const fn new(
        name: &'static str,
        arity: usize,
        run: fn(&mut Evaluator, &[Value], Pos) -> Eval,
    ) -> Self {
        Self { name, arity, run }
    }
}

/// Those that programs may name without `builtins.`; the others are there
/// with two underscores before their name.
const BARE: &[&str] = &[
    "abort",
    "baseNameOf",
    "break",
    "derivation",
    "derivationStrict",
    "dirOf",
    "false",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fromTOML",
    "import",
    "isNull",
    "map",
    "null",
    "placeholder",
    "removeAttrs",
    "scopedImport",
    "throw",
    "toString",
    "true",
];

/// The release of Nix whose language this is.
pub const NIX_VERSION: &str = "2.34.8";
const LANGUAGE_VERSION: i64 = 6;

/// `derivation`: the lazy set around `derivationStrict`, one for each output,
/// the first of them being the result. Each piece has its line and column,
/// since programs see where attributes are; these are where Nix says they are.
/// Variables have names that programs hardly use, since a name that is known
/// before a program is read comes before its own (see `symbol`).
const DERIVATION: &[(usize, usize, &str)] = &[
    (30, 1, "drvAttrs@{"),
    (31, 3, r#"outputs ? [ "out" ], ... }:"#),
    (36, 1, "let"),
    (37, 4, "made' = derivationStrict drvAttrs;"),
    (40, 1, "shared' = drvAttrs // builtins.listToAttrs each' // {"),
    (43, 7, "all = builtins.map (output': output'.value) each';"),
    (44, 15, "drvAttrs = drvAttrs; };"),
    (46, 1, "each' = builtins.map (name: { inherit name;"),
    (49, 5, "value = shared' // {"),
    (50, 7, "outPath = builtins.getAttr name made';"),
    (51, 7, "drvPath = made'.drvPath;"),
    (52, 7, r#"type = "derivation";"#),
    (53, 15, "outputName = name; }; }) outputs;"),
    (55, 1, "in (builtins.head each').value"),
];

/// Text with each piece in its place.
fn laid_out(pieces: &[(usize, usize, &str)]) -> String {
    let (mut text, mut last) = (String::new(), 1);
    for (line, column, piece) in pieces {
        text.push_str(&"\n".repeat(line - last));
        text.push_str(&" ".repeat(column - 1));
        text.push_str(piece);
        last = *line;
    }
    text
}

pub(super) fn install(evaluator: &mut Evaluator, further: &'static [Builtin]) {
    let families: [&'static [Builtin]; 18] = [
        attrs::BUILTINS,
        context::BUILTINS,
        control::BUILTINS,
        fetch::BUILTINS,
        files::BUILTINS,
        from_json::BUILTINS,
        hash::BUILTINS,
        json::BUILTINS,
        lists::BUILTINS,
        numbers::BUILTINS,
        paths::BUILTINS,
        patterns::BUILTINS,
        sort::BUILTINS,
        strings::BUILTINS,
        toml::BUILTINS,
        types::BUILTINS,
        versions::BUILTINS,
        xml::BUILTINS,
    ];
    let mut members: Vec<(&'static str, Value)> = families
        .iter()
        .flat_map(|family| family.iter())
        .chain(further)
        .map(|builtin| (builtin.name, Value::Builtin(builtin)))
        .collect();

    let cell = evaluator.heap.cell(Thunk::new(State::Busy));
    members.push(("builtins", Value::Thunk(cell)));
    members.push(("true", Value::Bool(true)));
    members.push(("false", Value::Bool(false)));
    members.push(("null", Value::Null));
    members.push(("langVersion", Value::Int(LANGUAGE_VERSION)));
    members.push(("nixVersion", evaluator.string(NIX_VERSION.as_bytes())));
    let store_dir = evaluator.host.store_dir().as_str().to_owned();
    members.push(("storeDir", evaluator.string(store_dir.as_bytes())));
    if let Some(system) = evaluator.host.current_system() {
        members.push(("currentSystem", evaluator.string(system.as_bytes())));
    }
    if let Some(time) = evaluator.host.current_time() {
        members.push(("currentTime", Value::Int(time)));
    }
    let path = files::search_path_value(evaluator);
    members.push(("nixPath", path));

    let derivation = evaluator.heap.cell(Thunk::new(State::Busy));
    // Without anything that makes derivations there is no `derivation`.
    let makes_derivations = further.iter().any(|builtin| builtin.name == "derivationStrict");
    if makes_derivations {
        members.push(("derivation", Value::Thunk(derivation)));
    }

    let mut entries = Vec::new();
    for (name, value) in members {
        let symbol = evaluator.symbols.intern(name.as_bytes());
        entries.push(evaluator.attr(symbol, value));
        let global = if BARE.contains(&name) || name == "builtins" {
            symbol
        } else {
            evaluator.symbols.intern(format!("__{name}").as_bytes())
        };
        evaluator.globals.insert(global, value);
    }
    let set = evaluator.attrs(entries);
    cell.set(State::Done(set));
    evaluator.builtins = set;
    let builtins_name = evaluator.symbols.intern(b"builtins");
    evaluator.globals.insert(builtins_name, set);

    if !makes_derivations {
        return;
    }
    let code =
        evaluator.lower_text(laid_out(DERIVATION), Origin::Derivation, std::path::Path::new("/"), None);
    let Ok(code) = code else { unreachable!("the text of `derivation` is a program") };
    let env = evaluator.scope(None, 0);
    let number = evaluator.number(code);
    derivation.set(State::Code(Pending { number, place: env }));
    let name = evaluator.symbols.intern(b"derivation");
    if let Ok(value) = evaluator.force(Value::Thunk(derivation)) {
        evaluator.globals.insert(name, value);
    }
}

impl Evaluator {
    /// A failure of the operation itself, at the call.
    fn refuse<T>(&self, message: impl AsRef<str>, pos: Pos) -> Eval<T> {
        self.fail(ErrorKind::Value, message, pos)
    }

    /// An attribute that an argument must have.
    fn required_attr(
        &mut self,
        attrs: &'static super::value::Attrs,
        name: super::symbol::Sym,
        pos: Pos,
    ) -> Eval {
        match attrs.get(name) {
            Some(attr) => Ok(attr.value),
            None => Err(self.missing_attribute(name, attrs, pos)),
        }
    }
}
