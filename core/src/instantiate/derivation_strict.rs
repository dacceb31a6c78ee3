//! `derivationStrict`: a set of attributes becomes a derivation.
//!
//! Source: Nix manual, "Derivations"; every path that comes out is compared
//! with real Nix's by `tests/derivation_oracle.rs`.

use std::collections::{BTreeMap, BTreeSet};

use osbuild_store::action::OutputName;
use osbuild_store::{HashAlgorithm, NixHash, StorePath};

use crate::derivation::aterm::Aterm;
use crate::derivation::hash_modulo::{HashModulo, hash_modulo};
use crate::derivation::placeholder::{own_output, upstream_output};
use crate::derivation::{Derivation, Output};
use crate::lang::builtins::{Builtin, Json};
use crate::lang::coerce::Coercion;
use crate::lang::context::{Context, Element};
use crate::lang::error::ErrorKind;
use crate::lang::source::Pos;
use crate::lang::value::{Attr, Attrs, Value};
use crate::lang::{Eval, Evaluator};

pub(crate) const BUILTINS: &[Builtin] = &[Builtin::new("derivationStrict", 1, derivation_strict)];

fn derivation_strict(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let attrs = e.force_attrs(args[0], pos)?;
    let Some(name_attr) = attrs.get(e.known.name) else {
        return Err(e.missing_attribute(e.known.name, attrs, pos));
    };
    let name = e.force_plain(name_attr.value, name_attr.pos)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let at = if name_attr.pos.is_some() { name_attr.pos } else { pos };
    make(e, attrs, &name, at).map_err(|fault| {
        fault.at(e.heap, at).within_text(e.heap, &format!("while evaluating derivation '{name}'"), at)
    })
}

/// What the attributes say, before paths are computed.
struct Recipe {
    builder: Vec<u8>,
    system: Vec<u8>,
    arguments: Vec<Vec<u8>>,
    environment: BTreeMap<Vec<u8>, Vec<u8>>,
    structured: bool,
    outputs: Vec<OutputName>,
    floating: bool,
    output_hash: Option<String>,
    output_hash_algorithm: Option<HashAlgorithm>,
    recursive: Option<bool>,
    context: Context,
}

fn make(e: &mut Evaluator, attrs: &'static Attrs, name: &str, pos: Pos) -> Eval {
    let recipe = read(e, attrs, name, pos)?;
    if recipe.builder.is_empty() {
        return e.fail(ErrorKind::Value, "required attribute 'builder' missing", pos);
    }
    if recipe.system.is_empty() {
        return e.fail(ErrorKind::Value, "required attribute 'system' missing", pos);
    }
    if name.ends_with(".drv") {
        let message =
            "derivation names are allowed to end in '.drv' only if they produce a single derivation file";
        return e.fail(ErrorKind::Value, message, pos);
    }
    if let Err(error) = osbuild_store::path::check_name(name) {
        let message = format!("invalid derivation name: {error}. Please pass a different 'name'.");
        return e.fail(ErrorKind::Value, message, pos);
    }
    let (input_derivations, input_sources) = inputs(e, recipe.context, pos)?;
    let mut derivation = Derivation {
        outputs: BTreeMap::new(),
        input_derivations,
        input_sources,
        system: recipe.system,
        builder: recipe.builder,
        arguments: recipe.arguments,
        environment: recipe.environment,
    };
    if let Some(text) = recipe.output_hash {
        let [output] = recipe.outputs.as_slice() else {
            let message = "multiple outputs are not supported in fixed-output derivations";
            return e.fail(ErrorKind::Value, message, pos);
        };
        if output.as_str() != "out" {
            let message = "multiple outputs are not supported in fixed-output derivations";
            return e.fail(ErrorKind::Value, message, pos);
        }
        let hash = parse_hash(e, &text, recipe.output_hash_algorithm, pos)?;
        let recursive = recipe.recursive.unwrap_or(false);
        let path = e
            .host
            .store_dir()
            .fixed_path(name, recursive, &hash, &BTreeSet::new(), false)
            .map_err(|error| e.fault(ErrorKind::Value, error.to_string(), pos))?;
        let shown = e.host.store_dir().display(&path);
        derivation.environment.insert(b"out".to_vec(), shown.into_bytes());
        derivation.outputs.insert(OutputName::out(), Output::Fixed { path, recursive, hash });
    } else if recipe.floating {
        let recursive = recipe.recursive.unwrap_or(true);
        let algorithm = recipe.output_hash_algorithm.unwrap_or(HashAlgorithm::Sha256);
        for output in &recipe.outputs {
            let stand_in = own_output(output.as_str()).into_bytes();
            derivation.environment.insert(output.as_str().as_bytes().to_vec(), stand_in);
            derivation.outputs.insert(output.clone(), Output::Floating { recursive, algorithm });
        }
    } else {
        address_by_input(e, &mut derivation, &recipe.outputs, name, pos)?;
    }
    finish(e, derivation, name, pos)
}

/// Output paths from the hash of the derivation with its outputs left blank.
fn address_by_input(
    e: &mut Evaluator,
    derivation: &mut Derivation,
    outputs: &[OutputName],
    name: &str,
    pos: Pos,
) -> Eval<()> {
    for output in outputs {
        derivation.environment.insert(output.as_str().as_bytes().to_vec(), Vec::new());
        derivation.outputs.insert(output.clone(), Output::Deferred);
    }
    let mut hashes = BTreeMap::new();
    for input in derivation.input_derivations.keys() {
        let hash = e.host.hash_modulo(input).map_err(|error| e.host_fault(&error, pos))?;
        hashes.insert(input.clone(), hash);
    }
    let store_dir = e.host.store_dir().clone();
    let written = Aterm::of(derivation, &store_dir);
    let hash = hash_modulo(derivation, &written, &store_dir, |input| hashes[input].clone());
    let HashModulo::Known(digest) = hash else { return Ok(()) };
    for output in outputs {
        let path = store_dir
            .output_path(output.as_str(), &digest, name)
            .map_err(|error| e.fault(ErrorKind::Value, error.to_string(), pos))?;
        let shown = store_dir.display(&path);
        derivation.environment.insert(output.as_str().as_bytes().to_vec(), shown.into_bytes());
        derivation.outputs.insert(output.clone(), Output::InputAddressed(path));
    }
    Ok(())
}

/// Writes the derivation and makes the set that the language sees.
fn finish(e: &mut Evaluator, derivation: Derivation, name: &str, pos: Pos) -> Eval {
    let outputs = derivation.outputs.clone();
    let host = e.host.clone();
    let drv_path = host.add_derivation(name, derivation).map_err(|error| e.host_fault(&error, pos))?;
    let store_dir = host.store_dir();
    let context = e.contexts.single(Element::DerivationDeep(drv_path.clone()));
    let shown = e.string_with(store_dir.display(&drv_path).as_bytes(), context);
    let mut members: Vec<Attr> = vec![e.attr(e.known.drv_path, shown)];
    for (output, kind) in outputs {
        let text = match kind {
            Output::InputAddressed(path) | Output::Fixed { path, .. } => store_dir.display(&path),
            Output::Floating { .. } | Output::Deferred => upstream_output(&drv_path, output.as_str()),
        };
        let element = Element::Built { derivation: drv_path.clone(), output: output.as_str().to_owned() };
        let context = e.contexts.single(element);
        let value = e.string_with(text.as_bytes(), context);
        let symbol = e.symbols.intern(output.as_str().as_bytes());
        members.push(e.attr(symbol, value));
    }
    Ok(e.attrs(members))
}

fn read(e: &mut Evaluator, attrs: &'static Attrs, name: &str, pos: Pos) -> Eval<Recipe> {
    let flag = |e: &mut Evaluator, name| match attrs.get(name) {
        Some(attr) => e.force_bool(attr.value, attr.pos),
        None => Ok(false),
    };
    let structured = flag(e, e.known.structured_attrs)?;
    let ignore_nulls = flag(e, e.known.ignore_nulls)?;
    let mut recipe = Recipe {
        builder: Vec::new(),
        system: Vec::new(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        structured,
        outputs: vec![OutputName::out()],
        floating: false,
        output_hash: None,
        output_hash_algorithm: None,
        recursive: None,
        context: Context::EMPTY,
    };
    let mut json = Json::default();
    for attr in e.entries_by_name(attrs) {
        if attr.name == e.known.ignore_nulls {
            continue;
        }
        read_attr(e, &mut recipe, &mut json, attr, ignore_nulls).map_err(|fault| {
            let text = format!(
                "while evaluating attribute '{}' of derivation '{name}'",
                e.symbols.display(attr.name)
            );
            fault.within_text(e.heap, &text, if attr.pos.is_some() { attr.pos } else { pos })
        })?;
    }
    if structured {
        if json.text.is_empty() {
            json.text.push(b'{');
        }
        json.text.push(b'}');
        let (text, context) =
            e.finish_json(json).map_err(|reason| e.fault(ErrorKind::Value, &reason, Pos::NONE))?;
        recipe.context = e.contexts.union(recipe.context, context);
        recipe.environment.insert(b"__json".to_vec(), text);
    }
    Ok(recipe)
}

fn read_attr(
    e: &mut Evaluator,
    recipe: &mut Recipe,
    json: &mut Json,
    attr: Attr,
    ignore_nulls: bool,
) -> Eval<()> {
    let (value, pos) = (attr.value, attr.pos);
    if ignore_nulls && matches!(e.force_at(value, pos)?, Value::Null) {
        return Ok(());
    }
    // These two leave no trace in the environment, not even when false.
    if attr.name == e.known.content_addressed {
        recipe.floating = e.force_bool(value, pos)?;
        return Ok(());
    }
    if attr.name == e.known.impure {
        if !e.force_bool(value, pos)? {
            return Ok(());
        }
        let message = "experimental Nix feature 'impure-derivations' is disabled";
        return e.fail(ErrorKind::Value, message, pos);
    }
    if attr.name == e.known.args {
        for item in e.force_list(value, pos)? {
            let text = coerce(e, recipe, *item, pos)?;
            recipe.arguments.push(text);
        }
        return Ok(());
    }
    let key = e.symbols.text(attr.name);
    if !recipe.structured {
        let text = coerce(e, recipe, value, pos)?;
        if attr.name == e.known.outputs {
            let names = String::from_utf8_lossy(&text).into_owned();
            recipe.outputs = output_names(e, names.split_ascii_whitespace(), pos)?;
        } else {
            special(e, recipe, attr, &text)?;
        }
        recipe.environment.insert(key.to_vec(), text);
        return Ok(());
    }
    if attr.name == e.known.structured_attrs {
        return Ok(());
    }
    json.text.push(if json.text.is_empty() { b'{' } else { b',' });
    json.string(key);
    json.text.push(b':');
    e.write_json(value, json, pos)?;
    let known = &e.known;
    if attr.name == known.outputs {
        let mut names = Vec::new();
        for item in e.force_list(value, pos)? {
            names.push(String::from_utf8_lossy(e.force_plain(*item, pos)?).into_owned());
        }
        recipe.outputs = output_names(e, names.iter().map(String::as_str), pos)?;
    } else if attr.name == known.builder {
        let text = e.force_str(value, pos)?;
        recipe.context = e.contexts.union(recipe.context, text.context);
        recipe.builder = text.bytes(e.heap).to_vec();
    } else if [known.system, known.output_hash, known.output_hash_algo, known.output_hash_mode]
        .contains(&attr.name)
    {
        let text = e.force_plain(value, pos)?.to_vec();
        special(e, recipe, attr, &text)?;
    }
    Ok(())
}

fn coerce(e: &mut Evaluator, recipe: &mut Recipe, value: Value, pos: Pos) -> Eval<Vec<u8>> {
    let text = e.coerce(value, Coercion::DERIVATION, pos)?;
    recipe.context = e.contexts.union(recipe.context, text.context);
    Ok(text.bytes(e.heap).to_vec())
}

/// Attributes that mean something beside being in the environment.
fn special(e: &mut Evaluator, recipe: &mut Recipe, attr: Attr, text: &[u8]) -> Eval<()> {
    let shown = || String::from_utf8_lossy(text).into_owned();
    let known = &e.known;
    if attr.name == known.builder {
        recipe.builder = text.to_vec();
    } else if attr.name == known.system {
        recipe.system = text.to_vec();
    } else if attr.name == known.output_hash {
        recipe.output_hash = Some(shown());
    } else if attr.name == known.output_hash_algo {
        // Empty and unknown names only matter once a hash needs them.
        recipe.output_hash_algorithm = HashAlgorithm::parse(&shown());
    } else if attr.name == known.output_hash_mode {
        recipe.recursive = Some(match text {
            b"recursive" | b"nar" => true,
            b"flat" => false,
            _ => {
                let message = format!("invalid value '{}' for 'outputHashMode' attribute", shown());
                return e.fail(ErrorKind::Value, message, attr.pos);
            }
        });
    }
    Ok(())
}

fn output_names<'n>(e: &Evaluator, names: impl Iterator<Item = &'n str>, pos: Pos) -> Eval<Vec<OutputName>> {
    let mut outputs: Vec<OutputName> = Vec::new();
    for name in names {
        let output = OutputName::new(name).filter(|_| name != "drvPath");
        let Some(output) = output else {
            return e.fail(ErrorKind::Value, format!("invalid derivation output name '{name}'"), pos);
        };
        if outputs.contains(&output) {
            return e.fail(ErrorKind::Value, format!("duplicate derivation output '{name}'"), pos);
        }
        outputs.push(output);
    }
    if outputs.is_empty() {
        return e.fail(ErrorKind::Value, "derivation cannot have an empty set of outputs", pos);
    }
    Ok(outputs)
}

/// A hash in any spelling; an empty one asks to be told the right one.
fn parse_hash(e: &Evaluator, text: &str, algorithm: Option<HashAlgorithm>, pos: Pos) -> Eval<NixHash> {
    if text.is_empty() {
        let Some(algorithm) = algorithm else {
            return e.fail(ErrorKind::Value, "empty hash requires explicit hash algorithm", pos);
        };
        let hash = NixHash::new(algorithm, vec![0; algorithm.digest_size()]).expect("the size is right");
        e.host.message(&format!("warning: found empty hash, assuming '{hash}'"));
        return Ok(hash);
    }
    NixHash::parse(text, algorithm).map_err(|error| e.fault(ErrorKind::Value, error.to_string(), pos))
}

type Inputs = (BTreeMap<StorePath, BTreeSet<OutputName>>, BTreeSet<StorePath>);

/// Everything that the strings speak of becomes an input.
fn inputs(e: &Evaluator, context: Context, pos: Pos) -> Eval<Inputs> {
    let mut derivations: BTreeMap<StorePath, BTreeSet<OutputName>> = BTreeMap::new();
    let mut sources = BTreeSet::new();
    for element in e.contexts.elements(context).iter() {
        match element {
            Element::Opaque(path) => {
                sources.insert(path.clone());
            }
            Element::Built { derivation, output } => {
                let Some(output) = OutputName::new(output) else {
                    return e.fail(
                        ErrorKind::Value,
                        format!("invalid derivation output name '{output}'"),
                        pos,
                    );
                };
                derivations.entry(derivation.clone()).or_default().insert(output);
            }
            Element::DerivationDeep(path) => {
                let mut pending = vec![path.clone()];
                let mut seen = BTreeSet::new();
                while let Some(path) = pending.pop() {
                    if !seen.insert(path.clone()) {
                        continue;
                    }
                    if path.is_derivation() {
                        let derivation =
                            e.host.derivation(&path).map_err(|error| e.host_fault(&error, pos))?;
                        let outputs = derivation.outputs.keys().cloned();
                        derivations.entry(path.clone()).or_default().extend(outputs);
                        pending.extend(derivation.input_derivations.keys().cloned());
                        pending.extend(derivation.input_sources.iter().cloned());
                    } else {
                        pending.extend(e.host.references(&path));
                    }
                    sources.insert(path);
                }
            }
        }
    }
    Ok((derivations, sources))
}
