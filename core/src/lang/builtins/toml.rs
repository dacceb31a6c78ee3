//! `fromTOML`.

use super::{Builtin, Eval, Evaluator, Pos, Value};

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("fromTOML", 1, from_toml)];

fn from_toml(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_plain(args[0], pos)?;
    let Ok(text) = std::str::from_utf8(text) else {
        return e.refuse("while parsing TOML: the text is not UTF-8", pos);
    };
    match text.parse::<::toml::Table>() {
        Ok(table) => table_value(e, &table, pos),
        Err(error) => e.refuse(format!("while parsing TOML: {error}"), pos),
    }
}

fn table_value(e: &mut Evaluator, table: &::toml::Table, pos: Pos) -> Eval {
    let mut entries = Vec::with_capacity(table.len());
    for (name, value) in table {
        let value = value_of(e, value, pos)?;
        check_text(e, name, pos)?;
        let name = e.symbols.intern(name.as_bytes());
        entries.push(e.attr(name, value));
    }
    Ok(e.attrs(entries))
}

fn check_text(e: &mut Evaluator, text: &str, pos: Pos) -> Eval<()> {
    if text.contains('\0') {
        let shown = text.replace('\0', "␀");
        let message = format!(
            "while parsing TOML: input string '{shown}' cannot be represented as Nix string because it \
             contains null bytes"
        );
        return e.refuse(message, pos);
    }
    Ok(())
}

fn value_of(e: &mut Evaluator, value: &::toml::Value, pos: Pos) -> Eval {
    e.check_stack(pos)?;
    Ok(match value {
        ::toml::Value::String(text) => {
            check_text(e, text, pos)?;
            e.string(text.as_bytes())
        }
        ::toml::Value::Integer(number) => Value::Int(*number),
        ::toml::Value::Float(number) => Value::Float(*number),
        ::toml::Value::Boolean(truth) => Value::Bool(*truth),
        ::toml::Value::Datetime(_) => {
            return e.refuse("while parsing TOML: Dates and times are not supported", pos);
        }
        ::toml::Value::Array(items) => {
            let items = items.iter().map(|item| value_of(e, item, pos)).collect::<Eval<Vec<_>>>()?;
            e.list(&items)
        }
        ::toml::Value::Table(table) => table_value(e, table, pos)?,
    })
}
