//! What each built-in function and constant does, for `:doc` in the repl and
//! the generated reference.

/// A paragraph on one member of `builtins`.
pub struct Documentation {
    pub name: &'static str,
    /// What is written behind the name in a call; empty for constants.
    pub arguments: &'static str,
    pub text: &'static str,
}

impl Documentation {
    /// The name, and what is written behind it.
    pub fn call(&self) -> String {
        let blank = if self.arguments.is_empty() { "" } else { " " };
        format!("{}{blank}{}", self.name, self.arguments)
    }

    /// The whole of it, as `:doc` shows it.
    pub fn page(&self) -> String {
        format!("builtins.{}\n\n{}", self.call(), self.text)
    }
}

/// The paragraph on a name, written with or without `builtins.`.
pub fn documentation(name: &str) -> Option<&'static Documentation> {
    let name = name.strip_prefix("builtins.").or_else(|| name.strip_prefix("__")).unwrap_or(name);
    DOCUMENTATION.iter().find(|entry| entry.name == name)
}

const fn entry(name: &'static str, arguments: &'static str, text: &'static str) -> Documentation {
    Documentation { name, arguments, text }
}

/// Sorted by name.
pub const DOCUMENTATION: &[Documentation] = &[
    entry(
        "abort",
        "message",
        "Ends the evaluation with this message. Unlike `throw`, it cannot be caught by `tryEval`.",
    ),
    entry(
        "add",
        "a b",
        "The sum of two numbers, a float if one of them is. Integers that overflow are an error.",
    ),
    entry(
        "addDrvOutputDependencies",
        "string",
        "Turns a reference to a `.drv` file alone, which the string must carry, into one to the file with all outputs that it can build. The reverse of `unsafeDiscardOutputDependency`.",
    ),
    entry(
        "addErrorContext",
        "message value",
        "Evaluates to the value. If that fails, the message is one of the steps that the error shows.",
    ),
    entry(
        "all",
        "predicate list",
        "Whether the predicate holds for every element. Stops at the first for which it does not.",
    ),
    entry(
        "any",
        "predicate list",
        "Whether the predicate holds for at least one element. Stops at the first for which it does.",
    ),
    entry(
        "appendContext",
        "string context",
        "The string with further references to the store, given in the form in which `getContext` shows them.",
    ),
    entry("attrNames", "set", "The names of a set's attributes, sorted by their bytes."),
    entry("attrValues", "set", "The values of a set's attributes, in the order of their names."),
    entry(
        "baseNameOf",
        "path",
        "What follows the last slash of a path or string; one slash at the end does not count. References of a string to the store are kept.",
    ),
    entry("bitAnd", "a b", "The bits that are set in both integers."),
    entry("bitOr", "a b", "The bits that are set in at least one of the integers."),
    entry("bitXor", "a b", "The bits that are set in exactly one of the integers."),
    entry("break", "value", "Evaluates to the value. A debugger would stop here."),
    entry(
        "builtins",
        "",
        "The set of everything that is built in. New members may come, so programs that must run elsewhere ask first: `builtins ? name`.",
    ),
    entry("catAttrs", "name list", "The values of one attribute in all sets of a list that have it."),
    entry("ceil", "number", "The smallest integer that is not below the number."),
    entry(
        "compareVersions",
        "a b",
        "-1, 0 or 1, as version `a` is older than, equal to or newer than `b`. Versions are compared piece by piece as `splitVersion` cuts them; `pre` is older than anything.",
    ),
    entry("concatLists", "lists", "One list with the elements of all the lists, in order."),
    entry("concatMap", "function list", "The lists that the function makes of each element, as one list."),
    entry(
        "concatStringsSep",
        "separator list",
        "The strings of a list with the separator between them. References to the store are kept, also the separator's.",
    ),
    entry(
        "convertHash",
        "{ hash, toHashFormat, hashAlgo ? … }",
        "The same hash in another format: `base16`, `nix32`, `base64` or `sri`. The algorithm must be named unless the hash says it.",
    ),
    entry(
        "currentSystem",
        "",
        "The platform that this evaluation is for, such as `x86_64-linux`. Absent in pure evaluation.",
    ),
    entry(
        "currentTime",
        "",
        "Seconds since 1970 when the evaluation first asked. Absent in pure evaluation.",
    ),
    entry("deepSeq", "first second", "Evaluates `first` and everything inside it, then is `second`."),
    entry(
        "derivation",
        "{ name, system, builder, … }",
        "Describes a build: the set given, with `drvPath`, `outPath` and one member for each output added. Every attribute becomes an environment variable of the builder; paths in them are copied to the store. Nothing is built yet.",
    ),
    entry(
        "derivationStrict",
        "attributes",
        "Writes the `.drv` file for a set of attributes at once and tells its path and those of its outputs. `derivation` is the lazy form of it, which programs use.",
    ),
    entry("dirOf", "path", "What precedes the last slash: a path of a path, a string of a string."),
    entry(
        "div",
        "a b",
        "The quotient; of two integers, rounded towards zero. Division by zero is an error, also of floats.",
    ),
    entry("elem", "value list", "Whether some element of the list equals the value."),
    entry("elemAt", "list index", "The element at an index, counted from zero."),
    entry("false", "", "The Boolean that is not true."),
    entry(
        "fetchGit",
        "{ url, … }",
        "A checkout of a Git repository, in the store. Recipes here fetch with derivations that fix a hash instead.",
    ),
    entry(
        "fetchMercurial",
        "{ url, … }",
        "A checkout of a Mercurial repository, in the store. Recipes here fetch with derivations that fix a hash instead.",
    ),
    entry(
        "fetchTarball",
        "{ url, sha256 }",
        "A downloaded and unpacked archive, in the store. Recipes here fetch with derivations that fix a hash instead.",
    ),
    entry(
        "fetchurl",
        "{ url, sha256 }",
        "A downloaded file, in the store. Recipes here fetch with derivations that fix a hash instead.",
    ),
    entry("filter", "predicate list", "The elements for which the predicate holds, in order."),
    entry(
        "filterSource",
        "predicate path",
        "Copies a directory to the store, without what the predicate refuses. The predicate gets each path as a string and its kind: `regular`, `directory`, `symlink` or `unknown`. `path` does the same and fixes the name, too.",
    ),
    entry(
        "findFile",
        "places name",
        "The file that `<name>` means, looked up in a list of `{ prefix, path }`. It fails in a way that `tryEval` catches.",
    ),
    entry(
        "flakeRefToString",
        "attributes",
        "Fails: flakes are an experimental feature of Nix. It is there because programs ask for it.",
    ),
    entry("floor", "number", "The largest integer that is not above the number."),
    entry(
        "foldl'",
        "operation initial list",
        "Combines the elements from the left: `operation (operation initial e0) e1` and so on. Each result is evaluated before the next step, the initial value is not.",
    ),
    entry(
        "fromJSON",
        "text",
        "The value that a JSON text describes. Objects become sets, arrays lists; integers that do not fit are an error.",
    ),
    entry("fromTOML", "text", "The value that a TOML text describes. Dates and times are refused."),
    entry(
        "functionArgs",
        "function",
        "For a function with a pattern `{ a, b ? 1 }`, a set that says of each argument whether it has a default. Of other functions it is empty.",
    ),
    entry(
        "genList",
        "function length",
        "A list of this length whose element at each index is what the function makes of the index.",
    ),
    entry(
        "genericClosure",
        "{ startSet, operator }",
        "All sets that can be reached from `startSet` by the operator, which gives a list of further ones for each. Sets are told apart by their attribute `key`; each occurs once, in the order of discovery.",
    ),
    entry("getAttr", "name set", "The attribute with a computed name: `set.${name}`."),
    entry(
        "getContext",
        "string",
        "What the string refers to in the store: for each path whether it is the path itself, some outputs of a derivation, or all of them.",
    ),
    entry(
        "getEnv",
        "name",
        "An environment variable, empty if it is not set. Always empty in pure evaluation.",
    ),
    entry(
        "getFlake",
        "reference",
        "Fails: flakes are an experimental feature of Nix. It is there because programs ask for it.",
    ),
    entry(
        "groupBy",
        "function list",
        "A set of lists: each element stands under the name that the function gives it.",
    ),
    entry("hasAttr", "name set", "Whether the set has an attribute with a computed name: `set ? ${name}`."),
    entry("hasContext", "string", "Whether the string refers to anything in the store."),
    entry(
        "hashFile",
        "algorithm path",
        "The hash of a file's contents in base 16, by `md5`, `sha1`, `sha256` or `sha512`.",
    ),
    entry(
        "hashString",
        "algorithm string",
        "The hash of a string's bytes in base 16, by `md5`, `sha1`, `sha256` or `sha512`.",
    ),
    entry("head", "list", "The first element. Of an empty list it is an error."),
    entry(
        "import",
        "path",
        "The value of the program in a file, or in `default.nix` of a directory. Each file is read once. Variables of the importing program are not visible in it.",
    ),
    entry("intersectAttrs", "a b", "Those attributes of `b` whose names `a` has, too."),
    entry("isAttrs", "value", "Whether the value is a set."),
    entry("isBool", "value", "Whether the value is a Boolean."),
    entry("isFloat", "value", "Whether the value is a float."),
    entry("isFunction", "value", "Whether the value is a function. Sets that can be called are sets."),
    entry("isInt", "value", "Whether the value is an integer."),
    entry("isList", "value", "Whether the value is a list."),
    entry("isNull", "value", "Whether the value is null; `value == null` says the same."),
    entry("isPath", "value", "Whether the value is a path; strings are none."),
    entry("isString", "value", "Whether the value is a string."),
    entry("langVersion", "", "The version of the language, an integer."),
    entry("length", "list", "How many elements a list has."),
    entry(
        "lessThan",
        "a b",
        "Whether `a` comes before `b`: numbers, strings by their bytes, paths, and lists element by element. `a < b` calls it.",
    ),
    entry(
        "listToAttrs",
        "list",
        "A set made of a list of `{ name, value }`. Of two with one name the first counts.",
    ),
    entry("map", "function list", "What the function makes of each element, when it is needed."),
    entry(
        "mapAttrs",
        "function set",
        "A set with the same names, whose values are what the function makes of each name and value.",
    ),
    entry(
        "match",
        "regex string",
        "The groups of a regular expression that must fit the whole string, `null` for a group that took no part; `null` if it does not fit. The expressions are extended POSIX ones and see bytes: there is no `\\d`.",
    ),
    entry("mul", "a b", "The product of two numbers. Integers that overflow are an error."),
    entry(
        "nixPath",
        "",
        "Where `<name>` is looked up: a list of `{ prefix, path }`. Empty in pure evaluation.",
    ),
    entry("nixVersion", "", "The release of Nix whose language this is."),
    entry("null", "", "The value that stands for none."),
    entry(
        "parseDrvName",
        "string",
        "Cuts a package's name into `name` and `version`: the version begins behind the first dash that no letter follows.",
    ),
    entry(
        "parseFlakeRef",
        "reference",
        "Fails: flakes are an experimental feature of Nix. It is there because programs ask for it.",
    ),
    entry(
        "partition",
        "predicate list",
        "Two lists: `right` holds the elements for which the predicate is true, `wrong` the others.",
    ),
    entry(
        "path",
        "{ path, name ? …, filter ? …, recursive ? true, sha256 ? … }",
        "Copies a file or directory to the store, under a name and without what the filter refuses. With `sha256` the result is checked.",
    ),
    entry("pathExists", "path", "Whether something is at the path. A slash at the end asks for a directory."),
    entry(
        "placeholder",
        "output",
        "A string that stands for an output's path inside the derivation that makes it, where the path cannot be known yet.",
    ),
    entry(
        "readDir",
        "path",
        "A set of a directory's members, each with its kind: `regular`, `directory`, `symlink` or `unknown`.",
    ),
    entry(
        "readFile",
        "path",
        "A file's contents as a string. For a file of the store the string refers to what the file does.",
    ),
    entry(
        "readFileType",
        "path",
        "The kind of one file: `regular`, `directory`, `symlink` or `unknown`. Cheaper than listing its directory.",
    ),
    entry("removeAttrs", "set names", "The set without these attributes; names that it lacks are ignored."),
    entry(
        "replaceStrings",
        "from to string",
        "Replaces every occurrence of a string of `from` by its partner in `to`, from left to right; where several fit, the first counts. Replacements are evaluated only if they are used.",
    ),
    entry(
        "scopedImport",
        "variables path",
        "As `import`, with the members of a set as additional variables of the program. The file is evaluated anew each time.",
    ),
    entry("seq", "first second", "Evaluates `first`, but not what is inside it, then is `second`."),
    entry(
        "sort",
        "lessThan list",
        "The list in order by a comparison, which says whether its first argument comes first. Elements that are equal keep their order.",
    ),
    entry(
        "split",
        "regex string",
        "The pieces of a string between the matches of a regular expression, with the list of groups of each match between them.",
    ),
    entry(
        "splitVersion",
        "version",
        "The pieces of a version: runs of digits and runs of other characters, cut at dots and dashes.",
    ),
    entry("storeDir", "", "The directory of the store as paths spell it, usually `/nix/store`."),
    entry(
        "storePath",
        "path",
        "The path as a string that refers to a store object which exists already. Refused in pure evaluation.",
    ),
    entry("stringLength", "string", "How many bytes a string has."),
    entry(
        "sub",
        "a b",
        "The difference of two numbers; `a - b` calls it. Integers that overflow are an error.",
    ),
    entry(
        "substring",
        "start length string",
        "Bytes of a string from an index on; all of the rest if the length is negative. References to the store are kept.",
    ),
    entry("tail", "list", "The list without its first element. Of an empty list it is an error."),
    entry("throw", "message", "Fails with this message, which `tryEval` can catch."),
    entry(
        "toFile",
        "name text",
        "Writes a text to the store as a file of this name; its path. The text may refer to files of the store, not to outputs of derivations.",
    ),
    entry(
        "toJSON",
        "value",
        "The value as JSON. Sets with `outPath` or `__toString` become that string, paths are copied to the store.",
    ),
    entry(
        "toPath",
        "string",
        "Checks that a string is an absolute path, and gives it without detours, as a string. `./. + string` makes a path.",
    ),
    entry(
        "toString",
        "value",
        "A string: of a path its text without copying, of `true` a `1`, of `false` and `null` nothing, of a list its elements with blanks between them, of a set its `__toString` or `outPath`.",
    ),
    entry("toXML", "value", "The value as XML; functions show their arguments."),
    entry("trace", "message value", "Prints the message to standard error and is the value."),
    entry(
        "traceVerbose",
        "message value",
        "As `trace` where the setting `trace-verbose` is on, otherwise just the value.",
    ),
    entry("true", "", "The Boolean that is true."),
    entry(
        "tryEval",
        "value",
        "`{ success, value }`: whether the value can be evaluated, and the value, `false` if not. Catches `throw`, failed assertions and failed lookups of `<name>`, nothing else, and does not look inside the value.",
    ),
    entry(
        "typeOf",
        "value",
        "The kind of a value: `int`, `bool`, `string`, `path`, `null`, `set`, `list`, `lambda` or `float`.",
    ),
    entry(
        "unsafeDiscardOutputDependency",
        "string",
        "Turns a reference to a `.drv` file with all outputs it can build into one to the file alone.",
    ),
    entry(
        "unsafeDiscardStringContext",
        "string",
        "The string without its references to the store. What is built with it will not have those things at hand.",
    ),
    entry(
        "unsafeGetAttrPos",
        "name set",
        "Where an attribute was written: `{ file, line, column }`, or `null`. Only for messages: it sees what a program should not depend on.",
    ),
    entry("warn", "message value", "Prints the message as a warning to standard error and is the value."),
    entry(
        "zipAttrsWith",
        "function sets",
        "Joins sets: each name that one of them has gets what the function makes of the name and the list of its values, in the order of the sets.",
    ),
];
