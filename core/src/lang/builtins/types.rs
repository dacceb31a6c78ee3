//! What kind of value something is.

use super::{Builtin, Eval, Evaluator, Pos, Value};

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("isAttrs", 1, |e, args, pos| is(e, args, "set", pos)),
    Builtin::new("isBool", 1, |e, args, pos| is(e, args, "bool", pos)),
    Builtin::new("isFloat", 1, |e, args, pos| is(e, args, "float", pos)),
    Builtin::new("isFunction", 1, |e, args, pos| is(e, args, "lambda", pos)),
    Builtin::new("isInt", 1, |e, args, pos| is(e, args, "int", pos)),
    Builtin::new("isList", 1, |e, args, pos| is(e, args, "list", pos)),
    Builtin::new("isNull", 1, |e, args, pos| is(e, args, "null", pos)),
    Builtin::new("isPath", 1, |e, args, pos| is(e, args, "path", pos)),
    Builtin::new("isString", 1, |e, args, pos| is(e, args, "string", pos)),
    Builtin::new("typeOf", 1, type_of),
];

fn is(e: &mut Evaluator, args: &[Value], kind: &str, pos: Pos) -> Eval {
    Ok(Value::Bool(e.force_at(args[0], pos)?.kind() == kind))
}

fn type_of(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let kind = e.force_at(args[0], pos)?.kind();
    Ok(e.string_static(kind.as_bytes(), crate::lang::context::Context::EMPTY))
}
