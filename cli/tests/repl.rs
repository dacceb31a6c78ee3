//! `osbuild repl` without a terminal: lines in, answers out.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

fn start(place: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_osbuild"));
    command
        .arg("repl")
        .env_clear()
        .env("OSBUILD_HOME", place.path().join("home"))
        .env("HOME", place.path())
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Standard output and the first lines of the errors.
fn converse(place: &tempfile::TempDir, lines: &str) -> (String, Vec<String>) {
    let mut child = start(place).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let errors = String::from_utf8(output.stderr).unwrap();
    let errors = errors.lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect();
    (String::from_utf8(output.stdout).unwrap(), errors)
}

fn check(lines: &str, expected: &str) {
    let place = tempfile::tempdir().unwrap();
    let (out, errors) = converse(&place, lines);
    assert_eq!((out.as_str(), errors.as_slice()), (expected, [].as_slice()), "{lines}");
}

#[test]
fn expressions_are_answered() {
    check("1 + 1\n\n# nothing\n\"a\" + \"b\"\n", "2\n\"ab\"\n");
    check("{ b = 1 + 1; a = [ 1 [ 2 ] ]; }\n", "{ a = [ ... ]; b = 2; }\n");
    check(":p { b = 1 + 1; a = [ 1 [ 2 ] ]; }\n", "{ a = [ 1 [ 2 ] ]; b = 2; }\n");
    check(":t { }\n:t x: x\n:t \"s\"\n", "a set\na function\na string\n");
    check("{ a = throw \"no\"; b = 1; }\n", "{ a = «error: no»; b = 1; }\n");
}

#[test]
fn variables_stay() {
    check("x = 1\ny = x + 1;\nx + y\n", "3\n");
    check("a.b = 1; c = 2\na.b + c\n", "3\n");
    check("x = 1\nx = x + 1\nx\n", "2\n");
    check("inherit (builtins) length\nlength [ 1 2 ]\n", "2\n");
    check(":a { p = 1; q = 2; }\np + q\n", "added 2 variables\n3\n");
}

#[test]
fn unfinished_lines_go_on() {
    check("{\n  a = 1;\n}\n[\n1\n2 ]\nx = {\n  y = 3;\n};\nx.y\n", "{ a = 1; }\n[ 1 2 ]\n3\n");
    check("let a = 1;\nin\na\n", "1\n");
    check("''\n  text\n''\n", "\"text\\n\"\n");
}

#[test]
fn errors_do_not_end_it() {
    let place = tempfile::tempdir().unwrap();
    let (out, errors) = converse(&place, "throw \"a\"\n)\nnothing\n:nothing\n:l missing.nix\n:t\n1\n:q\n2\n");
    assert_eq!(out, "1\n");
    assert_eq!(
        errors,
        [
            "error: a",
            "error: syntax error, unexpected ')'",
            "error: undefined variable 'nothing'",
            "error: unknown command ':nothing'",
            "error: target 'missing.nix' does not exist",
            "error: :t needs something to work on",
        ]
    );
}

#[test]
fn files_are_loaded_and_loaded_again() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("set.nix");
    std::fs::write(&file, "{ n ? 1 }: { one = n; two = 2; }").unwrap();
    let (out, errors) = converse(&place, ":l ./set.nix\none + two\nextra = 5\n:r\none\nextra\n");
    assert_eq!(out, "added 2 variables\n3\nadded 2 variables\n1\n");
    assert_eq!(errors, ["error: undefined variable 'extra'"]);
}

#[test]
fn built_in_functions_explain_themselves() {
    let place = tempfile::tempdir().unwrap();
    let (out, _) =
        converse(&place, ":doc map\n:doc builtins.currentSystem\nf = builtins.elemAt\n:doc f\n:doc 1\n");
    for line in ["builtins.map function list", "builtins.currentSystem", "builtins.elemAt list index"] {
        assert!(out.lines().any(|l| l == line), "{out}");
    }
}

#[test]
fn an_interrupt_ends_the_evaluation_only() {
    let place = tempfile::tempdir().unwrap();
    let mut child = start(&place).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines();
    // Longer than anyone waits, and not deep.
    let endless = "builtins.seq (builtins.trace \"started\" 1) (let long = builtins.genList (x: x) 10000; \
                   in builtins.foldl' (a: b: builtins.foldl' (a: b: b) 0 long) 0 long)";
    for _ in 0..3 {
        input.write_all(format!("{endless}\n").as_bytes()).unwrap();
        assert_eq!(messages.next().unwrap().unwrap(), "trace: started");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(messages.next().unwrap().unwrap(), "error: interrupted");
        // Perhaps with steps that led there.
        input.write_all(b"builtins.trace \"next\" 1\n").unwrap();
        while messages.next().unwrap().unwrap() != "trace: next" {}
    }
    input.write_all(b"40 + 2\n").unwrap();
    drop(input);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!((out.as_str(), child.wait().unwrap().code()), ("1\n1\n1\n42\n", Some(0)));
}

/// What takes more memory than there is ends; the conversation does not.
#[test]
fn memory_that_was_used_up_is_given_back() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("set.nix"), "{ loaded = 20; }").unwrap();
    let greedy = "builtins.length (builtins.genList (n: [ n (n + 1) (toString n) ]) 500000) \
                  + builtins.foldl' (a: b: a + builtins.length b) 0 \
                    (builtins.genList (n: builtins.genList (m: \"${toString (n * m)}x\") 1000) 100000)";
    // The later ones have to be there although all lines come at once.
    let lines = format!(
        "x = 1\n:a {{ y = 2; }}\n:l ./set.nix\nbig = {greedy}\n{greedy}\nx + y + loaded\nbig\n\
         z = x\n{greedy}\nx + y + z + loaded\n:r\nloaded\nx\n"
    );
    let mut command = start(&place);
    command.args(["--max-memory", "64M"]);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out, "added 1 variable\nadded 1 variable\n23\n24\nadded 1 variable\n20\n", "{errors}");
    let said: Vec<&str> =
        errors.lines().filter(|line| line.starts_with("error: ") || line.starts_with("hint: ")).collect();
    let memory = "error: out of memory: the evaluation needs more than 64 MiB";
    let hint = "hint: the memory is given back, and variables are evaluated anew";
    let undefined = "error: undefined variable 'x'";
    assert_eq!(said[..6], [memory, hint, memory, hint, memory, hint], "{errors}");
    assert_eq!(said[6], undefined);
}

/// A line that made a variable and takes too much when it is said again is
/// left out.
#[test]
fn what_takes_too_much_twice_is_left_out() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("set.nix");
    std::fs::write(&file, "{ kept = 1; }").unwrap();
    let greedy = "builtins.foldl' (a: b: a + builtins.length b) 0 \
                  (builtins.genList (n: builtins.genList (m: \"${toString (n * m)}x\") 1000) 100000)";
    let mut command = start(&place);
    command.args(["--max-memory", "64M"]);
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    input.write_all(b":l ./set.nix\nw = 2\n").unwrap();
    assert_eq!(out.next().unwrap().unwrap(), "added 1 variable");
    std::fs::write(&file, format!("builtins.seq ({greedy}) {{ }}")).unwrap();
    input.write_all(format!("{greedy}\nw\nkept\n").as_bytes()).unwrap();
    drop(input);
    assert_eq!(out.next().unwrap().unwrap(), "2");
    assert!(out.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
