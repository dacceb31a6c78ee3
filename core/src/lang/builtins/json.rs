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

/// JSON that is being written.
#[derive(Default)]
pub(crate) struct Json {
    pub text: Vec<u8>,
    context: Gathered,
    /// What is wrong with the first string that is not UTF-8. That ends the
    /// writing in Nix, which begins when everything is evaluated.
    invalid: Option<String>,
}

impl Json {
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => write_string(text, &mut self.text),
            Err(error) => drop(self.invalid.get_or_insert_with(|| invalid(bytes, error))),
        }
    }
}

/// The words of the library of Nix, which names the byte that cannot follow.
fn invalid(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let start = error.valid_up_to();
    let what = match error.error_len() {
        None => format!("incomplete UTF-8 string; last byte: 0x{:02X}", bytes[bytes.len() - 1]),
        Some(length) => {
            let begins = matches!(bytes[start], 0xc2..=0xf4);
            let index = if begins { start + length } else { start };
            format!("invalid UTF-8 byte at index {index}: 0x{:02X}", bytes[index])
        }
    };
    format!("[json.exception.type_error.316] {what}")
}

impl Evaluator {
    /// A value as JSON without spaces, everything evaluated, paths copied.
    pub fn json_of(&mut self, value: Value, pos: Pos) -> Eval<(Vec<u8>, Context)> {
        let mut json = Json::default();
        self.write_json(value, &mut json, pos)?;
        self.finish_json(json).map_err(|reason| {
            self.fault(ErrorKind::Value, format!("JSON serialization error: {reason}"), pos)
        })
    }

    /// The text and what it refers to; otherwise why the text cannot be.
    pub(crate) fn finish_json(&mut self, json: Json) -> Result<(Vec<u8>, Context), String> {
        match json.invalid {
            None => Ok((json.text, self.contexts.join(json.context))),
            Some(reason) => Err(reason),
        }
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

    pub(crate) fn write_json(&mut self, value: Value, out: &mut Json, pos: Pos) -> Eval<()> {
        self.descend(pos, |e| e.write_json_inside(value, out, pos))
    }

    fn write_json_inside(&mut self, value: Value, out: &mut Json, pos: Pos) -> Eval<()> {
        match self.force_at(value, pos)? {
            Value::Null => out.text.extend_from_slice(b"null"),
            Value::Bool(truth) => out.text.extend_from_slice(if truth { b"true" } else { b"false" }),
            Value::Int(number) => out.text.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => out.text.extend_from_slice(float::json(number).as_bytes()),
            Value::String(text) => {
                out.context.add(text.context);
                out.string(text.bytes(self.heap));
            }
            path @ Value::Path(_) => {
                let text = self.coerce(path, Coercion::INTERPOLATE, pos)?;
                out.context.add(text.context);
                out.string(text.bytes(self.heap));
            }
            Value::List(list) => {
                out.text.push(b'[');
                for (index, item) in list.items.iter().enumerate() {
                    if index > 0 {
                        out.text.push(b',');
                    }
                    self.write_json(*item, out, pos)?;
                }
                out.text.push(b']');
            }
            set @ Value::Attrs(attrs) => {
                if let Some(to_string) = attrs.get(self.known.to_string) {
                    let text = self.call_to_string(to_string, set, Coercion::REFERENCE, pos)?;
                    out.context.add(text.context);
                    out.string(text.bytes(self.heap));
                    return Ok(());
                }
                if let Some(path) = attrs.get(self.known.out_path) {
                    return self.write_json(path.value, out, path.pos);
                }
                out.text.push(b'{');
                for (index, attr) in self.entries_by_name(attrs).into_iter().enumerate() {
                    if index > 0 {
                        out.text.push(b',');
                    }
                    out.string(self.symbols.text(attr.name));
                    out.text.push(b':');
                    self.write_json(attr.value, out, attr.pos).map_err(|fault| {
                        let name = self.symbols.display(attr.name);
                        fault.within_text(
                            self.heap,
                            &format!("while evaluating attribute '{name}'"),
                            attr.pos,
                        )
                    })?;
                }
                out.text.push(b'}');
            }
            other => {
                let message = format!("cannot convert {} to JSON", other.kind_with_article());
                return self.fail(ErrorKind::Type, message, pos);
            }
        }
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
