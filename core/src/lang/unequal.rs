//! Why two values are not equal: the message of a failed `assert a == b`.

use super::error::ErrorKind;
use super::eval::{Eval, Evaluator};
use super::source::Pos;
use super::value::{Attrs, Value};

impl Evaluator {
    /// Fails at the first difference; `Ok` if none can be named.
    pub(super) fn explain_unequal(&mut self, left: Value, right: Value, pos: Pos) -> Eval<()> {
        self.check_stack(pos)?;
        if let (Value::Thunk(a), Value::Thunk(b)) = (left, right)
            && std::ptr::eq(a, b)
        {
            return Ok(());
        }
        let (left, right) = (self.force_at(left, pos)?, self.force_at(right, pos)?);
        let (a, b) = (self.show_brief(left), self.show_brief(right));
        let message = match (left, right) {
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                if self.equal(left, right, pos)? {
                    return Ok(());
                }
                let (kind, other) = (left.kind_with_article(), right.kind_with_article());
                format!("{kind} with value '{a}' is not equal to {other} with value '{b}'")
            }
            (Value::List(a), Value::List(b)) => return self.explain_lists(a.items, b.items, pos),
            (Value::Attrs(a), Value::Attrs(b)) => return self.explain_attrs(a, b, pos),
            _ if left.kind() != right.kind() => {
                let (kind, other) = (left.kind_with_article(), right.kind_with_article());
                format!("{kind} of value '{a}' is not equal to {other} of value '{b}'")
            }
            (Value::Lambda(_) | Value::Builtin(_) | Value::Partial(_), _) => {
                "distinct functions and immediate comparisons of identical functions compare as unequal"
                    .to_owned()
            }
            _ if self.equal(left, right, pos)? => return Ok(()),
            (Value::Bool(_), _) => format!("boolean '{a}' is not equal to boolean '{b}'"),
            _ => {
                let kind = left.kind();
                format!("{kind} '{a}' is not equal to {kind} '{b}'")
            }
        };
        self.fail(ErrorKind::Assertion, message, pos)
    }

    fn explain_lists(&mut self, left: &'static [Value], right: &'static [Value], pos: Pos) -> Eval<()> {
        if left.len() != right.len() {
            let (a, b) = (self.list_static(left), self.list_static(right));
            let message = format!(
                "list of size '{}' is not equal to list of size '{}', left hand side is '{}', right hand side is '{}'",
                left.len(),
                right.len(),
                self.show_brief(a),
                self.show_brief(b)
            );
            return self.fail(ErrorKind::Assertion, message, pos);
        }
        for (index, (a, b)) in left.iter().zip(right).enumerate() {
            self.explain_unequal(*a, *b, pos).map_err(|fault| {
                fault.within_text(self.heap, &format!("while comparing list element {index}"), pos)
            })?;
        }
        Ok(())
    }

    fn explain_attrs(&mut self, left: &'static Attrs, right: &'static Attrs, pos: Pos) -> Eval<()> {
        if self.is_derivation(left)?
            && self.is_derivation(right)?
            && let (Some(a), Some(b)) = (left.get(self.known.out_path), right.get(self.known.out_path))
        {
            return self.explain_unequal(a.value, b.value, pos);
        }
        let shown = |e: &Self, attrs| e.show_brief(Value::Attrs(attrs));
        if left.len() != right.len() {
            let message = format!(
                "attribute names of attribute set '{}' differs from attribute set '{}'",
                shown(self, left),
                shown(self, right)
            );
            return self.fail(ErrorKind::Assertion, message, pos);
        }
        for (attr, other) in left.entries(self.heap).iter().zip(right.entries(self.heap)) {
            if attr.name != other.name {
                let message = format!(
                    "attribute name '{}' is contained in '{}', but not in '{}'",
                    self.show_symbol(attr.name),
                    shown(self, left),
                    shown(self, right)
                );
                return self.fail(ErrorKind::Assertion, message, pos);
            }
            self.explain_unequal(attr.value, other.value, pos).map_err(|fault| {
                let name = self.show_symbol(attr.name);
                fault.within_text(self.heap, &format!("while comparing attribute '{name}'"), attr.pos)
            })?;
        }
        Ok(())
    }
}
