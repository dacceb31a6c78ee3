//! `toXML` and `--xml`.

use std::collections::HashSet;

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::context::Context;
use crate::lang::float;
use crate::lang::value::{Attrs, State};

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("toXML", 1, to_xml)];

fn to_xml(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (text, context) = e.xml_of(args[0], true, false, pos)?;
    Ok(e.string_with(&text, context))
}

impl Evaluator {
    /// A value as XML; what is not evaluated is so first if `strict`.
    pub fn xml_of(
        &mut self,
        value: Value,
        strict: bool,
        location: bool,
        pos: Pos,
    ) -> Eval<(Vec<u8>, Context)> {
        let mut writer = Writer {
            out: b"<?xml version='1.0' encoding='utf-8'?>\n<expr>\n".to_vec(),
            depth: 1,
            context: Context::EMPTY,
            strict,
            location,
            drawn: HashSet::new(),
            pos,
        };
        writer.value(self, value)?;
        writer.out.extend_from_slice(b"</expr>\n");
        Ok((writer.out, writer.context))
    }
}

struct Writer {
    out: Vec<u8>,
    depth: usize,
    context: Context,
    strict: bool,
    location: bool,
    /// Derivations that were written out already.
    drawn: HashSet<Vec<u8>>,
    pos: Pos,
}

impl Writer {
    fn open(&mut self, tag: &str, attributes: &[(&str, &[u8])], close: bool) {
        self.out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
        self.out.push(b'<');
        self.out.extend_from_slice(tag.as_bytes());
        for (name, value) in attributes {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            escape(value, &mut self.out);
            self.out.push(b'"');
        }
        self.out.extend_from_slice(if close { b" />\n" } else { b">\n" });
        if !close {
            self.depth += 1;
        }
    }

    fn close(&mut self, tag: &str) {
        self.depth -= 1;
        self.out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
        self.out.extend_from_slice(format!("</{tag}>\n").as_bytes());
    }

    fn value(&mut self, e: &mut Evaluator, value: Value) -> Eval<()> {
        e.descend(self.pos, |e| self.inside(e, value))
    }

    fn inside(&mut self, e: &mut Evaluator, value: Value) -> Eval<()> {
        let value = if self.strict {
            e.force_at(value, self.pos)?
        } else {
            match value {
                Value::Thunk(thunk) => match thunk.state() {
                    State::Done(value) => value,
                    _ => value,
                },
                value => value,
            }
        };
        match value {
            Value::Unset | Value::Thunk(_) => self.open("unevaluated", &[], true),
            Value::Null => self.open("null", &[], true),
            Value::Bool(truth) => {
                self.open("bool", &[("value", if truth { b"true" } else { b"false" })], true);
            }
            Value::Int(number) => self.open("int", &[("value", number.to_string().as_bytes())], true),
            Value::Float(number) => {
                self.open("float", &[("value", float::general(number).as_bytes())], true);
            }
            Value::String(text) => {
                self.context = e.contexts.union(self.context, text.context);
                self.open("string", &[("value", text.bytes(e.heap))], true);
            }
            Value::Path(path) => self.open("path", &[("value", path.bytes(e.heap))], true),
            Value::List(list) => {
                self.open("list", &[], false);
                for item in list.items {
                    self.value(e, *item)?;
                }
                self.close("list");
            }
            Value::Attrs(attrs) if e.is_derivation(attrs)? => self.derivation(e, attrs)?,
            Value::Attrs(attrs) => {
                self.open("attrs", &[], false);
                self.members(e, attrs)?;
                self.close("attrs");
            }
            Value::Lambda(closure) => {
                let place = self.place(e, closure.lambda.pos);
                let attributes: Vec<(&str, &[u8])> =
                    place.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
                self.open("function", &attributes, false);
                match &closure.lambda.formals {
                    None => {
                        let name = closure.lambda.argument.map_or(&b""[..], |a| e.symbols.text(a));
                        self.open("varpat", &[("name", name)], true);
                    }
                    Some(formals) => {
                        let mut attributes: Vec<(&str, &[u8])> = Vec::new();
                        if formals.ellipsis {
                            attributes.push(("ellipsis", b"1"));
                        }
                        if let Some(argument) = closure.lambda.argument {
                            attributes.push(("name", e.symbols.text(argument)));
                        }
                        self.open("attrspat", &attributes, false);
                        let mut names: Vec<&[u8]> =
                            formals.entries.iter().map(|f| e.symbols.text(f.name)).collect();
                        names.sort_unstable();
                        for name in names {
                            self.open("attr", &[("name", name)], true);
                        }
                        self.close("attrspat");
                    }
                }
                self.close("function");
            }
            Value::Builtin(_) | Value::Partial(_) => self.open("unevaluated", &[], true),
        }
        Ok(())
    }

    fn derivation(&mut self, e: &mut Evaluator, attrs: &'static Attrs) -> Eval<()> {
        let text = |e: &mut Evaluator, name| -> Eval<Option<&'static [u8]>> {
            let Some(attr) = attrs.get(name) else { return Ok(None) };
            let value = if self.strict { e.force_at(attr.value, attr.pos)? } else { attr.value };
            Ok(match value {
                Value::String(text) => Some(text.bytes(e.heap)),
                _ => None,
            })
        };
        let drv_path = text(e, e.known.drv_path)?;
        let out_path = text(e, e.known.out_path)?;
        let mut attributes: Vec<(&str, &[u8])> = Vec::new();
        if let Some(path) = drv_path {
            attributes.push(("drvPath", path));
        }
        if let Some(path) = out_path {
            attributes.push(("outPath", path));
        }
        self.open("derivation", &attributes, false);
        let fresh = drv_path.is_some_and(|path| !path.is_empty() && self.drawn.insert(path.to_vec()));
        if fresh {
            self.members(e, attrs)?;
        } else {
            self.open("repeated", &[], true);
        }
        self.close("derivation");
        Ok(())
    }

    /// Where something was written, if that is wanted; texts that are no file
    /// have no path.
    fn place(&self, e: &Evaluator, pos: Pos) -> Vec<(&'static str, String)> {
        let Some(at) = e.sources.locate(pos).filter(|_| self.location) else { return Vec::new() };
        let mut place = vec![("column", at.column.to_string()), ("line", at.line.to_string())];
        if let Some(path) = at.origin.file() {
            place.push(("path", path.display().to_string()));
        }
        place
    }

    fn members(&mut self, e: &mut Evaluator, attrs: &'static Attrs) -> Eval<()> {
        for attr in e.entries_by_name(attrs) {
            let name = e.symbols.text(attr.name);
            let place = self.place(e, attr.pos);
            let mut attributes: Vec<(&str, &[u8])> =
                place.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
            attributes.push(("name", name));
            attributes.sort_unstable();
            self.open("attr", &attributes, false);
            self.value(e, attr.value)?;
            self.close("attr");
        }
        Ok(())
    }
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"&quot;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            // Would otherwise be read back as a space.
            b'\n' => out.extend_from_slice(b"&#xA;"),
            other => out.push(*other),
        }
    }
}
