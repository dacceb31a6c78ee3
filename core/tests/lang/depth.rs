//! Data nested deeper than calls may be: every walk over it ends as in Nix.
//! The depths are those at which Nix 2.34 ends, by trying.

use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Arguments, Output, Session, SessionOptions, Source};

use crate::corpus::folder;

const TOO_DEEP: &str = "stack overflow; max-call-depth exceeded";

fn evaluate(text: &str, strict: bool, max_call_depth: Option<u32>) -> Result<Vec<u8>, String> {
    let mut options = SessionOptions { message: Arc::new(|_| ()), ..SessionOptions::default() };
    if let Some(depth) = max_call_depth {
        options.max_call_depth = depth;
    }
    let mut session = Session::new(options, Arc::new(Computing::default()));
    let nested = "let nest = f: x: n: builtins.foldl' (inner: _: f inner) x (builtins.genList (i: i) n);
        l = nest (x: [ x ]) 1; d = nest (x: { a = x; }) 1; o = nest (x: { outPath = x; }) \"x\";
        t = nest (x: { __toString = _: x; }) \"x\"; p = nest (x: { outPath = x; type = \"derivation\"; }) \"x\";
        drv = a: derivation ({ name = \"a\"; builder = \"b\"; system = \"c\"; } // a); in ";
    let source = Source::Expression { text: format!("{nested}{text}"), directory: folder() };
    let result = session.eval(&source, "", &Arguments::new(), Output::Nix { strict });
    result.map_err(|error| error.message)
}

/// Each with the deepest data, `@` levels of it, that it walks to the end.
const WALKS: [(&str, u32); 30] = [
    ("builtins.deepSeq (l @) 1", 9_999),
    ("builtins.deepSeq (d @) 1", 9_999),
    ("l @ == l @", 10_000),
    ("d @ == d @", 10_000),
    ("p @ == p @", 10_000),
    ("l @ != l @", 10_000),
    ("let x = l @; in builtins.elem x [ (l @) ]", 9_999),
    ("builtins.sort builtins.lessThan [ (l @) (l @) ] == 1", 10_000),
    ("builtins.lessThan (l @) (l @)", 10_000),
    (
        "builtins.genericClosure { startSet = [ { key = l @; } { key = l @; } ]; operator = x: [ ]; } == 1",
        10_000,
    ),
    ("toString (l @)", 9_999),
    ("toString (o @)", 9_999),
    ("\"${o @}\"", 10_000),
    ("o @ + \"\"", 10_000),
    ("\"\" + o @", 10_000),
    ("/a + o @", 10_000),
    ("builtins.substring 0 1 (o @)", 9_999),
    ("builtins.concatStringsSep \"\" [ (o @) ]", 9_999),
    ("builtins.stringLength (builtins.toJSON (l @))", 9_997),
    ("builtins.toJSON (o @)", 9_999),
    ("builtins.toJSON (d @) == 1", 9_999),
    ("builtins.toXML (l @) == 1", 9_999),
    ("(drv { x = l @; }).drvPath", 9_999),
    ("(drv { x = o @; }).drvPath", 9_999),
    ("(drv { __structuredAttrs = true; x = l @; }).drvPath", 9_999),
    ("l @", 10_000),
    ("d @", 10_000),
    ("builtins.trace (l @) 1", 10_000),
    ("builtins.trace (d @) 1", 10_000),
    ("let a = d @; b = d @; in assert a == b; 1", 10_000),
];

#[test]
fn walks_end_where_those_of_nix_do() {
    let mut wrong = Vec::new();
    for (walk, deepest) in WALKS {
        // Much text comes of indenting each of ten thousand levels.
        let xml = walk.contains("toXML");
        let depths = [9_000, deepest, deepest + 1, 50_000, 1_000_000];
        for depth in depths.into_iter().filter(|depth| !xml || *depth > 9_000) {
            for strict in [true, false].into_iter().filter(|strict| *strict || depth < 50_000) {
                let text = walk.replace('@', &depth.to_string());
                let result = evaluate(&text, strict, None);
                let ends = match &result {
                    Ok(_) => depth <= deepest,
                    Err(message) => depth > deepest && message == TOO_DEEP,
                };
                if !ends {
                    wrong.push(format!("{text}: {:?}", result.map(|text| text.len())));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn walks_over_data_without_end_end() {
    for text in [
        "let x = { a = x; }; y = { a = y; }; in x == y",
        "let x = [ x ]; y = [ y ]; in x < y",
        "let x = [ x ]; in toString x",
        "let x = { outPath = x; }; in \"${x}\"",
        "let x = { __toString = _: x; }; in toString x",
        "let x = { outPath = x; }; in builtins.toJSON x",
        "let x = { __toString = _: x; }; in builtins.toJSON x",
        "let x = { a = x; }; in builtins.toJSON x",
        "let x = { a = x; }; y = { a = y; }; in assert x == y; 1",
        "let x = [ x ]; in (drv { a = x; }).drvPath",
        "let f = n: { a = f (n + 1); }; in f 0",
        "let f = n: { a = f (n + 1); }; in f 0 == f 0",
        "let f = n: { __functor = f (n + 1); }; in f 0 1",
        "let x = { __functor = x; }; in x 1",
        "let f = n: f (n + 1); in f 0",
    ] {
        assert_eq!(evaluate(text, true, None).expect_err(text), TOO_DEEP, "{text}");
    }
    for (text, printed) in [
        ("let x = { a = x; }; in builtins.deepSeq x 1", "1"),
        ("let x = { a = x; }; in x == x", "true"),
        ("let x = [ x ]; in builtins.trace x x", "[ [ «repeated» ] ]"),
    ] {
        assert_eq!(evaluate(text, true, None).expect(text), printed.as_bytes(), "{text}");
    }
}

#[test]
fn the_depth_is_an_option() {
    for (walk, deepest) in WALKS {
        // As many levels less as the option is below its default.
        let deepest = deepest - 9_000;
        let run = |depth: u32| evaluate(&walk.replace('@', &depth.to_string()), true, Some(1_000));
        assert!(run(deepest).is_ok(), "{walk} at {deepest}: {:?}", run(deepest).err());
        assert_eq!(run(deepest + 1).expect_err(walk), TOO_DEEP, "{walk}");
    }
    let calls = "let f = n: if n == 0 then 0 else 1 + f (n - 1); in f ";
    assert!(evaluate(&format!("{calls}999"), true, Some(1_000)).is_ok());
    assert_eq!(evaluate(&format!("{calls}1000"), true, Some(1_000)).expect_err(calls), TOO_DEEP);
}

/// Ours ends one call earlier than Nix where the last function that is called
/// computes nothing.
#[test]
fn sets_that_say_what_they_are_end_near_where_those_of_nix_do() {
    for walk in ["toString (t @)", "\"${t @}\"", "builtins.toJSON (t @)"] {
        let run = |depth: u32| evaluate(&walk.replace('@', &depth.to_string()), true, None);
        assert!(run(9_990).is_ok(), "{walk}: {:?}", run(9_990).err());
        for depth in [10_500, 50_000, 1_000_000] {
            assert_eq!(run(depth).expect_err(walk), TOO_DEEP, "{walk} at {depth}");
        }
    }
}

/// A set that is called is called together with its argument, one level
/// deeper: three levels for each of these.
#[test]
fn functors_count_as_in_nix() {
    let calls = "let f = n: if n == 0 then 0 else { __functor = _: x: f (n - 1); } 1; in f ";
    assert!(evaluate(&format!("{calls}3333"), true, None).is_ok());
    assert_eq!(evaluate(&format!("{calls}3334"), true, None).expect_err(calls), TOO_DEEP);
}

/// Thunks that wait for each other are no calls; here only the stack ends.
#[test]
fn the_end_of_the_stack_has_the_words_of_nix() {
    let text = "(builtins.foldl' (a: x: { v = 1 + a.v; }) { v = 0; } (builtins.genList (x: x) 5000000)).v";
    let message = evaluate(text, true, None).expect_err(text);
    assert_eq!(message, "stack overflow (possible infinite recursion)");
}
