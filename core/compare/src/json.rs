//! JSON, by JSON pointer (RFC 6901).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::difference::{Class, Difference, Hint, Step, StepKind, What};
use crate::engine::{Children, value};
use crate::limits::Limits;
use crate::listing;
use crate::source::{Refusal, Source};
use crate::text::lines;

/// Compares values; where they are equal, says what of the spelling is not.
///
/// # Errors
/// [`Refusal::Malformed`] if a side is not one JSON value, and
/// [`Refusal::Beyond`] if one is too large.
pub(crate) fn describe(
    node: &mut Difference,
    left: &Source,
    right: &Source,
    limits: &Limits,
) -> Result<(), Refusal> {
    let (left, right) = (left.whole(limits.text_bytes)?, right.whole(limits.text_bytes)?);
    let (a, b) = (parse(&left)?, parse(&right)?);
    if a == b {
        spelling(node, &left, &right, limits);
        return Ok(());
    }
    let mut children = Children::new(limits);
    values(String::new(), &a, &b, &mut children);
    node.what = What::Inside;
    children.hand_to(node);
    Ok(())
}

/// The parser bounds how deep values nest, and with it the stack below here.
fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| Refusal::Malformed("it is not one JSON value"))
}

fn values(pointer: String, left: &Value, right: &Value, children: &mut Children) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let below = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                pair(below, a.get(key), b.get(key), children);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if is_another_sequence(a, b) {
                let mut node = Difference::new(Step::new(StepKind::Pointer, pointer), What::Order);
                let evidence = format!("both arrays have the same {} values in another sequence", a.len());
                node.hints.push(Hint { class: Class::Order, evidence });
                children.push(node);
                return;
            }
            for index in 0..a.len().max(b.len()) {
                pair(format!("{pointer}/{index}"), a.get(index), b.get(index), children);
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let (a, b) = (shown(a), shown(b));
            children.push(value(Step::new(StepKind::Pointer, pointer), &a, &b, None));
        }
    }
}

fn pair(pointer: String, left: Option<&Value>, right: Option<&Value>, children: &mut Children) {
    let (what, only) = match (left, right) {
        (Some(a), Some(b)) if a == b => return,
        (Some(_), Some(_)) if children.is_full() => return children.count(),
        (Some(a), Some(b)) => return values(pointer, a, b, children),
        (Some(only), None) => (What::OnlyLeft, only),
        (None, Some(only)) => (What::OnlyRight, only),
        (None, None) => return,
    };
    let mut node = Difference::new(Step::new(StepKind::Pointer, pointer), what);
    let text = shown(only);
    let cut = &text[..text.len().min(200)];
    node.notes.push(format!("it is {}", crate::printable(cut)));
    children.push(node);
}

fn is_another_sequence(left: &[Value], right: &[Value]) -> bool {
    if left.len() != right.len() || left == right {
        return false;
    }
    let sorted = |values: &[Value]| {
        let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    sorted(left) == sorted(right)
}

/// Strings as they are, everything else as JSON.
fn shown(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

fn spelling(node: &mut Difference, left: &[u8], right: &[u8], limits: &Limits) {
    let (mut a, mut b) = (tokens(left), tokens(right));
    listing::describe(node, &lines(left), &lines(right), limits);
    node.hints.clear();
    node.what = What::Encoding;
    if a == b {
        node.notes.push("the values are equal, only white space differs".to_owned());
        return;
    }
    a.sort_unstable();
    b.sort_unstable();
    if a == b {
        node.what = What::Order;
        node.notes.push("the values are equal, only the sequence of keys differs".to_owned());
        let evidence = "both sides have the same keys and values in another sequence".to_owned();
        node.hints.push(Hint { class: Class::Order, evidence });
    } else {
        node.notes
            .push("the values are equal, their spelling (escapes, digits, repeated keys) is not".to_owned());
    }
}

/// Strings, numbers, words and signs of a text that was parsed already.
fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => {
                let mut at = 1;
                while at < rest.len() && rest[at] != b'"' {
                    at += if rest[at] == b'\\' { 2 } else { 1 };
                }
                (at + 1).min(rest.len())
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            byte if byte.is_ascii_whitespace() => {
                rest = &rest[1..];
                continue;
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",:]}[{\"".contains(byte);
                rest.iter().position(ends).unwrap_or(rest.len())
            }
        };
        let (token, behind) = rest.split_at(length);
        found.push(token);
        rest = behind;
    }
    found
}
