//! Lists.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::shipped;
use crate::lang::symbol::FastMap;
use crate::lang::value::Items;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("all", 2, all),
    Builtin::new("any", 2, any),
    Builtin::new("concatLists", 1, concat_lists),
    Builtin::new("concatMap", 2, concat_map),
    Builtin::new("elem", 2, elem),
    Builtin::new("elemAt", 2, elem_at),
    Builtin::new("filter", 2, filter),
    Builtin::new("foldl'", 3, foldl),
    Builtin::new("genList", 2, gen_list),
    Builtin::new("genericClosure", 1, generic_closure),
    Builtin::new("head", 1, head),
    Builtin::new("length", 1, length),
    Builtin::new("map", 2, map),
    Builtin::new("partition", 2, partition),
    Builtin::new("tail", 1, tail),
];

fn length(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    Ok(Value::Int(e.force_list(args[0], pos)?.len() as i64))
}

fn head(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    match e.force_list(args[0], pos)?.first() {
        Some(first) => e.force_at(*first, pos),
        None => e.refuse("'builtins.head' called on an empty list", pos),
    }
}

fn tail(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    match e.force_list(args[0], pos)?.split_first() {
        Some((_, rest)) => Ok(e.list_static(rest)),
        None => e.refuse("'builtins.tail' called on an empty list", pos),
    }
}

fn elem_at(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let index = e.force_int(args[1], pos)?;
    let list = e.force_list(args[0], pos)?;
    match usize::try_from(index).ok().and_then(|index| list.get(index)) {
        Some(item) => e.force_at(*item, pos),
        None => {
            let size = list.len();
            e.refuse(format!("'builtins.elemAt' called with index {index} on a list of size {size}"), pos)
        }
    }
}

fn map(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let list = e.force_list(args[1], pos)?;
    if list.is_empty() {
        return Ok(e.list_static(list));
    }
    let function = e.force_function(args[0], pos)?;
    let items = e.heap.fill(list.len(), e.members(function, Items::List(list)));
    Ok(e.list_static(items))
}

fn gen_list(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let count = e.force_int(args[1], pos)?;
    let Ok(size) = usize::try_from(count) else {
        return e.refuse(format!("cannot create list of size {count}"), pos);
    };
    let function = e.force_function(args[0], pos)?;
    // The list and a thunk for each member, which is known by a `u32`.
    e.check_room(size, 2 * size_of::<Value>(), pos)?;
    let Some(count) = Some(size).filter(|size| *size < 1 << 32) else {
        return e.refuse(format!("cannot create list of size {count}"), pos);
    };
    let items = e.heap.fill(count, e.members(function, Items::Numbers));
    Ok(e.list_static(items))
}

fn filter(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let list = e.force_list(args[1], pos)?;
    if list.is_empty() {
        return Ok(e.list_static(list));
    }
    let function = e.force_function(args[0], pos)?;
    let mut kept = Vec::with_capacity(list.len());
    for item in list {
        if test(e, function, *item, pos)? {
            kept.push(*item);
        }
    }
    Ok(if kept.len() == list.len() { e.list_static(list) } else { e.list(&kept) })
}

fn test(e: &mut Evaluator, function: Value, item: Value, pos: Pos) -> Eval<bool> {
    let truth = e.call(function, &[item], pos)?;
    e.force_bool(truth, pos)
}

fn partition(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    let list = e.force_list(args[1], pos)?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for item in list {
        e.force_at(*item, pos)?;
        if test(e, function, *item, pos)? { right.push(*item) } else { wrong.push(*item) }
    }
    let (right, wrong) = (e.list(&right), e.list(&wrong));
    Ok(e.attrs(vec![e.attr(e.known.right, right), e.attr(e.known.wrong, wrong)]))
}

fn any(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    for item in e.force_list(args[1], pos)? {
        if test(e, function, *item, pos)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn all(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    for item in e.force_list(args[1], pos)? {
        if !test(e, function, *item, pos)? {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn elem(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    for item in e.force_list(args[1], pos)? {
        if e.equal_members(args[0], *item, pos)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn concat_lists(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let mut lists = Vec::new();
    for list in e.force_list(args[0], pos)? {
        lists.push(e.force_list(*list, pos)?);
    }
    e.concat(&lists, pos)
}

fn concat_map(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    let mut lists = Vec::new();
    for item in e.force_list(args[1], pos)? {
        let part = e.call(function, &[*item], pos)?;
        lists.push(e.as_list(part, pos)?);
    }
    e.concat(&lists, pos)
}

/// The first accumulator is not forced, each result is.
fn foldl(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    let mut accumulator = args[1];
    for item in e.force_list(args[2], pos)? {
        accumulator = e.call(function, &[accumulator, *item], pos)?;
    }
    e.force_at(accumulator, pos)
}

/// A key that can be told apart from others quickly. Integers and floats that
/// are equal are one key.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Number(u64),
    Text(&'static [u8]),
    Path(&'static [u8]),
}

fn generic_closure(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let start = e.required_attr(attrs, e.known.start_set, pos)?;
    let start = e.force_list(start, pos)?;
    if start.is_empty() {
        return Ok(e.list_static(start));
    }
    let operator = e.required_attr(attrs, e.known.operator, pos)?;
    let operator = e.force_function(operator, pos)?;
    let mut seen: FastMap<Key, ()> = FastMap::default();
    let mut seen_lists: Vec<Value> = Vec::new();
    let mut done = Vec::new();
    let mut queue: std::collections::VecDeque<Value> = start.iter().copied().collect();
    let mut kind = None;
    while let Some(item) = queue.pop_front() {
        let item = e.force_at(item, pos)?;
        let set = e.as_attrs(item, pos)?;
        let key = e.required_attr(set, e.known.key, pos)?;
        let key = e.force_at(key, pos)?;
        if let Some(first) = kind.replace(key) {
            // Keys must be comparable with each other.
            e.less_than(key, first, pos)?;
        }
        let fresh = match key_of(e, key) {
            Some(key) => seen.insert(key, ()).is_none(),
            None => insert_ordered(e, &mut seen_lists, key, pos)?,
        };
        if !fresh {
            continue;
        }
        done.push(item);
        let next = e.call(operator, &[item], pos)?;
        queue.extend(e.as_list(next, pos)?.iter().copied());
    }
    Ok(e.list(&done))
}

fn key_of(e: &Evaluator, key: Value) -> Option<Key> {
    let ordered = |number: f64| {
        let bits = if number == 0.0 { 0 } else { number.to_bits() };
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    };
    Some(match key {
        Value::Int(number) if number.unsigned_abs() < 1 << 53 => Key::Number(ordered(number as f64)),
        Value::Float(number) => Key::Number(ordered(number)),
        Value::String(text) => Key::Text(text.bytes(e.heap)),
        Value::Path(path) => Key::Path(shipped::plain(path.bytes(e.heap))),
        _ => return None,
    })
}

fn insert_ordered(e: &mut Evaluator, seen: &mut Vec<Value>, key: Value, pos: Pos) -> Eval<bool> {
    let (mut low, mut high) = (0, seen.len());
    while low < high {
        let middle = (low + high) / 2;
        if e.less_than(seen[middle], key, pos)? { low = middle + 1 } else { high = middle }
    }
    if let Some(other) = seen.get(low).copied()
        && !e.less_than(key, other, pos)?
    {
        return Ok(false);
    }
    seen.insert(low, key);
    Ok(true)
}
