//! String contexts as programs see them.

use osbuild_store::StoreDir;

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::context::{Context, Element};
use crate::lang::value::Attr;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("addDrvOutputDependencies", 1, add_drv_output_dependencies),
    Builtin::new("appendContext", 2, append_context),
    Builtin::new("getContext", 1, get_context),
    Builtin::new("hasContext", 1, has_context),
    Builtin::new("unsafeDiscardOutputDependency", 1, unsafe_discard_output_dependency),
    Builtin::new("unsafeDiscardStringContext", 1, unsafe_discard_string_context),
];

/// An element as messages write it.
pub(crate) fn encode(store_dir: &StoreDir, element: &Element) -> String {
    match element {
        Element::Opaque(path) => store_dir.display(path),
        Element::Built { derivation, output } => format!("!{output}!{derivation}"),
        Element::DerivationDeep(derivation) => format!("={derivation}"),
    }
}

fn unsafe_discard_string_context(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.coerce(args[0], Coercion::INTERPOLATE, pos)?;
    Ok(e.string_static(text.bytes(e.heap), Context::EMPTY))
}

fn has_context(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    Ok(Value::Bool(!e.force_str(args[0], pos)?.context.is_empty()))
}

/// A derivation's path then stands for that file alone.
fn unsafe_discard_output_dependency(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.coerce(args[0], Coercion::INTERPOLATE, pos)?;
    let elements = e
        .contexts
        .elements(text.context)
        .iter()
        .map(|element| match element {
            Element::DerivationDeep(path) => Element::Opaque(path.clone()),
            other => other.clone(),
        })
        .collect();
    let context = e.contexts.set(elements);
    Ok(e.string_static(text.bytes(e.heap), context))
}

fn add_drv_output_dependencies(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.coerce(args[0], Coercion::INTERPOLATE, pos)?;
    let elements = e.contexts.elements(text.context);
    let shown = String::from_utf8_lossy(text.bytes(e.heap)).into_owned();
    let [element] = elements.as_ref() else {
        let count = elements.len();
        let message = format!("context of string '{shown}' must have exactly one element, but has {count}");
        return e.refuse(message, pos);
    };
    let element = match element {
        Element::Opaque(path) if path.is_derivation() => Element::DerivationDeep(path.clone()),
        Element::Opaque(path) => {
            let shown = e.host.store_dir().display(path);
            return e.refuse(format!("path '{shown}' is not a derivation"), pos);
        }
        Element::Built { output, .. } => {
            return e.refuse(
                format!(
                    "`addDrvOutputDependencies` can only act on derivations, not on a derivation output such as '{output}'"
                ),
                pos,
            );
        }
        deep @ Element::DerivationDeep(_) => deep.clone(),
    };
    let context = e.contexts.single(element);
    Ok(e.string_static(text.bytes(e.heap), context))
}

fn get_context(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_str(args[0], pos)?;
    let mut paths: std::collections::BTreeMap<String, (bool, bool, Vec<String>)> = Default::default();
    let store_dir = e.host.store_dir().clone();
    for element in e.contexts.elements(text.context).iter() {
        match element {
            Element::Opaque(path) => paths.entry(store_dir.display(path)).or_default().0 = true,
            Element::DerivationDeep(path) => paths.entry(store_dir.display(path)).or_default().1 = true,
            Element::Built { derivation, output } => {
                paths.entry(store_dir.display(derivation)).or_default().2.push(output.clone());
            }
        }
    }
    let mut entries = Vec::new();
    for (path, (is_path, all_outputs, outputs)) in paths {
        let mut members: Vec<Attr> = Vec::new();
        if is_path {
            members.push(e.attr(e.known.path, Value::Bool(true)));
        }
        if all_outputs {
            let all_outputs = e.symbols.intern(b"allOutputs");
            members.push(e.attr(all_outputs, Value::Bool(true)));
        }
        if !outputs.is_empty() {
            let names: Vec<Value> = outputs.iter().map(|o| e.string(o.as_bytes())).collect();
            members.push(e.attr(e.known.outputs, e.list(&names)));
        }
        let name = e.symbols.intern(path.as_bytes());
        let members = e.attrs(members);
        entries.push(e.attr(name, members));
    }
    Ok(e.attrs(entries))
}

fn append_context(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.force_str(args[0], pos)?;
    let attrs = e.force_attrs(args[1], pos)?;
    let mut elements = e.contexts.elements(text.context).to_vec();
    for attr in e.entries_by_name(attrs) {
        let name = e.symbols.display(attr.name);
        let Ok(path) = e.host.store_dir().parse(&name) else {
            let name = e.show_symbol(attr.name);
            return e.refuse(format!("context key '{name}' is not a store path"), attr.pos);
        };
        let members = e.force_attrs(attr.value, attr.pos)?;
        if let Some(flag) = members.get(e.known.path)
            && e.force_bool(flag.value, flag.pos)?
        {
            elements.push(Element::Opaque(path.clone()));
        }
        let derivation_only = |e: &Evaluator, what: &str| {
            if path.is_derivation() {
                return Ok(());
            }
            e.refuse(
                format!(
                    "tried to add {what} of {}, which is not a derivation, to a string",
                    e.show_symbol(attr.name)
                ),
                attr.pos,
            )
        };
        let all_outputs = e.symbols.intern(b"allOutputs");
        if let Some(flag) = members.get(all_outputs)
            && e.force_bool(flag.value, flag.pos)?
        {
            derivation_only(e, "all-outputs context")?;
            elements.push(Element::DerivationDeep(path.clone()));
        }
        if let Some(outputs) = members.get(e.known.outputs) {
            let outputs = e.force_list(outputs.value, outputs.pos)?;
            if !outputs.is_empty() {
                derivation_only(e, "derivation output context")?;
            }
            for output in outputs {
                let output = String::from_utf8_lossy(e.force_plain(*output, pos)?).into_owned();
                elements.push(Element::Built { derivation: path.clone(), output });
            }
        }
    }
    let context = e.contexts.set(elements);
    Ok(e.string_static(text.bytes(e.heap), context))
}
