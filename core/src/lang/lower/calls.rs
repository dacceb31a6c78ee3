//! Calls and operators.

use super::Lowerer;
use crate::lang::code::{Delayed, Expr, Operator};
use crate::lang::source::Pos;
use crate::lang::syntax::BinaryOperator;
use crate::lang::value::Value;

impl Lowerer<'_> {
    pub(super) fn call(
        &mut self,
        function: &'static Expr,
        arguments: &[&'static Expr],
        pos: Pos,
    ) -> &'static Expr {
        let arguments: Vec<Delayed> = arguments.iter().map(|a| self.delayed_variable(a)).collect();
        let arguments = arguments.as_slice();
        self.put(Expr::Apply { function, arguments: self.heap().slice(arguments), pos })
    }

    pub(super) fn negation(&mut self, operand: &'static Expr, pos: Pos) -> &'static Expr {
        let subtract = self.symbol(b"__sub");
        if let (Expr::Const(Value::Int(number)), None) = (operand, self.around.scopes.find(subtract)) {
            return self.constant(Value::Int(-number));
        }
        let zero = self.constant(Value::Int(0));
        self.arithmetic(b"__sub", Operator::Sub, zero, operand, pos)
    }

    /// An operator that to Nix is a call of a function (`__sub`, …), which
    /// programs may shadow.
    fn arithmetic(
        &mut self,
        function: &[u8],
        operator: Operator,
        left: &'static Expr,
        right: &'static Expr,
        pos: Pos,
    ) -> &'static Expr {
        let name = self.symbol(function);
        let Some(super::scopes::Variable { depth, slot }) = self.around.scopes.find(name) else {
            return self.put(Expr::Binary { operator, left, right, pos });
        };
        let (left, right) = if matches!(operator, Operator::Greater | Operator::LessOrEqual) {
            (right, left)
        } else {
            (left, right)
        };
        let function = self.put(Expr::Local { depth, slot, pos });
        let call = self.call(function, &[left, right], pos);
        if matches!(operator, Operator::LessOrEqual | Operator::GreaterOrEqual) {
            self.put(Expr::Not(call, pos))
        } else {
            call
        }
    }

    pub(super) fn binary(
        &mut self,
        operator: BinaryOperator,
        left: &'static Expr,
        right: &'static Expr,
        pos: Pos,
    ) -> &'static Expr {
        let (function, operator) = match operator {
            BinaryOperator::Sub => (Some(&b"__sub"[..]), Operator::Sub),
            BinaryOperator::Mul => (Some(&b"__mul"[..]), Operator::Mul),
            BinaryOperator::Div => (Some(&b"__div"[..]), Operator::Div),
            BinaryOperator::Less => (Some(&b"__lessThan"[..]), Operator::Less),
            BinaryOperator::LessOrEqual => (Some(&b"__lessThan"[..]), Operator::LessOrEqual),
            BinaryOperator::Greater => (Some(&b"__lessThan"[..]), Operator::Greater),
            BinaryOperator::GreaterOrEqual => (Some(&b"__lessThan"[..]), Operator::GreaterOrEqual),
            BinaryOperator::Add => (None, Operator::Add),
            BinaryOperator::Concat => (None, Operator::Concat),
            BinaryOperator::Update => (None, Operator::Update),
            BinaryOperator::And => (None, Operator::And),
            BinaryOperator::Or => (None, Operator::Or),
            BinaryOperator::Implies => (None, Operator::Implies),
            BinaryOperator::Equal => (None, Operator::Equal),
            BinaryOperator::NotEqual => (None, Operator::NotEqual),
        };
        match function {
            Some(function) => self.arithmetic(function, operator, left, right, pos),
            None => self.put(Expr::Binary { operator, left, right, pos }),
        }
    }
}
