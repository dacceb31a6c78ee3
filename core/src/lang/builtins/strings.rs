//! Strings.

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::context::{Context, Gathered};

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("concatStringsSep", 2, concat_strings_sep),
    Builtin::new("replaceStrings", 3, replace_strings),
    Builtin::new("stringLength", 1, string_length),
    Builtin::new("substring", 3, substring),
    Builtin::new("toString", 1, to_string),
];

fn to_string(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    Ok(Value::String(e.coerce(args[0], Coercion::TO_STRING, pos)?))
}

fn string_length(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    Ok(Value::Int(e.coerce(args[0], Coercion::INTERPOLATE, pos)?.len() as i64))
}

fn substring(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let Ok(start) = usize::try_from(e.force_int(args[0], pos)?) else {
        return e.refuse("negative start position in 'substring'", pos);
    };
    let length = e.force_int(args[1], pos)?;
    let text = e.coerce(args[2], Coercion::INTERPOLATE, pos)?;
    let size = text.len();
    let start = start.min(size);
    // A negative length means the rest.
    let end = usize::try_from(length).map_or(size, |length| start.saturating_add(length).min(size));
    if start == 0 && end == size {
        return Ok(Value::String(text));
    }
    Ok(e.string_static(&text.bytes(e.heap)[start..end], text.context))
}

fn concat_strings_sep(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let separator = e.force_str(args[0], pos)?;
    let list = e.force_list(args[1], pos)?;
    let mut context = Gathered::default();
    context.add(separator.context);
    let mut out = Vec::new();
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator.bytes(e.heap));
        }
        let part = e.coerce(*item, Coercion::INTERPOLATE, pos)?;
        context.add(part.context);
        e.check_room(out.len(), 2, pos)?;
        out.extend_from_slice(part.bytes(e.heap));
    }
    let context = e.contexts.join(context);
    Ok(e.string_with(&out, context))
}

/// At each place the first pattern that fits is replaced; an empty pattern
/// fits everywhere and then one byte is copied.
fn replace_strings(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let patterns = e.force_list(args[0], pos)?;
    let replacements = e.force_list(args[1], pos)?;
    if patterns.len() != replacements.len() {
        return e.refuse(
            "'from' and 'to' arguments passed to builtins.replaceStrings have different lengths",
            pos,
        );
    }
    let mut from: Vec<&'static [u8]> = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        from.push(e.force_str(*pattern, pos)?.bytes(e.heap));
    }
    let text = e.force_str(args[2], pos)?;
    let mut context: Context = text.context;
    let bytes = text.bytes(e.heap);
    // Replacements are evaluated only if used.
    let mut to: Vec<Option<&'static [u8]>> = vec![None; from.len()];
    let mut by_first: [Vec<usize>; 256] = std::array::from_fn(|_| Vec::new());
    for (index, pattern) in from.iter().enumerate() {
        match pattern.first() {
            Some(first) => by_first[usize::from(*first)].push(index),
            None => by_first.iter_mut().for_each(|list| list.push(index)),
        }
    }
    let empty = from.iter().position(|p| p.is_empty());
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at <= bytes.len() {
        let hit = match bytes.get(at) {
            Some(first) => by_first[usize::from(*first)]
                .iter()
                .copied()
                .find(|index| bytes[at..].starts_with(from[*index])),
            None => empty,
        };
        let Some(index) = hit else {
            if let Some(byte) = bytes.get(at) {
                out.push(*byte);
            }
            at += 1;
            continue;
        };
        let replacement = match to[index] {
            Some(text) => text,
            None => {
                let text = e.force_str(replacements[index], pos)?;
                context = e.contexts.union(context, text.context);
                let bytes = text.bytes(e.heap);
                to[index] = Some(bytes);
                bytes
            }
        };
        out.extend_from_slice(replacement);
        if from[index].is_empty() {
            if let Some(byte) = bytes.get(at) {
                out.push(*byte);
            }
            at += 1;
        } else {
            at += from[index].len();
        }
    }
    Ok(e.string_with(&out, context))
}
