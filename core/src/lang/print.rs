//! Values as text: the way `nix-instantiate --eval` prints them, and the way
//! messages show them.

use std::collections::HashSet;

use super::eval::{Eval, Evaluator};
use super::float;
use super::source::Pos;
use super::symbol::Sym;
use super::value::{State, Value};

impl Evaluator {
    /// Evaluates everything inside a value.
    pub fn force_deep(&mut self, value: Value) -> Eval {
        let mut seen = HashSet::new();
        self.force_members(value, &mut seen)
    }

    fn force_members(&mut self, value: Value, seen: &mut HashSet<usize>) -> Eval {
        self.descend(Pos::NONE, |e| e.force_inside(value, seen))
    }

    fn force_inside(&mut self, value: Value, seen: &mut HashSet<usize>) -> Eval {
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
        self.show_into(value, 0, &mut out, &mut HashSet::new())?;
        Ok(out)
    }

    fn show_into(&self, value: Value, depth: u32, out: &mut Vec<u8>, seen: &mut HashSet<usize>) -> Eval<()> {
        self.check_printing(depth)?;
        let identity = identity(value);
        let value = match value {
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => value,
                State::Busy => {
                    out.extend_from_slice("«potential infinite recursion»".as_bytes());
                    return Ok(());
                }
                _ => {
                    out.extend_from_slice(b"<CODE>");
                    return Ok(());
                }
            },
            value => value,
        };
        match value {
            Value::Attrs(attrs) => {
                if !attrs.is_empty() && !seen.insert(std::ptr::from_ref(attrs).addr()) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"{ ");
                for attr in self.entries_by_name(attrs) {
                    show_name(self.symbols.text(attr.name), out);
                    out.extend_from_slice(b" = ");
                    self.show_into(attr.value, depth + 1, out, seen)?;
                    out.extend_from_slice(b"; ");
                }
                out.push(b'}');
            }
            Value::List(list) => {
                if !list.items.is_empty() && !seen.insert(identity) {
                    out.extend_from_slice("«repeated»".as_bytes());
                    return Ok(());
                }
                out.extend_from_slice(b"[ ");
                for item in list.items {
                    self.show_into(*item, depth + 1, out, seen)?;
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

    /// Printing may go as deep as calls, wherever it begins.
    fn check_printing(&self, depth: u32) -> Eval<()> {
        if depth > self.max_call_depth {
            return self.too_deep(Pos::NONE);
        }
        self.check_stack(Pos::NONE)
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
        // The limits keep it from going too deep.
        self.show_within(value, &BRIEF).unwrap_or_default()
    }

    /// A value for `trace`: nothing is evaluated, nothing cut.
    pub fn show_whole(&self, value: Value) -> Eval<String> {
        self.show_within(value, &WHOLE)
    }

    fn show_within(&self, value: Value, limits: &'static Limits) -> Eval<String> {
        let (out, seen) = (Vec::new(), HashSet::new());
        let mut message = Message { e: self, limits, out, seen, attributes: 0, items: 0 };
        message.value(value, 0)?;
        Ok(String::from_utf8_lossy(&message.out).into_owned())
    }

    /// A name as messages write it: quoted where a program would have to.
    pub fn show_symbol(&self, name: Sym) -> String {
        let mut out = Vec::new();
        show_name(self.symbols.text(name), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The result of `--raw`: the bytes of what coerces to a string.
    pub fn show_raw(&mut self, value: Value) -> Eval<Vec<u8>> {
        let text = self.coerce(value, super::coerce::Coercion::INTERPOLATE, Pos::NONE)?;
        Ok(text.bytes(self.heap).to_vec())
    }
}

/// What makes a list met again the same one: the place that holds it, since
/// two places may hold equal lists that share their items.
fn identity(value: Value) -> usize {
    match value {
        Value::Thunk(thunk) => std::ptr::from_ref(thunk).addr(),
        Value::List(list) => std::ptr::from_ref(list).addr(),
        _ => 0,
    }
}

/// How much of a value a message shows. Members are counted over all of it, not
/// for each list or set.
struct Limits {
    depth: u32,
    members: usize,
    string_bytes: usize,
    /// Whether `type` stands before other attributes.
    type_first: bool,
}

const BRIEF: Limits = Limits { depth: 10, members: 10, string_bytes: 1024, type_first: true };
const WHOLE: Limits =
    Limits { depth: u32::MAX, members: usize::MAX, string_bytes: usize::MAX, type_first: false };

/// Writes a value for a message.
struct Message<'e> {
    e: &'e Evaluator,
    limits: &'static Limits,
    out: Vec<u8>,
    seen: HashSet<usize>,
    attributes: usize,
    items: usize,
}

impl Message<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, value: Value, depth: u32) -> Eval<()> {
        self.e.check_printing(depth)?;
        let identity = identity(value);
        let value = match value {
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => value,
                State::Busy => {
                    self.text("«potential infinite recursion»");
                    return Ok(());
                }
                _ => Value::Unset,
            },
            value => value,
        };
        match value {
            Value::Unset => self.text("«thunk»"),
            Value::Attrs(attrs) => self.attrs(attrs, depth)?,
            Value::List(list) => self.list(list.items, identity, depth)?,
            // Inside of something, a function that was only written down has
            // not been evaluated, as far as Nix is concerned.
            Value::Lambda(_) if depth > 0 => self.text("«thunk»"),
            Value::Lambda(closure) => {
                let name = closure.lambda.name.map(|n| format!(" {}", self.e.show_symbol(n)));
                let place = self.e.sources.locate(closure.lambda.pos);
                let place = place.map(|l| format!(" @ {}:{}:{}", l.origin, l.line, l.column));
                self.text(&format!("«lambda{}{}»", name.unwrap_or_default(), place.unwrap_or_default()));
            }
            Value::Builtin(builtin) => self.text(&format!("«primop {}»", builtin.name)),
            Value::Partial(partial) => {
                self.text(&format!("«partially applied primop {}»", partial.builtin.name));
            }
            scalar => self.e.show_scalar(scalar, &mut self.out, self.limits.string_bytes),
        }
        Ok(())
    }

    fn attrs(&mut self, attrs: &'static super::value::Attrs, depth: u32) -> Eval<()> {
        // All empty sets are one to Nix, but empty lists are not.
        let identity = if attrs.is_empty() { 0 } else { std::ptr::from_ref(attrs).addr() };
        if !self.seen.insert(identity) {
            self.text("«repeated»");
            return Ok(());
        }
        if depth >= self.limits.depth {
            self.text("{ ... }");
            return Ok(());
        }
        self.text("{ ");
        let mut entries = self.e.entries_by_name(attrs);
        if self.limits.type_first {
            // What says most about a set comes first.
            entries.sort_by_key(|a| !matches!(self.e.symbols.text(a.name), b"_type" | b"type"));
        }
        for (index, attr) in entries.iter().enumerate() {
            if self.attributes >= self.limits.members {
                self.elided(entries.len() - index, "attribute");
                break;
            }
            show_name(self.e.symbols.text(attr.name), &mut self.out);
            self.text(" = ");
            self.value(attr.value, depth + 1)?;
            self.text("; ");
            self.attributes += 1;
        }
        self.text("}");
        Ok(())
    }

    fn list(&mut self, items: &'static [Value], identity: usize, depth: u32) -> Eval<()> {
        if !items.is_empty() && !self.seen.insert(identity) {
            self.text("«repeated»");
            return Ok(());
        }
        if depth >= self.limits.depth {
            self.text("[ ... ]");
            return Ok(());
        }
        self.text("[ ");
        for (index, item) in items.iter().enumerate() {
            if self.items >= self.limits.members {
                self.elided(items.len() - index, "item");
                break;
            }
            self.value(*item, depth + 1)?;
            self.text(" ");
            self.items += 1;
        }
        self.text("]");
        Ok(())
    }

    fn elided(&mut self, count: usize, what: &str) {
        let plural = if count == 1 { "" } else { "s" };
        self.text(&format!("«{count} {what}{plural} elided» "));
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
pub(super) fn show_name(name: &[u8], out: &mut Vec<u8>) {
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
