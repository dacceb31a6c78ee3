//! From bytes to code.

use std::cell::Cell;

use super::{OPERATORS, tag};
use crate::lang::code::{
    AttrsCode, Binding, BindingScope, Delay, Delayed, DynamicBinding, Expr, Formal, Formals, Lambda, Name,
    WithVariable,
};
use crate::lang::context::Context;
use crate::lang::heap::Heap;
use crate::lang::source::{Base, Pos};
use crate::lang::stack;
use crate::lang::symbol::{FastMap, Sym, Symbols};
use crate::lang::value::{Attrs, List, Str, Value};

/// What code refers to.
pub(in crate::lang) struct Around<'a> {
    pub heap: Heap,
    pub symbols: &'a mut Symbols,
    pub globals: &'a FastMap<Sym, Value>,
    pub builtins: Value,
    pub codes: &'a mut Vec<&'static Expr>,
    pub base: Base,
}

/// The code; none if the bytes are no code.
pub(in crate::lang) fn read(bytes: &[u8], around: Around<'_>) -> Option<&'static Expr> {
    let mut reader = Reader { rest: bytes, around, names: Vec::new(), floor: stack::floor() };
    let count = reader.count()?;
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        texts.push(reader.bytes()?);
    }
    let mut names = vec![None; count];
    for _ in 0..count {
        let place = reader.number()? as usize;
        *names.get_mut(place)? = Some(reader.around.symbols.intern(texts.get(place)?));
    }
    reader.names = names.into_iter().collect::<Option<_>>()?;
    let code = reader.expr()?;
    reader.rest.is_empty().then_some(code)
}

struct Reader<'a> {
    rest: &'a [u8],
    around: Around<'a>,
    names: Vec<Sym>,
    /// The address that the stack must not pass.
    floor: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(first.into());
        }
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    #[inline]
    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// How many of something follow, each of which has a byte at least.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.rest.len())
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.count()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline]
    fn pos(&mut self) -> Option<Pos> {
        Some(match self.small()? {
            0 => Pos::NONE,
            offset => self.around.base.at(offset - 1),
        })
    }

    #[inline]
    fn name(&mut self) -> Option<Sym> {
        let place = self.number()? as usize;
        self.names.get(place).copied()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn optional_name(&mut self) -> Option<Option<Sym>> {
        Some(if self.flag()? { Some(self.name()?) } else { None })
    }

    fn several<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count()?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(one(self)?);
        }
        Some(all)
    }

    fn expr(&mut self) -> Option<&'static Expr> {
        if stack::here() < self.floor {
            return None;
        }
        let heap = self.around.heap;
        let kind = self.byte()?;
        let expr = match kind {
            tag::NULL => Expr::Const(Value::Null),
            tag::FALSE => Expr::Const(Value::Bool(false)),
            tag::TRUE => Expr::Const(Value::Bool(true)),
            tag::INT => {
                let number = self.number()?;
                Expr::Const(Value::Int((number >> 1) as i64 ^ -((number & 1) as i64)))
            }
            tag::FLOAT => {
                let (bits, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Expr::Const(Value::Float(f64::from_bits(u64::from_le_bytes(*bits))))
            }
            tag::STRING => {
                let bytes = heap.bytes(self.bytes()?);
                Expr::Const(Value::String(heap.cell(Str::flat(bytes, Context::EMPTY))))
            }
            tag::PATH => {
                let bytes = heap.bytes(self.bytes()?);
                Expr::Const(Value::Path(heap.cell(Str::flat(bytes, Context::EMPTY))))
            }
            tag::EMPTY_LIST => Expr::Const(Value::List(heap.put(List { items: &[] }))),
            tag::EMPTY_SET => Expr::Const(Value::Attrs(heap.cell(Attrs::sorted(&[])))),
            tag::GLOBAL => {
                let name = self.name()?;
                Expr::Const(*self.around.globals.get(&name)?)
            }
            tag::MEMBER => {
                let name = self.name()?;
                let Value::Attrs(builtins) = self.around.builtins else { return None };
                Expr::Const(builtins.get(name)?.value)
            }
            tag::LOCAL => Expr::Local { depth: self.small()?, slot: self.small()?, pos: self.pos()? },
            tag::WITH => {
                let name = self.name()?;
                let depths = self.several(Self::small)?;
                let (depths, pos, found) = (heap.slice(&depths), self.pos()?, Cell::new(None));
                if depths.is_empty() {
                    return None;
                }
                Expr::With(heap.cell(WithVariable { name, depths, pos, found }))
            }
            tag::SELECT | tag::SELECT_OR => {
                let pos = self.pos()?;
                let base = self.expr()?;
                let path = self.path()?;
                let default = if kind == tag::SELECT_OR { Some(self.expr()?) } else { None };
                Expr::Select { base, path, default, pos }
            }
            tag::INHERIT_FROM => {
                Expr::InheritFrom { slot: self.small()?, name: self.name()?, pos: self.pos()? }
            }
            tag::HAS_ATTR => Expr::HasAttr { base: self.expr()?, path: self.path()? },
            tag::APPLY => {
                let pos = self.pos()?;
                Expr::Apply { function: self.expr()?, arguments: self.delayed_all()?, pos }
            }
            tag::FUNCTION => Expr::Lambda(self.function()?),
            tag::PATTERN => Expr::Lambda(self.pattern()?),
            tag::LIST => Expr::List(self.delayed_all()?),
            tag::SET => Expr::Attrs(self.attrs()?),
            tag::REC_SET => Expr::RecAttrs(self.attrs()?),
            tag::LET => Expr::Let { bindings: self.attrs()?, body: self.expr()? },
            tag::OPEN_WITH => {
                let pos = self.pos()?;
                Expr::OpenWith { namespace: self.delayed()?, body: self.expr()?, pos }
            }
            tag::IF => {
                let pos = self.pos()?;
                Expr::If { condition: self.expr()?, then: self.expr()?, otherwise: self.expr()?, pos }
            }
            tag::ASSERT => {
                let pos = self.pos()?;
                let written = (self.pos()?, self.small()?);
                Expr::Assert { condition: self.expr()?, body: self.expr()?, written, pos }
            }
            tag::NOT => {
                let pos = self.pos()?;
                Expr::Not(self.expr()?, pos)
            }
            tag::BINARY => {
                let operator = *OPERATORS.get(usize::from(self.byte()?))?;
                let pos = self.pos()?;
                Expr::Binary { operator, left: self.expr()?, right: self.expr()?, pos }
            }
            tag::INTERPOLATE | tag::PATH_WITH_CODE => {
                let pos = self.pos()?;
                let parts = self.several(Self::expr)?;
                Expr::Interpolate { parts: heap.slice(&parts), path: kind == tag::PATH_WITH_CODE, pos }
            }
            tag::CUR_POS => Expr::CurPos(self.pos()?),
            _ => return None,
        };
        Some(heap.cell(expr))
    }

    fn path(&mut self) -> Option<&'static [Name]> {
        let path = self.several(|reader| {
            Some(if reader.flag()? {
                let pos = reader.pos()?;
                Name::Dynamic(reader.expr()?, pos)
            } else {
                Name::Static(reader.name()?, reader.pos()?)
            })
        })?;
        Some(self.around.heap.slice(&path))
    }

    fn delayed(&mut self) -> Option<Delayed> {
        let delay = match self.byte()? {
            0 => Delay::Ready,
            1 => Delay::Quick,
            2 => Delay::Thunk,
            _ => return None,
        };
        let code = self.expr()?;
        let number = u32::try_from(self.around.codes.len()).ok()?;
        self.around.codes.push(code);
        Some(Delayed { code, number, delay })
    }

    fn delayed_all(&mut self) -> Option<&'static [Delayed]> {
        let all = self.several(Self::delayed)?;
        Some(self.around.heap.slice(&all))
    }

    fn function(&mut self) -> Option<&'static Lambda> {
        let name = self.optional_name()?;
        let slots = self.count()? as u32;
        let mut arguments = Vec::with_capacity(slots as usize);
        for _ in 0..slots {
            arguments.push((self.name()?, self.pos()?));
        }
        let body = self.expr()?;
        Lambda::simple(&arguments, body, name, self.around.heap)
    }

    fn pattern(&mut self) -> Option<&'static Lambda> {
        let name = self.optional_name()?;
        let pos = self.pos()?;
        let argument = self.optional_name()?;
        let ellipsis = self.flag()?;
        let mut entries = self.several(|reader| {
            let (name, pos, slot) = (reader.name()?, reader.pos()?, reader.small()?);
            let default = if reader.flag()? { Some(reader.delayed()?) } else { None };
            Some(Formal { name, pos, slot, default })
        })?;
        entries.sort_unstable_by_key(|formal| formal.name);
        let slots = entries.len() as u32 + u32::from(argument.is_some());
        if entries.iter().any(|formal| formal.slot >= slots) {
            return None;
        }
        let formals = Some(Formals { entries: self.around.heap.slice(&entries), ellipsis });
        let body = self.expr()?;
        let (held, takes, rest) = (0, 1, None);
        Some(self.around.heap.cell(Lambda { argument, formals, body, slots, held, takes, rest, name, pos }))
    }

    fn attrs(&mut self) -> Option<&'static AttrsCode> {
        let pos = self.pos()?;
        let mut entries = self.several(|reader| {
            let (name, pos, slot) = (reader.name()?, reader.pos()?, reader.small()?);
            let scope = match reader.byte()? {
                0 => BindingScope::Inner,
                1 => BindingScope::Outer,
                2 => BindingScope::From,
                _ => return None,
            };
            Some(Binding { name, pos, slot, scope, code: reader.delayed()? })
        })?;
        entries.sort_unstable_by_key(|binding| binding.name);
        if entries.iter().any(|binding| binding.slot as usize >= entries.len()) {
            return None;
        }
        let dynamic = self.several(|reader| {
            let pos = reader.pos()?;
            Some(DynamicBinding { name: reader.expr()?, value: reader.delayed()?, pos })
        })?;
        let froms = self.delayed_all()?;
        let heap = self.around.heap;
        let (entries, dynamic) = (heap.slice(&entries), heap.slice(&dynamic));
        Some(heap.cell(AttrsCode { entries, dynamic, froms, pos }))
    }
}
