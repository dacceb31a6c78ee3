//! A tree for a terminal: a few lines a leaf, `-` for the left side and `+`
//! for the right one. No colour.

use std::fmt::Write;

use crate::difference::{Difference, Excerpt, Line, LineSide, Sides, StepKind, What, printable};

/// Renders a difference. `left` and `right` are what the two sides are called
/// in the heading.
pub fn render(difference: &Difference, left: &str, right: &str) -> String {
    let mut text = format!("- {left}\n+ {right}\n");
    node(difference, 0, &mut text);
    text
}

fn node(difference: &Difference, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let (names, at) = names(difference);
    let depth = if names.is_empty() { depth } else { depth + 1 };
    if !names.is_empty() {
        line(text, &indent, &format!("{names}: {}", summary(at)));
    } else if at.children.is_empty() {
        line(text, &indent, &summary(at));
    }
    let below = "  ".repeat(depth);
    for note in &at.notes {
        line(text, &below, &format!("note: {note}"));
    }
    for shown in shown(at) {
        line(text, &below, &shown);
    }
    for hint in &at.hints {
        line(text, &below, &format!("hint: {}: {}", hint.class.word(), hint.evidence));
    }
    for child in &at.children {
        node(child, depth, text);
    }
    if at.children_omitted != 0 {
        line(text, &below, &format!("… and {} more that differ", at.children_omitted));
    }
}

/// The steps to what there is something to say of, and that: a step with one
/// child and nothing to say shares its child's line. No steps: what was
/// compared itself.
pub fn names(difference: &Difference) -> (String, &Difference) {
    let mut names = Vec::new();
    let mut at = difference;
    loop {
        if at.step.kind != StepKind::Root {
            names.push(at.step.to_string());
        }
        match at.children.as_slice() {
            [only] if at.notes.is_empty() && at.children_omitted == 0 && at.what == What::Inside => at = only,
            _ => return (names.join(" › "), at),
        }
    }
}

/// One line on what differs, without what is below it.
pub fn summary(node: &Difference) -> String {
    let format = node.format.map(|format| format!("{format}, ")).unwrap_or_default();
    let mut text = match &node.what {
        What::OnlyLeft => "only on the left".to_owned(),
        What::OnlyRight => "only on the right".to_owned(),
        What::Kind(Sides { left, right }) => format!("{left} on the left, {right} on the right"),
        What::Value(_) => "another value".to_owned(),
        What::Bytes => format!("{format}bytes differ"),
        What::Text => format!("{format}lines differ"),
        What::Order => format!("{format}another sequence"),
        What::Encoding => format!("{format}equal inside, written differently"),
        What::Inside => format!("{format}differs inside"),
    };
    match node.sizes {
        Sides { left: Some(a), right: Some(b) } if a == b => write_to(&mut text, &format!(", {a} bytes")),
        Sides { left: Some(a), right: Some(b) } => write_to(&mut text, &format!(", {a} and {b} bytes")),
        Sides { left: Some(size), .. } | Sides { right: Some(size), .. } => {
            write_to(&mut text, &format!(", {size} bytes"));
        }
        _ => {}
    }
    if let (Some(place), true) = (node.place, node.children.is_empty()) {
        write_to(&mut text, &format!(", first at {:#x}", place.first_offset));
        if place.bytes != 0 {
            write_to(&mut text, &format!(" ({} bytes in {} runs)", place.bytes, place.runs));
        }
    }
    text
}

/// Lines of what both sides hold where they differ: those of the left side
/// begin with `-`, of the right one with `+`, others with neither.
pub fn shown(node: &Difference) -> Vec<String> {
    let mut shown = Vec::new();
    match &node.excerpt {
        Some(Excerpt::Bytes { offset, sides }) => {
            dump('-', *offset, &sides.left, &sides.right, &mut shown);
            dump('+', *offset, &sides.right, &sides.left, &mut shown);
        }
        Some(Excerpt::Lines { lines, omitted }) => {
            for Line { side, number, text } in lines {
                let sign = match side {
                    LineSide::Both => ' ',
                    LineSide::Left => '-',
                    LineSide::Right => '+',
                };
                shown.push(format!("{sign} {number:>5}  {}", printable(text)));
            }
            if *omitted != 0 {
                shown.push(format!("… and {omitted} more lines"));
            }
        }
        None => {}
    }
    if let What::Value(Sides { left, right }) = &node.what {
        shown.push(format!("- {}", printable(left)));
        shown.push(format!("+ {}", printable(right)));
    }
    shown
}

/// Lines of a dump that differ from the other side's.
fn dump(sign: char, offset: u64, own: &[u8], other: &[u8], shown: &mut Vec<String>) {
    const LINE: usize = crate::bytes::DUMP_LINE as usize;
    if own.is_empty() {
        shown.push(format!("{sign} {offset:08x}  (the end)"));
    }
    for (index, part) in own.chunks(LINE).enumerate() {
        let at = index * LINE;
        if other.get(at..at + part.len()) == Some(part) {
            continue;
        }
        let bytes: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let characters = part.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        let characters: String = characters.collect();
        shown.push(format!("{sign} {:08x}  {:<47}  {characters}", offset + at as u64, bytes.join(" ")));
    }
}

fn line(text: &mut String, indent: &str, rest: &str) {
    writeln!(text, "{indent}{rest}").expect("writing to a string does not fail");
}

fn write_to(text: &mut String, rest: &str) {
    text.push_str(rest);
}
