//! `match` and `split`.

use std::rc::Rc;

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::context::Context;
use crate::lang::regex::{Captures, CompileError, MatchError, Regex};

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("match", 2, match_), Builtin::new("split", 2, split)];

fn compiled(e: &mut Evaluator, pattern: &'static [u8], pos: Pos) -> Eval<Rc<Regex>> {
    let result = e.regexes.entry(pattern).or_insert_with(|| {
        Regex::new(pattern).map(Rc::new).map_err(|error| {
            let pattern = String::from_utf8_lossy(pattern);
            match error {
                CompileError::Invalid => format!("invalid regular expression '{pattern}'"),
                CompileError::TooLarge => {
                    format!("memory limit exceeded by regular expression '{pattern}'")
                }
            }
        })
    });
    match result {
        Ok(regex) => Ok(Rc::clone(regex)),
        Err(message) => {
            let message = message.clone();
            e.refuse(message, pos)
        }
    }
}

fn undecided(e: &Evaluator, pattern: &[u8], error: MatchError, pos: Pos) -> crate::lang::error::Fault {
    let pattern = String::from_utf8_lossy(pattern);
    let message = match error {
        MatchError::Stack => format!("memory limit exceeded by regular expression '{pattern}'"),
        MatchError::Steps => format!("regular expression '{pattern}' has too many ways to match"),
    };
    e.fault(crate::lang::error::ErrorKind::Value, message, pos)
}

fn groups(e: &Evaluator, text: &'static [u8], captures: &Captures) -> Value {
    let groups: Vec<Value> = captures[1..]
        .iter()
        .map(|range| range.map_or(Value::Null, |(a, b)| e.string_static(&text[a..b], Context::EMPTY)))
        .collect();
    e.list(&groups)
}

fn match_(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let pattern = e.force_plain(args[0], pos)?;
    let regex = compiled(e, pattern, pos)?;
    let text = e.force_str(args[1], pos)?.bytes(e.heap);
    match regex.match_whole(text).map_err(|error| undecided(e, pattern, error, pos))? {
        Some(captures) => Ok(groups(e, text, &captures)),
        None => Ok(Value::Null),
    }
}

fn split(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let pattern = e.force_plain(args[0], pos)?;
    let regex = compiled(e, pattern, pos)?;
    let source = e.force_str(args[1], pos)?;
    let text = source.bytes(e.heap);
    let found = regex.find_all(text).map_err(|error| undecided(e, pattern, error, pos))?;
    if found.is_empty() {
        return Ok(e.list(&[Value::String(source)]));
    }
    let mut parts = Vec::with_capacity(2 * found.len() + 1);
    let mut from = 0;
    for captures in &found {
        let (start, end) = captures[0].expect("group 0 is set in every match");
        parts.push(e.string_static(&text[from..start], Context::EMPTY));
        parts.push(groups(e, text, captures));
        from = end;
    }
    parts.push(e.string_static(&text[from..], Context::EMPTY));
    Ok(e.list(&parts))
}
