//! Operators, interpolation, assertions.

use std::io::Write;

use super::delay::quick;
use super::{Eval, Evaluator};
use crate::lang::code::{Delay, Expr, Operator};
use crate::lang::coerce::Coercion;
use crate::lang::context::Context;
use crate::lang::error::ErrorKind;
use crate::lang::source::Pos;
use crate::lang::value::{Attrs, Env, Value};

impl Evaluator {
    pub(super) fn eval_binary(
        &mut self,
        operator: Operator,
        left: &'static Expr,
        right: &'static Expr,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        match operator {
            Operator::And => {
                Ok(Value::Bool(self.eval_bool(left, env, pos)? && self.eval_bool(right, env, pos)?))
            }
            Operator::Or => {
                Ok(Value::Bool(self.eval_bool(left, env, pos)? || self.eval_bool(right, env, pos)?))
            }
            Operator::Implies => {
                Ok(Value::Bool(!self.eval_bool(left, env, pos)? || self.eval_bool(right, env, pos)?))
            }
            Operator::Concat => self.eval_concat(left, right, env, pos),
            Operator::Greater | Operator::LessOrEqual => {
                // As Nix writes them: `a > b` is `b < a`, which decides the
                // order in which errors are met.
                let right = self.operand(right, env)?;
                let left = self.operand(left, env)?;
                let less = match (right, left) {
                    (Value::Int(a), Value::Int(b)) => a < b,
                    _ => self.less_than(right, left, pos)?,
                };
                Ok(Value::Bool(less == (operator == Operator::Greater)))
            }
            Operator::Update => {
                // The right side first, as Nix does.
                let right = self.eval(right, env)?;
                let right = self.as_attrs(right, pos)?;
                let left = self.eval(left, env)?;
                let left = self.as_attrs(left, pos)?;
                Ok(Value::Attrs(Attrs::update(left, right, self.heap)))
            }
            _ => {
                let left = self.operand(left, env)?;
                if operator == Operator::Add && !left.adds_by_kind() {
                    return self.add_coerced(left, right, env, pos);
                }
                let right = self.operand(right, env)?;
                if let (Value::Int(a), Value::Int(b)) = (left, right) {
                    // What is left out is an error or a division.
                    let result = match operator {
                        Operator::Add => a.checked_add(b).map(Value::Int),
                        Operator::Sub => a.checked_sub(b).map(Value::Int),
                        Operator::Mul => a.checked_mul(b).map(Value::Int),
                        Operator::Equal => Some(Value::Bool(a == b)),
                        Operator::NotEqual => Some(Value::Bool(a != b)),
                        Operator::Less => Some(Value::Bool(a < b)),
                        _ => None,
                    };
                    if let Some(value) = result {
                        return Ok(value);
                    }
                }
                match operator {
                    Operator::Add => self.add(left, right, pos),
                    Operator::Sub | Operator::Mul | Operator::Div => {
                        self.arithmetic(operator, left, right, pos)
                    }
                    Operator::Equal => Ok(Value::Bool(self.equal(left, right, pos)?)),
                    Operator::NotEqual => Ok(Value::Bool(!self.equal(left, right, pos)?)),
                    Operator::Less => Ok(Value::Bool(self.less_than(left, right, pos)?)),
                    _ => Ok(Value::Bool(!self.less_than(left, right, pos)?)),
                }
            }
        }
    }

    /// `a ++ b ++ c` leans to the right; its lists are gathered first and
    /// copied once.
    pub(super) fn eval_concat(
        &mut self,
        left: &'static Expr,
        right: &'static Expr,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let first = self.eval(left, env)?;
        if !matches!(right, Expr::Binary { operator: Operator::Concat, .. }) {
            let second = self.eval(right, env)?;
            return self.concat(&[self.as_list(first, pos)?, self.as_list(second, pos)?], pos);
        }
        let mut values = vec![(first, pos)];
        let mut rest = right;
        let mut last_pos = pos;
        while let Expr::Binary { operator: Operator::Concat, left, right, pos } = rest {
            values.push((self.eval(left, env)?, *pos));
            last_pos = *pos;
            rest = right;
        }
        values.push((self.eval(rest, env)?, last_pos));
        // The innermost `++` joins first, so its operands are looked at first.
        let last = values.len() - 1;
        for index in [last - 1, last].into_iter().chain((0..last - 1).rev()) {
            let (value, pos) = values[index];
            self.as_list(value, pos)?;
        }
        let lists = values.into_iter().map(|(value, pos)| self.as_list(value, pos));
        let lists = lists.collect::<Eval<Vec<_>>>()?;
        self.concat(&lists, pos)
    }

    /// Lists laid end to end; a single one that is not empty is not copied.
    pub(in crate::lang) fn concat(&self, lists: &[&'static [Value]], pos: Pos) -> Eval {
        let length = lists.iter().map(|list| list.len()).sum();
        if let Some(whole) = lists.iter().find(|list| list.len() == length) {
            return Ok(self.list_static(whole));
        }
        self.check_room(length, size_of::<Value>(), pos)?;
        let mut items = lists.iter().flat_map(|list| list.iter());
        Ok(self.list_static(self.heap.fill(length, |_| *items.next().expect("counted above"))))
    }

    pub(super) fn eval_interpolate(
        &mut self,
        parts: &'static [&'static Expr],
        path: bool,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        if path {
            let mut values = Vec::with_capacity(parts.len());
            for part in parts {
                values.push(match self.eval(part, env)? {
                    kept @ Value::Path(_) => kept,
                    other => Value::String(self.coerce(other, Coercion::REFERENCE, pos)?),
                });
            }
            return self.join_path(&values, pos);
        }
        // Each part is made a string before the next is evaluated, as in Nix,
        // which decides which of two errors is met.
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        let result = self.interpolate_into(&mut text, parts, env, pos);
        let result = result.map(|context| self.string_with(&text, context));
        self.scratch = text;
        result
    }

    fn interpolate_into(
        &mut self,
        text: &mut Vec<u8>,
        parts: &'static [&'static Expr],
        env: &'static Env,
        pos: Pos,
    ) -> Eval<Context> {
        let mut context = Context::EMPTY;
        for part in parts {
            if let Some(number) = shown_number(part, env) {
                // A string of its own would be garbage at once.
                write!(text, "{number}").expect("memory takes whatever is written");
                continue;
            }
            let part = self.operand(part, env)?;
            let part = self.coerce(part, Coercion::INTERPOLATE, pos)?;
            context = self.contexts.union(context, part.context);
            self.check_room(text.len(), 2, pos)?;
            text.extend_from_slice(part.bytes(self.heap));
        }
        Ok(context)
    }

    #[cold]
    pub(super) fn assertion_failed(
        &mut self,
        condition: &'static Expr,
        written: (Pos, u32),
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        // `assert a == b` says what differs.
        if let Expr::Binary { operator: Operator::Equal, left, right, .. } = condition {
            let (left, right) = (self.eval(left, env)?, self.eval(right, env)?);
            self.explain_unequal(left, right, pos)?;
        }
        let text = self.show_written(written.0, written.1);
        self.fail(ErrorKind::Assertion, format!("assertion '{text}' failed"), pos)
    }

    /// `+` where the left side is neither number, string nor path: it is made a
    /// string before the right side is looked at.
    #[cold]
    fn add_coerced(&mut self, left: Value, right: &'static Expr, env: &'static Env, pos: Pos) -> Eval {
        let left = self.coerce(left, Coercion::REFERENCE, pos)?;
        let right = self.eval(right, env)?;
        let right = self.coerce(right, Coercion::REFERENCE, pos)?;
        Ok(self.join(&[left, right]))
    }
}

/// The number of `toString number`, if it is known already.
fn shown_number(part: &Expr, env: &'static Env) -> Option<i64> {
    let Expr::Apply { function: Expr::Const(Value::Builtin(function)), arguments: [number], .. } = part
    else {
        return None;
    };
    if number.delay == Delay::Thunk {
        return None;
    }
    match quick(number.code, env)? {
        Value::Int(number) if function.name == "toString" => Some(number),
        _ => None,
    }
}
