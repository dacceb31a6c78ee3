//! `toJSON` and `fromJSON`.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::context::Context;
use crate::lang::error::ErrorKind;
use crate::lang::float;
use crate::lang::value::Attr;

pub(super) const BUILTINS: &[Builtin] =
    &[Builtin::new("fromJSON", 1, from_json), Builtin::new("toJSON", 1, to_json)];

fn to_json(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (text, context) = e.json_of(args[0], pos)?;
    Ok(e.string_with(&text, context))
}

impl Evaluator {
    /// A value as JSON without spaces, everything evaluated, paths copied.
    pub fn json_of(&mut self, value: Value, pos: Pos) -> Eval<(Vec<u8>, Context)> {
        let mut out = Vec::new();
        let mut context = Context::EMPTY;
        self.write_json(value, &mut out, &mut context, pos)?;
        Ok((out, context))
    }

    fn write_json(&mut self, value: Value, out: &mut Vec<u8>, context: &mut Context, pos: Pos) -> Eval<()> {
        self.check_stack(pos)?;
        match self.force_at(value, pos)? {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
            Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(number) => out.extend_from_slice(float::shortest(number).as_bytes()),
            Value::String(text) => {
                *context = self.contexts.union(*context, text.context);
                self.write_json_string(text.bytes(self.heap), out, pos)?;
            }
            path @ Value::Path(_) => {
                let text = self.coerce(path, Coercion::INTERPOLATE, pos)?;
                *context = self.contexts.union(*context, text.context);
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
                if attrs.get(self.known.to_string).is_some() {
                    let text = self.coerce(set, Coercion::REFERENCE, pos)?;
                    *context = self.contexts.union(*context, text.context);
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

fn from_json(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_plain(args[0], pos)?;
    let mut reader = Reader { text, offset: 0, pos };
    let value = reader.value(e)?;
    reader.space();
    if reader.offset != text.len() {
        return reader.fail(e, "expected end of input");
    }
    Ok(value)
}

/// Strict JSON; integers stay integers as long as they fit.
struct Reader {
    text: &'static [u8],
    offset: usize,
    pos: Pos,
}

impl Reader {
    fn fail<T>(&self, e: &Evaluator, what: &str) -> Eval<T> {
        let message = format!("failed to parse JSON at byte {}: {what}", self.offset);
        e.fail(ErrorKind::Value, message, self.pos)
    }

    fn space(&mut self) {
        while matches!(self.text.get(self.offset), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.offset += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.text.get(self.offset) == Some(&byte);
        self.offset += usize::from(found);
        found
    }

    fn value(&mut self, e: &mut Evaluator) -> Eval {
        e.check_stack(self.pos)?;
        self.space();
        match self.text.get(self.offset) {
            Some(b'{') => {
                self.offset += 1;
                self.object(e)
            }
            Some(b'[') => {
                self.offset += 1;
                let mut items = Vec::new();
                if self.take(b']') {
                    return Ok(e.list(&items));
                }
                loop {
                    items.push(self.value(e)?);
                    if self.take(b']') {
                        return Ok(e.list(&items));
                    }
                    if !self.take(b',') {
                        return self.fail(e, "expected ',' or ']'");
                    }
                }
            }
            Some(b'"') => {
                let text = self.string(e)?;
                Ok(e.string(&text))
            }
            Some(b'-' | b'0'..=b'9') => self.number(e),
            _ => {
                for (word, value) in
                    [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
                {
                    if self.text[self.offset..].starts_with(word.as_bytes()) {
                        self.offset += word.len();
                        return Ok(value);
                    }
                }
                self.fail(e, "expected a value")
            }
        }
    }

    fn object(&mut self, e: &mut Evaluator) -> Eval {
        let mut entries: Vec<Attr> = Vec::new();
        if self.take(b'}') {
            return Ok(e.attrs(entries));
        }
        loop {
            self.space();
            if self.text.get(self.offset) != Some(&b'"') {
                return self.fail(e, "expected a string");
            }
            let name = self.string(e)?;
            let name = e.symbols.intern(&name);
            if !self.take(b':') {
                return self.fail(e, "expected ':'");
            }
            let value = self.value(e)?;
            entries.push(e.attr(name, value));
            if self.take(b'}') {
                return Ok(e.attrs(entries));
            }
            if !self.take(b',') {
                return self.fail(e, "expected ',' or '}'");
            }
        }
    }

    fn string(&mut self, e: &Evaluator) -> Eval<Vec<u8>> {
        self.offset += 1;
        let mut out = Vec::new();
        loop {
            let start = self.offset;
            while !matches!(self.text.get(self.offset), None | Some(b'"' | b'\\' | 0..32)) {
                self.offset += 1;
            }
            let run = &self.text[start..self.offset];
            if std::str::from_utf8(run).is_err() {
                return self.fail(e, "ill-formed UTF-8");
            }
            out.extend_from_slice(run);
            match self.text.get(self.offset) {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.offset += 1;
                    self.escape(e, &mut out)?;
                }
                _ => return self.fail(e, "unterminated string or control character in it"),
            }
        }
    }

    fn escape(&mut self, e: &Evaluator, out: &mut Vec<u8>) -> Eval<()> {
        let kind = self.text.get(self.offset).copied();
        self.offset += 1;
        out.push(match kind {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let mut code = self.hex(e)?;
                if (0xd800..0xdc00).contains(&code) {
                    if !self.text[self.offset..].starts_with(b"\\u") {
                        return self.fail(e, "a surrogate lacks its other half");
                    }
                    self.offset += 2;
                    let low = self.hex(e)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return self.fail(e, "a surrogate lacks its other half");
                    }
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                if code == 0 {
                    return self.fail(e, "input string cannot contain NUL characters");
                }
                let Some(character) = char::from_u32(code) else {
                    return self.fail(e, "a surrogate lacks its other half");
                };
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.fail(e, "unknown escape"),
        });
        Ok(())
    }

    fn hex(&mut self, e: &Evaluator) -> Eval<u32> {
        let digits = self.text.get(self.offset..self.offset + 4);
        let digits = digits.and_then(|d| std::str::from_utf8(d).ok()).filter(|d| !d.starts_with('+'));
        match digits.and_then(|d| u32::from_str_radix(d, 16).ok()) {
            Some(code) => {
                self.offset += 4;
                Ok(code)
            }
            None => self.fail(e, "expected four hexadecimal digits"),
        }
    }

    fn number(&mut self, e: &Evaluator) -> Eval {
        let start = self.offset;
        let digits = |reader: &mut Self| {
            let from = reader.offset;
            while reader.text.get(reader.offset).is_some_and(u8::is_ascii_digit) {
                reader.offset += 1;
            }
            reader.offset - from
        };
        if self.text[self.offset] == b'-' {
            self.offset += 1;
        }
        let leading_zero = self.text.get(self.offset) == Some(&b'0');
        let count = digits(self);
        if count == 0 || (leading_zero && count > 1) {
            return self.fail(e, "malformed number");
        }
        let mut integer = true;
        if self.text.get(self.offset) == Some(&b'.') {
            integer = false;
            self.offset += 1;
            if digits(self) == 0 {
                return self.fail(e, "malformed number");
            }
        }
        if matches!(self.text.get(self.offset), Some(b'e' | b'E')) {
            integer = false;
            self.offset += 1;
            if matches!(self.text.get(self.offset), Some(b'+' | b'-')) {
                self.offset += 1;
            }
            if digits(self) == 0 {
                return self.fail(e, "malformed number");
            }
        }
        let text = std::str::from_utf8(&self.text[start..self.offset]).expect("ASCII was scanned");
        if integer {
            if let Ok(number) = text.parse::<i64>() {
                return Ok(Value::Int(number));
            }
            if text.parse::<u64>().is_ok() {
                let message = format!("unsigned json number {text} outside of Nix integer range");
                return e.fail(ErrorKind::Value, message, self.pos);
            }
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => self.fail(e, "number out of range"),
        }
    }
}
