//! Failing, catching, forcing, telling.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::error::ErrorKind;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("abort", 1, abort),
    Builtin::new("addErrorContext", 2, add_error_context),
    Builtin::new("break", 1, |e, args, pos| e.force_at(args[0], pos)),
    Builtin::new("deepSeq", 2, deep_seq),
    Builtin::new("seq", 2, seq),
    Builtin::new("throw", 1, throw),
    Builtin::new("trace", 2, trace),
    Builtin::new("traceVerbose", 2, trace_verbose),
    Builtin::new("tryEval", 1, try_eval),
    Builtin::new("warn", 2, warn),
];

fn abort(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.coerce(args[0], Coercion::INTERPOLATE, pos)?;
    let text = String::from_utf8_lossy(text.bytes(e.heap));
    let message = format!("evaluation aborted with the following error message: '{text}'");
    e.fail(ErrorKind::Abort, message, pos)
}

fn throw(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.coerce(args[0], Coercion::INTERPOLATE, pos)?;
    let text = String::from_utf8_lossy(text.bytes(e.heap));
    e.fail(ErrorKind::Throw, text, pos)
}

fn add_error_context(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    e.force_at(args[1], pos).map_err(|fault| match e.coerce(args[0], Coercion::REFERENCE, pos) {
        Ok(text) => {
            let text = String::from_utf8_lossy(text.bytes(e.heap)).into_owned();
            fault.within_text(e.heap, &text, pos)
        }
        Err(other) => other,
    })
}

fn seq(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    e.force_at(args[0], pos)?;
    e.force_at(args[1], pos)
}

fn deep_seq(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    e.force_deep(args[0])?;
    e.force_at(args[1], pos)
}

fn trace(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let shown = match e.force_at(args[0], pos)? {
        Value::String(text) => String::from_utf8_lossy(text.bytes(e.heap)).into_owned(),
        other => e.show_whole(other)?,
    };
    e.host.message(&format!("trace: {shown}"));
    e.force_at(args[1], pos)
}

fn trace_verbose(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    if e.host.diagnostics().trace_verbose { trace(e, args, pos) } else { e.force_at(args[1], pos) }
}

fn warn(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_str(args[0], pos)?;
    let text = String::from_utf8_lossy(text.bytes(e.heap)).into_owned();
    e.host.message(&format!("evaluation warning: {text}"));
    if e.host.diagnostics().abort_on_warn {
        return e.refuse("aborting to reveal stack trace of warning, as abort-on-warn is set", pos);
    }
    e.force_at(args[1], pos)
}

fn try_eval(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (success, value) = match e.force_at(args[0], pos) {
        Ok(value) => (true, value),
        Err(fault) if fault.kind().is_catchable() => (false, Value::Bool(false)),
        Err(fault) => return Err(fault),
    };
    let succeeds = e.symbols.intern(b"success");
    Ok(e.attrs(vec![e.attr(succeeds, Value::Bool(success)), e.attr(e.known.value, value)]))
}
