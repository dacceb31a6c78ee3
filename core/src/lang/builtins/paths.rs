//! Paths, and what goes from paths into the store.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use osbuild_store::store::Ingestion;
use osbuild_store::{HashAlgorithm, NixHash};

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::context::Element;
use crate::lang::host::FileKind;
use crate::lang::shipped;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("baseNameOf", 1, base_name_of),
    Builtin::new("dirOf", 1, dir_of),
    Builtin::new("filterSource", 2, filter_source),
    Builtin::new("path", 1, path),
    Builtin::new("placeholder", 1, placeholder),
    Builtin::new("storePath", 1, store_path),
    Builtin::new("toFile", 2, to_file),
    Builtin::new("toPath", 1, to_path),
];

fn base_name_of(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let text = e.coerce(args[0], Coercion::REFERENCE, pos)?;
    let mut bytes = text.bytes(e.heap);
    // One trailing slash does not count.
    if bytes.len() > 1 {
        bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    } else if bytes == b"/" {
        bytes = b"";
    }
    let start = bytes.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    Ok(e.string_static(&bytes[start..], text.context))
}

fn dir_of(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    match e.force_at(args[0], pos)? {
        Value::Path(path) => {
            let bytes = path.bytes(e.heap);
            let plain = shipped::plain(bytes);
            let slash = plain.iter().rposition(|b| *b == b'/').unwrap_or(0);
            let parent = if slash == 0 { b"/" } else { &plain[..slash] };
            Ok(match shipped::within(bytes) {
                Some(_) => e.path(&shipped::at(parent)),
                None => e.path(parent),
            })
        }
        value => {
            let text = e.coerce(value, Coercion::REFERENCE, pos)?;
            let bytes = text.bytes(e.heap);
            Ok(match bytes.iter().rposition(|b| *b == b'/') {
                None => e.string_static(b".", text.context),
                Some(0) => e.string_static(b"/", text.context),
                Some(slash) => e.string_static(&bytes[..slash], text.context),
            })
        }
    }
}

fn to_path(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, context) = e.coerce_path(args[0], pos)?;
    Ok(e.string_with(shipped::plain(path.as_os_str().as_bytes()), context))
}

fn placeholder(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let output = String::from_utf8_lossy(e.force_plain(args[0], pos)?).into_owned();
    Ok(e.string(crate::derivation::placeholder::own_output(&output).as_bytes()))
}

fn store_path(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    if e.host.is_pure() {
        return e.refuse("'builtins.storePath' is not allowed in pure evaluation mode", pos);
    }
    // Nothing is built here: the path must be valid already.
    let (path, context) = e.coerce_path(args[0], pos)?;
    let host = e.host.clone();
    let mut text = path.to_string_lossy().into_owned();
    if host.store_dir().split(&text).is_err()
        && let Ok(real) = host.resolve(&path)
    {
        text = real.to_string_lossy().into_owned();
    }
    let Ok((object, _)) = host.store_dir().split(&text) else {
        return e.refuse(format!("path '{text}' is not in the Nix store"), pos);
    };
    if !host.may_be_named(&object).map_err(|error| e.host_fault(&error, pos))? {
        let shown = host.store_dir().display(&object);
        let message = format!("path '{shown}' is required, but there is no substituter that can build it");
        return e.refuse(message, pos);
    }
    let own = e.contexts.single(Element::Opaque(object));
    let context = e.contexts.union(context, own);
    Ok(e.string_with(text.as_bytes(), context))
}

fn to_file(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let name = String::from_utf8_lossy(e.force_plain(args[0], pos)?).into_owned();
    let contents = e.force_str(args[1], pos)?;
    let mut references = BTreeSet::new();
    for element in e.contexts.elements(contents.context).iter() {
        match element {
            Element::Opaque(path) => references.insert(path.clone()),
            other => {
                let shown = super::context::encode(e.host.store_dir(), other);
                let message = format!(
                    "files created by builtins.toFile may not reference derivations, but {name} references {shown}"
                );
                return e.refuse(message, pos);
            }
        };
    }
    let host = e.host.clone();
    let path = host
        .add_text(&name, contents.bytes(e.heap), &references)
        .map_err(|error| e.host_fault(&error, pos))?;
    let text = host.store_dir().display(&path);
    let context = e.contexts.single(Element::Opaque(path));
    Ok(e.string_with(text.as_bytes(), context))
}

/// What is added to the store, and how.
struct Addition<'a> {
    path: &'a Path,
    name: String,
    filter: Option<Value>,
    ingestion: Ingestion,
    expected: Option<NixHash>,
}

fn add(e: &mut Evaluator, addition: Addition<'_>, pos: Pos) -> Eval {
    let Addition { path, name, filter, ingestion, expected } = addition;
    let host = e.host.clone();
    // The root itself may be a link, which is followed then.
    let tree = e.source_tree(path, pos, &mut |e, member, kind| {
        let Some(filter) = filter else { return Ok(true) };
        let member = e.string(member.as_os_str().as_bytes());
        let kind = e.string(kind.name().as_bytes());
        let keep = e.call(filter, &[member, kind], pos)?;
        e.force_bool(keep, pos)
    })?;
    if let Err(error) = osbuild_store::path::check_name(&name) {
        return e.refuse(error.to_string(), pos);
    }
    let store_path = host.add_source(&name, &tree, ingestion).map_err(|error| e.host_fault(&error, pos))?;
    if let Some(expected) = expected {
        let recursive = ingestion == Ingestion::Recursive;
        let wanted = host.store_dir().fixed_path(&name, recursive, &expected, &BTreeSet::new(), false);
        if wanted.as_ref() != Ok(&store_path) {
            let message = format!(
                "store path mismatch in (possibly filtered) path added from '{}': expected {expected}, got another hash",
                path.display()
            );
            return e.refuse(message, pos);
        }
    }
    let text = host.store_dir().display(&store_path);
    let context = e.contexts.single(Element::Opaque(store_path));
    Ok(e.string_with(text.as_bytes(), context))
}

fn filter_source(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let (path, _) = e.readable_path(args[1], pos)?;
    let filter = e.force_function(args[0], pos)?;
    let name = shipped::base_name(&path);
    let addition =
        Addition { path: &path, name, filter: Some(filter), ingestion: Ingestion::Recursive, expected: None };
    add(e, addition, pos)
}

fn path(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let mut from = None;
    let mut name = None;
    let mut filter = None;
    let mut ingestion = Ingestion::Recursive;
    let mut expected = None;
    for attr in attrs.entries(e.heap) {
        match e.symbols.text(attr.name) {
            b"path" => from = Some(e.readable_path(attr.value, attr.pos)?.0),
            b"name" => {
                name = Some(String::from_utf8_lossy(e.force_plain(attr.value, attr.pos)?).into_owned());
            }
            b"filter" => filter = Some(e.force_function(attr.value, attr.pos)?),
            b"recursive" => {
                if !e.force_bool(attr.value, attr.pos)? {
                    ingestion = Ingestion::Flat;
                }
            }
            b"sha256" => {
                let text = String::from_utf8_lossy(e.force_plain(attr.value, attr.pos)?).into_owned();
                match NixHash::parse(&text, Some(HashAlgorithm::Sha256)) {
                    Ok(hash) => expected = Some(hash),
                    Err(error) => return e.refuse(error.to_string(), attr.pos),
                }
            }
            _ => {
                let name = e.symbols.display(attr.name);
                return e.refuse(format!("unsupported argument '{name}' to 'builtins.path'"), attr.pos);
            }
        }
    }
    let Some(from) = from else {
        return e.refuse("missing required 'path' attribute in the first argument to 'builtins.path'", pos);
    };
    let name = match name {
        Some(name) => name,
        None => shipped::base_name(&from),
    };
    if ingestion == Ingestion::Flat {
        let kind = e.host.kind(&from).map_err(|error| e.host_fault(&error, pos))?;
        if matches!(kind, Some(FileKind::Directory)) {
            let shown = from.display();
            return e
                .refuse(format!("'{shown}' is a directory, but 'recursive = false' takes files only"), pos);
        }
    }
    add(e, Addition { path: &from, name, filter, ingestion, expected }, pos)
}
