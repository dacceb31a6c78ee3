//! Operators, interpolation, assertions.

use super::{Eval, Evaluator};
use crate::lang::code::{Expr, Operator};
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
                let right = self.eval(right, env)?;
                let left = self.eval(left, env)?;
                let less = self.less_than(right, left, pos)?;
                Ok(Value::Bool(less == (operator == Operator::Greater)))
            }
            _ => {
                let left = self.eval(left, env)?;
                let right = self.eval(right, env)?;
                match operator {
                    Operator::Add => self.add(left, right, pos),
                    Operator::Sub | Operator::Mul | Operator::Div => {
                        self.arithmetic(operator, left, right, pos)
                    }
                    Operator::Update => {
                        let left = self.as_attrs(left, pos)?;
                        let right = self.as_attrs(right, pos)?;
                        Ok(Value::Attrs(Attrs::update(left, right, self.heap)))
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
        let mut lists = vec![self.as_list(first, pos)?];
        let mut rest = right;
        while let Expr::Binary { operator: Operator::Concat, left, right, pos } = rest {
            let next = self.eval(left, env)?;
            lists.push(self.as_list(next, *pos)?);
            rest = right;
        }
        let last = self.eval(rest, env)?;
        lists.push(self.as_list(last, pos)?);
        lists.retain(|list| !list.is_empty());
        Ok(match lists.as_slice() {
            [single] => self.list_static(single),
            lists => self.list(&lists.concat()),
        })
    }

    pub(super) fn eval_interpolate(
        &mut self,
        parts: &'static [&'static Expr],
        path: bool,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            values.push(self.eval(part, env)?);
        }
        if path { self.join_path(&values, pos) } else { self.join_strings(&values, pos) }
    }

    #[cold]
    pub(super) fn assertion_failed(
        &mut self,
        condition: &'static Expr,
        text: &str,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let fault = self.fault(ErrorKind::Assertion, format!("assertion '{text}' failed"), pos);
        // `assert a == b` says what differs.
        if let Expr::Binary { operator: Operator::Equal, left, right, .. } = condition {
            let (left, right) = (self.eval(left, env)?, self.eval(right, env)?);
            let (left, right) = (self.show_brief(left), self.show_brief(right));
            return Err(
                fault.with_hint(self.heap, &format!("the left side is {left}, the right side {right}"))
            );
        }
        Err(fault)
    }
}
