//! Putting work off: thunks, and the cases in which none is needed.

use super::Evaluator;
use crate::lang::code::{Delay, Delayed, Expr, Name, Operator};
use crate::lang::value::{Closure, Env, Items, Mapped, Pending, State, Thunk, Value};

impl Evaluator {
    /// Code to be evaluated later, or its value where that costs nothing.
    #[inline]
    pub(super) fn delay(&self, delayed: &Delayed, env: &'static Env) -> Value {
        match delayed.delay {
            Delay::Thunk => self.thunk(delayed, env),
            Delay::Ready => self.ready(delayed, env),
            Delay::Quick => {
                if self.early
                    && let Some(value) = quick(delayed.code, env)
                {
                    return value;
                }
                self.thunk(delayed, env)
            }
        }
    }

    #[inline]
    fn ready(&self, delayed: &Delayed, env: &'static Env) -> Value {
        match delayed.code {
            Expr::Lambda(_) if self.shows_laziness => self.thunk(delayed, env),
            Expr::Const(value) => *value,
            Expr::Lambda(lambda) => Value::Lambda(self.heap.cell(Closure { lambda, env })),
            Expr::Local { depth, slot, .. } => match env.at(*depth).slots[*slot as usize].get() {
                Value::Unset => self.thunk(delayed, env),
                value => value,
            },
            _ => self.thunk(delayed, env),
        }
    }

    #[inline]
    pub(super) fn thunk(&self, delayed: &Delayed, env: &'static Env) -> Value {
        let pending = Pending { number: delayed.number, place: env };
        Value::Thunk(self.heap.cell(Thunk::new(State::Code(pending))))
    }

    /// The value of code, evaluated when it is needed.
    pub fn later(&mut self, code: &'static Expr, env: &'static Env) -> Value {
        let number = self.number(code);
        Value::Thunk(self.heap.cell(Thunk::new(State::Code(Pending { number, place: env }))))
    }

    /// Gives code a number that thunks can hold.
    pub(in crate::lang) fn number(&mut self, code: &'static Expr) -> u32 {
        self.codes.push(code);
        u32::try_from(self.codes.len() - 1).expect("texts are shorter than 4 GiB together")
    }

    /// The members of `map` and its like: `count` calls of `function`, each
    /// made when it is needed.
    pub fn members(&self, function: Value, items: Items) -> impl Fn(usize) -> Value {
        let place = self.heap.cell(Mapped { function, items });
        let heap = self.heap;
        move |index| {
            let number = u32::try_from(index).expect("callers bound lists");
            Value::Thunk(heap.cell(Thunk::new(State::Member(Pending { number, place }))))
        }
    }
}

/// The value of simple code if its variables have theirs and nothing can fail.
pub(super) fn quick(code: &'static Expr, env: &'static Env) -> Option<Value> {
    match code {
        Expr::Const(value) => Some(*value),
        Expr::Local { depth, slot, .. } => evaluated(env.at(*depth).slots[*slot as usize].get()),
        Expr::Select { base, path: [Name::Static(name, _)], default: None, .. } => match quick(base, env)? {
            Value::Attrs(attrs) => evaluated(attrs.get(*name)?.value),
            _ => None,
        },
        Expr::Binary { operator, left, right, .. } => {
            let (Value::Int(a), Value::Int(b)) = (quick(left, env)?, quick(right, env)?) else {
                return None;
            };
            Some(match operator {
                Operator::Add => Value::Int(a.checked_add(b)?),
                Operator::Sub => Value::Int(a.checked_sub(b)?),
                Operator::Mul => Value::Int(a.checked_mul(b)?),
                Operator::Div => Value::Int(a.checked_div(b)?),
                Operator::Equal => Value::Bool(a == b),
                Operator::NotEqual => Value::Bool(a != b),
                Operator::Less => Value::Bool(a < b),
                Operator::LessOrEqual => Value::Bool(a <= b),
                Operator::Greater => Value::Bool(a > b),
                Operator::GreaterOrEqual => Value::Bool(a >= b),
                _ => return None,
            })
        }
        _ => None,
    }
}

#[inline]
fn evaluated(value: Value) -> Option<Value> {
    match value {
        Value::Unset => None,
        Value::Thunk(thunk) => match thunk.state() {
            State::Done(value) => Some(value),
            _ => None,
        },
        value => Some(value),
    }
}

/// Whether [`quick`] may succeed, and is cheap if it does not.
pub(in crate::lang) fn is_quick(code: &Expr) -> bool {
    fn nodes(code: &Expr) -> u32 {
        const TOO_MANY: u32 = 100;
        match code {
            Expr::Const(_) | Expr::Local { .. } => 1,
            Expr::Select { base: Expr::Local { .. }, path: [Name::Static(..)], default: None, .. } => 2,
            Expr::Binary { operator, left, right, .. } if computes(*operator) => {
                1 + nodes(left) + nodes(right)
            }
            _ => TOO_MANY,
        }
    }
    nodes(code) <= 9
}

fn computes(operator: Operator) -> bool {
    use Operator::*;
    matches!(
        operator,
        Add | Sub | Mul | Div | Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual
    )
}
