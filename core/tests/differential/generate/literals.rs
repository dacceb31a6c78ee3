//! The smallest expressions: values that have made trouble somewhere.

use super::{Generator, Type};

const INTS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "-1",
    "-2",
    "10",
    "100",
    "255",
    "65536",
    "9007199254740993",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "4611686018427387904",
];

const COUNTS: &[&str] = &["0", "1", "2", "3", "5", "8", "17", "-1"];

const FLOATS: &[&str] = &[
    "0.0",
    "1.0",
    "0.5",
    "1.5",
    "-0.5",
    "-0.0",
    "0.1",
    "3.14159265358979",
    "1.0e10",
    "1.0e15",
    "1.0e16",
    "123456.0",
    "1234567.0",
    "123456789.0",
    "1.0e-4",
    "1.0e-5",
    "1.0e300",
    "(1.0e300 * 1.0e300)",
    "9223372036854775807.0",
    "-9223372036854775808.0",
    "2.5",
    "0.30000000000000004",
    ".5",
    "1.7976931348623157e308",
    "100.0",
    "1.0e100",
    "5.0e-7",
    "12345.678",
    "0.1e1",
];

const STRINGS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"ab\"",
    "\"aba\"",
    "\"a b\"",
    "\"1\"",
    "\"1.5\"",
    "\"é\"",
    "\"\\n\"",
    "\"\\t\\r\\\\\\\"\"",
    "\"\\${a}\"",
    "\"a.b.c\"",
    "\"foo-1.2\"",
    "\"/a/b\"",
    "\"/a/b/\"",
    "\"a/b\"",
    "\"/\"",
    "\"true\"",
    "\"x\"",
    "\"name\"",
    "\"aaaaaaaaaaaaaaaaaaaa\"",
    "\"<&>\"",
    "\"//\"",
    "\"/a/../b\"",
    "\"out\"",
    "\"1.2pre3\"",
    "\"10\"",
    "\"..\"",
    "\"'\"",
];

/// Strings that depend on the store.
const CONTEXTS: &[&str] = &[
    "(builtins.toFile \"f\" \"x\")",
    "(toString (derivation { name = \"n\"; builder = \"b\"; system = \"s\"; }))",
    "((derivation { name = \"n\"; builder = \"b\"; system = \"s\"; }).drvPath)",
    "(substring 0 0 (builtins.toFile \"f\" \"x\"))",
    "(builtins.unsafeDiscardOutputDependency (derivation { name = \"n\"; builder = \"b\"; system = \"s\"; }).drvPath)",
    "((derivation { name = \"n\"; builder = \"b\"; system = \"s\"; outputs = [ \"dev\" \"out\" ]; }).out.outPath)",
];

const NAMES: &[&str] = &[
    "\"a\"",
    "\"b\"",
    "\"c\"",
    "\"x\"",
    "\"name\"",
    "\"value\"",
    "\"\"",
    "\"a b\"",
    "\"type\"",
    "\"outPath\"",
    "\"d\"",
    "\"y\"",
];

const PATHS: &[&str] =
    &["/a", "/a/b", "/.", "/a/b.c", "/a/../c", "/nonexistent", "/a/./b", "/a.drv", "/a-1.0"];

const LISTS: &[&str] = &[
    "[ ]",
    "[ 1 ]",
    "[ 1 2 3 ]",
    "[ \"a\" \"b\" ]",
    "[ 3 1 2 ]",
    "[ 1.5 1 ]",
    "[ null true ]",
    "[ [ ] [ 1 ] ]",
    "[ \"b\" \"a\" \"c\" \"a\" ]",
    "[ { a = 1; } { a = 2; } ]",
    "[ (throw \"t\") ]",
    "[ 2 1 2.0 1.0 ]",
    "[ [ 2 ] [ 1 2 ] ]",
];

const STRING_LISTS: &[&str] = &[
    "[ \"a\" ]",
    "[ ]",
    "[ \"a\" \"b\" ]",
    "[ \"\" ]",
    "[ \"ab\" \"a\" \"\" ]",
    "[ \"x\" \"\" \"y\" ]",
    "[ \"b\" \"a\" \"b\" ]",
];

const SET_LISTS: &[&str] = &[
    "[ { a = 1; } ]",
    "[ ]",
    "[ { name = \"a\"; value = 1; } { name = \"a\"; value = 2; } ]",
    "[ { a = 1; b = 2; } { b = 3; } ]",
    "[ { key = 1; } { key = 1.0; } { key = 2; } ]",
    "[ { name = \"b\"; value = 1; } { name = \"a\"; value = 2; } ]",
];

const SETS: &[&str] = &[
    "{ }",
    "{ a = 1; }",
    "{ a = 1; b = 2; }",
    "{ b = { c = 3; }; }",
    "{ name = \"a\"; value = 1; }",
    "{ key = 1; }",
    "rec { a = 1; b = a; }",
    "{ a = throw \"t\"; }",
    "{ outPath = \"/o\"; }",
    "{ __toString = self: \"s\"; }",
    "{ type = \"derivation\"; outPath = \"/x\"; }",
    "{ __functor = self: x: x; }",
    "{ a.b.c = 1; }",
    "{ \"x y\" = null; c = [ ]; }",
    "{ d = 1.5; a = \"s\"; }",
    "{ type = \"derivation\"; }",
    "{ a = { b = { x = 1; }; }; a = { b = { y = 2; }; }; }",
];

const FUNCTIONS: &[&str] = &[
    "x: x",
    "x: y: x",
    "a: b: a < b",
    "x: true",
    "{ a ? 1, ... }: a",
    "{ a, b }: a",
    "x: [ x ]",
    "x: x.a",
    "x: y: y",
    "x: \"n\"",
    "builtins.add",
    "builtins.isInt",
    "toString",
    "builtins.lessThan",
    "x: throw \"f\"",
    "x: x + 1",
    "a: b: a + b",
    "builtins.add 1",
    "{ }: 1",
    "args@{ a ? args, ... }: 2",
    "x: null",
    "x: false",
    "builtins.head",
    "builtins.typeOf",
    "x: { key = 1; }",
    "x: [ ]",
    "builtins.length",
];

impl Generator<'_> {
    pub(super) fn literal(&mut self, wanted: Type) -> String {
        match wanted {
            Type::Float if self.choices.one_in(3) => return self.drawn_float(),
            Type::String if self.choices.one_in(6) => return self.drawn_text(),
            _ => {}
        }
        let items = match wanted {
            Type::Int => INTS,
            Type::Count => COUNTS,
            Type::Float => FLOATS,
            Type::Bool => &["true", "false"],
            Type::Null | Type::Any => &["null"],
            Type::String => {
                if self.choices.one_in(5) {
                    CONTEXTS
                } else {
                    STRINGS
                }
            }
            Type::Name | Type::Bare => NAMES,
            Type::Path => PATHS,
            Type::List => LISTS,
            Type::Strings => STRING_LISTS,
            Type::Sets => SET_LISTS,
            Type::Set => SETS,
            Type::Function => FUNCTIONS,
            Type::Derivation => &[
                "derivation { name = \"n\"; builder = \"b\"; system = \"s\"; }",
                "{ type = \"derivation\"; outPath = \"/o\"; drvPath = \"/d\"; name = \"n\"; }",
            ],
        };
        self.choices.pick(items).replace("substring 0", "builtins.substring 0")
    }
}
