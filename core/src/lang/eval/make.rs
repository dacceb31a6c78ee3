//! Making values and faults.

use super::{Eval, Evaluator};
use crate::lang::context::Context;
use crate::lang::error::{ErrorKind, Fault, nearest};
use crate::lang::host::HostError;
use crate::lang::source::Pos;
use crate::lang::stack;
use crate::lang::symbol::Sym;
use crate::lang::value::{Attr, Attrs, Call, List, State, Str, Thunk, Value};

impl Evaluator {
    pub fn string(&self, bytes: &[u8]) -> Value {
        self.string_with(bytes, Context::EMPTY)
    }

    pub fn string_with(&self, bytes: &[u8], context: Context) -> Value {
        if bytes.is_empty() && context.is_empty() {
            return Value::String(self.empty);
        }
        self.string_static(self.heap.bytes(bytes), context)
    }

    /// A string over bytes that already are in the heap.
    pub fn string_static(&self, bytes: &'static [u8], context: Context) -> Value {
        Value::String(self.heap.cell(Str::flat(bytes, context)))
    }

    pub fn path(&self, bytes: &[u8]) -> Value {
        let bytes = self.heap.bytes(bytes);
        Value::Path(self.heap.cell(Str::flat(bytes, Context::EMPTY)))
    }

    pub fn list(&self, items: &[Value]) -> Value {
        self.list_static(self.heap.slice(items))
    }

    pub fn list_static(&self, items: &'static [Value]) -> Value {
        Value::List(self.heap.put(List { items }))
    }

    /// A set from entries in any order; of two with one name the later stays.
    pub fn attrs(&self, mut entries: Vec<Attr>) -> Value {
        entries.sort_by_key(|a| a.name);
        let mut kept: Vec<Attr> = Vec::with_capacity(entries.len());
        for entry in entries {
            match kept.last_mut() {
                Some(last) if last.name == entry.name => *last = entry,
                _ => kept.push(entry),
            }
        }
        self.attrs_sorted(&kept)
    }

    /// A set from entries sorted by symbol, without duplicates.
    pub fn attrs_sorted(&self, entries: &[Attr]) -> Value {
        Value::Attrs(self.heap.cell(Attrs::sorted(self.heap.slice(entries))))
    }

    pub fn attr(&self, name: Sym, value: Value) -> Attr {
        Attr { name, pos: Pos::NONE, value }
    }

    /// `function arguments…`, when it is needed.
    pub fn lazy_call(&self, function: Value, arguments: &[Value]) -> Value {
        let call = self.heap.put(Call { function, arguments: self.heap.slice(arguments) });
        Value::Thunk(self.heap.cell(Thunk::new(State::Call(call))))
    }

    /// Entries in order of names, as everything shows them.
    pub fn entries_by_name(&self, attrs: &'static Attrs) -> Vec<Attr> {
        let entries = attrs.entries(self.heap);
        if entries.len() < 2 {
            return entries.to_vec();
        }
        // Most names differ in their first bytes, which are compared as one
        // number, without looking the text up.
        let mut order: Vec<(u64, u32)> = (0..)
            .zip(entries)
            .map(|(index, attr)| (beginning(self.symbols.text(attr.name)), index))
            .collect();
        let text = |index: u32| self.symbols.text(entries[index as usize].name);
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| text(a.1).cmp(text(b.1))));
        order.iter().map(|(_, index)| entries[*index as usize]).collect()
    }

    /// `{ file, line, column }`, or null for what is not in a file.
    pub fn position(&self, pos: Pos) -> Value {
        let Some(location) = self.sources.locate(pos) else { return Value::Null };
        let Some(file) = location.origin.file() else { return Value::Null };
        let file = self.string(file.as_os_str().as_encoded_bytes());
        self.attrs(vec![
            self.attr(self.known.file, file),
            self.attr(self.known.line, Value::Int(location.line.into())),
            self.attr(self.known.column, Value::Int(location.column.into())),
        ])
    }

    pub fn fault(&self, kind: ErrorKind, message: impl AsRef<str>, pos: Pos) -> Fault {
        Fault::new(self.heap, kind, message.as_ref(), pos)
    }

    pub fn fail<T>(&self, kind: ErrorKind, message: impl AsRef<str>, pos: Pos) -> Eval<T> {
        Err(self.fault(kind, message, pos))
    }

    pub fn host_fault(&self, error: &HostError, pos: Pos) -> Fault {
        let fault = self.fault(ErrorKind::Host, &error.message, pos);
        match &error.hint {
            Some(hint) => fault.with_hint(self.heap, hint),
            None => fault,
        }
    }

    /// Fails if the stack is nearly used up; called wherever data or programs
    /// decide how deep to go.
    #[inline(always)]
    pub fn check_stack(&self, pos: Pos) -> Eval<()> {
        if stack::here() < self.heap.stack_floor() {
            return self.stack_used_up(pos);
        }
        Ok(())
    }

    #[cold]
    pub(in crate::lang) fn too_deep<T>(&self, pos: Pos) -> Eval<T> {
        self.fail(ErrorKind::Depth, "stack overflow; max-call-depth exceeded", pos)
    }

    #[cold]
    fn stack_used_up<T>(&self, pos: Pos) -> Eval<T> {
        if self.heap.allocated() > self.heap.ceiling() {
            return Err(self.out_of_memory(pos));
        }
        if self.heap.stack_floor() == usize::MAX {
            return self.fail(ErrorKind::Interrupted, "interrupted", Pos::NONE);
        }
        self.fail(ErrorKind::Depth, "stack overflow (possible infinite recursion)", pos)
    }

    /// Fails if a list or string of this size would pass the ceiling of memory.
    #[inline]
    pub fn check_room(&self, count: usize, size_bytes: usize, pos: Pos) -> Eval<()> {
        match count.checked_mul(size_bytes) {
            Some(bytes) if bytes <= self.heap.room().min(isize::MAX as usize) => Ok(()),
            _ => Err(self.out_of_memory(pos)),
        }
    }

    #[cold]
    pub fn out_of_memory(&self, pos: Pos) -> Fault {
        let mebibytes = self.heap.ceiling() >> 20;
        let message = format!("out of memory: the evaluation needs more than {mebibytes} MiB");
        self.fault(ErrorKind::Memory, message, pos)
    }

    pub(super) fn suggest(&self, fault: Fault, wanted: &str, candidates: &[String]) -> Fault {
        match nearest(wanted, candidates.iter().map(String::as_str)) {
            Some(near) => fault.with_hint(self.heap, &format!("did you mean {near}?")),
            None => fault,
        }
    }

    #[cold]
    pub fn missing_attribute(&self, name: Sym, attrs: &'static Attrs, pos: Pos) -> Fault {
        let message = format!("attribute '{}' missing", self.show_symbol(name));
        let fault = self.fault(ErrorKind::MissingAttribute, message, pos);
        let name = self.symbols.display(name);
        let names: Vec<String> =
            self.entries_by_name(attrs).iter().map(|a| self.symbols.display(a.name)).collect();
        self.suggest(fault, &name, &names)
    }
}

/// The first eight bytes as a number that sorts like them.
fn beginning(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(bytes)
}
