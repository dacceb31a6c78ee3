//! `fetchurl` and its kin: arguments are checked as Nix checks them, and what
//! the store or this machine already has is used. There is no network here.

use std::collections::BTreeSet;
use std::path::Path;

use osbuild_store::store::Ingestion;
use osbuild_store::{HashAlgorithm, NixHash, StorePath};

use super::{Builtin, Eval, Evaluator, Pos, Value};
use crate::lang::coerce::Coercion;
use crate::lang::context::Element;
use crate::lang::error::ErrorKind;
use crate::lang::host::HostError;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin::new("fetchGit", 1, |e, args, pos| fetch_repository(e, args, "fetchGit", pos)),
    Builtin::new("fetchMercurial", 1, |e, args, pos| fetch_repository(e, args, "fetchMercurial", pos)),
    Builtin::new("fetchTarball", 1, |e, args, pos| fetch(e, args, "fetchTarball", pos)),
    Builtin::new("fetchurl", 1, |e, args, pos| fetch(e, args, "fetchurl", pos)),
    Builtin::new("flakeRefToString", 1, |e, args, pos| {
        e.force_attrs(args[0], pos)?;
        no_flakes(e, pos)
    }),
    Builtin::new("getFlake", 1, flake_named),
    Builtin::new("parseFlakeRef", 1, flake_named),
];

struct Request {
    url: String,
    name: String,
    is_named: bool,
    expected: Option<NixHash>,
}

fn fetch(e: &mut Evaluator, args: &[Value], function: &str, pos: Pos) -> Eval {
    let request = request(e, args[0], function, pos)?;
    e.host.may_fetch(&request.url).map_err(|error| e.host_fault(&error, pos))?;
    if request.expected.is_none() && e.host.is_pure() {
        let message = format!("in pure evaluation mode, '{function}' requires a 'sha256' argument");
        return e.refuse(message, pos);
    }
    let flat = function == "fetchurl";
    if let Err(error) = osbuild_store::path::check_name(&request.name) {
        let remedy = match (e.force_at(args[0], pos)?, request.is_named) {
            (Value::Attrs(_), true) => {
                format!("change the value for the 'name' attribute passed to '{function}',")
            }
            (Value::Attrs(_), false) => {
                format!("add a valid 'name' attribute to the argument for '{function}',")
            }
            // Two spaces, as Nix has them.
            _ => format!("pass an attribute set with 'url' and 'name' attributes to '{function}', "),
        };
        let message = format!(
            "invalid store path name when fetching URL '{}': {error}. Please {remedy} so that it can \
             create a valid store path.",
            request.url
        );
        return e.refuse(message, pos);
    }
    if let Some(expected) = &request.expected {
        let store_dir = e.host.store_dir();
        let path = store_dir
            .fixed_path(&request.name, !flat, expected, &BTreeSet::new(), false)
            .map_err(|error| e.fault(ErrorKind::Value, error.to_string(), pos))?;
        if e.host.is_valid(&path) {
            return Ok(reference(e, path));
        }
    }
    match request.url.strip_prefix("file://") {
        Some(file) if flat => local_file(e, Path::new(file), &request, pos),
        _ => no_network(e, function, pos),
    }
}

fn request(e: &mut Evaluator, value: Value, function: &str, pos: Pos) -> Eval<Request> {
    let text = |e: &mut Evaluator, value, pos| -> Eval<String> {
        Ok(String::from_utf8_lossy(e.force_plain(value, pos)?).into_owned())
    };
    let value = e.force_at(value, pos)?;
    let (mut url, mut name, mut hash) = (None, None, None);
    if let Value::Attrs(attrs) = value {
        for attr in e.entries_by_name(attrs) {
            match e.symbols.text(attr.name) {
                b"url" => url = Some(text(e, attr.value, attr.pos)?),
                b"name" => name = Some(text(e, attr.value, attr.pos)?),
                b"sha256" => hash = Some(text(e, attr.value, attr.pos)?),
                other => {
                    let other = String::from_utf8_lossy(other);
                    return e.refuse(format!("unsupported argument '{other}' to '{function}'"), attr.pos);
                }
            }
        }
    } else {
        url = Some(text(e, value, pos)?);
    }
    let Some(url) = url else { return e.refuse("'url' argument required", pos) };
    let expected = match hash.as_deref() {
        None => None,
        Some("") => NixHash::new(HashAlgorithm::Sha256, vec![0; 32]),
        Some(hash) => match NixHash::parse(hash, Some(HashAlgorithm::Sha256)) {
            Ok(hash) => Some(hash),
            Err(error) => return e.refuse(error.to_string(), pos),
        },
    };
    let is_named = name.is_some();
    let name = name.unwrap_or_else(|| match function {
        "fetchurl" => url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(),
        _ => "source".to_owned(),
    });
    Ok(Request { url, name, is_named, expected })
}

fn local_file(e: &mut Evaluator, file: &Path, request: &Request, pos: Pos) -> Eval {
    let host = e.host.clone();
    let contents = host.read_file(file).map_err(|error| e.host_fault(&error, pos))?;
    if let Some(expected) = &request.expected {
        let got = NixHash::of(HashAlgorithm::Sha256, &contents);
        if got != *expected {
            let message = format!(
                "hash mismatch in file downloaded from '{}':\n  specified: {}\n  got:       {}",
                request.url,
                expected.to_sri(),
                got.to_sri()
            );
            return e.refuse(message, pos);
        }
    }
    let added = host
        .source_file(file, false)
        .and_then(|tree| host.add_source(&request.name, &tree, Ingestion::Flat))
        .map_err(|error| e.host_fault(&error, pos))?;
    Ok(reference(e, added))
}

fn reference(e: &mut Evaluator, path: StorePath) -> Value {
    let text = e.host.store_dir().display(&path);
    let context = e.contexts.single(Element::Opaque(path));
    e.string_with(text.as_bytes(), context)
}

/// Trees of a version control system: nothing of theirs is ever at hand, so
/// only what is asked for is checked.
fn fetch_repository(e: &mut Evaluator, args: &[Value], function: &str, pos: Pos) -> Eval {
    let value = e.force_at(args[0], pos)?;
    if let Value::Attrs(attrs) = value {
        let url = e.symbols.intern(b"url");
        let Some(url) = attrs.get(url) else {
            let message = match function {
                "fetchGit" => "input attribute 'url' is missing",
                _ => "'url' argument required",
            };
            return e.refuse(message, pos);
        };
        e.coerce(url.value, Coercion::REFERENCE, url.pos)?;
    } else {
        e.coerce(value, Coercion::REFERENCE, pos)?;
    }
    no_network(e, function, pos)
}

/// What Nix has under this name fails unless an experimental feature is on;
/// programs ask whether it is there.
fn flake_named(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    e.force_plain(args[0], pos)?;
    no_flakes(e, pos)
}

fn no_flakes<T>(e: &Evaluator, pos: Pos) -> Eval<T> {
    e.refuse("experimental Nix feature 'flakes' is disabled", pos)
}

fn no_network<T>(e: &Evaluator, function: &str, pos: Pos) -> Eval<T> {
    let error = HostError {
        message: format!("'builtins.{function}' is refused: evaluation has no network"),
        hint: Some("fetch with a fixed-output derivation (fetchurl with a hash)".to_owned()),
    };
    Err(e.host_fault(&error, pos))
}
