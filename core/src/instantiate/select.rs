//! From a program to the value that an attribute path names, and from that to
//! derivations.

use osbuild_store::action::OutputName;

use super::{Argument, Arguments, Instantiated, Source};
use crate::lang::error::{ErrorKind, nearest};
use crate::lang::source::{Origin, Pos};
use crate::lang::value::{Attr, Attrs, Value};
use crate::lang::{Eval, Evaluator};

/// Follows an attribute path; functions on the way are called with the
/// arguments.
pub(super) fn select(e: &mut Evaluator, source: &Source, path: &str, arguments: &Arguments) -> Eval {
    let root = source.value(e)?;
    follow(e, root, path, arguments)
}

/// As [`select`], from a value on.
pub(super) fn follow(e: &mut Evaluator, mut value: Value, path: &str, arguments: &Arguments) -> Eval {
    if path.matches('"').count() % 2 == 1 {
        let message = format!("missing closing quote in selection path '{path}'");
        return e.fail(ErrorKind::Value, message, Pos::NONE);
    }
    for name in split(path) {
        value = call_automatically(e, value, arguments, true)?;
        value = member(e, value, &name, path)?;
    }
    Ok(value)
}

fn member(e: &mut Evaluator, value: Value, name: &str, path: &str) -> Eval {
    if let Ok(index) = name.parse::<u32>() {
        let Value::List(list) = value else {
            let kind = value.kind_with_article();
            let message = format!(
                "the expression selected by the selection path '{path}' should be a list but is {kind}"
            );
            return e.fail(ErrorKind::Type, message, Pos::NONE);
        };
        return match list.items.get(index as usize) {
            Some(item) => e.force(*item),
            None => {
                let message = format!("list index {index} in selection path '{path}' is out of range");
                e.fail(ErrorKind::MissingAttribute, message, Pos::NONE)
            }
        };
    }
    let Value::Attrs(attrs) = value else {
        let kind = value.kind_with_article();
        let message =
            format!("the expression selected by the selection path '{path}' should be a set but is {kind}");
        return e.fail(ErrorKind::Type, message, Pos::NONE);
    };
    if name.is_empty() {
        let message = format!("empty attribute name in selection path '{path}'");
        return e.fail(ErrorKind::Value, message, Pos::NONE);
    }
    let symbol = e.symbols.intern(name.as_bytes());
    match attrs.get(symbol) {
        Some(attr) => e.force_at(attr.value, attr.pos),
        None => {
            let message = format!("attribute '{name}' in selection path '{path}' not found");
            let names: Vec<String> =
                e.entries_by_name(attrs).iter().map(|a| e.symbols.display(a.name)).collect();
            let fault = e.fault(ErrorKind::MissingAttribute, message, Pos::NONE);
            Err(match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => fault.with_hint(e.heap, &format!("did you mean {near}?")),
                None => fault,
            })
        }
    }
}

/// Splits at dots outside quotes; behind a last dot there is no name.
pub(super) fn split(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    for character in path.chars() {
        match character {
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Calls a function whose arguments all have names or defaults. Without any
/// arguments given and `always` unset, the function itself is the value.
pub(super) fn call_automatically(
    e: &mut Evaluator,
    value: Value,
    arguments: &Arguments,
    always: bool,
) -> Eval {
    let value = e.force(value)?;
    if arguments.is_empty() && !always {
        return Ok(value);
    }
    if let Value::Attrs(attrs) = value
        && let Some(functor) = attrs.get(e.known.functor)
    {
        let function = e.call(functor.value, &[value], functor.pos)?;
        return call_automatically(e, function, arguments, true);
    }
    let Value::Lambda(closure) = value else { return Ok(value) };
    let Some(formals) = &closure.lambda.formals else { return Ok(value) };
    let mut given: Vec<Attr> = Vec::new();
    if formals.ellipsis {
        for (name, argument) in arguments {
            let name = e.symbols.intern(name.as_bytes());
            let value = argument_value(e, argument)?;
            given.push(e.attr(name, value));
        }
    } else {
        for formal in formals.entries {
            let name = e.symbols.display(formal.name);
            if let Some(argument) = arguments.get(&name) {
                let value = argument_value(e, argument)?;
                given.push(e.attr(formal.name, value));
            }
        }
    }
    for formal in formals.entries {
        if formal.default.is_none() && given.iter().all(|a| a.name != formal.name) {
            let name = e.symbols.display(formal.name);
            let message =
                format!("cannot evaluate a function that has an argument without a value ('{name}')");
            let fault = e.fault(ErrorKind::Arguments, message, formal.pos);
            let hint = format!("give the argument with --arg {name} EXPRESSION or --argstr {name} STRING");
            return Err(fault.with_hint(e.heap, &hint));
        }
    }
    let given = e.attrs(given);
    e.call(value, &[given], Pos::NONE)
}

fn argument_value(e: &mut Evaluator, argument: &Argument) -> Eval {
    match argument {
        Argument::String(text) => Ok(e.string(text.as_bytes())),
        Argument::Expression(text) => {
            let directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
            let code = e.lower_text(text, Origin::String, &directory, None)?;
            let env = e.scope(None, 0);
            // Evaluated only if the function uses it.
            Ok(e.later(code, env))
        }
    }
}

/// What a value comes to: itself, its `build`, or its members.
pub(super) fn derivations(
    e: &mut Evaluator,
    value: Value,
    path: &str,
    arguments: &Arguments,
) -> Eval<Vec<Instantiated>> {
    let value = call_automatically(e, value, arguments, true)?;
    match value {
        Value::Attrs(attrs) if e.is_derivation(attrs)? => Ok(vec![derivation(e, attrs, path)?]),
        Value::Attrs(attrs) => {
            let build = e.symbols.intern(b"build");
            if let Some(build) = attrs.get(build) {
                let build = e.force_at(build.value, build.pos)?;
                if let Value::Attrs(attrs) = build
                    && e.is_derivation(attrs)?
                {
                    return Ok(vec![derivation(e, attrs, path)?]);
                }
            }
            let mut found = Vec::new();
            for attr in e.entries_by_name(attrs) {
                let name = e.symbols.display(attr.name);
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                if let Value::Attrs(member) = e.force_at(attr.value, attr.pos)?
                    && e.is_derivation(member)?
                {
                    found.push(derivation(e, member, &path)?);
                }
            }
            if found.is_empty() { not_buildable(e, value, path) } else { Ok(found) }
        }
        Value::List(list) => {
            let mut found = Vec::new();
            for (index, item) in list.items.iter().enumerate() {
                let path = if path.is_empty() { index.to_string() } else { format!("{path}.{index}") };
                match e.force(*item)? {
                    Value::Attrs(member) if e.is_derivation(member)? => {
                        found.push(derivation(e, member, &path)?);
                    }
                    other => return not_buildable(e, other, &path),
                }
            }
            Ok(found)
        }
        other => not_buildable(e, other, path),
    }
}

fn not_buildable<T>(e: &Evaluator, value: Value, path: &str) -> Eval<T> {
    let what = if path.is_empty() { "the expression".to_owned() } else { format!("'{path}'") };
    let kind = value.kind_with_article();
    let message = format!("{what} is {kind}, not a derivation (or a set with one in its 'build')");
    e.fail(ErrorKind::Type, message, Pos::NONE)
}

fn derivation(e: &mut Evaluator, attrs: &'static Attrs, path: &str) -> Eval<Instantiated> {
    let text = |e: &mut Evaluator, name| -> Eval<Option<String>> {
        let Some(attr) = attrs.get(name) else { return Ok(None) };
        let text = e.force_str(attr.value, attr.pos)?;
        Ok(Some(String::from_utf8_lossy(text.bytes(e.heap)).into_owned()))
    };
    let drv_path = text(e, e.known.drv_path)?;
    let Some(drv_path) = drv_path else {
        let message = format!("derivation '{path}' has no 'drvPath'");
        return e.fail(ErrorKind::MissingAttribute, message, Pos::NONE);
    };
    let Ok(drv_path) = e.host.store_dir().parse(&drv_path) else {
        let message = format!("'drvPath' of '{path}' is not a store path: '{drv_path}'");
        return e.fail(ErrorKind::Value, message, Pos::NONE);
    };
    let output = text(e, e.known.output_name)?.unwrap_or_else(|| "out".to_owned());
    let name = text(e, e.known.name)?.unwrap_or_default();
    let Some(output) = OutputName::new(&output) else {
        let message = format!("'{output}' is not the name of an output");
        return e.fail(ErrorKind::Value, message, Pos::NONE);
    };
    Ok(Instantiated { drv_path, outputs_wanted: vec![output], name, attr: path.to_owned() })
}
