//! Numbers and comparison.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::code::Operator;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("add", 2, |e, args, pos| arithmetic(e, args, Operator::Add, pos)),
    Builtin::new("bitAnd", 2, |e, args, pos| bits(e, args, |a, b| a & b, pos)),
    Builtin::new("bitOr", 2, |e, args, pos| bits(e, args, |a, b| a | b, pos)),
    Builtin::new("bitXor", 2, |e, args, pos| bits(e, args, |a, b| a ^ b, pos)),
    Builtin::new("ceil", 1, |e, args, pos| round(e, args, f64::ceil, pos)),
    Builtin::new("div", 2, |e, args, pos| arithmetic(e, args, Operator::Div, pos)),
    Builtin::new("floor", 1, |e, args, pos| round(e, args, f64::floor, pos)),
    Builtin::new("lessThan", 2, less_than),
    Builtin::new("mul", 2, |e, args, pos| arithmetic(e, args, Operator::Mul, pos)),
    Builtin::new("sub", 2, |e, args, pos| arithmetic(e, args, Operator::Sub, pos)),
];

fn arithmetic(e: &mut Evaluator, args: &[Value], operator: Operator, pos: Pos) -> Eval {
    let left = e.force_at(args[0], pos)?;
    let right = e.force_at(args[1], pos)?;
    e.arithmetic(operator, left, right, pos)
}

fn bits(e: &mut Evaluator, args: &[Value], operation: fn(i64, i64) -> i64, pos: Pos) -> Eval {
    let left = e.force_int(args[0], pos)?;
    let right = e.force_int(args[1], pos)?;
    Ok(Value::Int(operation(left, right)))
}

fn round(e: &mut Evaluator, args: &[Value], operation: fn(f64) -> f64, pos: Pos) -> Eval {
    match e.force_at(args[0], pos)? {
        // Nix takes integers through floats and refuses those that change.
        Value::Int(number) if number as f64 as i64 == number && number != i64::MAX => Ok(Value::Int(number)),
        Value::Int(number) => {
            let bug = "Due to a bug (see https://github.com/NixOS/nix/issues/12899)";
            let float = number as f64;
            let what = if float < 9_223_372_036_854_775_808.0 {
                format!(
                    "a loss of precision occurred in previous Nix versions because the NixInt argument \
                     {number} was rounded to {}.",
                    float as i64
                )
            } else {
                format!("the NixInt argument {number} caused undefined behavior in previous Nix versions.")
            };
            e.refuse(format!("{bug} {what}\nFuture Nix versions might implement the correct behavior."), pos)
        }
        Value::Float(number) => {
            let rounded = operation(number);
            // The bounds are those of `i64`, as floats.
            if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
                return Ok(Value::Int(rounded as i64));
            }
            let shown = crate::lang::float::general(number);
            e.refuse(format!("NixFloat argument {shown} is not in the range of NixInt"), pos)
        }
        other => Err(e.wrong_type("a float", other, pos)),
    }
}

fn less_than(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let left = e.force_at(args[0], pos)?;
    let right = e.force_at(args[1], pos)?;
    Ok(Value::Bool(e.less_than(left, right, pos)?))
}
