//! Calls and operators.

use rnix::ast::{self, BinOpKind, Expr as Ast, UnaryOpKind};
use rowan::ast::AstNode;

use super::{LowerError, Lowered, Lowerer};
use crate::lang::code::{Delayed, Expr, Operator};
use crate::lang::source::Pos;
use crate::lang::value::Value;

impl Lowerer<'_> {
    /// `f a b c` becomes one call with three arguments.
    pub(super) fn apply(&mut self, expr: &Ast) -> Lowered<&'static Expr> {
        let pos = self.pos(expr.syntax());
        let mut operands = Vec::new();
        let mut function = expr.clone();
        while let Ast::Apply(apply) = &function {
            let Some(inner) = apply.lambda() else {
                return self.error("syntax error, a function is missing here", pos);
            };
            operands.push((apply.argument(), apply.syntax().clone()));
            function = inner;
        }
        // Of two errors the first in the text is told.
        let function = self.expr(&function)?;
        let arguments = operands
            .into_iter()
            .rev()
            .map(|(operand, parent)| self.required(operand, &parent))
            .collect::<Lowered<Vec<_>>>()?;
        Ok(self.call(function, &arguments, pos))
    }

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

    pub(super) fn unary(&mut self, unary: &ast::UnaryOp) -> Lowered<&'static Expr> {
        let pos = self.pos(unary.syntax());
        let operand = self.required(unary.expr(), unary.syntax())?;
        match unary.operator() {
            Some(UnaryOpKind::Negate) => {
                if let (Expr::Const(Value::Int(number)), Some(_)) = (operand, self.plain("__sub")) {
                    return Ok(self.constant(Value::Int(-number)));
                }
                let zero = self.constant(Value::Int(0));
                Ok(self.arithmetic("__sub", Operator::Sub, zero, operand, pos))
            }
            _ => Ok(self.put(Expr::Not(operand, pos))),
        }
    }

    /// Whether an operator's function (`__sub`, …) is the built-in one: Nix
    /// lets programs shadow it.
    pub(super) fn plain(&mut self, function: &str) -> Option<()> {
        let name = self.symbol(function);
        self.local(name, Pos::NONE).is_none().then_some(())
    }

    pub(super) fn arithmetic(
        &mut self,
        function: &str,
        operator: Operator,
        left: &'static Expr,
        right: &'static Expr,
        pos: Pos,
    ) -> &'static Expr {
        let name = self.symbol(function);
        match self.local(name, pos) {
            None => self.put(Expr::Binary { operator, left, right, pos }),
            Some(local) => {
                let (left, right) = if matches!(operator, Operator::Greater | Operator::LessOrEqual) {
                    (right, left)
                } else {
                    (left, right)
                };
                let function = self.put(local);
                let call = self.call(function, &[left, right], pos);
                if matches!(operator, Operator::LessOrEqual | Operator::GreaterOrEqual) {
                    self.put(Expr::Not(call, pos))
                } else {
                    call
                }
            }
        }
    }

    pub(super) fn binary(&mut self, binary: &ast::BinOp) -> Lowered<&'static Expr> {
        let left = self.required(binary.lhs(), binary.syntax())?;
        let right = self.required(binary.rhs(), binary.syntax())?;
        let token = binary
            .syntax()
            .children_with_tokens()
            .filter_map(|child| child.into_token())
            .find(|token| BinOpKind::from_kind(token.kind()).is_some());
        let pos = match &token {
            Some(token) => self.at(token.text_range()),
            None => self.pos(binary.syntax()),
        };
        let Some(kind) = binary.operator() else { return self.error("syntax error", pos) };
        let operator = match kind {
            BinOpKind::Sub => return Ok(self.arithmetic("__sub", Operator::Sub, left, right, pos)),
            BinOpKind::Mul => return Ok(self.arithmetic("__mul", Operator::Mul, left, right, pos)),
            BinOpKind::Div => return Ok(self.arithmetic("__div", Operator::Div, left, right, pos)),
            BinOpKind::Less => return Ok(self.arithmetic("__lessThan", Operator::Less, left, right, pos)),
            BinOpKind::LessOrEq => {
                return Ok(self.arithmetic("__lessThan", Operator::LessOrEqual, left, right, pos));
            }
            BinOpKind::More => return Ok(self.arithmetic("__lessThan", Operator::Greater, left, right, pos)),
            BinOpKind::MoreOrEq => {
                return Ok(self.arithmetic("__lessThan", Operator::GreaterOrEqual, left, right, pos));
            }
            BinOpKind::PipeRight | BinOpKind::PipeLeft => {
                return Err(LowerError {
                    message: "experimental Nix feature 'pipe-operators' is disabled".to_owned(),
                    hint: Some("write a function call instead".to_owned()),
                    pos,
                });
            }
            BinOpKind::Add => Operator::Add,
            BinOpKind::Concat => Operator::Concat,
            BinOpKind::Update => Operator::Update,
            BinOpKind::And => Operator::And,
            BinOpKind::Or => Operator::Or,
            BinOpKind::Implication => Operator::Implies,
            BinOpKind::Equal => Operator::Equal,
            BinOpKind::NotEqual => Operator::NotEqual,
        };
        Ok(self.put(Expr::Binary { operator, left, right, pos }))
    }
}
