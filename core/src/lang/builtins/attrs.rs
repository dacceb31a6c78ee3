//! Attribute sets.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::symbol::{FastMap, Sym};
use crate::lang::value::{Attr, Attrs, Items};

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("attrNames", 1, attr_names),
    Builtin::new("attrValues", 1, attr_values),
    Builtin::new("catAttrs", 2, cat_attrs),
    Builtin::new("functionArgs", 1, function_args),
    Builtin::new("getAttr", 2, get_attr),
    Builtin::new("groupBy", 2, group_by),
    Builtin::new("hasAttr", 2, has_attr),
    Builtin::new("intersectAttrs", 2, intersect_attrs),
    Builtin::new("listToAttrs", 1, list_to_attrs),
    Builtin::new("mapAttrs", 2, map_attrs),
    Builtin::new("removeAttrs", 2, remove_attrs),
    Builtin::new("unsafeGetAttrPos", 2, unsafe_get_attr_pos),
    Builtin::new("zipAttrsWith", 2, zip_attrs_with),
];

fn attr_names(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let names: Vec<Value> =
        e.entries_by_name(attrs).iter().map(|a| Value::String(e.symbols.string(a.name))).collect();
    Ok(e.list(&names))
}

fn attr_values(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let values: Vec<Value> = e.entries_by_name(attrs).iter().map(|a| a.value).collect();
    Ok(e.list(&values))
}

fn name_argument(e: &mut Evaluator, value: Value, pos: Pos) -> Eval<Sym> {
    let value = e.force_at(value, pos)?;
    e.name_of(value, pos)
}

fn get_attr(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let name = name_argument(e, args[0], pos)?;
    let attrs = e.force_attrs(args[1], pos)?;
    match attrs.get(name) {
        Some(attr) => e.force_at(attr.value, attr.pos),
        None => Err(e.missing_attribute(name, attrs, pos)),
    }
}

fn has_attr(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let name = name_argument(e, args[0], pos)?;
    let attrs = e.force_attrs(args[1], pos)?;
    Ok(Value::Bool(attrs.get(name).is_some()))
}

fn unsafe_get_attr_pos(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let name = name_argument(e, args[0], pos)?;
    let attrs = e.force_attrs(args[1], pos)?;
    Ok(attrs.get(name).map_or(Value::Null, |attr| e.position(attr.pos)))
}

fn remove_attrs(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let names = e.force_list(args[1], pos)?;
    let mut gone = Vec::with_capacity(names.len());
    for name in names {
        gone.push(name_argument(e, *name, pos)?);
    }
    gone.sort_unstable();
    let kept: Vec<Attr> =
        attrs.entries(e.heap).iter().filter(|a| gone.binary_search(&a.name).is_err()).copied().collect();
    Ok(e.attrs_sorted(&kept))
}

/// Of two members with one name the first counts; values of the others are not
/// even looked for.
fn list_to_attrs(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let list = e.force_list(args[0], pos)?;
    let mut named = Vec::with_capacity(list.len());
    for item in list {
        let item = e.force_attrs(*item, pos)?;
        let name = e.required_attr(item, e.known.name, pos)?;
        named.push((name_argument(e, name, pos)?, item));
    }
    // Stable, so the first of each name stays first.
    named.sort_by_key(|(name, _)| *name);
    named.dedup_by_key(|(name, _)| *name);
    let mut members = Vec::with_capacity(named.len());
    for (name, item) in named {
        let Some(value) = item.get(e.known.value) else {
            return Err(e.missing_attribute(e.known.value, item, pos));
        };
        members.push(Attr { name, ..*value });
    }
    Ok(e.attrs_sorted(&members))
}

fn intersect_attrs(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let left = e.force_attrs(args[0], pos)?;
    let right = e.force_attrs(args[1], pos)?;
    let (mut left, mut right) = (left.entries(e.heap), right.entries(e.heap));
    let mut kept: Vec<Attr> = Vec::new();
    if left.len() * 8 < right.len() || right.len() * 8 < left.len() {
        // The few are looked up among the many.
        let find = |entries: &[Attr], name| entries.binary_search_by_key(&name, |a: &Attr| a.name).ok();
        if left.len() < right.len() {
            kept.extend(left.iter().filter_map(|a| find(right, a.name)).map(|index| right[index]));
        } else {
            kept.extend(right.iter().filter(|a| find(left, a.name).is_some()));
        }
        return Ok(e.attrs_sorted(&kept));
    }
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        if a.name == b.name {
            kept.push(*b);
        }
        if a.name <= b.name {
            left = left_rest;
        }
        if b.name <= a.name {
            right = right_rest;
        }
    }
    Ok(e.attrs_sorted(&kept))
}

fn cat_attrs(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let name = name_argument(e, args[0], pos)?;
    let list = e.force_list(args[1], pos)?;
    let mut found = Vec::new();
    for item in list {
        if let Some(attr) = e.force_attrs(*item, pos)?.get(name) {
            found.push(attr.value);
        }
    }
    Ok(e.list(&found))
}

fn function_args(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    match e.force_at(args[0], pos)? {
        Value::Lambda(closure) => {
            let formals = closure.lambda.formals.as_ref().map_or(&[][..], |f| f.entries);
            let entries: Vec<Attr> = formals
                .iter()
                .map(|f| Attr { name: f.name, pos: f.pos, value: Value::Bool(f.default.is_some()) })
                .collect();
            Ok(e.attrs_sorted(&entries))
        }
        Value::Builtin(_) | Value::Partial(_) => Ok(Value::Attrs(e.heap.cell(Attrs::sorted(&[])))),
        _ => e.fail(crate::lang::error::ErrorKind::Type, "'functionArgs' requires a function", pos),
    }
}

fn map_attrs(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[1], pos)?;
    let function = args[0];
    let entries = attrs.entries(e.heap);
    if entries.is_empty() {
        return Ok(Value::Attrs(attrs));
    }
    let member = e.members(function, Items::Attrs(entries));
    let entries =
        e.heap.fill(entries.len(), |i| Attr { name: entries[i].name, pos: Pos::NONE, value: member(i) });
    Ok(Value::Attrs(e.heap.cell(Attrs::sorted(entries))))
}

fn group_by(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    let list = e.force_list(args[1], pos)?;
    let mut groups = Groups::default();
    for item in list {
        let key = e.call(function, &[*item], pos)?;
        groups.add(e.name_of(key, pos)?);
    }
    let entries = groups
        .finish(e, list.iter().copied())
        .map(|(name, items)| e.attr(name, e.list_static(items)))
        .collect();
    Ok(e.attrs(entries))
}

fn zip_attrs_with(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let function = e.force_function(args[0], pos)?;
    let list = e.force_list(args[1], pos)?;
    let mut groups = Groups::default();
    let mut sets = Vec::with_capacity(list.len());
    for item in list {
        let entries = e.force_attrs(*item, pos)?.entries(e.heap);
        sets.push(entries);
        for attr in entries {
            groups.add(attr.name);
        }
    }
    let values = sets.into_iter().flatten().map(|attr| attr.value);
    let member = |(name, items)| {
        let shown = Value::String(e.symbols.string(name));
        e.attr(name, e.lazy_call(function, &[shown, e.list_static(items)]))
    };
    let entries = groups.finish(e, values).map(member).collect();
    Ok(e.attrs(entries))
}

/// Values by name, in the order in which they came: a long buffer rather than
/// one for each name.
#[derive(Default)]
struct Groups {
    index: FastMap<Sym, u32>,
    /// The names, each with the number of its values.
    names: Vec<(Sym, u32)>,
    /// The group of each value.
    values: Vec<u32>,
}

impl Groups {
    /// The next value has this name.
    fn add(&mut self, name: Sym) {
        let next = self.names.len() as u32;
        let group = *self.index.entry(name).or_insert(next);
        if group == next {
            self.names.push((name, 0));
        }
        self.names[group as usize].1 += 1;
        self.values.push(group);
    }

    /// `values` are all of them.
    fn finish(
        self,
        e: &Evaluator,
        values: impl Iterator<Item = Value>,
    ) -> impl Iterator<Item = (Sym, &'static [Value])> {
        let mut ends: Vec<usize> = Vec::with_capacity(self.names.len());
        let mut total = 0;
        for (_, count) in &self.names {
            ends.push(total);
            total += *count as usize;
        }
        let mut sorted = vec![Value::Unset; total];
        for (group, value) in self.values.iter().zip(values) {
            let end = &mut ends[*group as usize];
            sorted[*end] = value;
            *end += 1;
        }
        let sorted = e.heap.slice(&sorted);
        self.names
            .into_iter()
            .zip(ends)
            .map(move |((name, count), end)| (name, &sorted[end - count as usize..end]))
    }
}
