//! Code that is kept on disk is the code: the whole corpus, from kept code.

use std::path::Path;
use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Arguments, Output, Session, SessionOptions, Source};

use crate::corpus::{cases, folder};

/// What a file comes to, and how many files were parsed for it.
fn evaluate(file: &Path, code_cache: &Path) -> (Result<Vec<u8>, String>, usize) {
    let code_cache = Some(code_cache.to_owned());
    let options = SessionOptions { code_cache, message: Arc::new(|_| ()), ..SessionOptions::default() };
    let mut session = Session::new(options, Arc::new(Computing::default()));
    let source = Source::File(file.to_owned());
    let result = session.eval(&source, "", &Arguments::new(), Output::Nix { strict: true });
    let parsed = session.with_evaluator(|e| e.files_parsed).expect("nothing is evaluated");
    let result = result.map_err(|error| {
        let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("error: {error}{hint}\n")
    });
    (result, parsed)
}

#[test]
fn kept_programs_evaluate_without_being_parsed() {
    let kept = tempfile::tempdir().expect("a temporary directory");
    for round in 0..2 {
        for (name, path) in cases("eval-okay-") {
            let expected = std::fs::read(path.with_extension("exp")).expect("each case has its .exp");
            let (result, parsed) = evaluate(&path, kept.path());
            let mut text = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            text.push(b'\n');
            assert!(text == expected, "{name}: printed\n{}", String::from_utf8_lossy(&text));
            assert!(if round == 0 { parsed > 0 } else { parsed == 0 }, "{name}: {parsed} in round {round}");
        }
    }
}

#[test]
fn kept_programs_fail_with_the_same_words() {
    let kept = tempfile::tempdir().expect("a temporary directory");
    let here = folder().display().to_string();
    let mut from_kept = 0;
    for round in 0..2 {
        for (name, path) in cases("eval-fail-") {
            let expected =
                std::fs::read_to_string(path.with_extension("err.exp")).expect("each case has one");
            let (result, parsed) = evaluate(&path, kept.path());
            let error = result.expect_err("it fails").replace(&here, "/lang");
            assert_eq!(error, expected, "{name} in round {round}");
            // Texts that are no programs are never kept.
            from_kept += usize::from(round == 1 && parsed == 0);
        }
    }
    assert!(from_kept > 100, "{from_kept}");
}

#[test]
fn a_file_that_changed_or_moved_is_parsed_again() {
    let places = tempfile::tempdir().expect("a temporary directory");
    let kept = places.path().join("kept");
    let file = places.path().join("file.nix");
    let run = |file: &Path, text: &str| {
        std::fs::write(file, text).expect("the directory is writable");
        let (result, parsed) = evaluate(file, &kept);
        (String::from_utf8(result.expect("it evaluates")).expect("it is text"), parsed)
    };
    assert_eq!(run(&file, "1 + 1"), ("2".to_owned(), 1));
    assert_eq!(run(&file, "1 + 1"), ("2".to_owned(), 0));
    assert_eq!(run(&file, "1 + 2"), ("3".to_owned(), 1));
    assert_eq!(run(&file, "1 + 1"), ("2".to_owned(), 0));
    let elsewhere = places.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("the directory is writable");
    let moved = elsewhere.join("file.nix");
    assert_eq!(run(&file, "./x").0, file.with_file_name("x").display().to_string());
    assert_eq!(run(&moved, "./x"), (moved.with_file_name("x").display().to_string(), 1));
}

/// What differs from process to process is not kept.
#[test]
fn built_in_values_are_those_of_the_session() {
    let places = tempfile::tempdir().expect("a temporary directory");
    let kept = places.path().join("kept");
    let file = places.path().join("file.nix");
    std::fs::write(&file, "[ __currentSystem builtins.currentSystem ]").expect("the directory is writable");
    for (system, expected) in [("one", "[ \"one\" \"one\" ]"), ("two", "[ \"two\" \"two\" ]")] {
        let options = SessionOptions {
            code_cache: Some(kept.clone()),
            system: system.to_owned(),
            ..SessionOptions::default()
        };
        let mut session = Session::new(options, Arc::new(Computing::default()));
        let output = Output::Nix { strict: true };
        let text = session.eval(&Source::File(file.clone()), "", &Arguments::new(), output);
        assert_eq!(String::from_utf8(text.expect("it evaluates")).expect("it is text"), expected);
    }
}
