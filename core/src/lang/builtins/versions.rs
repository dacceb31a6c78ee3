//! Versions and names with versions.

use std::cmp::Ordering;

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::context::Context;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("compareVersions", 2, compare_versions),
    Builtin::new("parseDrvName", 1, parse_drv_name),
    Builtin::new("splitVersion", 1, split_version),
];

/// Cuts off the next component: a run of digits or of anything else, dots and
/// dashes apart.
fn component<'v>(rest: &mut &'v [u8]) -> &'v [u8] {
    let start = rest.iter().position(|b| !b".-".contains(b)).unwrap_or(rest.len());
    *rest = &rest[start..];
    let length = match rest.first() {
        Some(first) if first.is_ascii_digit() => rest.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => rest.iter().take_while(|b| !b.is_ascii_digit() && !b".-".contains(b)).count(),
    };
    let (component, after) = rest.split_at(length);
    *rest = after;
    component
}

/// Numbers by value, `pre` before everything, numbers after words.
fn compare_components(a: &[u8], b: &[u8]) -> Ordering {
    let less = |a: &[u8], b: &[u8]| match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        (None, Some(_)) if a.is_empty() => true,
        _ if a == b"pre" && b != b"pre" => true,
        _ if b == b"pre" => false,
        (_, Some(_)) => true,
        (Some(_), _) => false,
        _ => a < b,
    };
    if less(a, b) {
        Ordering::Less
    } else if less(b, a) {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// What does not fit 32 bits is text to Nix, which is less than any number.
fn number(component: &[u8]) -> Option<i32> {
    std::str::from_utf8(component).ok()?.parse().ok()
}

pub(crate) fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let order = compare_components(component(&mut a), component(&mut b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn compare_versions(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let a = e.force_plain(args[0], pos)?;
    let b = e.force_plain(args[1], pos)?;
    Ok(Value::Int(compare(a, b) as i64))
}

fn split_version(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let mut rest = e.force_plain(args[0], pos)?;
    let mut parts = Vec::new();
    loop {
        let part = component(&mut rest);
        if part.is_empty() {
            return Ok(e.list(&parts));
        }
        parts.push(e.string(part));
    }
}

/// A package's name and version: that begins after the first dash that no
/// letter follows.
pub(crate) fn split_name(text: &[u8]) -> (&[u8], &[u8]) {
    match text.windows(2).position(|pair| pair[0] == b'-' && !pair[1].is_ascii_alphabetic()) {
        Some(dash) => (&text[..dash], &text[dash + 1..]),
        None => (text, b""),
    }
}

fn parse_drv_name(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (name, version) = split_name(e.force_plain(args[0], pos)?);
    let name = e.string_static(name, Context::EMPTY);
    let version = e.string(version);
    let symbol = e.symbols.intern(b"version");
    Ok(e.attrs(vec![e.attr(e.known.name, name), e.attr(symbol, version)]))
}
