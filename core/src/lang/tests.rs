//! Programs in a world of memory: effects, and when they happen.

use std::rc::Rc;

use super::host::memory::MemoryHost;
use super::source::Origin;
use super::stack;
use super::{Evaluator, host::suite};

fn evaluate(host: MemoryHost, program: &str) -> (String, Vec<String>) {
    let host = Rc::new(host);
    let mut e = Evaluator::new(host.clone(), &[]);
    let run = |e: &mut Evaluator| {
        let code = e.lower_text(program, Origin::String, "/p".as_ref(), None)?;
        let env = e.scope(None, 0);
        let value = e.eval(code, env)?;
        let value = e.force_deep(value)?;
        e.show(value)
    };
    let text = match run(&mut e) {
        Ok(text) => String::from_utf8(text).unwrap(),
        Err(fault) => format!("error: {}", fault.to_error(&e.sources).message),
    };
    let messages = host.messages.borrow().clone();
    (text, messages)
}

fn check(host: fn() -> MemoryHost, program: &str, expected: &str) {
    let (text, _) = stack::deep(|| evaluate(host(), program));
    assert_eq!(text, expected, "{program}");
}

#[test]
fn memory_keeps_the_promises_of_a_host() {
    let host = MemoryHost::default().with_file("/p/dir/file", "text").with_link("/p/link", "dir/file");
    suite::check(&host, "/p".as_ref());
}

#[test]
fn effects_go_through_the_host() {
    fn host() -> MemoryHost {
        let mut host = MemoryHost::default()
            .with_file("/p/a.nix", "x: x + 1")
            .with_file("/p/dir/default.nix", "{ y = import ../a.nix 1; }")
            .with_link("/p/link.nix", "a.nix");
        host.environment.insert("NAME".to_owned(), "value".to_owned());
        host.environment.insert("HOME".to_owned(), "/home/u".to_owned());
        host.time = Some(7);
        host
    }
    check(host, "import ./a.nix 1", "2");
    check(host, "(import ./dir).y", "2");
    check(host, "import ./link.nix 2", "3");
    check(host, "builtins.attrNames (builtins.readDir ./.)", "[ \"a.nix\" \"dir\" \"link.nix\" ]");
    check(host, "[ (builtins.getEnv \"NAME\") (builtins.getEnv \"OTHER\") ]", "[ \"value\" \"\" ]");
    check(host, "[ builtins.currentTime (toString ~/x) ]", "[ 7 \"/home/u/x\" ]");
    check(host, "builtins.hasContext \"${./a.nix}\"", "true");
    check(MemoryHost::default, "builtins ? currentTime", "false");
    check(MemoryHost::default, "~/x", "error: the path '~/x' can not be resolved in pure mode");
    check(host, "import ./nothing.nix", "error: path '/p/nothing.nix' does not exist");
}

#[test]
fn each_thunk_is_evaluated_once() {
    let program =
        "let x = builtins.trace \"x\" 1; s = { inherit (builtins.trace \"from\" { a = 1; b = 2; }) a b; };
        in [ x x s.a s.b ]";
    let (text, messages) = stack::deep(|| evaluate(MemoryHost::default(), program));
    assert_eq!(text, "[ 1 1 1 2 ]");
    assert_eq!(messages, ["trace: x", "trace: from"]);
}

#[test]
fn a_failed_thunk_fails_the_same_way_again() {
    let program =
        "let x = builtins.trace \"tried\" (throw \"no\"); t = builtins.tryEval x; u = builtins.tryEval x;
        in [ t.success u.success ]";
    let (text, messages) = stack::deep(|| evaluate(MemoryHost::default(), program));
    assert_eq!(text, "[ false false ]");
    assert_eq!(messages, ["trace: tried"]);
}

#[test]
fn positions_survive_inheritance_and_updates() {
    let program = "let s = { a = 1;\n  b = 2; }; t = { inherit (s) b; } // { c = 3; }; in
        map (n: (builtins.unsafeGetAttrPos n t).line or null) [ \"b\" \"c\" ]";
    // Texts that are no file have no positions for programs.
    check(MemoryHost::default, program, "[ null null ]");
}

/// Error messages cut what they show; `trace` is asked to show.
#[test]
fn trace_shows_the_whole_value() {
    let deep = format!("{}1{}", "[ ".repeat(20), " ]".repeat(20));
    let many: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let many = format!("[ {} ]", many.join(" "));
    let sorted = "{ _type = 3; a = 4; type = 2; z = 1; }";
    for (program, shown) in [(deep.as_str(), deep.as_str()), (&many, &many), (sorted, sorted)] {
        let program = format!("let x = {program}; in builtins.deepSeq x (builtins.trace x 1)");
        let (_, messages) = stack::deep(|| evaluate(MemoryHost::default(), &program));
        assert_eq!(messages, [format!("trace: {shown}")]);
    }
}
