//! Calls of built-in functions.

use super::drawn::quoted;
use super::{Generator, Type};
use Type::*;

/// A function, its arguments and what it returns.
type Signature = (&'static str, &'static [Type], Type);

#[rustfmt::skip]
const SIGNATURES: &[Signature] = &[
    ("add", &[Int, Int], Int), ("add", &[Float, Int], Float), ("sub", &[Int, Int], Int), ("sub", &[Float, Float], Float),
    ("mul", &[Int, Int], Int), ("mul", &[Int, Float], Float), ("div", &[Int, Int], Int), ("div", &[Float, Int], Float),
    ("bitAnd", &[Int, Int], Int), ("bitOr", &[Int, Int], Int), ("bitXor", &[Int, Int], Int),
    ("ceil", &[Float], Int), ("floor", &[Float], Int), ("lessThan", &[Int, Float], Bool), ("lessThan", &[String, String], Bool),
    ("lessThan", &[List, List], Bool), ("lessThan", &[Path, Path], Bool),
    ("all", &[Function, List], Bool), ("any", &[Function, List], Bool), ("concatLists", &[List], List),
    ("concatMap", &[Function, List], List), ("elem", &[Any, List], Bool), ("elemAt", &[List, Count], Any),
    ("filter", &[Function, List], List), ("foldl'", &[Function, Any, List], Any), ("genList", &[Function, Count], List),
    ("head", &[List], Any), ("length", &[List], Count), ("map", &[Function, List], List), ("partition", &[Function, List], Set),
    ("sort", &[Function, List], List), ("sort", &[Function, Strings], Strings), ("tail", &[List], List),
    ("groupBy", &[Function, Strings], Set), ("zipAttrsWith", &[Function, Sets], Set),
    ("attrNames", &[Set], Strings), ("attrValues", &[Set], List), ("catAttrs", &[Name, Sets], List),
    ("functionArgs", &[Function], Set), ("getAttr", &[Name, Set], Any), ("hasAttr", &[Name, Set], Bool),
    ("intersectAttrs", &[Set, Set], Set), ("listToAttrs", &[Sets], Set), ("mapAttrs", &[Function, Set], Set),
    ("removeAttrs", &[Set, Strings], Set), ("unsafeGetAttrPos", &[Name, Set], Set),
    ("addDrvOutputDependencies", &[String], String), ("getContext", &[String], Set), ("hasContext", &[String], Bool),
    ("appendContext", &[String, Set], String),
    ("unsafeDiscardOutputDependency", &[String], String), ("unsafeDiscardStringContext", &[String], Name),
    ("seq", &[Any, Any], Any), ("deepSeq", &[Any, Any], Any), ("tryEval", &[Any], Set), ("typeOf", &[Any], Name),
    ("addErrorContext", &[String, Any], Any), ("throw", &[String], Any), ("abort", &[String], Any), ("trace", &[Name, Any], Any),
    ("isAttrs", &[Any], Bool), ("isBool", &[Any], Bool), ("isFloat", &[Any], Bool), ("isFunction", &[Any], Bool),
    ("isInt", &[Any], Bool), ("isList", &[Any], Bool), ("isNull", &[Any], Bool), ("isPath", &[Any], Bool), ("isString", &[Any], Bool),
    ("concatStringsSep", &[String, Strings], String), ("replaceStrings", &[Strings, Strings, String], String),
    ("stringLength", &[String], Count), ("substring", &[Count, Count, String], String), ("toString", &[Any], String),
    ("baseNameOf", &[String], String), ("baseNameOf", &[Path], String), ("dirOf", &[String], String), ("dirOf", &[Path], Path),
    ("toPath", &[String], String), ("placeholder", &[Name], Name), ("toFile", &[Name, String], String),
    ("toJSON", &[Any], String), ("toXML", &[Any], String), ("hashString", &[Name, String], Name),
    ("compareVersions", &[String, String], Int), ("splitVersion", &[String], Strings), ("parseDrvName", &[String], Set),
    ("genericClosure", &[Set], List), ("pathExists", &[Path], Bool), ("derivationStrict", &[Set], Set),
    ("convertHash", &[Set], Name), ("getEnv", &[Name], Name), ("warn", &[Name, Any], Any), ("path", &[Set], String),
    ("readDir", &[Path], Set), ("readFile", &[Path], String), ("import", &[Path], Any), ("findFile", &[Sets, Name], Path),
];

const PATTERNS: &[&str] = &[
    "\"a\"",
    "\"a*\"",
    "\"(a*)\"",
    "\"(a|b)*\"",
    "\"(a|ab)(c|bcd)(d*)\"",
    "\"[a-z]+\"",
    "\"[^a]\"",
    "\"(.*)-(.*)\"",
    "\"\"",
    "\"()\"",
    "\"a|\"",
    "\"(a)|b\"",
    "\"[[:digit:]]+\"",
    "\"[[:space:]]\"",
    "\"a{1,2}\"",
    "\"(ab?)+\"",
    "\"^a\"",
    "\"a$\"",
    "\"\\\\.\"",
    "\"[.]\"",
    "\"(a+)+b\"",
    "\"[]a]\"",
    "\"a**\"",
    "\"(a|b|c){2}\"",
    "\"*\"",
    "\"[b-a]\"",
    "\"(\"",
    "\".\"",
    "\"(.)(.)?\"",
    "\"((a)|(b))*\"",
    "\"x*y*\"",
    "\"[a\"",
    "\"a{,2}\"",
    "\"([0-9]+)\\\\.([0-9]+).*\"",
    "\"(a*)*\"",
    "\"(a?b??)*\"",
    "\"[[:alpha:]_][[:alnum:]_]*\"",
    "\"(^a|b$)+\"",
];

const JSON: &[&str] = &[
    "{\"a\":1}",
    "[1,2.5,null,true]",
    "\"x\"",
    "1",
    "-0",
    "1e3",
    "[]",
    "{}",
    "{\"a\":1,\"a\":2}",
    " [ 1 , 2 ] ",
    "[1,]",
    "tru",
    "\"\\u00e9\\n\"",
    "1.0",
    "0.1",
    "9223372036854775808",
    "-9223372036854775809",
    "\"\\ud83d\\ude00\"",
    "{\"b\":{\"c\":[[]]}}",
    "",
    "01",
    "1.",
    "nul",
    "\"a",
    "[1 2]",
    "{\"a\"}",
    "-",
    "1E400",
    "12345678901234567890123",
    "[-1.5e-3]",
];

const TOML: &[&str] = &[
    "a = 1",
    "a = 1.5\\nb = \\\"x\\\"",
    "[t]\\na = true",
    "[[t]]\\na = 1\\n[[t]]\\na = 2",
    "a = [1, 2]",
    "a.b.c = 1",
    "a = { b = 1 }",
    "a = 1\\na = 2",
    "a = 0x10\\nb = 0o17\\nc = 0b11\\nd = 1_000",
    "a = inf\\nb = -inf",
    "a = 1e3",
    "a = 'x\\\\y'",
    "a =",
    "[t",
    "",
    "a = 1979-05-27",
    "# c\\na = \\\"\\\"\\\"\\nx\\ny\\\"\\\"\\\"",
    "\\\"q k\\\" = 1",
    "a = [1, \\\"x\\\"]",
    "a = +1",
    "a = 01",
    "a = 9223372036854775808",
];

const HASHES: &[&str] = &[
    "d41d8cd98f00b204e9800998ecf8427e",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "xyz",
    "sha256:abc",
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "",
];

impl Generator<'_> {
    pub(super) fn call_builtin(&mut self, wanted: Type, depth: usize) -> std::string::String {
        if self.choices.one_in(8) {
            return self.call_on_text();
        }
        let fitting: Vec<&Signature> =
            SIGNATURES.iter().filter(|(.., result)| *result == wanted || *result == Any).collect();
        if fitting.is_empty() {
            return self.leaf(wanted);
        }
        let (name, parameters, _) = *self.choices.pick(&fitting);
        let mut text = format!("builtins.{name}");
        let given = if self.choices.one_in(40) { parameters.len() - 1 } else { parameters.len() };
        for parameter in &parameters[..given] {
            let argument = match (name, *parameter) {
                ("hashString", Name) => self
                    .choices
                    .pick(&["\"sha256\"", "\"md5\"", "\"sha1\"", "\"sha512\"", "\"x\""])
                    .to_owned(),
                // Beyond the integers, releases before 2.30 round without a word.
                ("floor" | "ceil", Float) => {
                    self.choices.pick(&["0.0", "1.5", "(-0.5)", "(-2.0)", "7", "1.0e10"]).to_owned()
                }
                // What is in the judge's store need not be in ours.
                ("import" | "readFile" | "readDir" | "pathExists", Path) => self.literal(Path),
                ("genericClosure", Set) => self.closure(depth),
                ("convertHash", Set) => self.hash_request(),
                ("appendContext", Set) => self.context(depth),
                ("path", Set) => format!(
                    "{{ path = {}; name = {}; }}",
                    self.operand(Path, depth),
                    self.operand(Name, depth)
                ),
                (_, parameter) => self.operand(parameter, depth),
            };
            text.push_str(&format!(" {argument}"));
        }
        if name == "unsafeGetAttrPos" {
            // Alone a program has no positions, in a batch it has.
            return format!("{{ at = {text}; }}");
        }
        text
    }

    fn call_on_text(&mut self) -> std::string::String {
        match self.choices.below(9) {
            0 => format!("builtins.match {} {}", self.choices.pick(PATTERNS), self.subject()),
            1 => format!("builtins.split {} {}", self.choices.pick(PATTERNS), self.subject()),
            2 => {
                let json = self.choices.pick(JSON).replace('\\', "\\\\").replace('"', "\\\"");
                format!("builtins.fromJSON \"{json}\"")
            }
            3 => format!("builtins.fromTOML \"{}\"", self.choices.pick(TOML)),
            4 => format!("builtins.fromJSON {}", quoted(&self.drawn_json())),
            5 => format!("builtins.fromTOML {}", quoted(&self.drawn_toml())),
            6 => format!("builtins.compareVersions {} {}", self.drawn_version(), self.drawn_version()),
            7 => {
                let function = self.choices.pick(&["splitVersion", "parseDrvName"]);
                format!("builtins.{function} {}", self.drawn_version())
            }
            _ => {
                let function = self.choices.pick(&["toJSON", "toXML", "toString"]);
                format!("builtins.{function} ({})", self.drawn_float())
            }
        }
    }

    fn subject(&mut self) -> std::string::String {
        if self.choices.one_in(4) {
            return self.operand(String, 1);
        }
        let length = self.choices.below(9);
        let text: std::string::String =
            (0..length).map(|_| self.choices.pick(&["a", "b", "c", "d", "-", ".", "1", "x", "ab"])).collect();
        format!("\"{text}\"")
    }

    fn closure(&mut self, depth: usize) -> std::string::String {
        let next = self.choices.pick(&[
            "x: [ ]",
            "x: if x.key < 5 then [ { key = x.key + 1; } { key = x.key + 2; } ] else [ ]",
            "x: [ { key = 1; } ]",
            "x: [ { key = [ 1 ]; } ]",
            "x: [ { } ]",
            "x: x",
        ]);
        format!("{{ startSet = {}; operator = {next}; }}", self.operand(Sets, depth))
    }

    fn hash_request(&mut self) -> std::string::String {
        let hash = self.choices.pick(HASHES);
        let format = self.choices.pick(&["base16", "nix32", "base32", "base64", "sri", "x"]);
        let algorithm =
            self.choices.pick(&["", "hashAlgo = \"sha256\";", "hashAlgo = \"sha1\";", "hashAlgo = \"md5\";"]);
        format!("{{ hash = \"{hash}\"; toHashFormat = \"{format}\"; {algorithm} }}")
    }

    fn context(&mut self, depth: usize) -> std::string::String {
        let path = self.choices.pick(&[
            // Real ones, since Nix looks whether they are there.
            "builtins.unsafeDiscardStringContext (builtins.toFile \"f\" \"x\")",
            "builtins.unsafeDiscardStringContext (derivation { name = \"n\"; builder = \"b\"; system = \"s\"; }).drvPath",
            "\"/x\"",
            "\"a\"",
        ]);
        let what = match self.choices.below(4) {
            0 => "path = true;".to_owned(),
            1 => "allOutputs = true;".to_owned(),
            2 => "outputs = [ \"out\" ];".to_owned(),
            _ => format!("outputs = {};", self.operand(Strings, depth)),
        };
        format!("{{ ${{{path}}} = {{ {what} }}; }}")
    }
}
