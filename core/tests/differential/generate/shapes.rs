//! What libraries put together from built-in functions and syntax: each shape
//! is a text with holes, and the variables that a hole can see.

use super::{Generator, Type};
use Type::*;

type Hole = (Type, &'static [(&'static str, Type)]);

/// A text in which `#` stands for the holes in turn, and what it makes.
type Shape = (&'static str, &'static [Hole], Type);

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    // Lists.
    ("map (x: #) (#)", &[(Any, &[("x", Int)]), (List, &[])], List),
    ("map (x: #) (builtins.genList (y: y) (#))", &[(Any, &[("x", Count)]), (Count, &[])], List),
    ("builtins.filter (x: #) (#)", &[(Bool, &[("x", String)]), (Strings, &[])], Strings),
    ("builtins.foldl' (a: x: #) (#) (#)", &[(Int, &[("a", Int), ("x", Int)]), (Int, &[]), (List, &[])], Int),
    ("builtins.foldl' (a: x: a + x) (#) (#)", &[(String, &[]), (Strings, &[])], String),
    ("builtins.foldl' (a: x: a // { ${x} = #; }) (#) (#)", &[(Any, &[("a", Set), ("x", Name)]), (Set, &[]), (Strings, &[])], Set),
    ("builtins.foldl' (a: x: [ x ] ++ a) [ ] (#)", &[(List, &[])], List),
    ("builtins.sort (a: b: #) (#)", &[(Bool, &[("a", Int), ("b", Int)]), (List, &[])], List),
    ("builtins.sort (a: b: a.# < b.#) (#)", &[(Bare, &[]), (Bare, &[]), (Sets, &[])], List),
    ("builtins.groupBy (x: #) (#)", &[(Name, &[("x", Any)]), (List, &[])], Set),
    ("builtins.partition (x: #) (#)", &[(Bool, &[("x", Int)]), (List, &[])], Set),
    ("builtins.concatMap (x: [ x (#) ]) (#)", &[(Any, &[("x", Any)]), (List, &[])], List),
    ("builtins.all (x: #) (#)", &[(Bool, &[("x", Any)]), (List, &[])], Bool),
    ("builtins.elem (#) (#)", &[(String, &[]), (Strings, &[])], Bool),
    ("builtins.genericClosure { startSet = [ { key = #; } ]; operator = x: if x.key < 4 then [ { key = x.key + 1; a = #; } { key = 2; } ] else [ ]; }",
        &[(Count, &[]), (Any, &[("x", Set)])], Sets),
    ("builtins.genericClosure { startSet = map (key: { inherit key; }) (#); operator = x: map (key: { inherit key; }) ({ a = [ \"b\" \"c\" ]; b = [ \"a\" ]; }.${x.key} or [ ]); }",
        &[(Strings, &[])], Sets),
    // Sets.
    ("builtins.mapAttrs (name: value: #) (#)", &[(Any, &[("name", Name), ("value", Any)]), (Set, &[])], Set),
    ("builtins.zipAttrsWith (name: x: #) (#)", &[(Any, &[("name", Name), ("x", List)]), (Sets, &[])], Set),
    ("builtins.listToAttrs (map (name: { inherit name; value = #; }) (#))", &[(Any, &[("name", Name)]), (Strings, &[])], Set),
    ("map (n: (#).${n} or (#)) (builtins.attrNames (#))", &[(Set, &[]), (Any, &[]), (Set, &[])], List),
    ("(#).#.# or (#).# or (#)", &[(Set, &[]), (Bare, &[]), (Bare, &[]), (Set, &[]), (Bare, &[]), (Any, &[])], Any),
    ("(#).${#}.# or (#)", &[(Set, &[]), (Name, &[]), (Bare, &[]), (Any, &[])], Any),
    ("{ #.${#}.# = #; }", &[(Bare, &[]), (Name, &[]), (Bare, &[]), (Any, &[])], Set),
    ("{ ${#} = #; # = #; }", &[(Name, &[]), (Any, &[]), (Bare, &[]), (Any, &[])], Set),
    ("{ a.b = #; } // { a.c = #; }", &[(Any, &[]), (Any, &[])], Set),
    ("{ a = { b = #; }; a.c = #; }", &[(Any, &[]), (Any, &[])], Set),
    ("rec { a = #; b = #; __overrides = { a = #; }; }", &[(Int, &[("b", Any)]), (Any, &[("a", Int)]), (Int, &[])], Set),
    ("(#) == (#)", &[(Set, &[]), (Set, &[])], Bool),
    ("builtins.intersectAttrs (builtins.functionArgs (#)) (#)", &[(Function, &[]), (Set, &[])], Set),
    // Functions.
    ("let a = x: #; b = y: a (#); in b (#)", &[(Any, &[("x", Any)]), (Any, &[("y", Any)]), (Any, &[])], Any),
    ("{ __functor = self: x: #; a = #; } (#)", &[(Any, &[("self", Set), ("x", Any)]), (Any, &[]), (Any, &[])], Any),
    ("({ a, b ? #, ... }@args: #) (#)", &[(Any, &[("a", Any), ("args", Set)]), (Any, &[("a", Any), ("b", Any), ("args", Set)]), (Set, &[])], Any),
    ("let a = self: { x = #; y = #; }; b = a b; in b", &[(Any, &[("self", Set)]), (Int, &[])], Set),
    ("let a = final: { x = #; y = 1; }; c = final: let d = a final; in d // { y = #; }; b = c b; in b",
        &[(Any, &[("final", Set)]), (Any, &[("final", Set), ("d", Set)])], Set),
    ("let inherit (#) a b; in #", &[(Set, &[]), (Any, &[("a", Any), ("b", Any)])], Any),
    ("let a = #; in with #; let b = a; in #", &[(Any, &[]), (Set, &[]), (Any, &[("a", Any), ("b", Any), ("x", Any)])], Any),
    ("(builtins.functionArgs (#)) // { }", &[(Function, &[])], Set),
    // Failures that are caught, and how much of a value is evaluated.
    ("builtins.tryEval (#)", &[(Any, &[])], Set),
    ("(builtins.tryEval (builtins.deepSeq (#) true)).success", &[(Any, &[])], Bool),
    ("builtins.tryEval (assert #; #)", &[(Bool, &[]), (Any, &[])], Set),
    ("builtins.tryEval (map (x: #) (#))", &[(Any, &[("x", Any)]), (List, &[])], Set),
    ("builtins.length (map (x: throw \"unused\") (#))", &[(List, &[])], Count),
    ("builtins.attrNames (builtins.mapAttrs (n: v: throw \"unused\") (#))", &[(Set, &[])], Strings),
    ("builtins.seq (#) (#)", &[(List, &[]), (Any, &[])], Any),
    ("builtins.addErrorContext \"c\" (#)", &[(Any, &[])], Any),
    // Strings.
    ("builtins.concatStringsSep (#) (map (x: #) (#))", &[(String, &[]), (String, &[("x", Any)]), (List, &[])], String),
    ("builtins.concatStringsSep \"\\n\" (builtins.attrValues (builtins.mapAttrs (n: v: \"${n}=${toString v}\") (#)))", &[(Set, &[])], String),
    ("builtins.replaceStrings [ (#) \"b\" ] [ (#) (#) ] (#)", &[(String, &[]), (String, &[]), (String, &[]), (String, &[])], String),
    ("builtins.filter builtins.isString (builtins.split (#) (#))", &[(Name, &[]), (String, &[])], Strings),
    ("''\n    a ${#}\n      b\n  ''", &[(String, &[])], String),
    ("''\n    ${#}\n      ''${x} ''\\t '''\n  ${#}''", &[(String, &[]), (String, &[])], String),
    ("\"${toString (#)}-${toString (#)}\"", &[(Any, &[]), (Any, &[])], String),
    ("\"${{ __toString = self: self.a + #; a = #; }}\"", &[(String, &[("self", Set)]), (String, &[])], String),
    ("\"${{ outPath = #; }}\"", &[(String, &[])], String),
    ("builtins.substring (#) (#) (#)", &[(Count, &[]), (Count, &[]), (String, &[])], String),
    ("builtins.hashString \"sha256\" (#)", &[(String, &[])], Name),
    ("builtins.splitVersion (builtins.parseDrvName (#)).version", &[(Name, &[])], Strings),
    ("map (builtins.compareVersions (#)) (#)", &[(String, &[]), (Strings, &[])], List),
    ("builtins.sort (a: b: builtins.compareVersions a b < 0) (#)", &[(Strings, &[])], Strings),
    ("builtins.fromJSON (builtins.unsafeDiscardStringContext (builtins.toJSON (#)))", &[(Any, &[])], Any),
    ("builtins.toJSON (builtins.fromJSON (builtins.toJSON (#)))", &[(Any, &[])], String),
    ("builtins.getContext (builtins.appendContext (#) (builtins.getContext (#)))", &[(String, &[]), (String, &[])], Set),
    ("(substring 0 0 (#)) + builtins.unsafeDiscardStringContext (#)", &[(String, &[]), (String, &[])], String),
    ("map (n: builtins.getContext \"${n}\") (#)", &[(Strings, &[])], List),
    // Numbers and paths.
    ("builtins.bitXor (#) (builtins.bitAnd (#) (#))", &[(Int, &[]), (Int, &[]), (Int, &[])], Int),
    ("builtins.floor ((#) / 2.0)", &[(Count, &[])], Int),
    ("(#) - ((#) / (#)) * (#)", &[(Int, &[]), (Int, &[]), (Int, &[]), (Int, &[])], Int),
    ("(#) + \"/\" + (#)", &[(Path, &[]), (Name, &[])], Path),
    ("/a + \"/${#}\"", &[(Name, &[])], Path),
    ("/a/${#}/b", &[(Name, &[])], Path),
    ("builtins.baseNameOf (builtins.dirOf ((#) + \"/x/y\"))", &[(Path, &[])], Name),
    ("builtins.dirOf (toString ((#) + \"/x\"))", &[(Path, &[])], String),
];

impl Generator<'_> {
    /// None where no shape makes the type.
    pub(super) fn library_shape(&mut self, wanted: Type, depth: usize) -> Option<std::string::String> {
        let fitting: Vec<&Shape> =
            SHAPES.iter().filter(|(.., made)| *made == wanted || *made == Any).collect();
        if fitting.is_empty() {
            return None;
        }
        let (text, holes, _) = *self.choices.pick(&fitting);
        let mut parts = text.split('#');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for (part, (wanted, variables)) in parts.zip(holes) {
            let outer = self.variables.len();
            self.variables.extend(*variables);
            filled.push_str(&self.expression(*wanted, depth));
            self.variables.truncate(outer);
            filled.push_str(part);
        }
        Some(filled.replace("(substring 0", "(builtins.substring 0"))
    }
}
