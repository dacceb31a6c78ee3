//! Data without end: a message within bounded memory, and a session that goes
//! on.

use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Arguments, Output, Session, SessionOptions, Source};

use crate::corpus::folder;

const CEILING: usize = 64 << 20;

fn session() -> Session {
    let options = SessionOptions {
        memory_ceiling: Some(CEILING),
        message: Arc::new(|_| ()),
        ..SessionOptions::default()
    };
    Session::new(options, Arc::new(Computing::default()))
}

fn evaluate(text: &str) -> Result<Vec<u8>, String> {
    let source = Source::Expression { text: text.to_owned(), directory: folder() };
    let result = session().eval(&source, "", &Arguments::new(), Output::Nix { strict: true });
    result.map_err(|error| error.message.clone())
}

#[test]
fn endless_data_ends_with_a_message() {
    for text in [
        "builtins.genList (x: x) 1000000000000",
        "builtins.length (builtins.genList (x: x) 4000000000)",
        "let double = n: if n == 0 then [ 1 ] else let l = double (n - 1); in l ++ l; in double 60",
        "let double = n: if n == 0 then \"x\" else let s = double (n - 1); in s + s; in builtins.hashString \"md5\" (double 60)",
        "let double = n: if n == 0 then \"x\" else let s = double (n - 1); in \"${s}${s}\"; in double 60",
        "let double = n: if n == 0 then \"x\" else let s = double (n - 1); in builtins.concatStringsSep s [ s s ]; in double 60",
        "builtins.concatMap (x: builtins.genList (y: y) 1000000) (builtins.genList (x: x) 1000)",
        "builtins.deepSeq (builtins.genList (x: builtins.genList (y: x) 1000000) 1000000) 1",
        "let stream = n: { inherit n; next = stream (n + 1); }; go = s: i: if i == 0 then s else go s.next (i - 1); in map (i: go (stream i) 1000) (builtins.genList (i: i) 1000000)",
        "builtins.foldl' (set: i: set // { \"name${toString i}\" = i; }) { } (builtins.genList (i: i) 3000000)",
        "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } ]; }",
    ] {
        let error = evaluate(text).expect_err(text);
        assert_eq!(error, "out of memory: the evaluation needs more than 64 MiB", "{text}");
    }
}

#[test]
fn endless_recursion_ends_with_a_message() {
    for text in [
        "let f = x: [ x ] ++ f x; in f 1",
        "let f = x: f (x + 1); in f 1",
        "let f = x: { a = f x; }; in f 1",
        "let f = x: [ (f x) ]; in builtins.toJSON (f 1)",
    ] {
        let error = evaluate(text).expect_err(text);
        let expected = ["stack overflow; max-call-depth exceeded", "out of memory"];
        assert!(expected.iter().any(|e| error.starts_with(e)), "{text}: {error}");
    }
}

/// Most of a ceiling may be used.
#[test]
fn what_fits_is_evaluated() {
    let text = "builtins.length (map (x: x + 1) (builtins.genList (x: x) 500000))";
    assert_eq!(evaluate(text), Ok(b"500000".to_vec()));
}
