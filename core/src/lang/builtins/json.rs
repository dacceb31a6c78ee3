//! `toJSON`; `fromJSON` is in `from_json`.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::context::{Context, Gathered};
use crate::lang::error::ErrorKind;
use crate::lang::float;
use crate::lang::value::State;

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("toJSON", 1, to_json)];

fn to_json(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (text, context) = e.json_of(args[0], pos)?;
    Ok(e.string_with(&text, context))
}

impl Evaluator {
    /// A value as JSON without spaces, everything evaluated, paths copied.
    pub fn json_of(&mut self, value: Value, pos: Pos) -> Eval<(Vec<u8>, Context)> {
        let mut out = Vec::new();
        let mut context = Gathered::default();
        self.write_json(value, &mut out, &mut context, pos)?;
        Ok((out, self.contexts.join(context)))
    }

    /// Fails if writing the value as JSON would have to evaluate something.
    pub fn refuse_unevaluated(&mut self, value: Value) -> Eval<()> {
        self.check_stack(Pos::NONE)?;
        let value = match value {
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => value,
                _ => return self.fail(ErrorKind::Type, "cannot convert a thunk to JSON", Pos::NONE),
            },
            value => value,
        };
        match value {
            Value::List(list) => list.items.iter().try_for_each(|item| self.refuse_unevaluated(*item)),
            Value::Attrs(attrs) if attrs.get(self.known.to_string).is_some() => Ok(()),
            Value::Attrs(attrs) => match attrs.get(self.known.out_path) {
                Some(path) => self.refuse_unevaluated(path.value),
                None => {
                    let entries = attrs.entries(self.heap);
                    entries.iter().try_for_each(|attr| self.refuse_unevaluated(attr.value))
                }
            },
            _ => Ok(()),
        }
    }

    fn write_json(&mut self, value: Value, out: &mut Vec<u8>, context: &mut Gathered, pos: Pos) -> Eval<()> {
        self.descend(pos, |e| e.write_json_inside(value, out, context, pos))
    }

    fn write_json_inside(
        &mut self,
        value: Value,
        out: &mut Vec<u8>,
        context: &mut Gathered,
        pos: Pos,
    ) -> Eval<()> {
        match self.force_at(value, pos)? {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
            Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => out.extend_from_slice(float::json(number).as_bytes()),
            Value::String(text) => {
                context.add(text.context);
                self.write_json_string(text.bytes(self.heap), out, pos)?;
            }
            path @ Value::Path(_) => {
                let text = self.coerce(path, Coercion::INTERPOLATE, pos)?;
                context.add(text.context);
                self.write_json_string(text.bytes(self.heap), out, pos)?;
            }
            Value::List(list) => {
                out.push(b'[');
                for (index, item) in list.items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.write_json(*item, out, context, pos)?;
                }
                out.push(b']');
            }
            set @ Value::Attrs(attrs) => {
                if let Some(to_string) = attrs.get(self.known.to_string) {
                    let text = self.call_to_string(to_string, set, Coercion::REFERENCE, pos)?;
                    context.add(text.context);
                    return self.write_json_string(text.bytes(self.heap), out, pos);
                }
                if let Some(path) = attrs.get(self.known.out_path) {
                    return self.write_json(path.value, out, context, path.pos);
                }
                out.push(b'{');
                for (index, attr) in self.entries_by_name(attrs).into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.write_json_string(self.symbols.text(attr.name), out, pos)?;
                    out.push(b':');
                    self.write_json(attr.value, out, context, attr.pos).map_err(|fault| {
                        let name = self.symbols.display(attr.name);
                        fault.within_text(
                            self.heap,
                            &format!("while evaluating attribute '{name}'"),
                            attr.pos,
                        )
                    })?;
                }
                out.push(b'}');
            }
            other => {
                let message = format!("cannot convert {} to JSON", other.kind_with_article());
                return self.fail(ErrorKind::Type, message, pos);
            }
        }
        Ok(())
    }

    fn write_json_string(&self, bytes: &[u8], out: &mut Vec<u8>, pos: Pos) -> Eval<()> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let shown = String::from_utf8_lossy(bytes).chars().take(60).collect::<String>();
            return self.refuse(format!("JSON serialization error: invalid UTF-8 in string '{shown}'"), pos);
        };
        write_string(text, out);
        Ok(())
    }
}

pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            0..32 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            other => out.push(other),
        }
    }
    out.push(b'"');
}
