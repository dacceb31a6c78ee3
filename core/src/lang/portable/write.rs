//! From code to bytes.

use super::{BuiltIn, BuiltIns, OPERATORS, tag};
use crate::lang::code::{AttrsCode, BindingScope, Delay, Delayed, Expr, Formals, Lambda, Name, WithVariable};
use crate::lang::heap::Heap;
use crate::lang::source::{Base, Pos};
use crate::lang::stack;
use crate::lang::symbol::{FastMap, Sym, Symbols};
use crate::lang::value::Value;

/// The bytes of code that was just lowered; none if it nests too deeply for
/// the stack.
pub(in crate::lang) fn write(
    code: &Expr,
    base: Base,
    built_ins: &BuiltIns,
    symbols: &Symbols,
    heap: Heap,
) -> Option<Vec<u8>> {
    let mut writer = Writer {
        out: Vec::new(),
        names: Vec::new(),
        numbers: FastMap::default(),
        base,
        built_ins,
        heap,
        floor: stack::floor(),
    };
    writer.expr(code)?;
    let Writer { out: body, names, .. } = writer;
    let mut out = Vec::with_capacity(body.len() + names.len() * 12);
    number(&mut out, names.len() as u64);
    for name in &names {
        let text = symbols.text(*name);
        number(&mut out, text.len() as u64);
        out.extend_from_slice(text);
    }
    let mut order: Vec<u32> = (0..names.len() as u32).collect();
    order.sort_by_key(|place| names[*place as usize]);
    for place in order {
        number(&mut out, place.into());
    }
    out.extend_from_slice(&body);
    Some(out)
}

struct Writer<'a> {
    out: Vec<u8>,
    names: Vec<Sym>,
    numbers: FastMap<Sym, u32>,
    base: Base,
    built_ins: &'a BuiltIns,
    heap: Heap,
    /// The address that the stack must not pass.
    floor: usize,
}

fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

impl Writer<'_> {
    fn number(&mut self, value: impl Into<u64>) {
        number(&mut self.out, value.into());
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn pos(&mut self, pos: Pos) {
        // Zero is no position.
        self.number(if pos.is_some() { self.base.offset(pos) + 1 } else { 0 });
    }

    fn name(&mut self, name: Sym) {
        let next = self.names.len() as u32;
        let place = *self.numbers.entry(name).or_insert(next);
        if place == next {
            self.names.push(name);
        }
        self.number(place);
    }

    fn optional_name(&mut self, name: Option<Sym>) {
        self.out.push(u8::from(name.is_some()));
        if let Some(name) = name {
            self.name(name);
        }
    }

    fn expr(&mut self, code: &Expr) -> Option<()> {
        if stack::here() < self.floor {
            return None;
        }
        match code {
            Expr::Const(value) => return self.constant(code, *value),
            Expr::Local { depth, slot, pos } => {
                self.out.push(tag::LOCAL);
                self.number(*depth);
                self.number(*slot);
                self.pos(*pos);
            }
            Expr::With(WithVariable { name, depths, pos, .. }) => {
                self.out.push(tag::WITH);
                self.name(*name);
                self.count(depths.len());
                for depth in *depths {
                    self.number(*depth);
                }
                self.pos(*pos);
            }
            Expr::Select { base, path, default, pos } => {
                self.out.push(if default.is_some() { tag::SELECT_OR } else { tag::SELECT });
                self.pos(*pos);
                self.expr(base)?;
                self.path(path)?;
                if let Some(default) = default {
                    self.expr(default)?;
                }
            }
            Expr::InheritFrom { slot, name, pos } => {
                self.out.push(tag::INHERIT_FROM);
                self.number(*slot);
                self.name(*name);
                self.pos(*pos);
            }
            Expr::HasAttr { base, path } => {
                self.out.push(tag::HAS_ATTR);
                self.expr(base)?;
                self.path(path)?;
            }
            Expr::Apply { function, arguments, pos } => {
                self.out.push(tag::APPLY);
                self.pos(*pos);
                self.expr(function)?;
                self.delayed_all(arguments)?;
            }
            Expr::Lambda(lambda) => return self.lambda(lambda),
            Expr::List(items) => {
                self.out.push(tag::LIST);
                self.delayed_all(items)?;
            }
            Expr::Attrs(attrs) => {
                self.out.push(tag::SET);
                self.attrs(attrs)?;
            }
            Expr::RecAttrs(attrs) => {
                self.out.push(tag::REC_SET);
                self.attrs(attrs)?;
            }
            Expr::Let { bindings, body } => {
                self.out.push(tag::LET);
                self.attrs(bindings)?;
                self.expr(body)?;
            }
            Expr::OpenWith { namespace, body, pos } => {
                self.out.push(tag::OPEN_WITH);
                self.pos(*pos);
                self.delayed(namespace)?;
                self.expr(body)?;
            }
            Expr::If { condition, then, otherwise, pos } => {
                self.out.push(tag::IF);
                self.pos(*pos);
                self.expr(condition)?;
                self.expr(then)?;
                self.expr(otherwise)?;
            }
            Expr::Assert { condition, body, written: (start, length), pos } => {
                self.out.push(tag::ASSERT);
                self.pos(*pos);
                self.pos(*start);
                self.number(*length);
                self.expr(condition)?;
                self.expr(body)?;
            }
            Expr::Not(operand, pos) => {
                self.out.push(tag::NOT);
                self.pos(*pos);
                self.expr(operand)?;
            }
            Expr::Binary { operator, left, right, pos } => {
                self.out.push(tag::BINARY);
                let place = OPERATORS.iter().position(|other| other == operator);
                self.out.push(place.expect("the list has all operators") as u8);
                self.pos(*pos);
                self.expr(left)?;
                self.expr(right)?;
            }
            Expr::Interpolate { parts, path, pos } => {
                self.out.push(if *path { tag::PATH_WITH_CODE } else { tag::INTERPOLATE });
                self.pos(*pos);
                self.count(parts.len());
                for part in *parts {
                    self.expr(part)?;
                }
            }
            Expr::CurPos(pos) => {
                self.out.push(tag::CUR_POS);
                self.pos(*pos);
            }
        }
        Some(())
    }

    fn constant(&mut self, code: &Expr, value: Value) -> Option<()> {
        if let Some(built_in) = self.built_ins.0.get(&std::ptr::from_ref(code)) {
            let (kind, name) = match *built_in {
                BuiltIn::Global(name) => (tag::GLOBAL, name),
                BuiltIn::Member(name) => (tag::MEMBER, name),
            };
            self.out.push(kind);
            self.name(name);
            return Some(());
        }
        match value {
            Value::Null => self.out.push(tag::NULL),
            Value::Bool(truth) => self.out.push(if truth { tag::TRUE } else { tag::FALSE }),
            Value::Int(int) => {
                self.out.push(tag::INT);
                // Zigzag: small negative numbers are short, too.
                self.number(((int << 1) ^ (int >> 63)) as u64);
            }
            Value::Float(float) => {
                self.out.push(tag::FLOAT);
                self.out.extend_from_slice(&float.to_bits().to_le_bytes());
            }
            Value::String(text) if text.context.is_empty() => {
                self.out.push(tag::STRING);
                self.bytes(text.bytes(self.heap));
            }
            Value::Path(path) => {
                self.out.push(tag::PATH);
                self.bytes(path.bytes(self.heap));
            }
            Value::List(list) if list.items.is_empty() => self.out.push(tag::EMPTY_LIST),
            Value::Attrs(attrs) if attrs.is_empty() => self.out.push(tag::EMPTY_SET),
            // No literal has another value.
            _ => return None,
        }
        Some(())
    }

    fn path(&mut self, path: &[Name]) -> Option<()> {
        self.count(path.len());
        for name in path {
            match name {
                Name::Static(name, pos) => {
                    self.out.push(0);
                    self.name(*name);
                    self.pos(*pos);
                }
                Name::Dynamic(code, pos) => {
                    self.out.push(1);
                    self.pos(*pos);
                    self.expr(code)?;
                }
            }
        }
        Some(())
    }

    fn delayed(&mut self, delayed: &Delayed) -> Option<()> {
        self.out.push(match delayed.delay {
            Delay::Ready => 0,
            Delay::Quick => 1,
            Delay::Thunk => 2,
        });
        self.expr(delayed.code)
    }

    fn delayed_all(&mut self, items: &[Delayed]) -> Option<()> {
        self.count(items.len());
        items.iter().try_for_each(|item| self.delayed(item))
    }

    fn lambda(&mut self, lambda: &Lambda) -> Option<()> {
        match &lambda.formals {
            Some(formals) => self.pattern(lambda, formals),
            None => {
                // A function of several arguments is a chain with one body.
                self.out.push(tag::FUNCTION);
                self.optional_name(lambda.name);
                self.number(lambda.slots);
                let mut next = Some(lambda);
                while let Some(Lambda { argument, pos, rest, .. }) = next {
                    self.name((*argument)?);
                    self.pos(*pos);
                    next = *rest;
                }
                self.expr(lambda.body)
            }
        }
    }

    fn pattern(&mut self, lambda: &Lambda, formals: &Formals) -> Option<()> {
        self.out.push(tag::PATTERN);
        self.optional_name(lambda.name);
        self.pos(lambda.pos);
        self.optional_name(lambda.argument);
        self.out.push(u8::from(formals.ellipsis));
        self.count(formals.entries.len());
        for formal in formals.entries {
            self.name(formal.name);
            self.pos(formal.pos);
            self.number(formal.slot);
            self.out.push(u8::from(formal.default.is_some()));
            if let Some(default) = &formal.default {
                self.delayed(default)?;
            }
        }
        self.expr(lambda.body)
    }

    fn attrs(&mut self, attrs: &AttrsCode) -> Option<()> {
        self.pos(attrs.pos);
        self.count(attrs.entries.len());
        for binding in attrs.entries {
            self.name(binding.name);
            self.pos(binding.pos);
            self.number(binding.slot);
            self.out.push(match binding.scope {
                BindingScope::Inner => 0,
                BindingScope::Outer => 1,
                BindingScope::From => 2,
            });
            self.delayed(&binding.code)?;
        }
        self.count(attrs.dynamic.len());
        for binding in attrs.dynamic {
            self.pos(binding.pos);
            self.expr(binding.name)?;
            self.delayed(&binding.value)?;
        }
        self.delayed_all(attrs.froms)
    }
}
