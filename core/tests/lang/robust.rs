//! Broken programs: whatever the text, an answer or an error, never a crash.

use osbuild_core::instantiate::Source;

use crate::corpus::{cases, evaluate, folder};

fn survives(text: String, what: &str) {
    let source = Source::Expression { text: text.clone(), directory: folder() };
    if let Err(error) = evaluate(source) {
        assert!(!error.contains("a bug, please report it"), "{what}\n{text}");
    }
}

#[test]
fn truncated_programs() {
    for (name, path) in cases("eval-") {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let step = (text.len() / 12).max(1);
        for end in (1..text.len()).step_by(step).filter(|end| text.is_char_boundary(*end)) {
            survives(text[..end].to_owned(), &format!("{name} cut at {end}"));
        }
    }
}

/// Bytes that nest, end or quote; none that would turn a small number into a
/// large one.
const BYTES: &[u8] = b"{}[]()\"';=.,:@$\\?!& \n";

#[test]
fn mutated_programs() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    for (name, path) in cases("eval-") {
        let original = std::fs::read(&path).expect("the corpus is readable");
        for round in 0..8 {
            let mut bytes = original.clone();
            for _ in 0..=round % 3 {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = BYTES[next(BYTES.len())],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, BYTES[next(BYTES.len())]),
                }
                if bytes.is_empty() {
                    bytes.push(b' ');
                }
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            survives(text, &format!("{name}, round {round}"));
        }
    }
}

#[test]
fn deep_programs() {
    let deep = |open: &str, middle: &str, close: &str, count: usize| {
        format!("{}{middle}{}", open.repeat(count), close.repeat(count))
    };
    for count in [100, 600, 3_000, 25_000] {
        for (open, middle, close) in [
            ("[", "", "]"),
            ("(", "1", ")"),
            ("{a=", "1", ";}"),
            ("-", "1", ""),
            ("!", "true", ""),
            ("x: ", "1", ""),
            ("let a = 1; in ", "a", ""),
            ("\"${", "\"\"", "}\""),
            ("1 + ", "1", ""),
            ("[ ] ++ ", "[ ]", ""),
            ("{ } // ", "{ }", ""),
            ("if true then 1 else ", "2", ""),
            ("{ a ? ", "1", " }: 1"),
            ("with { }; ", "1", ""),
        ] {
            survives(deep(open, middle, close, count), &format!("{count} times {open}"));
        }
        survives(deep("f ", "1", "", count), "applications");
        // The lexer looks for a path in the rest of the chain at every name,
        // as Nix's does, which is quadratic.
        if count < 10_000 {
            survives(deep("a.", "a", "", count), "selections");
        }
    }
    let parentheses = Source::Expression { text: deep("(", "1", ")", 100_000), directory: folder() };
    assert_eq!(evaluate(parentheses).as_deref(), Ok(&b"1"[..]));
}

/// Long texts take time in proportion to their length: with the square of it,
/// these would take minutes.
#[test]
fn long_programs() {
    let long =
        |open: &str, item: &str, close: &str, count: usize| format!("{open}{}{close}", item.repeat(count));
    for (text, what) in [
        (long("let f = x: f; in f", " 1", "", 100_000), "a call with many arguments"),
        (long("1", " + 1", "", 100_000), "a sum"),
        (long("[", " 1", " ]", 300_000), "a list"),
        (long("\"", "${\"a\"}", "\"", 50_000), "a string"),
    ] {
        let begin = std::time::Instant::now();
        survives(text, what);
        assert!(begin.elapsed().as_secs() < 60, "{what} took {:?}", begin.elapsed());
    }
}

#[test]
fn deep_data() {
    let list = "builtins.foldl' (acc: _: [ acc ]) [ ] (builtins.genList (x: x) 200000)";
    for use_of in ["builtins.deepSeq l 1", "builtins.toJSON l", "l == l", "l", "[ l ] < [ l ]"] {
        survives(format!("let l = {list}; in {use_of}"), use_of);
    }
    for (what, text) in [
        (
            "thunks",
            "(builtins.foldl' (acc: i: { x = acc.x + 1; }) { x = 0; } (builtins.genList (x: x) 300000)).x",
        ),
        (
            "match",
            "builtins.match \"(a|b)*c\" (builtins.concatStringsSep \"\" (builtins.genList (x: \"a\") 200000))",
        ),
        (
            "fromJSON",
            "builtins.fromJSON (builtins.concatStringsSep \"\" (builtins.genList (x: \"[\") 200000))",
        ),
        ("cycle", "let a = { b = a; c = 1 / 0; }; in builtins.deepSeq a 1"),
        ("cyclic JSON", "let a = { b = a; }; in builtins.toJSON a"),
        ("cyclic equality", "let a = { b = a; }; c = { b = c; }; in a == c"),
    ] {
        survives(text.to_owned(), what);
    }
}
