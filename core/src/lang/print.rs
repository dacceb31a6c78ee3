//! Values as text: the way `nix-instantiate --eval` prints them, and the way
//! messages show them.

use std::collections::HashSet;

use super::eval::{Eval, Evaluator};
use super::float;
use super::source::Pos;
use super::value::{State, Value};

impl Evaluator {
    /// Evaluates everything inside a value.
    pub fn force_deep(&mut self, value: Value) -> Eval {
        let mut seen = HashSet::new();
        self.force_members(value, &mut seen)
    }

    fn force_members(&mut self, value: Value, seen: &mut HashSet<usize>) -> Eval {
        self.check_stack(Pos::NONE)?;
        let value = self.force(value)?;
        match value {
            Value::Attrs(attrs) if !attrs.is_empty() && seen.insert(std::ptr::from_ref(attrs).addr()) => {
                for attr in attrs.entries(self.heap) {
                    self.force_members(attr.value, seen).map_err(|fault| {
                        let name = self.symbols.display(attr.name);
                        let text = format!("while evaluating the attribute '{name}'");
                        fault.within_text(self.heap, &text, attr.pos)
                    })?;
                }
            }
            Value::List(list) if !list.items.is_empty() && seen.insert(list.items.as_ptr().addr()) => {
                for item in list.items {
                    self.force_members(*item, seen)?;
                }
            }
            _ => {}
        }
        Ok(value)
    }

    /// The text that `nix-instantiate --eval` prints; what was not evaluated
    /// shows as `<CODE>`.
    pub fn show(&self, value: Value) -> Eval<Vec<u8>> {
        let mut out = Vec::new();
        self.show_into(value, &mut out, &mut HashSet::new())?;
        Ok(out)
    }

    fn show_into(&self, value: Value, out: &mut Vec<u8>, seen: &mut HashSet<usize>) -> Eval<()> {
        self.check_stack(Pos::NONE)?;
        match value {
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => self.show_into(value, out, seen)?,
                State::Busy => out.extend_from_slice("«potential infinite recursion»".as_bytes()),
                _ => out.extend_from_slice(b"<CODE>"),
            },
            Value::Attrs(attrs) => {
                if !attrs.is_empty() && !seen.insert(std::ptr::from_ref(attrs).addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"{ ");
                for attr in self.entries_by_name(attrs) {
                    show_name(self.symbols.text(attr.name), out);
                    out.extend_from_slice(b" = ");
                    self.show_into(attr.value, out, seen)?;
                    out.extend_from_slice(b"; ");
                }
                out.push(b'}');
            }
            Value::List(list) => {
                if !list.items.is_empty() && !seen.insert(list.items.as_ptr().addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"[ ");
                for item in list.items {
                    self.show_into(*item, out, seen)?;
                    out.push(b' ');
                }
                out.push(b']');
            }
            Value::Lambda(_) => out.extend_from_slice(b"<LAMBDA>"),
            Value::Builtin(_) => out.extend_from_slice(b"<PRIMOP>"),
            Value::Partial(_) => out.extend_from_slice(b"<PRIMOP-APP>"),
            scalar => self.show_scalar(scalar, out, usize::MAX),
        }
        Ok(())
    }

    fn show_scalar(&self, value: Value, out: &mut Vec<u8>, limit: usize) {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
            Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => out.extend_from_slice(float::general(number).as_bytes()),
            Value::String(text) => {
                let bytes = text.bytes(self.heap);
                show_string(&bytes[..bytes.len().min(limit)], out);
                if bytes.len() > limit {
                    let rest = format!(" «{} bytes elided»", bytes.len() - limit);
                    out.extend_from_slice(rest.as_bytes());
                }
            }
            Value::Path(path) => out.extend_from_slice(path.bytes(self.heap)),
            _ => {}
        }
    }

    /// A value for a message: nothing is evaluated, and long things are cut.
    pub fn show_brief(&self, value: Value) -> String {
        let mut out = Vec::new();
        self.show_brief_into(value, &mut out, 0, &mut HashSet::new());
        String::from_utf8_lossy(&out).into_owned()
    }

    fn show_brief_into(&self, value: Value, out: &mut Vec<u8>, depth: usize, seen: &mut HashSet<usize>) {
        const DEPTH: usize = 10;
        const MEMBERS: usize = 10;
        const STRING: usize = 1024;
        match value {
            Value::Unset => out.extend_from_slice("«thunk»".as_bytes()),
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => self.show_brief_into(value, out, depth, seen),
                State::Busy => out.extend_from_slice("«potential infinite recursion»".as_bytes()),
                _ => out.extend_from_slice("«thunk»".as_bytes()),
            },
            Value::Attrs(attrs) => {
                if let Some(path) = self.shown_derivation(attrs) {
                    out.extend_from_slice(format!("«derivation {path}»").as_bytes());
                    return;
                }
                if !attrs.is_empty() && !seen.insert(std::ptr::from_ref(attrs).addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return;
                }
                if depth >= DEPTH {
                    out.extend_from_slice("{ ... }".as_bytes());
                    return;
                }
                out.extend_from_slice(b"{ ");
                let entries = self.entries_by_name(attrs);
                for attr in entries.iter().take(MEMBERS) {
                    show_name(self.symbols.text(attr.name), out);
                    out.extend_from_slice(b" = ");
                    self.show_brief_into(attr.value, out, depth + 1, seen);
                    out.extend_from_slice(b"; ");
                }
                elided(entries.len(), MEMBERS, "attribute", out);
                out.push(b'}');
            }
            Value::List(list) => {
                if !list.items.is_empty() && !seen.insert(list.items.as_ptr().addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return;
                }
                if depth >= DEPTH {
                    out.extend_from_slice("[ ... ]".as_bytes());
                    return;
                }
                out.extend_from_slice(b"[ ");
                for item in list.items.iter().take(MEMBERS) {
                    self.show_brief_into(*item, out, depth + 1, seen);
                    out.push(b' ');
                }
                elided(list.items.len(), MEMBERS, "item", out);
                out.push(b']');
            }
            Value::Lambda(closure) => {
                let name = closure.lambda.name.map(|n| format!(" {}", self.symbols.display(n)));
                let place = self.sources.locate(closure.lambda.pos);
                let place = place.map(|l| format!(" @ {}:{}:{}", l.origin, l.line, l.column));
                let text = format!("«lambda{}{}»", name.unwrap_or_default(), place.unwrap_or_default());
                out.extend_from_slice(text.as_bytes());
            }
            Value::Builtin(builtin) => {
                out.extend_from_slice(format!("«primop {}»", builtin.name).as_bytes());
            }
            Value::Partial(partial) => {
                let text = format!("«partially applied primop {}»", partial.builtin.name);
                out.extend_from_slice(text.as_bytes());
            }
            scalar => self.show_scalar(scalar, out, STRING),
        }
    }

    fn shown_derivation(&self, attrs: &'static super::value::Attrs) -> Option<String> {
        let done = |value| match value {
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => Some(value),
                _ => None,
            },
            value => Some(value),
        };
        let Value::String(kind) = done(attrs.get(self.known.r#type)?.value)? else { return None };
        if kind.bytes(self.heap) != b"derivation" {
            return None;
        }
        let Value::String(path) = done(attrs.get(self.known.drv_path)?.value)? else { return None };
        Some(String::from_utf8_lossy(path.bytes(self.heap)).into_owned())
    }

    /// The result of `--raw`: the bytes of what coerces to a string.
    pub fn show_raw(&mut self, value: Value) -> Eval<Vec<u8>> {
        let text = self.coerce(value, super::coerce::Coercion::INTERPOLATE, Pos::NONE)?;
        Ok(text.bytes(self.heap).to_vec())
    }
}

fn elided(total: usize, shown: usize, what: &str, out: &mut Vec<u8>) {
    if let Some(rest @ 1..) = total.checked_sub(shown) {
        let plural = if rest == 1 { "" } else { "s" };
        out.extend_from_slice(format!("«{rest} {what}{plural} elided» ").as_bytes());
    }
}

/// A string as a literal that reads back.
pub fn show_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if bytes.get(index + 1) == Some(&b'{') => out.extend_from_slice(b"\\$"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

/// An attribute name as a program would write it.
fn show_name(name: &[u8], out: &mut Vec<u8>) {
    const KEYWORDS: [&[u8]; 9] =
        [b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];
    let starts = name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    let plain = name.iter().all(|b| b.is_ascii_alphanumeric() || b"_'-".contains(b));
    if starts && plain && !KEYWORDS.contains(&name) {
        out.extend_from_slice(name);
    } else {
        show_string(name, out);
    }
}
