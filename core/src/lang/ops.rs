//! What operators do: types checked, numbers, comparison, joining.

use super::code::Operator;
use super::context::Element;
use super::error::{ErrorKind, Fault};
use super::eval::{Eval, Evaluator};
use super::shipped;
use super::source::Pos;
use super::symbol::Sym;
use super::value::{Attrs, Value};

impl Value {
    /// The kind as `typeOf` names it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unset | Self::Thunk(_) => "thunk",
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::String(_) => "string",
            Self::Path(_) => "path",
            Self::List(_) => "list",
            Self::Attrs(_) => "set",
            Self::Lambda(_) | Self::Builtin(_) | Self::Partial(_) => "lambda",
        }
    }

    /// Whether `+` goes by the kind of this left side; all else is coerced.
    pub(super) fn adds_by_kind(self) -> bool {
        matches!(self, Self::Int(_) | Self::Float(_) | Self::String(_) | Self::Path(_))
    }

    /// The kind as messages name it.
    pub fn kind_with_article(self) -> String {
        match self {
            Self::Unset | Self::Thunk(_) => "a thunk".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Bool(_) => "a Boolean".to_owned(),
            Self::Int(_) => "an integer".to_owned(),
            Self::Float(_) => "a float".to_owned(),
            Self::String(text) if text.context.is_empty() => "a string".to_owned(),
            Self::String(_) => "a string with context".to_owned(),
            Self::Path(_) => "a path".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Attrs(_) => "a set".to_owned(),
            Self::Lambda(_) => "a function".to_owned(),
            Self::Builtin(builtin) => format!("the built-in function '{}'", builtin.name),
            Self::Partial(partial) => {
                format!("the partially applied built-in function '{}'", partial.builtin.name)
            }
        }
    }
}

impl Evaluator {
    #[cold]
    pub fn wrong_type(&self, expected: &str, found: Value, pos: Pos) -> Fault {
        let shown = self.show_brief(found);
        let message = format!("expected {expected} but found {}: {shown}", found.kind_with_article());
        self.fault(ErrorKind::Type, message, pos)
    }

    // The `as_…` functions take evaluated values, the `force_…` ones any.

    pub fn as_attrs(&self, value: Value, pos: Pos) -> Eval<&'static Attrs> {
        match value {
            Value::Attrs(attrs) => Ok(attrs),
            other => Err(self.wrong_type("a set", other, pos)),
        }
    }

    pub fn as_list(&self, value: Value, pos: Pos) -> Eval<&'static [Value]> {
        match value {
            Value::List(list) => Ok(list.items),
            other => Err(self.wrong_type("a list", other, pos)),
        }
    }

    pub fn force_attrs(&mut self, value: Value, pos: Pos) -> Eval<&'static Attrs> {
        let value = self.force_at(value, pos)?;
        self.as_attrs(value, pos)
    }

    pub fn force_list(&mut self, value: Value, pos: Pos) -> Eval<&'static [Value]> {
        let value = self.force_at(value, pos)?;
        self.as_list(value, pos)
    }

    pub fn force_int(&mut self, value: Value, pos: Pos) -> Eval<i64> {
        match self.force_at(value, pos)? {
            Value::Int(number) => Ok(number),
            other => Err(self.wrong_type("an integer", other, pos)),
        }
    }

    pub fn force_bool(&mut self, value: Value, pos: Pos) -> Eval<bool> {
        match self.force_at(value, pos)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(self.wrong_type("a Boolean", other, pos)),
        }
    }

    pub fn force_function(&mut self, value: Value, pos: Pos) -> Eval {
        match self.force_at(value, pos)? {
            function @ (Value::Lambda(_) | Value::Builtin(_) | Value::Partial(_)) => Ok(function),
            Value::Attrs(attrs) if attrs.get(self.known.functor).is_some() => Ok(Value::Attrs(attrs)),
            other => Err(self.wrong_type("a function", other, pos)),
        }
    }

    /// A string's bytes; its context is the caller's affair.
    pub fn force_str(&mut self, value: Value, pos: Pos) -> Eval<&'static super::value::Str> {
        match self.force_at(value, pos)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong_type("a string", other, pos)),
        }
    }

    /// A string that must not depend on the store.
    pub fn force_plain(&mut self, value: Value, pos: Pos) -> Eval<&'static [u8]> {
        let text = self.force_str(value, pos)?;
        if text.context.is_empty() {
            return Ok(text.bytes(self.heap));
        }
        let elements = self.contexts.elements(text.context);
        let store = self.host.store_dir();
        let shown = match &elements[0] {
            Element::Opaque(path) => store.display(path),
            Element::Built { derivation, output } => format!("{}^{output}", store.display(derivation)),
            Element::DerivationDeep(derivation) => format!("{} (deep)", store.display(derivation)),
        };
        let bytes = String::from_utf8_lossy(text.bytes(self.heap));
        let message =
            format!("the string '{bytes}' is not allowed to refer to a store path (such as '{shown}')");
        self.fail(ErrorKind::Value, message, pos)
    }

    /// The name of an attribute, from an evaluated value.
    pub fn name_of(&mut self, value: Value, pos: Pos) -> Eval<Sym> {
        let text = self.force_str(value, pos)?;
        if !text.context.is_empty() {
            self.force_plain(value, pos)?;
        }
        Ok(self.symbols.intern_str(text))
    }

    // Numbers.

    pub(super) fn arithmetic(&self, operator: Operator, left: Value, right: Value, pos: Pos) -> Eval {
        let (verb, sign) = match operator {
            Operator::Add => ("adding", '+'),
            Operator::Sub => ("subtracting", '-'),
            Operator::Mul => ("multiplying", '*'),
            _ => ("dividing", '/'),
        };
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            let result = match operator {
                Operator::Add => a.checked_add(b),
                Operator::Sub => a.checked_sub(b),
                Operator::Mul => a.checked_mul(b),
                _ if b == 0 => return self.fail(ErrorKind::Value, "division by zero", pos),
                _ => a.checked_div(b),
            };
            return match result {
                Some(number) => Ok(Value::Int(number)),
                None => {
                    self.fail(ErrorKind::Value, format!("integer overflow in {verb} {a} {sign} {b}"), pos)
                }
            };
        }
        let floats = matches!(left, Value::Float(_)) || matches!(right, Value::Float(_));
        let number = |value, float| match value {
            Value::Int(number) => Ok(number as f64),
            Value::Float(number) => Ok(number),
            other => Err(self.wrong_type(if float { "a float" } else { "an integer" }, other, pos)),
        };
        if operator == Operator::Div {
            // What divides is looked at first, and as a float.
            if number(right, true)? == 0.0 {
                return self.fail(ErrorKind::Value, "division by zero", pos);
            }
        }
        let (a, b) = (number(left, floats)?, number(right, floats)?);
        Ok(Value::Float(match operator {
            Operator::Add => a + b,
            Operator::Sub => a - b,
            Operator::Mul => a * b,
            _ => a / b,
        }))
    }

    /// `+`: of numbers, strings, or a path and a string, as the left side says
    /// ([`Value::adds_by_kind`]).
    pub(super) fn add(&mut self, left: Value, right: Value, pos: Pos) -> Eval {
        match (left, right) {
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                self.arithmetic(Operator::Add, left, right, pos)
            }
            (Value::Int(_), other) => {
                let message = format!("cannot add {} to an integer", other.kind_with_article());
                self.fail(ErrorKind::Type, message, pos)
            }
            (Value::Float(_), other) => {
                let message = format!("cannot add {} to a float", other.kind_with_article());
                self.fail(ErrorKind::Type, message, pos)
            }
            (Value::Path(_), _) => self.join_path(&[left, right], pos),
            _ => self.join_strings(&[left, right], pos),
        }
    }

    // Equality and order.

    /// `==` of evaluated values: functions are equal to nothing.
    pub fn equal(&mut self, left: Value, right: Value, pos: Pos) -> Eval<bool> {
        match (left, right) {
            (Value::List(_), Value::List(_)) | (Value::Attrs(_), Value::Attrs(_)) => {
                self.descend(pos, |e| e.compare(left, right, pos))
            }
            _ => self.compare(left, right, pos),
        }
    }

    fn compare(&mut self, left: Value, right: Value, pos: Pos) -> Eval<bool> {
        Ok(match (left, right) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => a as f64 == b,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Null, Value::Null) => true,
            (Value::String(a), Value::String(b)) | (Value::Path(a), Value::Path(b)) => {
                std::ptr::eq(a, b) || (a.len() == b.len() && a.bytes(self.heap) == b.bytes(self.heap))
            }
            (Value::List(a), Value::List(b)) => {
                if a.items.len() != b.items.len() {
                    return Ok(false);
                }
                for (a, b) in a.items.iter().zip(b.items) {
                    if !self.equal_members(*a, *b, pos)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Attrs(a), Value::Attrs(b)) => self.equal_attrs(a, b, pos)?,
            _ => false,
        })
    }

    fn equal_attrs(&mut self, a: &'static Attrs, b: &'static Attrs, pos: Pos) -> Eval<bool> {
        // Two derivations are the same if they build the same path.
        if self.is_derivation(a)?
            && self.is_derivation(b)?
            && let (Some(a), Some(b)) = (a.get(self.known.out_path), b.get(self.known.out_path))
        {
            return self.equal_members(a.value, b.value, pos);
        }
        if a.len() != b.len() {
            return Ok(false);
        }
        let (a, b) = (a.entries(self.heap), b.entries(self.heap));
        for (a, b) in a.iter().zip(b) {
            if a.name != b.name || !self.equal_members(a.value, b.value, pos)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Members of lists and sets are also equal if they are one and the same,
    /// which makes `[ f ] == [ f ]` true.
    pub fn equal_members(&mut self, left: Value, right: Value, pos: Pos) -> Eval<bool> {
        self.descend(pos, |e| e.compare_members(left, right, pos))
    }

    fn compare_members(&mut self, left: Value, right: Value, pos: Pos) -> Eval<bool> {
        let same = match (left, right) {
            (Value::Thunk(a), Value::Thunk(b)) => std::ptr::eq(a, b),
            (Value::Lambda(a), Value::Lambda(b)) => std::ptr::eq(a, b),
            (Value::Builtin(a), Value::Builtin(b)) => std::ptr::eq(a, b),
            (Value::Partial(a), Value::Partial(b)) => std::ptr::eq(a, b),
            _ => false,
        };
        if same {
            self.force_at(left, pos)?;
            return Ok(true);
        }
        let left = self.force_at(left, pos)?;
        let right = self.force_at(right, pos)?;
        self.compare(left, right, pos)
    }

    pub fn is_derivation(&mut self, attrs: &'static Attrs) -> Eval<bool> {
        let Some(kind) = attrs.get(self.known.r#type) else { return Ok(false) };
        match self.force_at(kind.value, kind.pos)? {
            Value::String(text) => Ok(text.bytes(self.heap) == b"derivation"),
            _ => Ok(false),
        }
    }

    /// `<` of evaluated values.
    pub fn less_than(&mut self, left: Value, right: Value, pos: Pos) -> Eval<bool> {
        Ok(match (left, right) {
            (Value::Int(a), Value::Int(b)) => a < b,
            (Value::Float(a), Value::Float(b)) => a < b,
            (Value::Int(a), Value::Float(b)) => (a as f64) < b,
            (Value::Float(a), Value::Int(b)) => a < b as f64,
            (Value::String(a), Value::String(b)) => a.bytes(self.heap) < b.bytes(self.heap),
            (Value::Path(a), Value::Path(b)) => {
                shipped::plain(a.bytes(self.heap)) < shipped::plain(b.bytes(self.heap))
            }
            (Value::List(a), Value::List(b)) => {
                self.check_stack(pos)?;
                for (index, a) in a.items.iter().enumerate() {
                    let Some(b) = b.items.get(index) else { return Ok(false) };
                    if !self.equal_members(*a, *b, pos)? {
                        let (a, b) = (self.force_at(*a, pos)?, self.force_at(*b, pos)?);
                        return self.less_than(a, b, pos);
                    }
                }
                a.items.len() < b.items.len()
            }
            (a, b) => {
                let (shown_a, shown_b) = (self.show_brief(a), self.show_brief(b));
                let (kind_a, kind_b) = (a.kind_with_article(), b.kind_with_article());
                let functions = |v| matches!(v, Value::Lambda(_) | Value::Builtin(_) | Value::Partial(_));
                let message = if kind_a == kind_b || (functions(a) && functions(b)) {
                    format!(
                        "cannot compare {kind_a} with {kind_b}; values of that type are incomparable (values are {shown_a} and {shown_b})"
                    )
                } else {
                    format!("cannot compare {kind_a} with {kind_b}; values are {shown_a} and {shown_b}")
                };
                return self.fail(ErrorKind::Type, message, pos);
            }
        })
    }
}
