//! Values for people: evaluated as far as they are shown, over several lines,
//! with what fails inside them shown in its place.

use std::collections::HashSet;

use super::builtins::documentation::{Documentation, documentation};
use super::error::ErrorKind;
use super::eval::{Eval, Evaluator};
use super::print::show_name;
use super::source::Pos;
use super::value::Value;

/// Members of lists and sets stand in one line up to this width.
const WIDTH: usize = 72;

impl Evaluator {
    /// The value, its members evaluated down to `depth`; deeper ones show as
    /// `{ ... }`.
    ///
    /// # Errors
    /// The value itself cannot be evaluated, or the evaluation was
    /// interrupted. Other failures are part of the text.
    pub fn show_pretty(&mut self, value: Value, depth: usize) -> Eval<String> {
        let value = self.force(value)?;
        self.pretty(value, depth, 0, &mut HashSet::new())
    }

    fn pretty(
        &mut self,
        value: Value,
        depth: usize,
        indent: usize,
        seen: &mut HashSet<usize>,
    ) -> Eval<String> {
        self.check_stack(Pos::NONE)?;
        match value {
            Value::Attrs(attrs) if attrs.is_empty() => Ok("{ }".to_owned()),
            Value::Attrs(attrs) => {
                if depth > 0
                    && self.is_derivation(attrs).unwrap_or(false)
                    && let Some(path) = attrs.get(self.known.drv_path)
                    && let Value::String(path) = self.force(path.value)?
                {
                    let path = String::from_utf8_lossy(path.bytes(self.heap)).into_owned();
                    return Ok(format!("«derivation {path}»"));
                }
                if !seen.insert(std::ptr::from_ref(attrs).addr()) {
                    return Ok("«repeated»".to_owned());
                }
                if depth == 0 {
                    return Ok("{ ... }".to_owned());
                }
                let mut items = Vec::new();
                for attr in self.entries_by_name(attrs) {
                    let mut name = Vec::new();
                    show_name(self.symbols.text(attr.name), &mut name);
                    let name = String::from_utf8_lossy(&name).into_owned();
                    let shown = self.member(attr.value, depth - 1, indent + 2, seen)?;
                    items.push(format!("{name} = {shown};"));
                }
                Ok(join("{", &items, "}", indent))
            }
            Value::List(list) if list.items.is_empty() => Ok("[ ]".to_owned()),
            Value::List(list) => {
                if !seen.insert(list.items.as_ptr().addr()) {
                    return Ok("«repeated»".to_owned());
                }
                if depth == 0 {
                    return Ok("[ ... ]".to_owned());
                }
                let mut items = Vec::new();
                for item in list.items {
                    items.push(self.member(*item, depth - 1, indent + 2, seen)?);
                }
                Ok(join("[", &items, "]", indent))
            }
            other => Ok(self.show_brief(other)),
        }
    }

    fn member(
        &mut self,
        value: Value,
        depth: usize,
        indent: usize,
        seen: &mut HashSet<usize>,
    ) -> Eval<String> {
        let shown = self.force(value).and_then(|value| self.pretty(value, depth, indent, seen));
        match shown {
            Err(fault) if fault.kind() != ErrorKind::Interrupted => {
                Ok(format!("«error: {}»", fault.message().lines().next().unwrap_or_default()))
            }
            other => other,
        }
    }

    /// What `:doc` says of a value: the paragraph on a built-in function.
    pub fn describe(&self, value: Value) -> Option<String> {
        let builtin = match value {
            Value::Builtin(builtin) => builtin,
            Value::Partial(partial) => partial.builtin,
            _ => return None,
        };
        documentation(builtin.name).map(Documentation::page)
    }
}

fn join(open: &str, items: &[String], close: &str, indent: usize) -> String {
    let line = format!("{open} {} {close}", items.join(" "));
    if indent + line.len() <= WIDTH && !line.contains('\n') {
        return line;
    }
    let blank = " ".repeat(indent);
    let mut text = format!("{open}\n");
    for item in items {
        text.push_str(&format!("{blank}  {item}\n"));
    }
    text + &blank + close
}
